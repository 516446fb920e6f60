"""What people ask about samples: ranges of one server or several, which series there are, and all of it to take away.

Invariants: which servers and series a person may read is decided by row security before a store is asked, and nothing
older than the organization's plan keeps is read, whether or not it is still there.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from uuid import UUID

import msgspec
import numpy as np

from twinwatch.hub.auth import Person
from twinwatch.hub.db import Connection, Database
from twinwatch.hub.exporting import Cut, Exports, Format, head_of
from twinwatch.hub.holdings import Holdings
from twinwatch.hub.lawful import LAST_INSTANT
from twinwatch.hub.measuring import Asked, Combine, beside, combined, measure_of, rated
from twinwatch.hub.plans import Plans
from twinwatch.hub.refusals import not_found, over_limit
from twinwatch.hub.shapes import NOTED_MILLISECONDS
from twinwatch.hub.statements import Statements
from twinwatch.hub.stores import DAY_MILLISECONDS, Points, SampleStore, Stats, Window
from twinwatch.hub.stores.log import instant
from twinwatch.protocol import limits
from twinwatch.world.clock import Clock

SQL = Statements("queries")

RANGE_SERIES = 500
"""Most series in one range query: more lines than anyone reads on a chart."""
LIST_SERIES = 10_000
LEAST_COMBINED = 60_000
"""Lines that are made one have buckets at least so wide, ms: servers do not measure at the same moment."""


class SeriesInfo(msgspec.Struct, frozen=True):
    """A series by name."""

    id: int
    server_id: UUID
    metric: str
    labels: dict[str, str]


@dataclass(frozen=True, slots=True)
class Question:
    """Which series, in which window, and what a line is to tell of them."""

    metrics: Sequence[str]
    since: int
    to: int
    points: int = 300
    labels: Mapping[str, str] = field(default_factory=dict)
    measure: Asked = "mean"
    combine: Combine = "none"
    percentile: float = 95.0


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an answer: its points, and whose they are, or of how many series of a metric they were made."""

    metric: str
    series: SeriesInfo | None
    count: int
    values: list[float]


@dataclass(frozen=True, slots=True)
class Answer:
    """Lines on one axis. ``step`` is the width of a bucket in ms; 0 = samples as they came."""

    times: list[int]
    step: int
    lines: list[Line]


class Queries:
    """Reads samples in the name of a person."""

    def __init__(self, clock: Clock, database: Database, store: SampleStore, plans: Plans, holdings: Holdings) -> None:
        self._clock = clock
        self._database = database
        self._store = store
        self._plans = plans
        self._holdings = holdings
        self._exports = Exports(store)

    async def range(self, person: Person, server_ids: Sequence[UUID], asked: Question) -> Answer:
        """Lines of the series that the question is about.

        Raises: Refused 404 for a server not to be seen; 422 ``limit`` beyond ``RANGE_SERIES``.
        """
        async with self._database.as_person(person.user_id) as connection:
            series = await _series(connection, server_ids, asked, RANGE_SERIES)
            starts = await self._starts(connection, server_ids)
        window = Window(asked.since, asked.to, asked.points, measure_of(asked.measure))
        if len(server_ids) > 1 or asked.combine != "none":
            least = max(window.step, LEAST_COMBINED)
            window = Window(window.since, window.to, window.points, window.measure, least)
        read = self._points
        if asked.measure == "rate":
            # Of several servers some are heard a moment later than others: a line of all does not sag meanwhile.
            late = 0 if asked.combine == "none" else LEAST_COMBINED
            read = partial(self._rates, late=late)
        found = await asyncio.gather(
            *(read(one, series[one], window, starts[one]) for one in dict.fromkeys(server_ids))
        )
        return await asyncio.to_thread(_answer, [one for some in series.values() for one in some], found, asked)

    async def _points(self, server_id: UUID, series: Sequence[SeriesInfo], window: Window, start: int) -> Points:
        """The points of one server on the axis of the window, those from before ``start`` left out."""
        ids = [one.id for one in series]
        if window.to <= start:
            return Points(np.empty(0, dtype=np.int64), np.empty((len(ids), 0)), 0)
        points = await self._store.read(server_id, ids, window)
        if window.since >= start:
            return points
        kept = points.times >= start
        if points.step:
            points.values[:, ~kept] = np.nan
            return points
        return Points(points.times[kept], points.values[:, kept], 0)

    async def _rates(
        self, server_id: UUID, series: Sequence[SeriesInfo], window: Window, start: int, *, late: int
    ) -> Points:
        """How fast counters rose, as ``_points``; nothing of the last ``late`` ms."""
        now = self._clock.now()
        points = await self._points(server_id, series, window, start)
        around = [await self._points(server_id, series, one, start) for one in beside(points, window, now)]
        return await asyncio.to_thread(rated, points, around, now - late)

    async def series(
        self, person: Person, server_id: UUID, metrics: Sequence[str], labels: Mapping[str, str]
    ) -> list[SeriesInfo]:
        """Which series a server has, by metric and labels; all where neither is given.

        Raises: Refused 404 for a server not to be seen.
        """
        asked = Question(metrics, 0, 1, labels=labels)
        async with self._database.as_person(person.user_id) as connection:
            return (await _series(connection, [server_id], asked, LIST_SERIES, in_window=False))[server_id]

    async def kept(self, person: Person, organization_id: UUID) -> tuple[Stats, int]:
        """How many samples of the organization are kept, and for how many days.

        Raises: Refused 404 for an organization not to be seen.
        """
        async with self._database.as_person(person.user_id) as connection:
            cursor = await connection.execute(SQL["plan"], {"organization": organization_id})
            row = await cursor.fetchone()
        if row is None:
            raise not_found("organization")
        return await self._holdings.of(organization_id), self._plans.days_of(row)

    async def export(self, person: Person, server_id: UUID, asked: Question, form: Format) -> AsyncIterator[bytes]:
        """Every sample of these series in the window, as they came; all series where no metric is named.

        Raises, before the first piece: Refused as ``range`` does; before any other: Refused 404 if the server may be
        seen no more, Cut if what is left may not be read any more.
        """
        async with self._database.as_person(person.user_id) as connection:
            series = (await _series(connection, [server_id], asked, LIST_SERIES))[server_id]
            start = (await self._starts(connection, [server_id]))[server_id]

        async def still(since: int) -> None:
            async with self._database.as_person(person.user_id) as connection:
                kept = (await self._starts(connection, [server_id]))[server_id]
            # What is past keeping goes by whole days; that the first moments of a day grow older cuts nothing off.
            if since // DAY_MILLISECONDS < kept // DAY_MILLISECONDS:
                raise Cut(f"samples of server {server_id} from {instant(since)} on are past keeping by now")

        heads = {one.id: head_of(one.metric, one.labels, form) for one in series}
        return self._exports.pieces(person.user_id, server_id, heads, (max(asked.since, start), asked.to), form, still)

    async def _starts(self, connection: Connection, server_ids: Sequence[UUID]) -> dict[UUID, int]:
        """From when on samples of each server may be read, ms UTC.

        Raises: Refused 404 if there is one that the person may not see.
        """
        rows = await (await connection.execute(SQL["plans"], {"servers": list(server_ids)})).fetchall()
        now = self._clock.now()
        starts = {row["id"]: now - self._plans.days_of(row) * DAY_MILLISECONDS for row in rows}
        if any(one not in starts for one in server_ids):
            raise not_found("server")
        return starts


