"""Servers as people see them: what row security shows, with the newest samples beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from psycopg.rows import DictRow

from twinwatch.alerts.liveness import Span
from twinwatch.hub.auth import Person
from twinwatch.hub.db import Connection, Database
from twinwatch.hub.lawful import check_text
from twinwatch.hub.refusals import forbidden, not_found
from twinwatch.hub.settings import Patience
from twinwatch.hub.statements import Statements
from twinwatch.hub.stores import Last, SampleStore
from twinwatch.hub.stores.log import milliseconds
from twinwatch.hub.views import Catalogue, CheckCounts, Delivery, Headline, Latest, LatestSeries, Server
from twinwatch.hub.views_alerts import ServerSettings
from twinwatch.hub.watchdog import state_of
from twinwatch.protocol.metrics import MonitorFacts
from twinwatch.world.clock import Clock

SQL = Statements("servers")

MONITORS = msgspec.json.Decoder(list[MonitorFacts])


class Fleet:
    """All that a person may ask about servers."""

    def __init__(
        self,
        clock: Clock,
        database: Database,
        store: SampleStore,
        patience: Patience,
        controlled: Callable[[UUID], bool],
        blind_spans: Callable[[], Sequence[Span]] = tuple,
    ) -> None:
        """``controlled`` tells whether a server's control connection is open, ``blind_spans`` when nobody could be
        heard."""
        self._clock = clock
        self._database = database
        self._store = store
        self._patience = patience
        self._controlled = controlled
        self._blind_spans = blind_spans

    async def servers(self, person: Person) -> list[Server]:
        """Every server the person may see, by name."""
        async with self._database.as_person(person.user_id) as connection:
            found = await _found(connection, None)
        return await self._views(found)

    async def one(self, person: Person, server_id: UUID) -> Server:
        """One server.

        Raises: Refused 404 if there is none that the person may see.
        """
        async with self._database.as_person(person.user_id) as connection:
            found = await _found(connection, [server_id])
        if not found.rows:
            raise not_found("server")
        return (await self._views(found))[0]

    async def seen_by_worker(self, server_ids: Iterable[UUID]) -> list[Server]:
        """These servers, as far as there are such, as their members see them: for live streams that have checked who
        they are."""
        async with self._database.as_worker() as connection:
            found = await _found(connection, list(server_ids))
        return await self._views(found)

    async def rename(self, person: Person, server_id: UUID, name: str) -> Server:
        """Gives a server another name.

        Raises: Refused 404 if the person may not see it, or 403 if not rename it.
        """
        check_text("name", name.strip(), 200)
        async with self._database.as_person(person.user_id) as connection:
            asked = {"server": server_id, "name": name.strip()}
            row = await (await connection.execute(SQL["rename"], asked)).fetchone()
            if row is not None:
                await _audit(connection, person, row["organization_id"], "server.rename", name.strip())
        server = await self.one(person, server_id)
        if row is None:
            raise forbidden("A viewer of the organization may not rename its servers.")
        return server

    async def set(self, person: Person, server_id: UUID, wanted: ServerSettings) -> UUID:
        """Sets tags and mode; the organization is the result.

        Raises: Refused 404 if the person may not see the server, or 403 if not change it; 422 for a tag that cannot be.
        """
        tags = list(dict.fromkeys(tag.strip() for tag in wanted.tags))
        for tag in tags:
            check_text("tag", tag, 50)
        async with self._database.as_person(person.user_id) as connection:
            asked = {"server": server_id, "tags": tags, "fast": wanted.fast}
            row = await (await connection.execute(SQL["set"], asked)).fetchone()
            if row is not None:
                await _audit(connection, person, row["organization_id"], "server.set", row["name"])
        if row is None:
            await self.one(person, server_id)
            raise forbidden("A viewer of the organization may not change its servers.")
        organization_id: UUID = row["organization_id"]
        return organization_id

    async def delete(self, person: Person, server_id: UUID) -> UUID:
        """Removes a server, its keys and its samples; returns the organization it belonged to.

        Raises: Refused 404 if the person may not see it, or 403 if not delete it.
        """
        async with self._database.as_person(person.user_id) as connection:
            row = await (await connection.execute(SQL["delete"], {"server": server_id})).fetchone()
            if row is not None:
                await _audit(connection, person, row["organization_id"], "server.delete", row["name"])
        if row is None:
            await self.one(person, server_id)
            raise forbidden("Only an owner or admin of the organization may delete its servers.")
        # After the commit: samples without a server can be read by nobody, a server without samples would mislead.
        await self._store.forget(server_id)
        organization_id: UUID = row["organization_id"]
        return organization_id

    async def catalogue(self, person: Person, server_id: UUID) -> Catalogue:
        """What the server's agent declares; empty until it has."""
        async with self._database.as_person(person.user_id) as connection:
            row = await (await connection.execute(SQL["catalogue"], {"server": server_id})).fetchone()
        if row is None:
            server = await self.one(person, server_id)
            return Catalogue(fingerprint="", agent_version=server.agent_version, monitors=[])
        return Catalogue.model_validate({"fingerprint": row["fingerprint"], **row["body"]})

    async def latest(self, person: Person, server_id: UUID) -> Latest:
        """The newest sample of each series."""
        await self.one(person, server_id)
        newest = (await self._store.latest([server_id]))[server_id]
        async with self._database.as_person(person.user_id) as connection:
            asked = {"server": server_id, "ids": [last.series_id for last in newest]}
            cursor = await connection.execute(SQL["series_of_ids"], asked)
            named = {row["id"]: row for row in await cursor.fetchall()}
        series = [
            LatestSeries(
                id=last.series_id,
                metric=named[last.series_id]["metric"],
                labels=named[last.series_id]["labels"],
                time=last.time,
                value=last.value,
            )
            for last in newest
            if last.series_id in named
        ]
        return Latest(hub_time=self._clock.now(), series=sorted(series, key=lambda one: (one.metric, one.id)))

    async def _views(self, found: _Found) -> list[Server]:
        # Asked after the connection went back: a request that holds one while it waits for another can starve all.
        newest = await self._store.latest([row["id"] for row in found.rows], found.series.keys())
        now = self._clock.now()
        return [self._view(found, row, now, newest.get(row["id"], [])) for row in found.rows]

    def _view(self, found: _Found, row: DictRow, now: int, newest: Sequence[Last]) -> Server:
        heard = _milliseconds(row["last_heartbeat_at"])
        values = [(found.series[last.series_id], last.value) for last in newest if last.series_id in found.series]
        return Server(
            id=row["id"],
            organization_id=row["organization_id"],
            name=row["name"],
            state=state_of(row, now, self._patience, self._blind_spans()),
            tags=row["tags"],
            fast=row["fast"],
            life=row["life"],
            registered_at=milliseconds(row["registered_at"]),
            last_heartbeat_at=heard,
            last_sample_at=_milliseconds(row["last_sample_at"]),
            agent_version=row["agent_version"],
            clock_skew_seconds=row["clock_skew_seconds"],
            host=row["host"] or {},
            headlines=list(_headlines(found.monitors[row["id"]], values)),
            checks=CheckCounts(**(row["counts"] or {})),
            delivery=None if row["delivery"] is None else Delivery(**row["delivery"]),
            control=self._controlled(row["id"]),
        )


