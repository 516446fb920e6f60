"""From the log to blocks: closed hours of batches become segments, closed days of segments become days with roll-ups.

Invariants: what is taken from one place and what it becomes in the next are one transaction, so that a kill at any
moment leaves each sample in exactly one; of several hubs one compacts at a time, and each transaction asks anew whether
it is this one; no lock is held that taking in samples waits for; what cannot be read stays where it is, and holds up
nobody but its own server.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import DictRow

from twinwatch.hub.db import Connection, Database
from twinwatch.hub.statements import Statements
from twinwatch.hub.stores import Retention
from twinwatch.hub.stores.columns import pack_times, pack_values
from twinwatch.hub.stores.log import instant, milliseconds
from twinwatch.hub.stores.packing import Body, Day, Newest, merged, newest_of, row_of, segments_of, tables_of
from twinwatch.hub.stores.reading import EPOCH_DAY, day_of, unpack_newest
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
DAYS_SECONDS = 120.0
"""Days are merged for so long before hours that were closed meanwhile come first again: a day of thousands of servers
takes more than an hour."""
SHORT_DAYS = 31
"""Organizations that keep samples for no longer have theirs apart, see samples.days.keep."""


NOBODY = UUID(int=0)
"""Before all servers."""


class NotLeading(Exception):
    """Another hub compacts."""


class Unreadable(Exception):
    """What is kept of these servers, and why not."""

    def __init__(self, reasons: Mapping[UUID, Exception]) -> None:
        super().__init__("; ".join(f"server {server}: {reason!r}" for server, reason in reasons.items()))
        self.servers = frozenset(reasons)


@dataclass(slots=True)
class Done:
    """What a round did."""

    batches: int = 0
    segments: int = 0
    days: int = 0
    more: bool = False
    """Whether there is more to be done at once."""


class Compaction:
    """The work behind the ``blocks`` engine. It may be killed at any moment."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._unreadable: set[tuple[date, UUID]] = set()
        """What the last round could not read, by its hour or day."""
        self._met: set[tuple[date, UUID]] = set()
        """What this one could not read so far."""

    async def round(self, now: int, retention: Retention) -> Done:
        """Takes what is closed by now. Whatever another hub is at is left to it."""
        done = Done()
        self._met = set()
        try:
            await self._hours(now, done)
            await self._days(now, retention, done)
            self._unreadable = self._met
        except NotLeading:
            log.debug("another hub compacts")
        except psycopg.errors.CheckViolation as err:
            # Made for it a moment ago, and dropped as empty before it was filled: all is where it was.
            log.info("a partition was dropped while it was to be filled; the next round makes it again (%s)", err)
        return done

    async def lag_seconds(self, now: int) -> float:
        """For how long the oldest batch in the log could have been compacted by now; 0 if none could."""
        async with self._database.as_worker() as connection:
            row = await (await connection.execute(SQL["oldest_hour"])).fetchone()
        if row is None or row["oldest"] is None:
            return 0.0
        closed = milliseconds(row["oldest"]) + HOUR + MARGIN_MILLISECONDS
        return max(0.0, (now - closed) / 1000)

    async def _hours(self, now: int, done: Done) -> None:
        before = instant(now - HOUR - MARGIN_MILLISECONDS + 1)
        async with self._database.as_worker() as connection:
            rows = await (await connection.execute(SQL["closed_hours"], {"before": before})).fetchall()
        for row in rows:
            hour, after = row["hour"], NOBODY
            while servers := await self._next(hour, after):
                after = servers[-1]
                while servers:
                    try:
                        await self._take(hour, servers, done)
                        break
                    except Unreadable as err:
                        self._pass_over(
                            hour, err, "batches of the hour from %s cannot be read, and stay in the log: %s"
                        )
                        servers = [one for one in servers if one not in err.servers]
            async with self._database.as_worker() as connection:
                await connection.execute(SQL["empty_hour"], {"hour": hour})

    async def _next(self, hour: datetime, after: UUID) -> list[UUID]:
        """Whose batches of an hour are to be taken next; there is room for their days then."""
        asked: dict[str, Any] = {"hour": hour, "after": after, "servers": SERVERS}
        async with self._database.as_worker() as connection:
            next_servers = await (await connection.execute(SQL["next_servers"], asked)).fetchall()
            if not next_servers:
                return []
            await _lead(connection)
            first = day_of(min(milliseconds(row["first_at"]) for row in next_servers))
            last = day_of(max(milliseconds(row["last_at"]) for row in next_servers))
            days = [first + timedelta(days=one) for one in range((last - first).days + 1)]
            await connection.execute(SQL["make_days"], {"days": days})
        return [row["server_id"] for row in next_servers]

    async def _take(self, hour: datetime, servers: Sequence[UUID], done: Done) -> None:
        """Makes segments of the batches of some servers.

        Raises: Unreadable; then nothing was taken.
        """
        async with self._database.as_worker() as connection:
            await _lead(connection)
            rows = await (
                await connection.execute(SQL["take"], {"hour": hour, "servers": servers}, binary=True)
            ).fetchall()
            known = {"servers": servers}
            shapes = await (await connection.execute(SQL["shapes_of_servers"], known)).fetchall()
            before = await (await connection.execute(SQL["newest_of_servers"], known, binary=True)).fetchall()
            taken = await asyncio.to_thread(_taken, rows, shapes, before)
            async with connection.cursor() as cursor:
                await cursor.executemany(SQL["add_segment"], taken.segments)
                await cursor.executemany(SQL["keep_newest"], taken.newest)
        done.batches += len(rows)
        done.segments += len(taken.segments)

    async def _days(self, now: int, retention: Retention, done: Done) -> None:
        asked = {"before": day_of(now - MERGE_MILLISECONDS), "most": DAYS, "after_day": EPOCH_DAY, "after": NOBODY}
        until = time.monotonic() + DAYS_SECONDS
        while True:
            async with self._database.as_worker() as connection:
                rows = await (await connection.execute(SQL["closed_days"], asked)).fetchall()
            for row in rows:
                if time.monotonic() > until:
                    done.more = True
                    return
                try:
                    await self._merge(row["server_id"], row["day"], retention)
                except Unreadable as err:
                    self._pass_over(row["day"], err, "%s cannot be merged, and stays in its segments: %s")
                else:
                    done.days += 1
            if len(rows) < DAYS:
                return
            asked |= {"after_day": rows[-1]["day"], "after": rows[-1]["server_id"]}

    def _pass_over(self, when: date, unreadable: Unreadable, message: str) -> None:
        """Tells of it once: it is met again in every round, until somebody repairs it or its time is over."""
        found = {(when, server) for server in unreadable.servers}
        if not found <= self._unreadable:
            log.error(message, when, unreadable)
        self._met |= found

    async def _merge(self, server_id: UUID, day: date, retention: Retention) -> None:
        what = {"server": server_id, "day": day}
        async with self._database.as_worker() as connection:
            await _lead(connection)
            await connection.execute(SQL["make_days"], {"days": [day]})
        async with self._database.as_worker() as connection:
            await _lead(connection)
            days = await (await connection.execute(SQL["take_days"], what, binary=True)).fetchall()
            segments = await (await connection.execute(SQL["take_segments"], what, binary=True)).fetchall()
            known = await (await connection.execute(SQL["shapes_of_servers"], {"servers": [server_id]})).fetchall()
            if not segments or not known:
                return  # forgotten meanwhile
            found = await asyncio.to_thread(_merged, server_id, day, days, segments, known)
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
    """Rows of segments and of newest samples out of batches. Those of servers that are gone go with them.

    Raises: Unreadable.
    """
    known = {(row["server_id"], row["id"]) for row in shapes}
    newest = {(row["server_id"], row["shape"]): _newest_before(row) for row in before}
    batches: dict[tuple[UUID, UUID], list[bytes]] = defaultdict(list)
    for row in sorted(rows, key=lambda one: (one["received_at"], one["sequence"])):
        batches[row["organization_id"], row["server_id"]].append(row["body"])
    taken = _Taken([], [])
    unreadable: dict[UUID, Exception] = {}
    for (organization_id, server_id), bodies in batches.items():
        try:
            tables = tables_of(bodies)
        except Exception as err:  # noqa: BLE001  whatever is wrong with one server's, others do not wait for it
            unreadable[server_id] = err
            continue
        for shape, table in tables.items():
            if (server_id, shape) not in known:
                continue
            who = {"organization": organization_id, "server": server_id}
            taken.segments.extend({**who, **row_of(segment)} for segment in segments_of(shape, table))
            last = newest_of(table, newest.get((server_id, shape)))
            packed = {"times": pack_times(last.times), "readings": pack_values(last.values)}
            taken.newest.append({**who, "shape": shape, **packed})
    if unreadable:
        raise Unreadable(unreadable)
    return taken


def _newest_before(row: DictRow) -> Newest | None:
    """None for what cannot be read: what is newer takes its place."""
    try:
        return Newest(*unpack_newest(row))
    except Exception as err:  # noqa: BLE001  whatever is wrong with one server's, others do not wait for it
        log.warning("the newest samples of server %s cannot be read, and are replaced: %r", row["server_id"], err)
        return None


def _merged(
    server_id: UUID, day: date, days: Iterable[DictRow], segments: Sequence[DictRow], shapes: Iterable[DictRow]
) -> list[Day]:
    """Raises: Unreadable."""
    pieces: dict[str, list[Body]] = defaultdict(list)
    for row in (*days, *sorted(segments, key=lambda one: int(one["id"]))):
        pieces[row["shape"]].append(Body(row["starts"], row["body"]))
    try:
        return merged(day, pieces, {row["id"]: row["series_ids"] for row in shapes})
    except Exception as err:
        raise Unreadable({server_id: err}) from err


async def _lead(connection: Connection) -> None:
    row = await (await connection.execute(SQL["lead"])).fetchone()
    if row is None or not row["leads"]:
        raise NotLeading
