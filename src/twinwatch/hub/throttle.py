"""How often somebody may try: a bucket of tokens for each name, forgotten when it is full again."""

from __future__ import annotations

from collections import OrderedDict

from twinwatch.hub.refusals import too_many
from twinwatch.world.clock import Clock

REMEMBERED = 10_000


class Throttle:
    """``burst`` tries at once, one more every ``seconds``."""

    def __init__(self, clock: Clock, *, burst: int, seconds: float) -> None:
        self._clock = clock
        self._burst = burst
        self._seconds = seconds
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def spend(self, name: str) -> None:
        """Takes one try.

        Raises: Refused 429 with the time to wait when there is none left.
        """
        now = self._clock.monotonic()
        left, at = self._buckets.pop(name, (float(self._burst), now))
        left = min(self._burst, left + (now - at) / self._seconds)
        if left < 1:
            self._buckets[name] = (left, now)
            wait = int((1 - left) * self._seconds) + 1
            raise too_many(f"Too many tries: wait {wait} s.", wait)
        self._buckets[name] = (left - 1, now)
        while len(self._buckets) > REMEMBERED:
            self._buckets.popitem(last=False)

    def forgive(self, name: str) -> None:
        """It was the right one after all."""
        self._buckets.pop(name, None)