async def _series(
    connection: Connection, server_ids: Sequence[UUID], asked: Question, most: int, *, in_window: bool = True
) -> dict[UUID, list[SeriesInfo]]:
    """The series that the question is about, by server; raises Refused 422 beyond ``most``.

    ``in_window``: without those that cannot have samples then, as it was noted when their shapes were used.
    """
    named = [name for name in asked.metrics if "\0" not in name]  # which PostgreSQL cannot even be asked for
    labels = {name: value for name, value in asked.labels.items() if "\0" not in name + value}
    if (asked.metrics and not named) or len(labels) < len(asked.labels):
        named, labels = [], {"": ""}
    wanted = {
        "servers": list(server_ids),
        "metrics": named,
        "labels": msgspec.json.encode(labels).decode(),
        "limit": most + 1,
        "in_window": in_window,
        "used": instant(asked.since - limits.FUTURE_MILLISECONDS - NOTED_MILLISECONDS),
        "known": instant(min(asked.to + limits.PAST_MILLISECONDS, LAST_INSTANT)),
    }
    rows = await (await connection.execute(SQL["series"], wanted)).fetchall()
    if len(rows) > most:
        raise over_limit(f"more than {most} series are asked for; name fewer metrics, or labels", most)
    found: dict[UUID, list[SeriesInfo]] = {one: [] for one in server_ids}
    for row in rows:
        found[row["server_id"]].append(SeriesInfo(row["id"], row["server_id"], row["metric"], row["labels"]))
    return found


def _answer(series: Sequence[SeriesInfo], found: Sequence[Points], asked: Question) -> Answer:
    filled = [one for one in found if len(one.times)]
    axis = filled[0] if filled else found[0]
    missing = np.full(len(axis.times), np.nan)
    values = [row if len(one.times) else missing for one in found for row in one.values]
    if asked.combine == "none":
        lines = [Line(one.metric, one, 1, row.tolist()) for one, row in zip(series, values, strict=True)]
    else:
        by_metric: dict[str, list[int]] = defaultdict(list)
        for place, one in enumerate(series):
            by_metric[one.metric].append(place)
        lines = [
            Line(
                metric,
                None,
                len(some),
                combined([values[one] for one in some], asked.combine, asked.percentile).tolist(),
            )
            for metric, some in by_metric.items()
        ]
    return Answer(axis.times.tolist(), axis.step, lines)
