"""The engine for a PostgreSQL that has TimescaleDB: a row per sample in a hypertable, compressed by series.

Invariants: a batch and its server's sequence mark are one transaction; a series has one sample at a time, the one that
came first, which a unique index holds, so that every read finds the same. Reads and deletes name series by number in
the statement itself: TimescaleDB then unpacks what is compressed of these series and of no others.

What ends: by chunks what is past keeping for everybody, which TimescaleDB's own policy does too where its licence has
one; by delete what an organization keeps for less, and what is left of series that are gone.

Source: TimescaleDB's documentation, "Hypertables", "Compression", "Data retention".
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Sequence
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
import psycopg

from twinwatch.hub.db import Connection, Database
from twinwatch.hub.statements import Statements
from twinwatch.hub.stores import Arrival, Last, Points, Retention, Stats, Verdict, Window
from twinwatch.hub.stores.joining import Pieces, Rolled, Samples, Times, Values, points_of
from twinwatch.hub.stores.log import instant, milliseconds
from twinwatch.hub.stores.marks import marks_of, raise_marks, verdicts_of
from twinwatch.hub.stores.reading import current
from twinwatch.hub.stores.steps import ROLLED
from twinwatch.hub.stores.tending import Ended, left_to_others, organizations_of, turn

SQL = Statements("timescale")

INSERTED = 20_000
"""Samples of one insert: each takes about 30 bytes of the message, and all of it is in memory on both sides."""
CHANGED_SERIES = 1_000
"""Series of one delete, and so of one transaction that unpacks what is compressed."""


class TimescaleStore:
    """Samples in the hypertable that ``hypertable.prepare`` makes. ``inserted`` is how many go in one insert."""

    def __init__(self, database: Database, *, inserted: int = INSERTED) -> None:
        self._database = database
        self._inserted = inserted
        self._ended = Ended()

    async def is_there(self) -> bool:
        """Whether this database has the hypertable."""
        async with self._database.as_worker() as connection:
            row = await (await connection.execute(SQL["is_there"])).fetchone()
        return bool(row and row["is_there"])

    async def write(self, arrivals: Sequence[Arrival]) -> list[Verdict]:
        """Commits the arrivals whose number is above their server's mark, all or none."""
        if not arrivals:
            return []
        rows = await asyncio.to_thread(lambda: {one.server_id: _rows_of(one) for one in arrivals})
        async with self._database.as_worker() as connection:
            raised = await raise_marks(connection, arrivals)
            await self._insert(connection, [rows[server] for server in rows if server in raised])
            marks = await marks_of(connection, arrivals) if len(raised) < len(arrivals) else {}
        return verdicts_of(arrivals, raised, marks)

    async def _insert(self, connection: Connection, parts: Sequence[_Rows]) -> None:
        if not parts:
            return
        # A late sample may belong into what is compressed, which is unpacked by series to see whether it is there.
        await connection.execute(SQL["unbounded"])
        series, times, values = (np.concatenate(one) for one in zip(*parts, strict=True))
        for at in range(0, len(series), self._inserted):
            to = at + self._inserted
            asked = {
                "series": series[at:to].tolist(),
                "times": times[at:to].tolist(),
                "values": values[at:to].tolist(),
            }
            await connection.execute(SQL["add"], asked, binary=True)

    async def read(self, server_id: UUID, series_ids: Sequence[int], window: Window) -> Points:
        """Points of these series of one server. Long charts are added up by PostgreSQL."""
        # The buckets at either end are whole.
        step = window.step
        since, to = window.since // step * step, -(-window.to // step) * step
        async with self._database.as_worker() as connection:
            of_server = {"server": server_id, "series": list(series_ids)}
            mine = [row["id"] for row in await _rows(connection, "series_of_server", of_server)]
            asked = {"series": mine, "since": instant(since), "to": instant(to), "step": timedelta(milliseconds=step)}
            rows: list[dict[str, Any]] = []
            is_rolled = step >= ROLLED
            if mine and is_rolled:
                try:
                    async with connection.transaction():
                        rows = await _rows(connection, "buckets", asked)
                except psycopg.errors.NumericValueOutOfRange:
                    is_rolled = False  # a sum that PostgreSQL does not call infinite, as we do
            if mine and not is_rolled:
                rows = await _rows(connection, "samples", asked)
        return await asyncio.to_thread(lambda: points_of(_pieces_of(rows, series_ids, is_rolled=is_rolled), window))

    async def latest(
        self, server_ids: Sequence[UUID], series_ids: Collection[int] | None = None
    ) -> dict[UUID, list[Last]]:
        """The newest sample of each series in the hour before each server's last; of these series only, if given."""
        asked = {"servers": list(server_ids), "series": None if series_ids is None else list(series_ids)}
        found: dict[UUID, list[Last]] = {server: [] for server in server_ids}
        async with self._database.as_worker() as connection:
            for row in await _rows(connection, "latest", asked):
                found[row["server_id"]].append(Last(row["series_id"], row["time"], row["value"]))
        return {server: current(lasts) for server, lasts in found.items()}

    async def fill(self, organization_id: UUID, server_id: UUID, series_ids: Sequence[int], points: Points) -> None:
        """Adds samples that another store held, but for moments at which the series has one already."""
        if not points.values.size:
            return
        who = {"organization": organization_id, "server": server_id, "series": list(series_ids)}
        async with self._database.as_worker() as connection:
            if not await _rows(connection, "hold_server", who):
                return
            mine = {row["id"] for row in await _rows(connection, "series_of_server", who)}
            lines = [
                (number, points.times, row)
                for number, row in zip(series_ids, points.values, strict=True)
                if number in mine
            ]
            await self._insert(connection, [await asyncio.to_thread(_joined, lines)])

    async def forget(self, server_id: UUID) -> None:
        """Removes all samples of a server, which may be gone already."""
        async with self._database.as_worker() as connection:
            rows = await _rows(connection, "series_to_forget", {"server": server_id})
        for some in _parts([row["id"] for row in rows]):
            await self._forget(some)

    async def _forget(self, series_ids: Sequence[int]) -> None:
        asked = {"series": list(series_ids)}
        async with self._database.as_worker() as connection:
            for name in ("unbounded", "forget", "forgotten"):
                await connection.execute(SQL[name], asked)

    async def tend(self, now: int, retention: Retention) -> None:
        """Sets TimescaleDB's policy; ends what is past keeping, and what is left of series that are gone."""
        with left_to_others():
            await self._end(now, retention)

    async def _end(self, now: int, retention: Retention) -> None:
        async with turn(self._database) as connection:
            await connection.execute(SQL["keep"], {"days": retention.longest_days})
        async with turn(self._database) as connection:
            await connection.execute(SQL["drop_chunks"], {"before": instant(retention.longest_cut(now))})
        await self._expire(now, retention)
        while True:
            async with self._database.as_worker() as connection:
                gone = [row["id"] for row in await _rows(connection, "ended_series", {"most": CHANGED_SERIES})]
            if not gone:
                break
            await self._forget(gone)

    async def _expire(self, now: int, retention: Retention) -> None:
        """Ends by whole days what organizations keep for less than others, so that a day is looked through once."""
        async with self._database.as_worker() as connection:
            (first,) = await _rows(connection, "oldest_chunk", {})
        if first["oldest"] is None:
            return
        oldest = milliseconds(first["oldest"])
        for past in self._ended.past(now, retention, await organizations_of(self._database), oldest):
            async with self._database.as_worker() as connection:
                rows = await _rows(connection, "series_of_organizations", {"organizations": past.organizations})
            for series in _parts([row["id"] for row in rows]):
                asked = {"series": series, "since": instant(past.since), "to": instant(past.cut)}
                async with turn(self._database) as connection:
                    await connection.execute(SQL["unbounded"])
                    await connection.execute(SQL["expire"], asked)
            self._ended.note(past)

    async def stats(self, organization_id: UUID | None = None) -> Stats:
        """How much is kept. Cost: PostgreSQL counts every row. The size of one organization is its part of the rows."""
        async with self._database.as_worker() as connection:
            (all_of_it,) = await _rows(connection, "stats", {})
            (size,) = await _rows(connection, "size", {})
            mine = all_of_it
            if organization_id is not None:
                (mine,) = await _rows(connection, "stats_of_organization", {"organization": organization_id})
        total = all_of_it["samples"]
        bytes_ = (
            size["size_bytes"] if organization_id is None else size["size_bytes"] * mine["samples"] // max(total, 1)
        )
        return Stats(mine["samples"], bytes_, None if mine["oldest"] is None else milliseconds(mine["oldest"]))


