"""What is kept of tries: packed by the hour, summed by the hour and the day. Pure.

A try speaks for the time since the one before it, at most for two intervals: time that nobody looked at is neither up
nor down. So a failure that is looked at again at once does not count more than it lasted.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from math import isnan, nan
from typing import NamedTuple

from twinwatch.protocol.checks import CheckState

HOUR = 3_600_000
DAY = 24 * HOUR
KEPT_DAYS = 90
STATES: tuple[CheckState, ...] = ("up", "degraded", "down", "unknown")
"""In the order of their numbers in a packed try."""
_TRY = struct.Struct("<HBBf")
CHANGES_PER_HOUR = 60


class Result(NamedTuple):
    """A try as it is kept: ms UTC, its state, and seconds if it has a time."""

    time: int
    state: CheckState
    seconds: float | None


class Totals(NamedTuple):
    """What tries of a span come to."""

    tries: int = 0
    well_seconds: float = 0.0
    down_seconds: float = 0.0
    answered: int = 0
    seconds_sum: float = 0.0

    @property
    def uptime(self) -> float | None:
        """The share of the judged time in which it was up; None if none was judged."""
        judged = self.well_seconds + self.down_seconds
        return self.well_seconds / judged if judged else None


class Point(NamedTuple):
    """Tries of a span beginning at ``time``, ms UTC. Seconds are None where none had a time."""

    time: int
    totals: Totals
    shortest: float | None
    longest: float | None

    @property
    def mean(self) -> float | None:
        """The mean time."""
        return self.totals.seconds_sum / self.totals.answered if self.totals.answered else None


def hour_of(time: int) -> int:
    """When the hour begins, ms UTC."""
    return time - time % HOUR


def packed(result: Result) -> bytes:
    """Eight bytes; the hour itself is the row's."""
    tenths = (result.time % HOUR) // 100
    seconds = nan if result.seconds is None else result.seconds
    return _TRY.pack(tenths, STATES.index(result.state), 0, seconds)


def unpacked(hour: int, content: bytes) -> list[Result]:
    """The tries of an hour, in order; times to a tenth of a second."""
    found = []
    for tenths, state, _, seconds in _TRY.iter_unpack(content[: len(content) - len(content) % _TRY.size]):
        found.append(Result(hour + tenths * 100, STATES[state & 3], None if isnan(seconds) else round(seconds, 6)))
    return found


def spoken_for(time: int, before: int | None, interval: int) -> float:
    """Seconds for which a try speaks, of one at this time after one at ``before`` (ms UTC) with this interval (ms)."""
    if before is None or before >= time:
        return interval / 1000
    return min(time - before, 2 * interval) / 1000


def summed(points: Iterable[Point], since: int, width: int) -> list[Point]:
    """The points in buckets of this width (ms) from ``since`` on; buckets without tries are left out."""
    found: dict[int, Point] = {}
    for point in points:
        at = since + (point.time - since) // width * width
        before = found.get(at)
        found[at] = point._replace(time=at) if before is None else _added(before, point)
    return [found[at] for at in sorted(found)]


def points_of(results: Sequence[Result], interval: int) -> list[Point]:
    """A point for each try, each for the time since the one before it."""
    found = []
    before: int | None = None
    for one in results:
        span = spoken_for(one.time, before, interval)
        before = one.time
        totals = Totals(
            1,
            span if one.state in ("up", "degraded") else 0.0,
            span if one.state == "down" else 0.0,
            0 if one.seconds is None else 1,
            one.seconds or 0.0,
        )
        found.append(Point(one.time, totals, one.seconds, one.seconds))
    return found


def _added(one: Point, other: Point) -> Point:
    mine, theirs = one.totals, other.totals
    totals = Totals(
        mine.tries + theirs.tries,
        mine.well_seconds + theirs.well_seconds,
        mine.down_seconds + theirs.down_seconds,
        mine.answered + theirs.answered,
        mine.seconds_sum + theirs.seconds_sum,
    )
    shortest = [seconds for seconds in (one.shortest, other.shortest) if seconds is not None]
    longest = [seconds for seconds in (one.longest, other.longest) if seconds is not None]
    return Point(one.time, totals, min(shortest, default=None), max(longest, default=None))
