"""The engine for those who outgrow one database: samples in a VictoriaMetrics, single node or cluster.

Invariants: a mark is raised after VictoriaMetrics has acknowledged the batch. A hub that dies in between has the batch
sent and imported again, and VictoriaMetrics, told ``-dedup.minScrapeInterval=1ms``, counts it once. Nothing is drawn
where no sample is: every query names its window, so a series that ended does not go on for the five minutes after which
VictoriaMetrics takes one for stale.

It keeps about 12 digits of a value, fewer beside values of the series that are far greater; shows a sample about a
second after it was written; and has one retention for all: what is past an organization's keeping is there until that
ends, and is not read.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from math import inf, isfinite
from uuid import UUID

import msgspec
import numpy as np

from twinwatch.hub.db import Database
from twinwatch.hub.statements import Statements
from twinwatch.hub.stores import DAY_MILLISECONDS, Arrival, Last, Points, Retention, Stats, Verdict, Window
from twinwatch.hub.stores.joining import Pieces, Samples, points_of
from twinwatch.hub.stores.log import milliseconds
from twinwatch.hub.stores.marks import marks_of, raise_marks, verdicts_of
from twinwatch.hub.stores.reading import RECENT_MILLISECONDS
from twinwatch.hub.stores.steps import ROLLED, buckets
from twinwatch.hub.stores.victoria_node import METRIC, Exported, Node, Overtaxed, Result

SQL = Statements("victoria")

MOST_BUCKETS = 10_000
"""Longer rows VictoriaMetrics may refuse to make; we make them of the samples."""
NAMED_SERIES = 1_000
"""More are not named in a question, but picked from the answer."""
ASKED_SERVERS = 100
INSERTS = 8
"""Tenants of a cluster that are written to at a time."""
KEPT_SECONDS = 40 * 365 * 86_400
"""Longer than anything is kept. A window that began before 1970 would be found empty."""
LEAST_SECONDS = 60
"""No shorter time is counted by itself."""


class VictoriaStore:
    """Samples in a VictoriaMetrics, marks in PostgreSQL."""

    def __init__(self, database: Database, node: Node) -> None:
        self._database = database
        self._node = node
        self._now = 0
        self._retention: Retention | None = None

    async def write(self, arrivals: Sequence[Arrival]) -> list[Verdict]:
        """Imports what is above its server's mark, then raises the marks, all or none."""
        async with self._database.as_worker() as connection:
            marks = await marks_of(connection, arrivals)
        fresh = [one for one in arrivals if marks.get(one.server_id, one.sequence) < one.sequence]
        inserting = asyncio.Semaphore(INSERTS)

        async def insert(organization: UUID, some: Sequence[Arrival]) -> None:
            async with inserting:
                await self._node.insert(organization, (line for one in some for line in _lines_of(one)))

        ended = await asyncio.gather(*(insert(*one) for one in self._by_request(fresh).items()), return_exceptions=True)
        for err in ended:
            if err is not None:
                raise err
        async with self._database.as_worker() as connection:
            raised = await raise_marks(connection, fresh)
            if len(raised) < len(fresh):
                # Another hub was quicker with a batch or a later one, or a server is gone.
                marks = await marks_of(connection, arrivals)
        return verdicts_of(arrivals, raised, marks)

    def _by_request(self, arrivals: Sequence[Arrival]) -> Mapping[UUID, list[Arrival]]:
        """What goes out in one request: all to a single node, an organization's to a cluster."""
        found: dict[UUID, list[Arrival]] = defaultdict(list)
        for one in arrivals:
            found[one.organization_id if self._node.is_cluster else arrivals[0].organization_id].append(one)
        return found

    async def read(self, server_id: UUID, series_ids: Sequence[int], window: Window) -> Points:
        """Points of these series of one server. Long charts are added up by VictoriaMetrics."""
        heard = (await self._heard([server_id])).get(server_id)
        step = window.step
        since, to = window.since // step * step, -(-window.to // step) * step
        if heard is None or not series_ids:
            return points_of([Pieces() for _ in series_ids], window)
        organization, _ = heard
        match = _match(organization, [server_id], series_ids)
        cut = self._cut(organization)
        if step < ROLLED or buckets(window.since, window.to, step) > MOST_BUCKETS:
            lines = await self._node.export(organization, match, max(since, cut), to) if cut < to else []
            return await asyncio.to_thread(lambda: points_of(_pieces_of(lines, series_ids, cut), window))
        axis = np.arange(since, to, step, dtype=np.int64)
        first = max(since, cut // step * step)
        rows: list[Result] = []
        if first < to:
            # A window of VictoriaMetrics ends with its moment; ours begins there.
            query = f"{_function(window)}({match}[{step}ms] offset -{step - 1}ms)"
            rows = await self._node.query_range(organization, query, first // 1000, (to - step) // 1000, step // 1000)
        return Points(axis, await asyncio.to_thread(_placed, rows, axis, step, series_ids), step)

    async def latest(
        self, server_ids: Sequence[UUID], series_ids: Collection[int] | None = None
    ) -> dict[UUID, list[Last]]:
        """The newest sample of each series in the hour before each server's last; of these series only, if given."""
        found: dict[UUID, list[Last]] = {server: [] for server in server_ids}
        alike: dict[tuple[UUID, int], list[tuple[UUID, int]]] = defaultdict(list)
        for server, (organization, last) in (await self._heard(server_ids)).items():
            if last is not None:
                time = milliseconds(last)
                alike[organization, time // RECENT_MILLISECONDS].append((server, time))
        for (organization, _), some in alike.items():
            for at in range(0, len(some), ASKED_SERVERS):
                part = some[at : at + ASKED_SERVERS]
                match = _match(organization, [server for server, _ in part], series_ids)
                for server, lasts in (await self._newest(organization, match, max(time for _, time in part))).items():
                    newest = max(one.time for one in lasts)
                    found[server] = [
                        one
                        for one in lasts
                        if one.time > newest - RECENT_MILLISECONDS
                        and (series_ids is None or one.series_id in series_ids)
                    ]
        return found

    async def _newest(self, organization: UUID, match: str, last: int) -> dict[UUID, list[Last]]:
        time = last // 1000 + 1
        window = f"{match}[{2 * RECENT_MILLISECONDS + 1000}ms]"
        values, times = await asyncio.gather(
            *(
                self._node.query(organization, f"{name}({window})", time)
                for name in ("last_over_time", "tlast_over_time")
            )
        )
        moments = {one.metric["series"]: round(float(one.value[1]) * 1000) for one in times}
        found: dict[UUID, list[Last]] = defaultdict(list)
        for one in values:
            number = one.metric["series"]
            if number in moments:
                found[UUID(one.metric["server"])].append(Last(int(number), moments[number], float(one.value[1])))
        return found

    async def _heard(self, server_ids: Sequence[UUID]) -> dict[UUID, tuple[UUID, datetime | None]]:
        """The organization of each server, and when its newest sample was."""
        async with self._database.as_worker() as connection:
            cursor = await connection.execute(SQL["heard"], {"servers": list(server_ids)})
            return {row["id"]: (row["organization_id"], row["last_sample_at"]) for row in await cursor.fetchall()}

    async def fill(self, organization_id: UUID, server_id: UUID, series_ids: Sequence[int], points: Points) -> None:
        """Adds samples that another store held, but for moments at which the series has one already."""
        if not points.values.size:
            return
        match = _match(organization_id, [server_id], series_ids)
        lines = await self._node.export(organization_id, match, int(points.times[0]), int(points.times[-1]) + 1)
        there = _pieces_of(lines, series_ids, 0)
        new: list[bytes] = []
        for number, row, pieces in zip(series_ids, points.values, there, strict=True):
            known = [one.times for one in pieces.samples]
            kept = np.isfinite(row) & ~np.isin(points.times, np.concatenate(known) if known else [])
            if kept.any():
                times, values = points.times[kept].tolist(), row[kept].tolist()
                new.append(_line(organization_id, server_id, number, times, values))
        if new:
            await self._node.insert(organization_id, new)

    async def forget(self, server_id: UUID) -> None:
        """Removes all samples of a server. One that PostgreSQL does not know is looked for in every tenant."""
        heard = (await self._heard([server_id])).get(server_id)
        for organization in [heard[0]] if heard else await self._one_of_each():
            await self._node.delete(organization, f'{METRIC}{{server="{server_id}"}}')

    async def tend(self, now: int, retention: Retention) -> None:
        """Keeps in mind what is past keeping, so that it is not read; ends what is left of servers that are gone."""
        self._now, self._retention = now, retention
        for organization in await self._one_of_each():
            servers = [UUID(one) for one in await self._node.label_values(organization, "server")]
            async with self._database.as_worker() as connection:
                rows = await (await connection.execute(SQL["gone"], {"servers": servers})).fetchall()
            for row in rows:
                await self._node.delete(organization, f'{METRIC}{{server="{row["id"]}"}}')

    async def stats(self, organization_id: UUID | None = None) -> Stats:
        """How much is kept, what is past keeping included. Cost: VictoriaMetrics looks at every sample of it.

        The size of one organization is its part of the samples of the node; 0 for a cluster, which tells nobody.
        """
        samples, oldest = 0, inf
        async with self._database.as_worker() as connection:
            cursor = await connection.execute(SQL["servers"], {"organization": organization_id})
            rows = await cursor.fetchall()
        for organization, some in groupby(rows, key=lambda row: row["organization_id"]):
            heard = list(some)
            for at in range(0, len(heard), ASKED_SERVERS):
                part = heard[at : at + ASKED_SERVERS]
                match = _match(organization, [row["id"] for row in part], None)
                to = milliseconds(max(row["last_sample_at"] for row in part)) // 1000 + DAY_MILLISECONDS // 1000
                async for count, first in self._counts(organization, match, to - KEPT_SECONDS, to):
                    samples, oldest = samples + count, min(oldest, first)
        held, size = await self._node.holds()
        if organization_id is not None and held:
            size = min(size, size * samples // held)
        return Stats(samples, size, None if oldest == inf else round(oldest * 1000))

    async def _counts(self, organization: UUID, match: str, since: int, to: int) -> AsyncIterator[tuple[int, float]]:
        """How many samples there are after ``since`` and up to ``to``, in seconds, and when the first was: in pieces
        as large as VictoriaMetrics looks at in one question."""
        window = f"{match}[{to - since}s]"
        try:
            counts = await self._node.query(organization, f"sum(count_over_time({window}))", to)
            firsts = await self._node.query(organization, f"min(tfirst_over_time({window}))", to)
        except Overtaxed:
            if to - since <= LEAST_SECONDS:
                raise
            middle = to - (to - since) // 2
            for begin, end in ((middle, to), (since, middle)):
                async for one in self._counts(organization, match, begin, end):
                    yield one
        else:
            if counts and firsts:
                yield int(float(counts[0].value[1])), float(firsts[0].value[1])

    async def _organizations(self) -> dict[UUID, datetime | None]:
        """Every organization, and when its newest sample was."""
        async with self._database.as_worker() as connection:
            cursor = await connection.execute(SQL["organizations"])
            return {row["id"]: row["last_sample_at"] for row in await cursor.fetchall()}

    async def _one_of_each(self) -> list[UUID]:
        """One organization of each tenant: any will do for a single node. Before there is one: nobody, which is asked
        about all the same, so that a wrong address is told at start."""
        found = list(await self._organizations()) or [UUID(int=0)]
        return found if self._node.is_cluster else found[:1]

    def _cut(self, organization_id: UUID) -> int:
        return 0 if self._retention is None else self._retention.cut(self._now, organization_id)


def _match(organization_id: UUID, server_ids: Sequence[UUID], series_ids: Collection[int] | None) -> str:
    """The series of these servers in the language of VictoriaMetrics. All that is put in are ids."""
    words = [f'organization="{organization_id}"', f'server=~"{"|".join(str(one) for one in server_ids)}"']
    if series_ids is not None and len(series_ids) <= NAMED_SERIES:
        words.append(f'series=~"{"|".join(str(one) for one in series_ids) or "none"}"')
    return f"{METRIC}{{{','.join(words)}}}"


def _function(window: Window) -> str:
    return {"mean": "avg"}.get(window.measure, window.measure) + "_over_time"


def _lines_of(arrival: Arrival) -> Iterator[bytes]:
    """A line for each column; gaps are left out."""
    for frame in arrival.frames():
        for number, column in zip(arrival.series[frame.shape], frame.columns, strict=True):
            kept = [
                (time, value)
                for time, value in zip(frame.times, column, strict=True)
                if value is not None and isfinite(value)
            ]
            if kept:
                times, values = zip(*kept, strict=True)
                yield _line(arrival.organization_id, arrival.server_id, number, times, values)


def _line(
    organization_id: UUID, server_id: UUID, series_id: int, times: Sequence[int], values: Sequence[float]
) -> bytes:
    names = {"organization": str(organization_id), "server": str(server_id), "series": str(series_id)}
    metric = {"__name__": METRIC, **names}
    return msgspec.json.encode({"metric": metric, "values": values, "timestamps": times})


def _pieces_of(lines: Sequence[Exported], series_ids: Sequence[int], cut: int) -> list[Pieces]:
    """What was exported of each series, less what is older than ``cut``."""
    pieces = {number: Pieces() for number in series_ids}
    for line in lines:
        found = pieces.get(int(line.metric["series"]))
        if found is not None:
            times, values = np.array(line.timestamps, dtype=np.int64), np.array(line.values, dtype=np.float64)
            kept = times >= cut
            found.samples.append(Samples(times[kept], values[kept]))
    return [pieces[number] for number in series_ids]


def _placed(
    rows: Sequence[Result], axis: np.ndarray[tuple[int], np.dtype[np.int64]], step: int, series_ids: Sequence[int]
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Rows of an answer on the axis, in the order of the series; NaN = no sample."""
    places = {str(number): place for place, number in enumerate(series_ids)}
    values = np.full((len(series_ids), len(axis)), np.nan)
    for row in rows:
        place = places.get(row.metric["series"])
        if place is not None:
            for seconds, value in row.values:
                values[place, (round(seconds * 1000) - int(axis[0])) // step] = float(value)
    return values
