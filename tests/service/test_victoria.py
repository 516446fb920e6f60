"""A hub whose samples are in VictoriaMetrics: the same to agents and people."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from twinwatch.hub.settings import Misconfigured
from twinwatch.hub.stores.engines import Engine
from twinwatch.testing.hub_stage import HandClock, HubStage
from twinwatch.testing.ports import free_port
from twinwatch.testing.victoria import PROGRAM, flush, is_there, single_node
from twinwatch.world.http import AiohttpHttp

pytestmark = pytest.mark.skipif(not is_there(), reason=f"{PROGRAM} is not installed: apt-get install {PROGRAM}")


@pytest.fixture
def node() -> Iterator[str]:
    with single_node() as address:
        yield address


async def test_samples_are_taken_and_shown_and_go_with_their_server(
    node: str, database_url: str, tmp_path: Path, clock: HandClock
) -> None:
    engine = Engine("victoriametrics", (node,))
    async with HubStage(database_url, tmp_path, clock=clock, engine=engine) as stage:
        cast = await stage.cast()
        now = clock.now()
        for _ in range(2):
            reply = await cast.agent.push((now - 2_000, (1.0, None)), (now - 1_000, (3.0, 4.5)), sequence=1)
            assert reply.status == 200, reply
        await flush(node)
        base = f"/api/v1/servers/{cast.agent.server_id}"
        answer = (await cast.owner.client.get(f"{base}/range?metric=test.a&since={now - 60_000}&to={now}")).json()
        (line,) = answer["series"]
        assert line["values"] == [1.0, 3.0]
        latest = (await cast.owner.client.get(f"{base}/latest")).json()
        assert sorted(one["value"] for one in latest["series"]) == [3.0, 4.5]
        assert (await cast.owner.client.delete(base)).status == 204
        http = AiohttpHttp()
        left = await http.request("GET", f"{node}/api/v1/export?match[]=twinwatch_sample", timeout_seconds=5)
        await http.close()
        assert (left.status, left.body) == (200, b"")


async def test_an_agent_is_told_to_come_again_while_the_store_is_away(
    database_url: str, tmp_path: Path, clock: HandClock
) -> None:
    with single_node() as node:
        stage = HubStage(database_url, tmp_path, clock=clock, engine=Engine("victoriametrics", (node,)))
        await stage.__aenter__()
        cast = await stage.cast()
    reply = await cast.agent.push((clock.now(), (1.0, 2.0)))
    assert reply.status == 503
    assert (await cast.agent.heartbeat()).status == 200, "a store that is away makes no server look dead"
    await stage.__aexit__()


async def test_a_hub_whose_store_is_not_there_says_so_and_does_not_start(database_url: str, tmp_path: Path) -> None:
    engine = Engine("victoriametrics", (f"http://127.0.0.1:{free_port()}",))
    stage = HubStage(database_url, tmp_path, engine=engine)
    with pytest.raises(Misconfigured, match="samples cannot be kept: VictoriaMetrics"):
        await stage.__aenter__()
    await stage.__aexit__()
