"""When will it be full? A straight line through the last hour. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable

EVERY_SECONDS = 60.0
SPAN_SECONDS = 3600.0
LEAST_SECONDS = 600.0
"""Nothing is said before: a single download is no trend."""
FARTHEST_SECONDS = 30 * 86_400.0
"""What is further away is not told: by then it will have changed."""


class Forecast:
    """What was free, per thing, over the last hour."""

    def __init__(self) -> None:
        self._past: dict[Hashable, deque[tuple[float, float]]] = {}

    def seconds_to_full(self, thing: Hashable, free: float, monotonic_seconds: float) -> float | None:
        """Seconds until nothing is free if it goes on like this, or None if it does not fill up.

        Bounds: 0 to ``FARTHEST_SECONDS``. At most 61 points per thing are remembered.
        """
        past = self._past.setdefault(thing, deque())
        if past and monotonic_seconds < past[-1][0]:
            past.clear()
        if not past or monotonic_seconds - past[-1][0] >= EVERY_SECONDS:
            past.append((monotonic_seconds, free))
        while past[0][0] < monotonic_seconds - SPAN_SECONDS:
            past.popleft()
        began, before = past[0]
        passed, lost = monotonic_seconds - began, before - free
        if passed < LEAST_SECONDS or lost <= 0:
            return None
        seconds = free / (lost / passed)
        return seconds if seconds <= FARTHEST_SECONDS else None

    def keep(self, things: set[Hashable]) -> None:
        """Forget all others."""
        self._past = {thing: past for thing, past in self._past.items() if thing in things}
