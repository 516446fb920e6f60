"""From the log to blocks: closed hours of batches become segments, closed days of segments become days with roll-ups.

Invariants: what is taken from one place and what it becomes in the next are one transaction, so that a kill at any
moment leaves each sample in exactly one; of several hubs one compacts at a time, and each transaction asks anew whether
it is this one; no lock is held that taking in samples waits for.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg.rows import DictRow

from twinwatch.hub.db import Connection, Database
from twinwatch.hub.statements import Statements
from twinwatch.hub.stores import Retention
from twinwatch.hub.stores.columns import pack_times, pack_values
from twinwatch.hub.stores.log import instant, milliseconds
from twinwatch.hub.stores.packing import Body, Day, Newest, merged, newest_of, row_of, segments_of, tables_of
from twinwatch.hub.stores.reading import day_of, unpack_newest
from twinwatch.hub.stores.steps import HOUR

SQL = Statements("blocks")
log = logging.getLogger(__name__)

MARGIN_MILLISECONDS = 5 * 60_000
"""An hour is closed so long after its end: hubs have clocks of their own, and a batch is dated before it is committed.
One that comes later still is taken by the next round."""
MERGE_MILLISECONDS = 2 * HOUR
"""A day is merged so long after its end, when its last hour has left the log."""
SERVERS = 20
"""Whose batches of an hour are taken in one transaction: about a million samples."""
DAYS = 500
"""Of so many servers a closed day is merged before it is looked anew which there are."""
SHORT_DAYS = 31
"""Organizations that keep samples for no longer have theirs apart, see samples.days.keep."""


class NotLeading(Exception):
    """Another hub compacts."""


@dataclass(slots=True)
class Done:
    """What a round did."""

    batches: int = 0
    segments: int = 0
    days: int = 0


class Compaction:
    """The work behind the ``blocks`` engine. It may be killed at any moment."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def round(self, now: int, retention: Retention) -> Done:
        """Takes what is closed by now. Whatever another hub is at is left to it."""
        done = Done()
        try:
            await self._hours(now, done)
            await self._days(now, retention, done)
        except NotLeading:
            log.debug("another hub compacts")
        return done

    async def lag_seconds(self, now: int) -> float:
        """For how long the oldest batch in the log could have been compacted by now; 0 if none could."""
        async with self._database.as_worker() as connection:
            row = await (await connection.execute(SQL["oldest_batch"])).fetchone()
        if row is None or row["oldest"] is None:
            return 0.0
        closed = milliseconds(row["oldest"]) // HOUR * HOUR + HOUR + MARGIN_MILLISECONDS
        return max(0.0, (now - closed) / 1000)

    async def _hours(self, now: int, done: Done) -> None:
        before = instant(now - HOUR - MARGIN_MILLISECONDS + 1)
        async with self._database.as_worker() as connection:
            rows = await (await connection.execute(SQL["closed_hours"], {"before": before})).fetchall()
        for row in rows:
            while await self._take(row["hour"], done):
                pass
            async with self._database.as_worker() as connection:
                await connection.execute(SQL["empty_hour"], {"hour": row["hour"]})

    async def _take(self, hour: datetime, done: Done) -> bool:
        """The batches of some servers; whether there were any."""
        asked: dict[str, Any] = {"hour": hour, "servers": SERVERS}
        async with self._database.as_worker() as connection:
            next_servers = await (await connection.execute(SQL["next_servers"], asked)).fetchall()
            if not next_servers:
                return False
            await _lead(connection)
            first = day_of(min(milliseconds(row["first_at"]) for row in next_servers))
            last = day_of(max(milliseconds(row["last_at"]) for row in next_servers))
            days = [first + timedelta(days=one) for one in range((last - first).days + 1)]
            await connection.execute(SQL["make_days"], {"days": days})
        servers = [row["server_id"] for row in next_servers]
        async with self._database.as_worker() as connection:
            await _lead(connection)
            rows = await (await connection.execute(SQL["take"], {"hour": hour, "servers": servers})).fetchall()
            known = {"servers": servers}
            shapes = await (await connection.execute(SQL["shapes_of_servers"], known)).fetchall()
            before = await (await connection.execute(SQL["newest_of_servers"], known)).fetchall()
            taken = await asyncio.to_thread(_taken, rows, shapes, before)
            async with connection.cursor() as cursor:
                await cursor.executemany(SQL["add_segment"], taken.segments)
                await cursor.executemany(SQL["keep_newest"], taken.newest)
        done.batches += len(rows)
        done.segments += len(taken.segments)
        return True

    async def _days(self, now: int, retention: Retention, done: Done) -> None:
        asked = {"before": day_of(now - MERGE_MILLISECONDS), "most": DAYS}
        while True:
            async with self._database.as_worker() as connection:
                rows = await (await connection.execute(SQL["closed_days"], asked)).fetchall()
            for row in rows:
                await self._merge(row["server_id"], row["day"], retention)
            done.days += len(rows)
            if len(rows) < DAYS:
                return

    async def _merge(self, server_id: UUID, day: date, retention: Retention) -> None:
        what = {"server": server_id, "day": day}
        async with self._database.as_worker() as connection:
            await _lead(connection)
            await connection.execute(SQL["make_days"], {"days": [day]})
        async with self._database.as_worker() as connection:
            await _lead(connection)
            days = await (await connection.execute(SQL["take_days"], what)).fetchall()
            segments = await (await connection.execute(SQL["take_segments"], what)).fetchall()
            known = await (await connection.execute(SQL["shapes_of_servers"], {"servers": [server_id]})).fetchall()
            if not segments or not known:
                return  # forgotten meanwhile
            found = await asyncio.to_thread(_merged, day, days, segments, known)
            organization_id = segments[0]["organization_id"]
            kept = retention.special.get(organization_id, retention.days)
            keep = "short" if kept <= SHORT_DAYS else "long"
            who = {"organization": organization_id, "server": server_id, "keep": keep}
            for one in found:
                rolled = {"rolled_starts": one.rolled.starts, "rolled": one.rolled.packed}
                await connection.execute(SQL["add_day"], {**who, **row_of(one.segment), **rolled})


