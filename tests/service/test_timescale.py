"""A hub on a database with TimescaleDB: which engine it takes, that it serves from it, and how samples come there."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.contract.timescale_server import TimescaleServer
from twinwatch.hub.choosing import choose
from twinwatch.hub.copy_samples import copy_samples
from twinwatch.hub.settings import Misconfigured, Settings
from twinwatch.hub.stores import hypertable
from twinwatch.hub.stores.engines import Engine
from twinwatch.hub.stores.hypertable import APACHE, Extension, Owner
from twinwatch.testing.client import PATIENCE_SECONDS
from twinwatch.testing.hub_stage import Cast, HandClock, HubStage
from twinwatch.testing.ports import free_port
from twinwatch.testing.postgres import SECRET

DAY = 24 * 3600
COMMAND = "twinwatch hub copy-samples --from blocks --to timescale"


@pytest.fixture
def url(timescale: TimescaleServer) -> str:
    """A database with the extension, today's schema and nothing in it."""
    timescale.empty()
    return timescale.url


@pytest.fixture
async def stage(url: str, tmp_path: Path, clock: HandClock) -> AsyncIterator[HubStage]:
    """A hub with what is chosen where nobody says anything."""
    engine = await choose(url, Engine())
    assert engine.name == "timescale"
    async with HubStage(url, tmp_path, clock=clock, engine=engine) as stage:
        yield stage


async def with_samples_in_blocks(stage: HubStage) -> Cast:
    """Somebody's samples, 120 of an hour."""
    cast = await stage.cast()
    now = stage.clock.now()
    await cast.agent.push(*((now - n * 60_000, (float(n), 0.5)) for n in range(60, 0, -1)))
    return cast


async def start_on(stage: HubStage, engine: Engine) -> None:
    """The next hub on the same database."""
    await stage.stop()
    stage.settings = replace(stage.settings, engine=engine)
    await stage.start()


def said(caplog: pytest.LogCaptureFixture) -> str:
    return "\n".join(record.getMessage() for record in caplog.records)


async def test_samples_are_taken_and_shown_and_go_with_their_server(stage: HubStage) -> None:
    cast = await stage.cast()
    now = stage.clock.now()
    for _ in range(2):
        reply = await cast.agent.push((now - 2_000, (1.0, None)), (now - 1_000, (3.0, 4.5)), sequence=1)
        assert reply.status == 200, reply
    assert await stage.execute("select count(*) from samples.readings") == [(3,)]
    assert await stage.execute("select count(*) from samples.sample_log") == [(0,)]
    base = f"/api/v1/servers/{cast.agent.server_id}"
    for span, values in (60_000, [1.0, 3.0]), (30 * DAY * 1000, [2.0]):
        answer = (await cast.owner.client.get(f"{base}/range?metric=test.a&since={now - span}&to={now}")).json()
        (line,) = answer["series"]
        assert [one for one in line["values"] if one is not None] == values
    latest = (await cast.owner.client.get(f"{base}/latest")).json()
    assert sorted(one["value"] for one in latest["series"]) == [3.0, 4.5]
    seen = await cast.stranger.client.get(f"{base}/range?metric=test.a&since={now - 60_000}&to={now}")
    assert seen.status == 404
    assert (await cast.owner.client.delete(base)).status == 204
    assert await stage.execute("select count(*) from samples.readings") == [(0,)]
    assert await stage.execute("select count(*) from samples.ended_series") == [(0,)]


async def test_a_deleted_organizations_samples_end(stage: HubStage) -> None:
    cast = await stage.cast()
    await cast.agent.push((stage.clock.now(), (1.0, 2.0)))
    await stage.execute("delete from public.organizations where id = %s", cast.organization_id)
    await stage.stop()
    await stage.start()
    assert await stage.execute("select count(*) from samples.readings") == [(0,)]


async def test_without_the_extension_it_is_blocks(database_url: str) -> None:
    assert await choose(database_url, Engine()) == Engine("blocks")


async def test_what_somebody_named_is_not_looked_for(caplog: pytest.LogCaptureFixture) -> None:
    for engine in Engine("blocks"), Engine("victoriametrics", ("http://vm:8428",)):
        assert await choose("postgresql://nobody@127.0.0.1:1/none", engine) == engine
    assert said(caplog) == ""


