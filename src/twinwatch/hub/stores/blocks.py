"""The engine for any PostgreSQL: batches in a log, and behind it blocks, of which most samples take a byte or less.

Reads put together what is in the log, in segments and in days, in this order of asking: compaction moves samples only
in that direction, so that none is missed, and one that is seen twice counts once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import numpy as np

from twinwatch.hub.db import Connection, Database
from twinwatch.hub.statements import Statements
from twinwatch.hub.stores import DAY_MILLISECONDS, Arrival, Last, Points, Retention, Stats, Verdict, Window
from twinwatch.hub.stores.batches import RawFrame
from twinwatch.hub.stores.joining import points_of
from twinwatch.hub.stores.log import Log, instant, milliseconds
from twinwatch.hub.stores.packing import row_of, spread
from twinwatch.hub.stores.reading import Found, Layout, day_of, days_of, decode, newest_of, pieces_of
from twinwatch.hub.stores.steps import HOUR, ROLLED
from twinwatch.hub.stores.tending import Ended, left_to_others, organizations_of, turn

SQL = Statements("blocks")

READERS = 3
"""Reads at a time: two charts beside an export, of which one reads at most. More would be no faster, and each holds all
its parts in memory and slows the event loop, on which heartbeats must not wait for charts."""


class BlocksStore:
    """The store of a hub whose PostgreSQL has nothing but what every PostgreSQL has."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._log = Log(database)
        self._reading = asyncio.Semaphore(READERS)
        self._ended = Ended()

    async def write(self, arrivals: Sequence[Arrival]) -> list[Verdict]:
        """Commits the arrivals whose number is above their server's mark, all or none."""
        return await self._log.write(arrivals)

    async def read(self, server_id: UUID, series_ids: Sequence[int], window: Window) -> Points:
        """Points of these series of one server."""
        # The buckets at either end are whole.
        step = window.step
        since, to = window.since // step * step, -(-window.to // step) * step
        async with self._reading:
            async with self._database.as_worker() as connection:
                bodies = await self._log.bodies(connection, server_id, since, to)
                # Decoding takes long enough to be felt by others on the loop.
                frames = await asyncio.to_thread(decode, bodies)
                layout, found = await _found(connection, server_id, series_ids, (since, to), step, frames)
            return await asyncio.to_thread(lambda: points_of(pieces_of(layout, frames, found, step), window))

    async def latest(
        self, server_ids: Sequence[UUID], series_ids: Collection[int] | None = None
    ) -> dict[UUID, list[Last]]:
        """The newest sample of each series in each server's most recent batches, or last seen there; of these series
        only, if given."""
        asked = {"servers": list(server_ids)}
        async with self._database.as_worker() as connection:
            thorough = len(server_ids) == 1 and series_ids is None
            recent = await self._log.recent(connection, server_ids, thorough=thorough)
            cursor = await connection.execute(SQL["newest_of_servers"], asked, binary=True)
            before = await cursor.fetchall()
        wanted = None if series_ids is None else frozenset(series_ids)
        frames = await asyncio.to_thread(lambda: [(server, decode([body])) for server, body in recent])
        shapes = {(server, frame.shape) for server, some in frames for frame in some}
        shapes |= {(row["server_id"], row["shape"]) for row in before}
        layout = await self._layout(shapes)
        newest = await asyncio.to_thread(newest_of, frames, before, layout, wanted)
        return {server: newest.get(server, []) for server in server_ids}

    async def _layout(self, shapes: Collection[tuple[UUID, str]]) -> dict[tuple[UUID, str], list[int]]:
        """Series numbers in the order of a shape's columns. Like servers share a shape's id, but no number."""
        if not shapes:
            return {}
        asked = {"servers": [server for server, _ in shapes], "ids": [shape for _, shape in shapes]}
        async with self._database.as_worker() as connection:
            cursor = await connection.execute(SQL["shapes"], asked, binary=True)
            return {(row["server_id"], row["id"]): row["series_ids"] for row in await cursor.fetchall()}

    async def fill(self, organization_id: UUID, server_id: UUID, series_ids: Sequence[int], points: Points) -> None:
        """Adds samples that another store held, as segments; compaction merges them into their days."""
        if not points.values.size:
            return
        days = [day_of(one * DAY_MILLISECONDS) for one in np.unique(points.times // DAY_MILLISECONDS).tolist()]
        asked = {"server": server_id, "series": list(series_ids)}
        async with self._database.as_worker() as connection:
            await connection.execute(SQL["make_days"], {"days": days})
            rows = await (await connection.execute(SQL["shapes_of_series"], asked)).fetchall()
        shapes = {row["id"]: row["series_ids"] for row in rows}
        segments = await asyncio.to_thread(spread, shapes, series_ids, points)
        who = {"organization": organization_id, "server": server_id}
        async with self._database.as_worker() as connection, connection.cursor() as cursor:
            await cursor.executemany(SQL["add_segment"], [{**who, **row_of(one)} for one in segments])

    async def forget(self, server_id: UUID) -> None:
        """Removes all samples of a server."""
        async with self._database.as_worker() as connection:
            for place in ("forget_log", "forget_segments", "forget_days", "forget_newest"):
                await connection.execute(SQL[place], {"server": server_id})

    async def tend(self, now: int, retention: Retention) -> None:
        """Makes room for what comes; ends what is past keeping, by whole partitions where it is so for everybody, and
        what is left of servers that are gone."""
        await self._log.make_room(now)
        with left_to_others():
            await self._end(now, retention)

    async def _end(self, now: int, retention: Retention) -> None:
        everybody = retention.longest_cut(now)
        await self._log.drop(everybody)
        await self._do("drop_days", before=day_of(everybody))
        organizations = await organizations_of(self._database)
        for past in self._ended.past(now, retention, organizations):
            await self._log.expire(past)
            for name in ("expire_segments", "expire_days"):
                since, cut = day_of(past.since), day_of(past.cut)
                await self._do(name, organizations=past.organizations, since=since, cut=cut)
            self._ended.note(past)
        for name in ("sweep_segments", "sweep_days", "sweep_newest"):
            await self._do(name)
        moment = retention.moment(now)
        await self._do(
            "drop_empty",
            log_before=instant(moment - 3 * HOUR),
            segments_before=day_of(moment - 3 * DAY_MILLISECONDS),
            days_before=day_of(moment - retention.shortest_days * DAY_MILLISECONDS),
        )

    async def _do(self, name: str, **asked: Any) -> None:
        async with turn(self._database) as connection:
            await connection.execute(SQL[name], asked)

    async def stats(self, organization_id: UUID | None = None) -> Stats:
        """How much is kept. Cost: reads a few columns of every row, of an organization of its servers' rows."""
        asked = {"organization": organization_id}
        async with self._database.as_worker() as connection:
            row = await (await connection.execute(SQL["stats"], asked)).fetchone()
            size = await (await connection.execute(SQL["size"])).fetchone()
        assert row is not None  # noqa: S101
        assert size is not None  # noqa: S101
        oldest = None if row["oldest"] is None else milliseconds(row["oldest"])
        return Stats(row["samples"], size["size_bytes"] if organization_id is None else row["bytes"], oldest)


async def _found(
    connection: Connection,
    server_id: UUID,
    series_ids: Sequence[int],
    span: tuple[int, int],
    step: int,
    frames: Sequence[RawFrame],
) -> tuple[Layout, Found]:
    """What there is besides the log. Roll-ups are read for days of which nothing was found in the log or in segments:
    where it was, all of the day is read as samples, in which what is seen twice can be told."""
    asked = {"server": server_id, "series": list(series_ids)}
    rows = await (await connection.execute(SQL["shapes_of_series"], asked)).fetchall()
    layout = Layout({row["id"]: row["series_ids"] for row in rows}, series_ids)
    first, last = day_of(span[0]), day_of(span[1] - 1)
    within = {"server": server_id, "first": first, "last": last, **layout.parts()}
    segments = await (await connection.execute(SQL["segment_parts"], within, binary=True)).fetchall()
    if step < ROLLED:
        days = [first + timedelta(days=one) for one in range((last - first).days + 1)]
        rolled = []
    else:
        days = [day for day in days_of(frames) | {row["day"] for row in segments} if first <= day <= last]
        asked = {**within, **layout.rolled_parts(step), "days": days}
        rolled = await (await connection.execute(SQL["rolled_parts"], asked, binary=True)).fetchall()
    whole = []
    if days:
        cursor = await connection.execute(SQL["day_parts"], {**within, "days": days}, binary=True)
        whole = await cursor.fetchall()
    return layout, Found(segments, whole, rolled)