@dataclass(frozen=True, slots=True)
class _Taken:
    segments: list[dict[str, Any]]
    newest: list[dict[str, Any]]


def _taken(rows: Sequence[DictRow], shapes: Iterable[DictRow], before: Iterable[DictRow]) -> _Taken:
    """Rows of segments and of newest samples out of batches. Those of servers that are gone go with them."""
    known = {(row["server_id"], row["id"]) for row in shapes}
    newest = {(row["server_id"], row["shape"]): Newest(*unpack_newest(row)) for row in before}
    batches: dict[tuple[UUID, UUID], list[bytes]] = defaultdict(list)
    for row in sorted(rows, key=lambda one: (one["received_at"], one["sequence"])):
        batches[row["organization_id"], row["server_id"]].append(row["body"])
    taken = _Taken([], [])
    for (organization_id, server_id), bodies in batches.items():
        for shape, table in tables_of(bodies).items():
            if (server_id, shape) not in known:
                continue
            who = {"organization": organization_id, "server": server_id}
            taken.segments.extend({**who, **row_of(segment)} for segment in segments_of(shape, table))
            last = newest_of(table, newest.get((server_id, shape)))
            packed = {"times": pack_times(last.times), "readings": pack_values(last.values)}
            taken.newest.append({**who, "shape": shape, **packed})
    return taken


def _merged(day: date, days: Iterable[DictRow], segments: Sequence[DictRow], shapes: Iterable[DictRow]) -> list[Day]:
    pieces: dict[str, list[Body]] = defaultdict(list)
    for row in (*days, *sorted(segments, key=lambda one: int(one["id"]))):
        pieces[row["shape"]].append(Body(row["starts"], row["body"]))
    return merged(day, pieces, {row["id"]: row["series_ids"] for row in shapes})


async def _lead(connection: Connection) -> None:
    row = await (await connection.execute(SQL["lead"])).fetchone()
    if row is None or not row["leads"]:
        raise NotLeading
