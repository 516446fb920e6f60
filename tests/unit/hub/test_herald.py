"""Whom live streams cost something: those that watch, and nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import NamedTuple
from uuid import UUID, uuid4

import pytest

from twinwatch.hub.herald import Herald
from twinwatch.hub.live import Live
from twinwatch.hub.relay import News
from twinwatch.hub.stores import Arrival
from twinwatch.hub.views import Server
from twinwatch.hub.views_alerts import Alert

PATIENCE_SECONDS = 20.0


class _Elsewhere:
    """The other processes of the database: what they are told, and an ear for what they say."""

    def __init__(self) -> None:
        self.told: list[News] = []
        self._ear: Callable[[News], None] = lambda _: None

    def hear(self, _: Iterable[str], ear: Callable[[News], None]) -> None:
        self._ear = ear

    def tell(self, kind: str, *about: object) -> None:
        self.told.append(News(kind, tuple(map(str, about))))

    def say(self, kind: str, *about: object) -> None:
        self._ear(News(kind, tuple(map(str, about))))


class _Asked:
    """The database: what it was asked. Nothing is there."""

    def __init__(self) -> None:
        self.servers: list[set[UUID]] = []
        self.alerts: list[UUID] = []

    async def seen_by_worker(self, server_ids: Iterable[UUID]) -> list[Server]:
        self.servers.append(set(server_ids))
        return []

    async def alert(self, alert_id: UUID) -> tuple[UUID, UUID | None, Alert] | None:
        self.alerts.append(alert_id)
        return None


class Stage(NamedTuple):
    """A herald between what is not there."""

    herald: Herald
    live: Live
    elsewhere: _Elsewhere
    asked: _Asked


MINE, OTHERS = uuid4(), uuid4()


@asynccontextmanager
async def watched() -> AsyncIterator[Stage]:
    """Somebody watches ``MINE``. What happened is told when the context is left."""
    live, elsewhere, asked = Live(), _Elsewhere(), _Asked()
    herald = Herald(None, asked, None, live, asked.alert, None, elsewhere)  # type: ignore[arg-type]
    with live.watch(frozenset({MINE}), None):
        yield Stage(herald, live, elsewhere, asked)
        last = uuid4()
        herald.alerted(MINE, last)
        await herald.changed(MINE, last)
        running = asyncio.ensure_future(herald.run())
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not asked.servers:  # noqa: ASYNC110
                await asyncio.sleep(0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    asked.servers[-1].remove(last)
    asked.alerts.remove(last)


def arrival(organization_id: UUID, server_id: UUID) -> Arrival:
    return Arrival(organization_id, server_id, 1, 0, 0, 0, 1, {}, b"")


async def test_servers_of_organizations_that_nobody_watches_are_not_asked_for() -> None:
    async with watched() as stage:
        for said in ("server", "checks", "alert"):
            stage.elsewhere.say(said, OTHERS, uuid4())
        stage.elsewhere.say("samples", OTHERS, uuid4(), 1, 2)
        stage.herald.committed(arrival(OTHERS, uuid4()))
        stage.herald.alerted(OTHERS, uuid4())
        await stage.herald.changed(OTHERS, uuid4())
        await stage.herald.reported(OTHERS, uuid4())
    assert (stage.asked.servers, stage.asked.alerts) == ([set()], [])


async def test_all_servers_of_a_round_are_asked_for_at_once() -> None:
    servers = [uuid4() for _ in range(6)]
    async with watched() as stage:
        stage.herald.committed(arrival(MINE, servers[0]))
        await stage.herald.changed(MINE, servers[1])
        await stage.herald.reported(MINE, servers[2])
        stage.elsewhere.say("samples", MINE, servers[3], 1, 2)
        stage.elsewhere.say("server", MINE, servers[4])
        stage.elsewhere.say("checks", MINE, servers[5])
    assert stage.asked.servers == [set(servers)]


@pytest.mark.parametrize("kind", ["server", "checks"])
async def test_a_hub_of_an_earlier_version_does_not_say_whose_server_it_is(kind: str) -> None:
    server, alert = uuid4(), uuid4()
    async with watched() as stage:
        stage.elsewhere.say(kind, server)
        stage.elsewhere.say("alert", alert)
        stage.elsewhere.say(kind)
        stage.elsewhere.say(kind, "of", "a", "later", "version")
    assert (stage.asked.servers, stage.asked.alerts) == ([{server}], [alert])


async def test_the_others_are_told_whose_it_is() -> None:
    one = uuid4()
    async with watched() as stage:
        await stage.herald.reported(OTHERS, one)
        stage.herald.alerted(OTHERS, one)
        about = (str(OTHERS), str(one))
        assert stage.elsewhere.told == [News("checks", about), News("server", about), News("alert", about)]


def test_an_organization_is_watched_as_long_as_a_stream_of_it_is_open() -> None:
    live, third = Live(), uuid4()
    with live.watch(frozenset({MINE}), None):
        with live.watch(frozenset({MINE, third}), None):
            assert [live.watched(one) for one in (MINE, third, OTHERS, None)] == [True, True, False, True]
        assert [live.watched(one) for one in (MINE, third, OTHERS, None)] == [True, False, False, True]
    assert [live.watched(one) for one in (MINE, third, OTHERS, None)] == [False] * 4
