"""The live stream: what is told, to whom, and when it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import aiohttp
import pytest

from twinwatch.hub.live import QUEUE_EVENTS, Event, Live
from twinwatch.hub.settings import Misconfigured, Patience
from twinwatch.testing.client import Client, LiveEvents
from twinwatch.testing.hub_stage import Cast, HandClock, HubStage


@asynccontextmanager
async def live(client: Client, target: str = "/api/v1/live") -> AsyncIterator[LiveEvents]:
    """An open stream that has said hello."""
    async with client.stream(target) as stream:
        kind, _ = await stream.next()
        assert kind == "hello"
        yield stream


def of(cast: Cast) -> str:
    return f"/api/v1/live?server={cast.agent.server_id}"


async def test_a_stream_begins_with_the_hubs_time(stage: HubStage, cast: Cast) -> None:
    async with cast.viewer.client.stream("/api/v1/live") as stream:
        assert await stream.next() == ("hello", {"hub_time": stage.clock.now()})
        assert stream.status == 200
        assert stream.headers["content-type"].startswith("text/event-stream")
        assert stream.headers["cache-control"] == "no-store"


async def test_samples_are_told_as_they_are_committed(stage: HubStage, cast: Cast) -> None:
    now = stage.clock.now()
    async with live(cast.viewer.client, of(cast)) as stream:
        await cast.agent.push((now - 15_000, (1.0, None)), (now, (float("nan"), 2.5)))
        _, told = await stream.next("samples")
        ids = [one.pop("id") for one in told["series"]]
        assert told == {
            "server_id": str(cast.agent.server_id),
            "times": [now - 15_000, now],
            "series": [
                {"metric": "test.a", "labels": {}, "values": [1.0, None]},
                {"metric": "test.b", "labels": {"core": "0"}, "values": [None, 2.5]},
            ],
        }
        latest = (await cast.viewer.client.get(f"/api/v1/servers/{cast.agent.server_id}/latest")).json()["series"]
        assert {one["id"] for one in latest} == set(ids)


async def test_a_duplicate_is_not_told_again(stage: HubStage, cast: Cast) -> None:
    async with live(cast.viewer.client, of(cast)) as stream:
        batch = cast.agent.batch((stage.clock.now(), (1.0, 2.0)))
        for _ in range(3):
            await cast.agent.send(batch)
        await cast.agent.push((stage.clock.now() + 1, (3.0, 4.0)))
        while (await stream.next("samples"))[1]["times"] != [stage.clock.now() + 1]:
            pass
        assert [kind for kind, _ in stream.events].count("samples") == 2


async def test_samples_of_a_server_that_was_not_asked_for_are_not_told(stage: HubStage, cast: Cast) -> None:
    second = await stage.agent(cast.organization_id, "web-2")
    async with live(cast.viewer.client, of(cast)) as asking, live(cast.viewer.client) as listening:
        await second.push((stage.clock.now(), (1.0, 2.0)))
        await cast.agent.push((stage.clock.now(), (1.0, 2.0)))
        assert (await asking.next("samples"))[1]["server_id"] == str(cast.agent.server_id)
        for stream in (asking, listening):
            while {server["id"] for kind, server in stream.events if kind == "server"} != {
                str(cast.agent.server_id),
                str(second.server_id),
            }:
                await stream.next()
        assert "samples" not in [kind for kind, _ in listening.events]


async def test_a_server_is_told_with_its_newest_figures(stage: HubStage, cast: Cast) -> None:
    async with live(cast.owner.client) as stream:
        await cast.agent.heartbeat()
        _, server = await stream.next("server")
        assert server == (await cast.owner.client.get(f"/api/v1/servers/{cast.agent.server_id}")).json()
        await cast.owner.client.patch(f"/api/v1/servers/{cast.agent.server_id}", {"name": "Kitchen"})
        while (await stream.next("server"))[1]["name"] != "Kitchen":
            pass


async def test_a_stranger_is_told_nothing(stage: HubStage, cast: Cast) -> None:
    async with live(cast.stranger.client) as stranger, live(cast.viewer.client, of(cast)) as viewer:
        await cast.agent.push((stage.clock.now(), (1.0, 2.0)))
        await cast.agent.heartbeat()
        await cast.owner.client.patch(f"/api/v1/servers/{cast.agent.server_id}", {"name": "Kitchen"})
        await cast.owner.client.delete(f"/api/v1/servers/{cast.agent.server_id}")
        await viewer.next("gone")
        await cast.other_agent.heartbeat()
        kind, server = await stranger.next()
        assert (kind, server["id"]) == ("server", str(cast.other_agent.server_id)), "the first that concerns them"


async def test_a_deleted_server_is_gone(stage: HubStage, cast: Cast) -> None:
    async with live(cast.viewer.client) as stream:
        await cast.owner.client.delete(f"/api/v1/servers/{cast.agent.server_id}")
        assert await stream.next("gone") == ("gone", {"server_id": str(cast.agent.server_id)})


async def test_a_new_server_of_an_empty_organization_is_told(stage: HubStage) -> None:
    organization = await stage.organization()
    owner = await stage.person(organization, "owner")
    async with live(owner.client) as stream:
        voice = await stage.agent(organization)
        kind, server = await stream.next()
        assert (kind, server["id"], server["state"]) == ("server", str(voice.server_id), "new")


async def test_a_silent_server_becomes_late_then_down_and_up_again(
    database_url: str, tmp_path: Path, clock: HandClock
) -> None:
    patience = Patience(late_seconds=0.4, down_seconds=0.8)  # the watchdog looks every tenth of a second
    async with HubStage(database_url, tmp_path, clock=clock, patience=patience) as stage:
        cast = await stage.cast()
        async with live(cast.viewer.client) as stream:

            async def until(state: str) -> None:
                while True:
                    _, server = await stream.next("server")
                    if server["id"] == str(cast.agent.server_id) and server["state"] == state:
                        return

            await cast.agent.heartbeat()
            await until("up")
            clock.advance(0.5)
            await until("late")
            clock.advance(0.5)
            await until("down")
            await cast.agent.heartbeat()
            await until("up")
            states = [
                server["state"]
                for kind, server in stream.events
                if kind == "server" and server["id"] == str(cast.agent.server_id)
            ]
        told = [one for at, one in enumerate(states) if at == 0 or states[at - 1] != one]
        assert told[told[0] == "new" :] == ["up", "late", "down", "up"]


async def test_a_stream_needs_a_session(stage: HubStage, cast: Cast) -> None:
    assert (await stage.client().get("/api/v1/live")).problem.slug == "unauthorized"
    assert (await cast.agent.client.get("/api/v1/live")).problem.slug == "unauthorized"
    assert (await cast.viewer.client.get("/api/v1/live?server=x")).problem.slug == "invalid"


async def test_a_stream_ends_with_its_token(stage: HubStage, cast: Cast) -> None:
    async with live(cast.viewer.client) as stream:
        stage.clock.advance(3_601)
        await cast.agent.heartbeat()
        await stream.ended()


async def test_a_reader_that_leaves_is_forgotten(stage: HubStage, cast: Cast) -> None:
    async with live(cast.viewer.client, of(cast)):
        assert stage.hub.live.watched()
        assert stage.hub.live.wants(cast.agent.server_id)
    assert not stage.hub.live.watched()


async def test_a_reader_that_falls_behind_is_cut_off_and_others_are_not() -> None:
    live = Live()
    organization, server = uuid4(), uuid4()

    def event(number: int) -> Event:
        return Event("server", organization, server, str(number).encode())

    with live.watch(frozenset({organization}), None) as slow, live.watch(frozenset({organization}), None) as quick:
        reading = quick.events(20.0)
        for number in range(QUEUE_EVENTS + 1):
            live.publish(event(number))
            told = await anext(reading)
            assert told is not None
            assert told.body == str(number).encode()
        assert [one async for one in slow.events(20.0)] == [], "it ends, and what it missed is read from the store"


async def test_silence_is_broken_before_a_proxy_gives_up() -> None:
    live = Live()
    with live.watch(frozenset(), None) as stream:
        assert await anext(stream.events(0.01)) is None


async def test_a_hub_that_stops_ends_its_streams_at_once(stage: HubStage, cast: Cast) -> None:
    async with live(cast.viewer.client) as stream:
        await stage.stop()
        await stream.ended(within_seconds=2)
    await stage.start()


async def test_a_stream_works_over_a_real_connection(stage: HubStage, cast: Cast) -> None:
    headers = {"authorization": f"Bearer {cast.viewer.client.token}"}
    async with (
        stage.served() as url,
        aiohttp.ClientSession(headers=headers) as session,
        session.get(f"{url}{of(cast)}") as answer,
    ):
        await cast.agent.push((stage.clock.now(), (1.0, 2.0)))
        seen = await _until(answer, b"event: samples")
        assert seen.startswith(b"event: hello\ndata: ")


async def _until(answer: aiohttp.ClientResponse, mark: bytes) -> bytes:
    seen = b""
    async with asyncio.timeout(20):
        while mark not in seen:
            seen += await answer.content.readany()
    return seen


@pytest.mark.parametrize(("late", "down"), [(0, 1), (2, 1), (1, 1), (-1, 5)])
def test_a_patience_that_cannot_be_is_refused(late: float, down: float) -> None:
    with pytest.raises(Misconfigured, match="below down"):
        Patience(late, down)
