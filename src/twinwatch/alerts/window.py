"""What a rule looks back on: the samples of its window, as at most ``BUCKETS`` stretches of it.

Invariants: a stretch is judged by the samples within it and nothing is made up; a window that samples do not cover is
not judged. Samples that are further apart than a stretch is long are kept as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, isfinite

import msgspec

from twinwatch.protocol.rules import Aggregate

BUCKETS = 120
GAP_SHARE = 4
"""A stretch of more than one in so many parts of the window without a sample is a hole …"""
GAP_INTERVALS = 2.5
"""… unless the samples are that far apart anyhow, in intervals of their monitor."""


class Bucket(msgspec.Struct, frozen=True, array_like=True):
    """Some samples in a row. Times are ms."""

    first_at: int
    last_at: int
    count: int
    total: float
    low: float
    high: float
    first: float
    last: float


Window = tuple[Bucket, ...]


def added(window: Window, time: int, value: float, length: int) -> Window:
    """The window with one more sample, which is the newest, without what lies before it: one sample from before its
    beginning stays, which shows that the beginning is covered."""
    width = max(length // BUCKETS, 1)
    last = window[-1] if window else None
    if last is not None and last.first_at // width == time // width:
        grown = Bucket(
            last.first_at,
            time,
            last.count + 1,
            last.total + value,
            min(last.low, value),
            max(last.high, value),
            last.first,
            value,
        )
        window = (*window[:-1], grown)
    else:
        window = (*window, Bucket(time, time, 1, value, value, value, value, value))
    begin = time - length
    past = sum(bucket.last_at <= begin for bucket in window)
    return window[past - 1 :] if past > 1 else window


def covered(window: Window, time: int, length: int, interval: int) -> bool:
    """Whether samples cover the whole window that ends now: from its beginning on, and without a hole."""
    if not window or window[0].first_at > time - length:
        return False
    most = max(length // GAP_SHARE, round(interval * GAP_INTERVALS))
    at = max(window[0].last_at, time - length - most)
    for bucket in window:
        if bucket.first_at - at > most:
            return False
        at = bucket.last_at
    return time - at <= most


def aggregated(window: Window, aggregate: Aggregate, length: int, target: float | None) -> float:
    """What the samples of the window come to. ``forecast`` is infinite where the value does not go there."""
    within = window[1:] if len(window) > 1 and window[0].last_at <= window[-1].last_at - length else window
    match aggregate:
        case "last":
            return window[-1].last
        case "mean":
            return sum(bucket.total for bucket in within) / sum(bucket.count for bucket in within)
        case "min":
            return min(bucket.low for bucket in within)
        case "max":
            return max(bucket.high for bucket in within)
        case "sum":
            return sum(bucket.total for bucket in within)
        case "change":
            return window[-1].last - window[0].last
        case "rate":
            seconds = (window[-1].last_at - window[0].last_at) / 1000
            return (window[-1].last - window[0].last) / seconds if seconds > 0 else 0.0
        case "forecast":
            return _seconds_to(target or 0.0, window)


def _seconds_to(target: float, window: Sequence[Bucket]) -> float:
    """By a straight line through the stretches' means, weighed by their samples (least squares)."""
    origin = window[-1].last_at
    weight = sum(bucket.count for bucket in window)
    times = [((bucket.first_at + bucket.last_at) / 2 - origin) / 1000 for bucket in window]
    values = [bucket.total / bucket.count for bucket in window]
    mean_time = sum(time * bucket.count for time, bucket in zip(times, window, strict=True)) / weight
    mean_value = sum(bucket.total for bucket in window) / weight
    spread = sum((time - mean_time) ** 2 * bucket.count for time, bucket in zip(times, window, strict=True))
    if not spread or not isfinite(spread):
        return inf
    common = sum(
        (time - mean_time) * (value - mean_value) * bucket.count
        for time, value, bucket in zip(times, values, window, strict=True)
    )
    slope = common / spread
    # From where it is, not from where the line has it: a jump in the last minute counts.
    left = target - window[-1].last
    if not slope or not isfinite(slope):
        return inf if left else 0.0
    seconds = left / slope
    return seconds if seconds >= 0 and isfinite(seconds) else inf
