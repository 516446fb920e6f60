"""From batches to segments, and from segments to days: what compaction does to samples. Pure.

Invariant: no sample is lost or changed; of two at one time the one that came first stays, and where two shapes bear the
same series at the same time, that of the shape whose id is the lower.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import accumulate
from typing import Any

import numpy as np

from twinwatch.hub.stores import DAY_MILLISECONDS, Points
from twinwatch.hub.stores.batches import whole_frames
from twinwatch.hub.stores.columns import Times, Values, pack_times, pack_values, unpack_times, unpack_values
from twinwatch.hub.stores.joining import Samples, joined_samples
from twinwatch.hub.stores.log import instant
from twinwatch.hub.stores.reading import day_of, start_of
from twinwatch.hub.stores.rollups import pack_axis, pack_rolled, slots_of
from twinwatch.hub.stores.steps import HOUR, ROLLED


@dataclass(frozen=True, slots=True)
class Body:
    """Parts in one piece of bytes. ``starts`` are where each begins, and where the last one ends."""

    starts: list[int]
    packed: bytes

    @classmethod
    def of(cls, parts: Sequence[bytes]) -> Body:
        """These parts, in this order."""
        return cls([0, *accumulate(map(len, parts))], b"".join(parts))

    def part(self, number: int) -> bytes:
        """One of them."""
        return self.packed[self.starts[number] : self.starts[number + 1]]


@dataclass(frozen=True, slots=True)
class Segment:
    """Samples of one shape on one day. ``first`` and ``last`` are times, ms UTC."""

    shape: str
    day: date
    first: int
    last: int
    samples: int
    body: Body


@dataclass(frozen=True, slots=True)
class Day:
    """The same with roll-ups beside."""

    segment: Segment
    rolled: Body


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest sample of each of a shape's columns: times ms UTC, and values, NaN where there is none."""

    times: Times
    values: Values


@dataclass(slots=True)
class Table:
    """Samples of one shape: a column for each of its series. NaN = no sample."""

    times: Times
    columns: list[Values]


def tables_of(bodies: Iterable[bytes]) -> dict[str, Table]:
    """The samples of a server's batches, given in the order of arrival, by shape; times as they came."""
    times: dict[str, list[int]] = defaultdict(list)
    columns: dict[str, list[list[float | None]]] = {}
    for body in bodies:
        for frame in whole_frames(body):
            times[frame.shape].extend(frame.times)
            kept = columns.setdefault(frame.shape, [[] for _ in frame.columns])
            for column, values in zip(kept, frame.columns, strict=True):
                column.extend(values)
    return {
        shape: Table(
            np.array(times[shape], dtype=np.int64), [np.array(column, dtype=np.float64) for column in columns[shape]]
        )
        for shape in times
    }


def segments_of(shape: str, table: Table) -> list[Segment]:
    """A segment for each day that the table reaches into; none for a day without samples."""
    ordered = _ordered(table)
    found = []
    for day in _days(ordered.times):
        begin, end = np.searchsorted(ordered.times, (start_of(day), start_of(day) + DAY_MILLISECONDS))
        part = Table(ordered.times[begin:end], [column[begin:end] for column in ordered.columns])
        segment = _segment(shape, day, part)
        if segment is not None:
            found.append(segment)
    return found


def newest_of(table: Table, before: Newest | None) -> Newest:
    """The newest sample of each column of the table, or of what was known before."""
    count = len(table.columns)
    times = np.zeros(count, dtype=np.int64) if before is None else before.times.copy()
    values = np.full(count, np.nan) if before is None else before.values.copy()
    for number, column in enumerate(table.columns):
        there = np.flatnonzero(~np.isnan(column))
        if len(there):
            place = there[np.argmax(table.times[there])]
            if table.times[place] > times[number]:
                times[number], values[number] = table.times[place], column[place]
    return Newest(times, values)


