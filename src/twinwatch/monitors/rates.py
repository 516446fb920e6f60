"""Counters that only rise, turned into what they grew by between two runs. Pure.

Invariants: a growth is never negative and never absurd: a counter that fell (reset, wrap, a device replaced by another
of the same name) or leapt yields nothing for that interval, and neither do its siblings of the same series, which were
reset with it; a series that was missing for one run starts fresh; the first run yields nothing.
"""

from __future__ import annotations

from collections.abc import Hashable
from operator import sub

LEAP_PER_SECOND = 10**13
"""No counter of a machine (bytes, packets, microseconds) grows faster; drivers that report -1 as 2⁶⁴-1 do."""


class Rates:
    """The counters of the last run. One instance per source, so that a source that fails keeps its last good run."""

    def __init__(self) -> None:
        self.seconds = 0.0
        """Time between the last two runs; 0 in the first."""
        self._at: float | None = None
        self._before: dict[Hashable, tuple[int, ...]] = {}
        self._now: dict[Hashable, tuple[int, ...]] = {}

    def begin(self, monotonic_seconds: float) -> None:
        """Starts a run. Call it once its source has been read and parsed, not before."""
        self.seconds = 0.0 if self._at is None else max(0.0, monotonic_seconds - self._at)
        self._at = monotonic_seconds
        self._before, self._now = self._now, {}

    def growth(self, series: Hashable, counters: tuple[int, ...], slack: int = 0) -> tuple[int, ...] | None:
        """What each counter grew by since the last run, or None if that cannot be said.

        A counter that fell by at most ``slack`` counts as standing still.
        """
        self._now[series] = counters
        before = self._before.get(series)
        if before is None or len(before) != len(counters) or self.seconds <= 0.0:
            return None
        grown = tuple(map(sub, counters, before))
        if min(grown) < 0:
            if min(grown) < -slack:
                return None
            grown = tuple(max(0, amount) for amount in grown)
        return None if max(grown) > LEAP_PER_SECOND * self.seconds else grown