async def test_a_database_that_cannot_have_it_is_told_at_start(database_url: str) -> None:
    with pytest.raises(Misconfigured, match="has no TimescaleDB: install its package"):
        await choose(database_url, Engine("timescale"))
    with pytest.raises(Misconfigured, match="cannot be prepared"):
        await choose("postgresql://nobody:hidden@127.0.0.1:1/none", Engine("timescale"))


async def test_one_that_is_too_old_is_told_if_it_was_named_and_not_used_if_not(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def old(_: Owner) -> Extension:
        return Extension("2.9.1", "extensions", "timescale")

    with pytest.raises(Misconfigured, match=r"TimescaleDB 2.9.1 is too old: Twinwatch needs 2.11 or newer"):
        await choose(url, Engine("timescale"), old)
    assert await choose(url, Engine(), old) == Engine("blocks")
    assert "TimescaleDB 2.9.1 is in the database, and samples stay in blocks" in said(caplog)


async def test_what_the_apache_licence_lacks_is_said_at_every_start(url: str, caplog: pytest.LogCaptureFixture) -> None:
    async def poor(owner: Owner) -> Extension:
        found = await hypertable.extension(owner)
        assert found is not None
        return replace(found, licence=APACHE)

    for _ in range(2):
        caplog.clear()
        assert await choose(url, Engine(), poor) == Engine("timescale")
        assert "compression and policies are missing" in said(caplog)


async def test_samples_that_are_in_blocks_stay_there_until_somebody_moves_them(
    url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = HandClock(round(time.time() * 1000))
    async with HubStage(url, tmp_path, clock=clock, engine=Engine("blocks")) as stage:
        cast = await with_samples_in_blocks(stage)
        assert await choose(url, Engine()) == Engine("blocks")
        assert COMMAND in said(caplog)
        settings = Settings(owner_url=url, data_dir=tmp_path / "data", secret=SECRET)
        out = io.StringIO()
        assert await copy_samples(settings, "blocks", "timescale", out) == 0
        assert "120 samples copied, given back and the same by count and checksum" in out.getvalue()
        assert await choose(url, Engine()) == Engine("blocks"), "a copy alone moves nobody"
        await start_on(stage, await choose(url, Engine("timescale")))
        clock.advance(60)
        await cast.agent.push((clock.now(), (1.0, 2.0)))
        assert await stage.execute("select count(*) from samples.readings") == [(122,)]
        assert await choose(url, Engine()) == Engine("timescale"), "who has moved is not moved back"


async def test_what_one_engine_is_left_with_ends_under_the_other(url: str, tmp_path: Path, clock: HandClock) -> None:
    async with HubStage(url, tmp_path, clock=clock, engine=Engine("blocks")) as stage:
        cast = await with_samples_in_blocks(stage)
        clock.advance(20 * DAY)
        await start_on(stage, await choose(url, Engine("timescale")))
        assert await stage.execute("select count(*) from samples.sample_log") == [(0,)]
        await cast.agent.push((clock.now(), (1.0, 2.0)))
        assert await stage.execute("select count(*) from samples.readings") == [(2,)]
        clock.advance(20 * DAY)
        await start_on(stage, Engine("blocks"))
        assert await stage.execute("select count(*) from samples.readings") == [(0,)]


async def test_a_real_hub_takes_it_by_itself_and_says_so(url: str, tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "log"
    environment = {**os.environ, "TWINWATCH_DATABASE_URL": url, "TWINWATCH_SECRET": SECRET.reveal()}
    command = ("hub", "run", "--listen", f"127.0.0.1:{port}", "--data-dir", str(tmp_path))
    with log.open("wb") as said_to:
        hub = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "twinwatch.cli", *command, env=environment, stderr=said_to
        )
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while b"listens on" not in log.read_bytes() and hub.returncode is None:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert "the hypertable for samples is ready, on TimescaleDB" in log.read_text()
        hub.send_signal(signal.SIGTERM)
        assert await hub.wait() == 0
    finally:
        if hub.returncode is None:
            hub.kill()
            await hub.wait()