def merged(day: date, pieces: Mapping[str, Sequence[Body]], series: Mapping[str, Sequence[int]]) -> list[Day]:
    """A server's day out of all that there is of it, by shape and in the order of arrival.

    ``series`` are the numbers of each shape's columns, of those that have not ended.
    """
    tables = {shape: _merged(bodies) for shape, bodies in sorted(pieces.items())}
    _part(tables, series)
    found = []
    for shape, table in tables.items():
        segment = _segment(shape, day, table, thorough=True)
        if segment is not None:
            found.append(Day(segment, _rolled(table)))
    return found


def spread(shapes: Mapping[str, Sequence[int]], series_ids: Sequence[int], points: Points) -> list[Segment]:
    """Segments that hold these points: each series in the first of the shapes that has it.

    ``shapes`` are the series of each shape's columns, by the shape's id.
    """
    rows = dict(zip(series_ids, points.values, strict=True))
    gap = np.full(len(points.times), np.nan)
    found = []
    for shape, numbers in sorted(shapes.items()):
        columns = [rows.pop(number, gap) for number in numbers]
        found += segments_of(shape, Table(points.times, columns))
    return found


def row_of(segment: Segment) -> dict[str, Any]:
    """The parameters of the statements that write it."""
    return {
        "shape": segment.shape,
        "day": segment.day,
        "first": instant(segment.first),
        "last": instant(segment.last),
        "samples": segment.samples,
        "starts": segment.body.starts,
        "body": segment.body.packed,
    }


def table_of(body: Body) -> Table:
    """What a body holds."""
    times = unpack_times(body.part(0))
    return Table(times, [unpack_values(body.part(one), len(times)) for one in range(1, len(body.starts) - 1)])


def _merged(bodies: Sequence[Body]) -> Table:
    tables = [table_of(body) for body in bodies]
    times = np.concatenate([table.times for table in tables])
    columns = [np.concatenate(some) for some in zip(*(table.columns for table in tables), strict=True)]
    return _ordered(Table(times, columns))


def _ordered(table: Table) -> Table:
    """Times ascending and once each."""
    if (table.times[1:] > table.times[:-1]).all():
        return table
    axis, first = np.unique(table.times, return_index=True)
    if len(axis) == len(table.times):
        return Table(axis, [column[first] for column in table.columns])
    # Several rows at one time: each column takes the first of them that has a sample.
    columns = []
    for column in table.columns:
        samples = joined_samples([Samples(table.times, column)])
        placed = np.full(len(axis), np.nan)
        placed[np.searchsorted(axis, samples.times)] = samples.values
        columns.append(placed)
    return Table(axis, columns)


def _part(tables: Mapping[str, Table], series: Mapping[str, Sequence[int]]) -> None:
    """Takes samples out that an earlier shape has too: roll-ups would count them twice."""
    seen: list[tuple[str, Table]] = []
    for shape, table in tables.items():
        for earlier, other in seen:
            common = np.isin(table.times, other.times)
            if not common.any():
                continue
            places = {number: column for column, number in enumerate(series.get(earlier, ()))}
            for column, number in enumerate(series.get(shape, ())):
                if number in places:
                    theirs = np.full(len(table.times), np.nan)
                    at = np.searchsorted(other.times, table.times[common])
                    theirs[common] = other.columns[places[number]][at]
                    table.columns[column] = np.where(np.isnan(theirs), table.columns[column], np.nan)
        seen.append((shape, table))


def _segment(shape: str, day: date, table: Table, *, thorough: bool = False) -> Segment | None:
    samples = sum(int(np.count_nonzero(~np.isnan(column))) for column in table.columns)
    if not samples:
        return None
    parts = [pack_times(table.times, thorough=thorough)]
    body = Body.of([*parts, *(pack_values(column, thorough=thorough) for column in table.columns)])
    return Segment(shape, day, int(table.times[0]), int(table.times[-1]), samples, body)


def _rolled(table: Table) -> Body:
    parts = []
    for step in (ROLLED, HOUR):
        slots = slots_of(table.times, step)
        parts += [pack_axis(slots.axis), *(pack_rolled(column, slots) for column in table.columns)]
    return Body.of(parts)


def _days(times: Times) -> list[date]:
    return [day_of(int(day) * DAY_MILLISECONDS) for day in np.unique(times // DAY_MILLISECONDS)]
