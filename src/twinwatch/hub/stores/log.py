"""Samples as they came: a row per batch on plain PostgreSQL, partitioned by the hour of arrival.

Invariants: a batch and its server's sequence mark are written in one statement, so a batch counts exactly once
however often it arrives and whenever either side dies.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg

from twinwatch.hub.db import Connection, Database
from twinwatch.hub.statements import Statements
from twinwatch.hub.stores import Arrival, Verdict
from twinwatch.hub.stores.tending import Past, turn
from twinwatch.protocol import limits

SQL = Statements("sample_log")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

AHEAD_HOURS = 8
"""Partitions are made this far ahead, so that a hub may miss some rounds before an insert finds no home."""
RECENT_BATCHES = 4
"""Of each of several servers so many are looked through for its newest samples: those of its headlines are there."""
ALONE_BATCHES = 600
"""Of one server alone so many, more than wait for compaction while that keeps up: those of its slowest monitors too."""
ALONE_BYTES = 8 << 20
"""But no more than that, where a backlog has come."""


class Log:
    """Where batches are committed; what of it is closed, compaction takes from here."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def write(self, arrivals: Sequence[Arrival]) -> list[Verdict]:
        """Commits the arrivals whose number is above their server's mark, all or none."""
        rows = {
            "organizations": [arrival.organization_id for arrival in arrivals],
            "servers": [arrival.server_id for arrival in arrivals],
            "sequences": [arrival.sequence for arrival in arrivals],
            "received": [instant(arrival.received_at) for arrival in arrivals],
            "firsts": [instant(arrival.first) for arrival in arrivals],
            "lasts": [instant(arrival.last) for arrival in arrivals],
            "samples": [arrival.samples for arrival in arrivals],
            "bodies": [arrival.body for arrival in arrivals],
        }
        try:
            found = await self._commit(rows)
        except psycopg.errors.CheckViolation:
            # No partition for this hour: the machine slept through the rounds that would have made it.
            await self.make_room(min(arrival.received_at for arrival in arrivals))
            found = await self._commit(rows)
        verdicts = [found[arrival.server_id] for arrival in arrivals]
        unsure = [arrival.server_id for arrival, seen in zip(arrivals, verdicts, strict=True) if _outrun(arrival, seen)]
        if unsure:
            found |= await self._marks(unsure)
        return [found[arrival.server_id] for arrival in arrivals]

    async def _commit(self, rows: dict[str, Any]) -> dict[UUID, Verdict]:
        async with self._database.as_worker_at_once() as connection:
            cursor = await connection.execute(SQL["write"], rows, binary=True)
        return {row["server_id"]: Verdict(mark=row["mark"], fresh=row["fresh"]) for row in await cursor.fetchall()}

    async def _marks(self, server_ids: list[UUID]) -> dict[UUID, Verdict]:
        """What another hub did to these servers while our statement waited: raised their mark, or removed them."""
        async with self._database.as_worker() as connection:
            cursor = await connection.execute(SQL["marks"], {"servers": server_ids})
        marks = {row["id"]: row["sequence_mark"] for row in await cursor.fetchall()}
        return {server_id: Verdict(mark=marks.get(server_id), fresh=False) for server_id in server_ids}

    async def bodies(self, connection: Connection, server_id: UUID, since: int, to: int) -> list[bytes]:
        """The batches of a server that may have samples of ``[since, to)``, in the order of arrival."""
        asked = {
            "server": server_id,
            # A sample is at most that far ahead of the clock when it arrives, and may arrive any time after.
            "arrived": instant(since - limits.FUTURE_MILLISECONDS),
            "since": instant(since),
            "to": instant(to),
        }
        cursor = await connection.execute(SQL["read"], asked, binary=True)
        return [row["body"] for row in await cursor.fetchall()]

    async def recent(
        self, connection: Connection, server_ids: Sequence[UUID], *, thorough: bool
    ) -> list[tuple[UUID, bytes]]:
        """The newest few batches of each server, or many of one (``thorough``), in the order of arrival."""
        batches = ALONE_BATCHES if thorough else RECENT_BATCHES
        asked = {"servers": list(server_ids), "batches": batches, "bytes": ALONE_BYTES}
        cursor = await connection.execute(SQL["latest"], asked, binary=True)
        return [(row["server_id"], row["body"]) for row in await cursor.fetchall()]

    async def drop(self, before: int) -> None:
        """Drops the hours that are past keeping for everybody."""
        async with turn(self._database) as connection:
            await connection.execute(SQL["drop_partitions"], {"before": instant(before)})

    async def expire(self, past: Past) -> None:
        """Ends what some keep for less than others."""
        asked = {
            "organizations": past.organizations,
            "since": instant(past.since),
            "cut": instant(past.cut),
            # What arrived later is newer.
            "arrived": instant(past.cut + limits.PAST_MILLISECONDS),
        }
        async with turn(self._database) as connection:
            await connection.execute(SQL["expire"], asked)

    async def make_room(self, now: int) -> None:
        """Makes the partitions of the next hours."""
        since = instant(now) - timedelta(hours=1)
        async with self._database.as_worker() as connection:
            await connection.execute(SQL["make_partitions"], {"since": since, "hours": AHEAD_HOURS})


def _outrun(arrival: Arrival, seen: Verdict) -> bool:
    """Whether the statement changed nothing although the mark that it saw is lower: it saw an old one."""
    return not seen.fresh and seen.mark is not None and seen.mark < arrival.sequence


def instant(milliseconds_utc: int) -> datetime:
    """The ``timestamptz`` of ms UTC, exact."""
    return EPOCH + timedelta(milliseconds=milliseconds_utc)


def milliseconds(instant_utc: datetime) -> int:
    """ms UTC of a ``timestamptz``."""
    return (instant_utc - EPOCH) // timedelta(milliseconds=1)