class _Found(NamedTuple):
    """What the database says of some servers: rows, what their agents declare, and the series of their headlines."""

    rows: list[DictRow]
    monitors: dict[UUID, list[MonitorFacts]]
    series: dict[int, DictRow]


async def _found(connection: Connection, server_ids: list[UUID] | None) -> _Found:
    """Of these servers, or of all that the role may see."""
    rows = await (await connection.execute(SQL["list"], {"servers": server_ids})).fetchall()
    monitors = await asyncio.to_thread(_declared, rows)
    wanted = {headline.metric for some in monitors.values() for one in some for headline in one.headlines}
    asked = {"servers": [row["id"] for row in rows], "metrics": list(wanted)}
    series = await (await connection.execute(SQL["headline_series"], asked)).fetchall()
    return _Found(rows, monitors, {row["id"]: row for row in series})


def _declared(rows: Iterable[DictRow]) -> dict[UUID, list[MonitorFacts]]:
    read = cache(MONITORS.decode)  # a fleet declares much the same, again and again
    return {row["id"]: read(row["monitors"] or "[]") for row in rows}


def _headlines(monitors: list[MonitorFacts], values: list[tuple[DictRow, float]]) -> Iterable[Headline]:
    for monitor in monitors:
        metrics = {metric.name: metric for metric in monitor.metrics}
        for headline in monitor.headlines:
            metric = metrics.get(headline.metric)
            if metric is None:
                continue
            of_metric = [(value, series["labels"]) for series, value in values if series["metric"] == headline.metric]
            highest: tuple[float | None, dict[str, str]] = max(of_metric, key=lambda one: one[0], default=(None, {}))
            yield Headline(
                title=headline.title,
                metric=headline.metric,
                unit=metric.unit,
                good=metric.good,
                value=highest[0],
                labels=highest[1],
            )


def _milliseconds(instant: Any) -> int | None:
    return None if instant is None else milliseconds(instant)


async def _audit(connection: Connection, person: Person, organization_id: UUID, action: str, subject: str) -> None:
    done = {"organization": organization_id, "user": person.user_id, "action": action, "subject": subject}
    await connection.execute(SQL["audit"], done)
