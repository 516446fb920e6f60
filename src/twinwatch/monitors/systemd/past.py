"""What is remembered of a unit between two runs: restarts, kills for lack of memory, its own peak, a timer's pace.

Invariants: bounded; times are of the monotonic clock, so that a clock that people set makes no loop.
"""

from __future__ import annotations

from collections import deque

KEPT = 64


class Past:
    """Of one unit."""

    def __init__(self) -> None:
        self.failure = ""
        """The last way it failed that was seen, in words."""
        self.period: float | None = None
        """Of a timer: seconds between its last start and the next, when it last waited for one."""
        self.tight: set[str] = set()
        """Bounds that it was near to in the last run."""
        self._restarts: deque[tuple[float, int]] = deque(maxlen=KEPT)
        self._kills: int | None = None
        self._killed_at: float | None = None
        self._peak = 0
        self._peak_of = 0

    def restarted(self, now: float, count: int, window: float) -> int:
        """Restarts within the last ``window`` seconds, given how many systemd counts now."""
        if self._restarts and (count < self._restarts[-1][1] or now < self._restarts[-1][0]):
            self._restarts.clear()  # it was started by hand, which makes systemd count anew
        if not self._restarts or count != self._restarts[-1][1]:
            self._restarts.append((now, count))
        # The newest one before the window is what the ones within it are counted from.
        while len(self._restarts) > 1 and self._restarts[1][0] <= now - window:
            self._restarts.popleft()
        return count - self._restarts[0][1]

    def since_restart(self, now: float) -> float:
        """Seconds since the last restart that was seen; infinite if none was."""
        return now - self._restarts[-1][0] if len(self._restarts) > 1 else float("inf")

    def killed(self, now: float) -> None:
        """A process of it was killed for lack of memory."""
        self._killed_at = now

    def counted_kills(self, now: float, count: int | None) -> None:
        """As ``killed``, if the count of such kills rose."""
        if count is not None:
            if self._kills is not None and count > self._kills:
                self.killed(now)
            self._kills = count

    def was_killed(self, now: float, window: float) -> bool:
        """Whether that was within the last ``window`` seconds."""
        return self._killed_at is not None and 0 <= now - self._killed_at < window

    def peak(self, run: int, memory: int) -> int:
        """The most memory seen in this run of the service; ``run`` is what tells runs apart."""
        self._peak = max(self._peak, memory) if run == self._peak_of else memory
        self._peak_of = run
        return self._peak
