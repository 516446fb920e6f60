"""Samples as they came: a row per batch on plain PostgreSQL, partitioned by the hour of arrival.

Invariants: a batch and its server's sequence mark are written in one statement, so a batch counts exactly once
however often it arrives and whenever either side dies; rows are only added, and go by whole partitions.

A body is zstd of msgpack ``[[shape, times, columns], …]``. Columns that nobody asked for are skipped, not decoded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import numpy as np
import psycopg
import zstandard

from twinwatch.hub.db import Database
from twinwatch.hub.statements import Statements
from twinwatch.hub.stores import DAY_MILLISECONDS, Arrival, Last, Points, Retention, Stats, Verdict, Window
from twinwatch.hub.stores.joining import Pieces, Samples, points_of
from twinwatch.protocol import limits
from twinwatch.protocol.codec import inflate

SQL = Statements("sample_log")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

AHEAD_HOURS = 48
"""Partitions are made this far ahead, so that a hub may miss many a round before an insert finds no home."""

READERS = 2
"""Reads at a time. More would be no faster, and each holds all its batches in memory and slows the event loop, on which
heartbeats must not wait for charts."""
RECENT_BATCHES = 4


class StoredFrame(msgspec.Struct, array_like=True):
    """A frame at rest; its columns stay raw until one is asked for."""

    shape: str
    times: list[int]
    columns: list[msgspec.Raw]


FRAMES = msgspec.msgpack.Decoder(list[StoredFrame])
FLOATS = msgspec.msgpack.Decoder(list[float | None])


class LogStore:
    """The store of a hub whose PostgreSQL has nothing but what every PostgreSQL has."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._encoder = msgspec.msgpack.Encoder()
        self._reading = asyncio.Semaphore(READERS)
        self._compressor = zstandard.ZstdCompressor(level=3)  # used on the event loop's thread only

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
            "bodies": [self._body(arrival) for arrival in arrivals],
        }
        try:
            found = await self._commit(rows)
        except psycopg.errors.CheckViolation:
            # No partition for this hour: the machine slept through the rounds that would have made it.
            await self._make_room(min(arrival.received_at for arrival in arrivals))
            found = await self._commit(rows)
        verdicts = [found[arrival.server_id] for arrival in arrivals]
        unsure = [arrival.server_id for arrival, seen in zip(arrivals, verdicts, strict=True) if _outrun(arrival, seen)]
        if unsure:
            found |= await self._marks(unsure)
        return [found[arrival.server_id] for arrival in arrivals]

    async def _commit(self, rows: dict[str, Any]) -> dict[UUID, Verdict]:
        async with self._database.as_worker() as connection:
            cursor = await connection.execute(SQL["write"], rows, binary=True)
        return {row["server_id"]: Verdict(mark=row["mark"], fresh=row["fresh"]) for row in await cursor.fetchall()}

    async def _marks(self, server_ids: list[UUID]) -> dict[UUID, Verdict]:
        """What another hub did to these servers while our statement waited: raised their mark, or removed them."""
        async with self._database.as_worker() as connection:
            cursor = await connection.execute(SQL["marks"], {"servers": server_ids})
        marks = {row["id"]: row["sequence_mark"] for row in await cursor.fetchall()}
        return {server_id: Verdict(mark=marks.get(server_id), fresh=False) for server_id in server_ids}

    def _body(self, arrival: Arrival) -> bytes:
        frames = [(frame.shape, frame.times, frame.columns) for frame in arrival.frames]
        return self._compressor.compress(self._encoder.encode(frames))

    async def read(self, server_id: UUID, series_ids: Sequence[int], window: Window) -> Points:
        """Points of these series of one server, coarsened to at most ``window.points``."""
        # The buckets at either end are whole.
        since = window.since // window.step * window.step
        to = -(-window.to // window.step) * window.step
        asked = {
            "server": server_id,
            # A sample is at most that far ahead of the clock when it arrives, and may arrive any time after.
            "arrived": instant(since - limits.FUTURE_MILLISECONDS),
            "since": instant(since),
            "to": instant(to),
        }
        async with self._reading:
            async with self._database.as_worker() as connection:
                cursor = await connection.execute(SQL["read"], asked, binary=True)
                bodies = [row["body"] for row in await cursor.fetchall()]
            # Decoding a day takes long enough to be felt by others on the loop.
            frames = await asyncio.to_thread(decode, bodies)
            layout = await self._layout((server_id, frame) for frame in frames)
            numbers = {shape: series for (_, shape), series in layout.items()}
            return await asyncio.to_thread(lambda: points_of(columns_of(frames, numbers, series_ids), window))

    async def latest(
        self, server_ids: Sequence[UUID], series_ids: Collection[int] | None = None
    ) -> dict[UUID, list[Last]]:
        """The newest sample of each series in each server's most recent batches; of these series only, if given."""
        asked = {"servers": list(server_ids), "batches": RECENT_BATCHES}
        async with self._database.as_worker() as connection:
            cursor = await connection.execute(SQL["latest"], asked, binary=True)
            rows = await cursor.fetchall()
        # Decoding what a thousand servers said last takes long enough to be felt by others on the loop.
        recent = await asyncio.to_thread(lambda: [(row["server_id"], decode([row["body"]])) for row in rows])
        layout = await self._layout((server, frame) for server, frames in recent for frame in frames)
        wanted = None if series_ids is None else frozenset(series_ids)
        newest = await asyncio.to_thread(newest_of, recent, layout, wanted)
        return {server: list(newest.get(server, {}).values()) for server in server_ids}

    async def forget(self, server_id: UUID) -> None:
        """Removes all samples of a server."""
        async with self._database.as_worker() as connection:
            await connection.execute(SQL["forget"], {"server": server_id})

    async def tend(self, now: int, retention: Retention) -> None:
        """Makes the partitions of the next two days, drops those past keeping, and ends what others keep for less."""
        await self._make_room(now)
        ended = {
            "organizations": list(retention.special),
            "cuts": [instant(retention.cut(now, one)) for one in retention.special],
            "cut": instant(now - retention.days * DAY_MILLISECONDS),
        }
        async with self._database.as_worker() as connection:
            await connection.execute(SQL["drop_partitions"], {"before": instant(retention.longest_cut(now))})
            await connection.execute(SQL["expire"], ended)

    async def _make_room(self, now: int) -> None:
        since = instant(now) - timedelta(hours=1)
        async with self._database.as_worker() as connection:
            await connection.execute(SQL["make_partitions"], {"since": since, "hours": AHEAD_HOURS})

    async def stats(self, organization_id: UUID | None = None) -> Stats:
        """How much is kept. Cost: reads one column of every row."""
        async with self._database.as_worker() as connection:
            row = await (await connection.execute(SQL["stats"], {"organization": organization_id})).fetchone()
        assert row is not None  # noqa: S101
        oldest = row["oldest"]
        return Stats(row["samples"], row["size_bytes"], None if oldest is None else milliseconds(oldest))

    async def _layout(self, frames: Iterable[tuple[UUID, StoredFrame]]) -> dict[tuple[UUID, str], list[int]]:
        """Series numbers in the order of a shape's columns. Like servers share a shape's id, but no number."""
        wanted = {(server, frame.shape) for server, frame in frames}
        if not wanted:
            return {}
        asked = {"servers": [server for server, _ in wanted], "ids": [shape for _, shape in wanted]}
        async with self._database.as_worker() as connection:
            cursor = await connection.execute(SQL["shapes"], asked)
            return {(row["server_id"], row["id"]): row["series_ids"] for row in await cursor.fetchall()}


def _outrun(arrival: Arrival, seen: Verdict) -> bool:
    """Whether the statement changed nothing although the mark that it saw is lower: it saw an old one."""
    return not seen.fresh and seen.mark is not None and seen.mark < arrival.sequence


def decode(bodies: Iterable[bytes]) -> list[StoredFrame]:
    """All frames of these bodies, columns still raw."""
    return [frame for body in bodies for frame in FRAMES.decode(inflate(body))]


def newest_of(
    recent: Iterable[tuple[UUID, Sequence[StoredFrame]]],
    layout: Mapping[tuple[UUID, str], Sequence[int]],
    wanted: Set[int] | None,
) -> dict[UUID, dict[int, Last]]:
    """The newest sample of each wanted series, by server and series. ``wanted`` None: of every series."""
    newest: dict[UUID, dict[int, Last]] = {}
    for server, frames in recent:
        found = newest.setdefault(server, {})
        for frame in frames:
            for number, raw in zip(layout.get((server, frame.shape), ()), frame.columns, strict=False):
                if wanted is not None and number not in wanted:
                    continue
                last = found.get(number)
                for time, value in zip(reversed(frame.times), reversed(FLOATS.decode(raw)), strict=True):
                    if last is not None and last.time > time:
                        break
                    if value is not None:
                        found[number] = Last(number, time, value)
                        break
    return newest


def columns_of(
    frames: Sequence[StoredFrame], numbers: Mapping[str, Sequence[int]], series_ids: Sequence[int]
) -> list[Pieces]:
    """What these frames have of the wanted series. ``numbers`` are the series of each shape's columns."""
    rows = {number: row for row, number in enumerate(series_ids)}
    found = [Pieces() for _ in series_ids]
    for frame in frames:
        times = np.array(frame.times, dtype=np.int64)
        for column, number in enumerate(numbers.get(frame.shape, ())):
            row = rows.get(number)
            if row is not None:
                values = np.array(FLOATS.decode(frame.columns[column]), dtype=np.float64)  # None becomes NaN
                found[row].samples.append(Samples(times, values))
    return found


def instant(milliseconds_utc: int) -> datetime:
    """The ``timestamptz`` of ms UTC, exact."""
    return EPOCH + timedelta(milliseconds=milliseconds_utc)


def milliseconds(instant_utc: datetime) -> int:
    """ms UTC of a ``timestamptz``."""
    return (instant_utc - EPOCH) // timedelta(milliseconds=1)
