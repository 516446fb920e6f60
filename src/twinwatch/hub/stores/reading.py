"""From rows of blocks and batches of the log to pieces of series. Pure.

A series may be in several shapes, and a sample in several places at once while it is moved from one to the next. Pieces
are put in the order of shape, then of arrival, so that every read finds the same one first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from contextlib import suppress
from datetime import date, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import numpy as np

from twinwatch.hub.stores import DAY_MILLISECONDS, Last
from twinwatch.hub.stores.batches import RawFrame, raw_frames
from twinwatch.hub.stores.columns import Times, Values, unpack_times, unpack_values
from twinwatch.hub.stores.joining import Pieces, Samples
from twinwatch.hub.stores.rollups import Axis, unpack_axis, unpack_rolled
from twinwatch.hub.stores.steps import HOUR
from twinwatch.protocol.codec import Undecodable

EPOCH_DAY = date(1970, 1, 1)

RECENT_MILLISECONDS = HOUR
"""A series whose newest sample is so much older than its server's is no longer one of those that are sent."""

Row = Mapping[str, Any]


FLOATS = msgspec.msgpack.Decoder(list[float | None])


class Layout:
    """Where the wanted series of one server are: which columns of which shapes."""

    def __init__(self, shapes: Mapping[str, Sequence[int]], series_ids: Sequence[int]) -> None:
        """``shapes`` are the series of each shape's columns, by the shape's id."""
        rows = {number: row for row, number in enumerate(series_ids)}
        self.rows = len(series_ids)
        self.columns: dict[str, dict[int, int]] = {
            shape: {column: rows[number] for column, number in enumerate(series) if number in rows}
            for shape, series in sorted(shapes.items())
        }
        """By shape: the row in the answer of each wanted column."""
        self._widths = {shape: len(series) for shape, series in shapes.items()}

    def parts(self) -> dict[str, list[Any]]:
        """The parts of a body that are to be read: the times of each shape, and the columns wanted."""
        pairs = [
            (shape, part) for shape, columns in self.columns.items() for part in (0, *(one + 1 for one in columns))
        ]
        return {"shapes": [shape for shape, _ in pairs], "parts": [part for _, part in pairs]}

    def rolled_parts(self, step: int) -> dict[str, list[Any]]:
        """The parts of roll-ups that buckets of this step are made of."""
        found = self.parts()
        found["parts"] = [
            part + self.rolled_offset(shape, step) for shape, part in zip(found["shapes"], found["parts"], strict=True)
        ]
        return found

    def rolled_offset(self, shape: str, step: int) -> int:
        """Where the roll-up of an hour begins, if that is the one to read: behind that of five minutes."""
        return 0 if step % HOUR else self._widths[shape] + 1


class Found(NamedTuple):
    """Parts of segments, of days, and of roll-ups of other days than those."""

    segments: Sequence[Row]
    days: Sequence[Row]
    rolled: Sequence[Row]


def decode(bodies: Iterable[bytes]) -> list[RawFrame]:
    """All frames of these bodies, columns still raw. A body that cannot be read is left out: compaction says so."""
    found: list[RawFrame] = []
    for body in bodies:
        with suppress(Undecodable):
            found.extend(raw_frames(body))
    return found


def days_of(frames: Iterable[RawFrame]) -> set[date]:
    """The days, in UTC, that frames have samples of."""
    return {day_of(time) for frame in frames for time in (frame.times[0], frame.times[-1])} | {
        day_of(time) for frame in frames for time in frame.times[1:-1]
    }


