"""How wide the buckets of a chart are: round widths, so that a chart that moves on keeps its points."""

from __future__ import annotations

STEPS_SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 180, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)

ROLLED = 300_000
"""From this width on, ms, points are buckets even where the samples would fit: long charts are read from roll-ups, and
have the same axis however sparse the samples are."""
HOUR = 3_600_000
"""The wider roll-ups, ms. Every step from ``ROLLED`` on is a multiple of it, and from here on of this."""


def step_for(since: int, to: int, points: int, least: int = 0) -> int:
    """The smallest round width in ms, not below ``least``, whose aligned buckets cover ``[since, to)`` with at most so
    many points."""
    for seconds in STEPS_SECONDS:
        step = seconds * 1000
        if step >= least and buckets(since, to, step) <= points:
            return step
    step = STEPS_SECONDS[-1] * 1000
    while step < least or buckets(since, to, step) > points:
        step *= 2
    return step


def buckets(since: int, to: int, step: int) -> int:
    """How many aligned buckets ``[since, to)`` touches."""
    return (to - 1) // step - since // step + 1
