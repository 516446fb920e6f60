"""Several hub processes on one database: what happens at one is seen, what is said at one is heard, at the others."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from websockets.asyncio.client import connect

from twinwatch.hub.relay import PAYLOAD_BYTES, News, letters
from twinwatch.protocol.checks import CheckStanding, Report
from twinwatch.protocol.version import AGENT_ROUTES
from twinwatch.testing.client import LiveEvents
from twinwatch.testing.hub_stage import Cast, HandClock, HubStage

WITHIN_SECONDS = 20.0


class Two(NamedTuple):
    """Two hubs on one database; the cast speaks with the first."""

    one: HubStage
    other: HubStage
    cast: Cast


async def both_hear(stage: HubStage, *, after: Sequence[int] = ()) -> None:
    """Until both hubs listen, over connections that are not among the backends ``after``."""
    statement = (
        "select pid from pg_stat_activity where datname = current_database()"
        " and application_name = 'twinwatch-relay' and state = 'idle' and starts_with(query, 'listen')"
    )

    async def hear() -> bool:
        found = {row[0] for row in await stage.execute(statement)}
        return len(found) == 2 and found.isdisjoint(after)

    await until(hear)


@pytest.fixture
async def two(database_url: str, clock: HandClock, tmp_path: Path) -> AsyncIterator[Two]:
    async with (
        HubStage(database_url, tmp_path / "one", clock=clock, alone=False) as one,
        HubStage(database_url, tmp_path / "other", clock=clock, alone=False) as other,
    ):
        await both_hear(one)
        yield Two(one, other, await one.cast())


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(WITHIN_SECONDS):
        while not await condition():  # noqa: ASYNC110
            await asyncio.sleep(0.05)


@asynccontextmanager
async def watched(two: Two) -> AsyncIterator[LiveEvents]:
    """A stream at the other hub."""
    viewer = two.other.client(two.cast.viewer.client.token)
    async with viewer.stream(f"/api/v1/live?server={two.cast.agent.server_id}") as stream:
        assert (await stream.next())[0] == "hello"
        yield stream


async def test_samples_that_one_hub_took_in_are_told_at_the_other(two: Two) -> None:
    now = two.one.clock.now()
    async with watched(two) as stream:
        await two.cast.agent.push((now - 15_000, (1.0, None)), (now, (None, 2.5)))
        _, told = await stream.next("samples")
        assert told["times"] == [now - 15_000, now]
        assert [(one["metric"], one["values"]) for one in told["series"]] == [
            ("test.a", [1.0, None]),
            ("test.b", [None, 2.5]),
        ]


async def test_checks_names_and_ends_are_told_at_the_other(two: Two) -> None:
    async with watched(two) as stream:
        check = CheckStanding("test:a", "test", "down", "it is down", "failed", two.one.clock.now())
        await two.cast.agent.report(Report(checks=(check,)))
        _, told = await stream.next("checks")
        assert [one["name"] for one in told["checks"]] == ["test:a"]
        target = f"/api/v1/servers/{two.cast.agent.server_id}"
        await two.cast.owner.client.patch(target, {"name": "renamed"})
        while (await stream.next("server"))[1]["name"] != "renamed":
            pass
        await two.cast.owner.client.delete(target)
        assert (await stream.next("gone"))[1] == {"server_id": str(two.cast.agent.server_id)}


async def test_an_agent_that_is_connected_to_one_hub_hears_what_is_saved_at_the_other(two: Two) -> None:
    server_id = two.cast.agent.server_id
    owner = two.other.client(two.cast.owner.client.token)

    async def seen_elsewhere() -> bool:
        return bool((await owner.get(f"/api/v1/servers/{server_id}")).json()["control"])

    async with two.one.served() as url:
        address = f"{url.replace('http', 'ws', 1)}{AGENT_ROUTES}/control"
        headers = {"authorization": f"Bearer {two.cast.agent.client.token}"}
        async with connect(address, additional_headers=headers) as socket:
            await until(seen_elsewhere)
            saving = {"version": 0, "monitors": [], "rules": []}
            assert (await owner.put(f"/api/v1/servers/{server_id}/configuration", saving)).status == 200
            async with asyncio.timeout(WITHIN_SECONDS):
                while "version" not in json.loads(await socket.recv()):
                    pass

        async def gone_elsewhere() -> bool:
            return not await seen_elsewhere()

        await until(gone_elsewhere)


async def test_a_hub_that_lost_the_database_hears_again_when_it_is_back(two: Two) -> None:
    ended = await two.one.execute(
        "select pid, pg_terminate_backend(pid) from pg_stat_activity where application_name = 'twinwatch-relay'"
    )
    await both_hear(two.one, after=[row[0] for row in ended])
    async with watched(two) as stream:
        await two.cast.agent.push((two.one.clock.now(), (1.0, 2.0)))
        await stream.next("samples")


def test_news_are_told_in_letters_that_postgresql_takes() -> None:
    news = [News("samples", (f"{n:036}", f"{n:036}", "1", "2")) for n in range(1_000)]
    news.insert(5, News("say", ("x" * 8_000,)))
    told = list(letters("me", news))
    assert all(len(one.encode()) < PAYLOAD_BYTES + 100 for one in told)
    found = [tuple(about) for one in told for _, about in msgspec.json.decode(one)[1]]
    assert found == [one.about for one in news if one.kind != "say"]
    assert list(letters("me", [])) == []