class _Rows(NamedTuple):
    """Rows of the hypertable by column: series, times in ms UTC, values."""

    series: Times
    times: Times
    values: Values


async def _rows(connection: Connection, name: str, asked: dict[str, Any]) -> list[dict[str, Any]]:
    return await (await connection.execute(SQL[name], asked, binary=True)).fetchall()


def _parts(series_ids: list[int]) -> Iterator[list[int]]:
    for at in range(0, len(series_ids), CHANGED_SERIES):
        yield series_ids[at : at + CHANGED_SERIES]


def _rows_of(arrival: Arrival) -> _Rows:
    return _joined(_lines_of(arrival))


def _lines_of(arrival: Arrival) -> Iterator[tuple[int, Times, Values]]:
    for frame in arrival.frames():
        times = np.array(frame.times, dtype=np.int64)
        for number, column in zip(arrival.series[frame.shape], frame.columns, strict=True):
            yield number, times, np.array(column, dtype=np.float64)  # None becomes NaN


def _joined(lines: Collection[tuple[int, Times, Values]] | Iterator[tuple[int, Times, Values]]) -> _Rows:
    """What is a number of these lines, a line for each series and the times of its values."""
    series, times, values = [np.empty(0, np.int64)], [np.empty(0, np.int64)], [np.empty(0)]
    for number, moments, line in lines:
        kept = np.isfinite(line)
        series.append(np.full(int(kept.sum()), number, dtype=np.int64))
        times.append(moments[kept])
        values.append(line[kept])
    return _Rows(np.concatenate(series), np.concatenate(times), np.concatenate(values))


def _pieces_of(rows: Sequence[dict[str, Any]], series_ids: Sequence[int], *, is_rolled: bool) -> list[Pieces]:
    """What was found of each series, in the order in which they were asked for."""
    pieces = {number: Pieces() for number in series_ids}
    for row in rows:
        found, times = pieces[row["series_id"]], np.array(row["times"], dtype=np.int64)
        if is_rolled:
            columns = (np.array(row[name], dtype=np.float64) for name in ("counts", "sums", "mins", "maxs"))
            found.rolled.append(Rolled(times, *columns))
        else:
            found.samples.append(Samples(times, np.array(row["readings"], dtype=np.float64)))
    return [pieces[number] for number in series_ids]
