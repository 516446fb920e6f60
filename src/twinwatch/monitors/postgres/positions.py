"""When a log was how far: from that, how old the oldest thing is that somebody has not got yet. Pure.

Invariant: what lies beyond a position was written after the log was last seen not beyond it, and no later than when it
was first seen beyond it; so its age is between the two, whatever either server's clock says.
"""

from __future__ import annotations

from collections import deque
from math import inf
from typing import NamedTuple

MARKS = 2_880
"""A day of positions at one in 30 s; of more, every other is dropped."""


class Mark(NamedTuple):
    """The log ended at ``position`` when it was seen first and last so."""

    position: float
    first: float
    last: float


class Positions:
    """Positions of one log, as they were seen. One that goes back (another timeline) begins anew."""

    def __init__(self) -> None:
        self._marks: deque[Mark] = deque()

    def see(self, now: float, position: float) -> None:
        """The log ends here now."""
        marks = self._marks
        if marks and (position < marks[-1].position or now < marks[-1].last):
            marks.clear()
        if marks and marks[-1].position == position:
            marks[-1] = marks[-1]._replace(last=now)
        else:
            marks.append(Mark(position, now, now))
        if len(marks) > MARKS:
            self._marks = deque(list(marks)[::2])

    def age(self, now: float, position: float) -> tuple[float, float]:
        """Least and most seconds since what lies beyond this position was written. Nothing beyond it: 0 and 0."""
        least, most = 0.0, inf
        for mark in self._marks:
            if mark.position > position:
                return max(now - mark.first, least), most
            most = max(now - mark.last, 0.0)
        return 0.0, 0.0