def day_of(time: int) -> date:
    """The day, in UTC, of an instant in ms UTC."""
    return EPOCH_DAY + timedelta(days=time // DAY_MILLISECONDS)


def start_of(day: date) -> int:
    """When a day begins, ms UTC."""
    return (day - EPOCH_DAY).days * DAY_MILLISECONDS


def pieces_of(layout: Layout, frames: Sequence[RawFrame], found: Found, step: int) -> list[Pieces]:
    """What was found of each wanted series, in the order of the answer's rows."""
    pieces = [Pieces() for _ in range(layout.rows)]
    for shape, columns in layout.columns.items():
        for rows in (found.days, found.segments):
            for row, samples in _unpacked([one for one in rows if one["shape"] == shape], columns):
                pieces[row].samples.append(samples)
        for row, samples in _gathered([one for one in frames if one.shape == shape], columns):
            pieces[row].samples.append(samples)
        axis: Axis | None = None
        offset = layout.rolled_offset(shape, step)
        for one in found.rolled:
            if one["shape"] != shape:
                continue
            part = one["part"] - offset
            if part == 0:
                axis = unpack_axis(one["packed"])
            elif axis is not None:
                pieces[columns[part - 1]].rolled.append(unpack_rolled(one["packed"], axis))
    return pieces


def _unpacked(rows: Iterable[Row], columns: Mapping[int, int]) -> Iterable[tuple[int, Samples]]:
    times: Times = np.empty(0, dtype=np.int64)
    for one in rows:
        if one["part"] == 0:
            times = unpack_times(one["packed"])
        else:
            yield columns[one["part"] - 1], Samples(times, unpack_values(one["packed"], len(times)))


def _gathered(frames: Sequence[RawFrame], columns: Mapping[int, int]) -> Iterable[tuple[int, Samples]]:
    times = np.array([time for frame in frames for time in frame.times], dtype=np.int64)
    if not len(times):
        return
    for column, row in columns.items():
        values: list[float | None] = []
        for frame in frames:
            values.extend(FLOATS.decode(frame.columns[column]))
        yield row, Samples(times, _floats(values))


def _floats(values: Sequence[float | None]) -> Values:
    return np.array(values, dtype=np.float64)  # None becomes NaN


def newest_of(
    recent: Iterable[tuple[UUID, Sequence[RawFrame]]],
    before: Iterable[Row],
    layout: Mapping[tuple[UUID, str], Sequence[int]],
    wanted: Set[int] | None,
) -> dict[UUID, list[Last]]:
    """The newest sample of each wanted series, by server. ``wanted`` None: of every series.

    ``before`` are the newest samples that have left the log.
    """
    newest: dict[UUID, dict[int, Last]] = {}
    for row in before:
        found = newest.setdefault(row["server_id"], {})
        numbers = layout.get((row["server_id"], row["shape"]), ())
        times, values = unpack_newest(row)
        for number, time, value in zip(numbers, times.tolist(), values.tolist(), strict=False):
            if time and (wanted is None or number in wanted) and (number not in found or found[number].time < time):
                found[number] = Last(number, time, value)
    for server, frames in reversed(list(recent)):  # mostly the newest comes last, and what is older need not be decoded
        found = newest.setdefault(server, {})
        for frame in frames:
            for number, raw in zip(layout.get((server, frame.shape), ()), frame.columns, strict=False):
                last = found.get(number)
                if (wanted is not None and number not in wanted) or (last is not None and last.time >= frame.times[-1]):
                    continue
                for time, value in zip(reversed(frame.times), reversed(FLOATS.decode(raw)), strict=True):
                    if last is not None and last.time >= time:
                        break
                    if value is not None:
                        found[number] = Last(number, time, value)
                        break
    return {server: current(found.values()) for server, found in newest.items()}


def unpack_newest(row: Row) -> tuple[Times, Values]:
    """Times and values of a row of ``samples.newest``, by column."""
    times = unpack_times(row["times"])
    return times, unpack_values(row["readings"], len(times))


def current(lasts: Collection[Last]) -> list[Last]:
    """Those of one server's newest samples whose series are still sent."""
    newest = max((one.time for one in lasts), default=0)
    return [one for one in lasts if one.time > newest - RECENT_MILLISECONDS]
