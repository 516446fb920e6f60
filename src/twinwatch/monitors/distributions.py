"""Histograms: what was recorded between two looks at them, its mean and its quantiles. Pure.

Invariants: a quantile lies within the bucket that it falls into, evenly spread as Prometheus has it; above the last
bound it is that bound; of nothing recorded there is none. What fell (a reset) or has other bounds starts fresh.
Source: https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile and
https://opentelemetry.io/docs/specs/otel/metrics/data-model/#exponentialhistogram.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from math import isfinite

BUCKETS = 512
"""Most buckets of one histogram that are taken."""
QUANTILES = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
"""The quantiles that become series, by the ending of their metric's name."""
LOWEST_SCALE, HIGHEST_SCALE = -10, 20
"""What OpenTelemetry SDKs use; a bucket's bounds stay within float64."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """Explicit buckets. ``bounds`` ascend and are finite; ``counts`` has one more: the last is above all bounds.

    ``sum`` is None where values may be negative, so that nobody added them up.
    """

    bounds: tuple[float, ...]
    counts: tuple[float, ...]
    sum: float | None

    @property
    def count(self) -> float:
        """How many values were recorded."""
        return sum(self.counts)

    @property
    def mean(self) -> float | None:
        """Of the recorded values; None of none."""
        return self.sum / self.count if self.sum is not None and self.count else None

    def since(self, before: Distribution) -> Distribution | None:
        """What was recorded after ``before``; None if it was reset or is another histogram."""
        if self.bounds != before.bounds:
            return None
        counts = tuple(now - then for now, then in zip(self.counts, before.counts, strict=True))
        if min(counts) < 0:
            return None
        return Distribution(self.bounds, counts, _less(self.sum, before.sum))

    def plus(self, other: Distribution) -> Distribution | None:
        """Both together; None if their bounds differ."""
        if self.bounds != other.bounds:
            return None
        counts = tuple(one + two for one, two in zip(self.counts, other.counts, strict=True))
        return Distribution(self.bounds, counts, _more(self.sum, other.sum))

    def quantile(self, share: float) -> float | None:
        """The value that ``share`` (0 to 1) of those recorded do not exceed, estimated; None of none."""
        total = self.count
        if not total or not self.bounds:
            return None
        wanted = share * total
        for place, below in enumerate(accumulate(self.counts)):
            if below >= wanted and self.counts[place]:
                return self._within(place, (wanted - below) / self.counts[place] + 1)
        return self.bounds[-1]

    def _within(self, place: int, share: float) -> float:
        if place == len(self.bounds):
            return self.bounds[-1]
        upper = self.bounds[place]
        lower = self.bounds[place - 1] if place else min(0.0, upper)
        # Weighted rather than lower + share × width: the width of two lawful bounds may be infinite.
        return lower * (1 - share) + upper * share


@dataclass(frozen=True, slots=True)
class Exponential:
    """Buckets ``(base^i, base^(i+1)]`` with ``base = 2^(2^-scale)``, of either sign, by ``i``; and those near zero."""

    scale: int
    positive: Mapping[int, float] = field(default_factory=dict)
    negative: Mapping[int, float] = field(default_factory=dict)
    zero: float = 0.0
    sum: float | None = None

    def coarser(self, scale: int) -> Exponential:
        """The same at a lower scale: two buckets of one scale are exactly one of the next lower."""
        steps = self.scale - scale
        if steps <= 0:
            return self
        return Exponential(scale, _merged(self.positive, steps), _merged(self.negative, steps), self.zero, self.sum)

    def since(self, before: Exponential) -> Exponential | None:
        """What was recorded after ``before``; None if it was reset."""
        scale = min(self.scale, before.scale)
        now, then = self.coarser(scale), before.coarser(scale)
        positive, negative = _grown(now.positive, then.positive), _grown(now.negative, then.negative)
        if positive is None or negative is None or now.zero < then.zero:
            return None
        return Exponential(scale, positive, negative, now.zero - then.zero, _less(now.sum, then.sum))

    def plus(self, other: Exponential) -> Exponential:
        """Both together, at the lower scale of the two."""
        scale = min(self.scale, other.scale)
        one, two = self.coarser(scale), other.coarser(scale)
        return Exponential(
            scale,
            _added(one.positive, two.positive),
            _added(one.negative, two.negative),
            one.zero + two.zero,
            _more(one.sum, two.sum),
        )

    def explicit(self) -> Distribution:
        """The same as explicit buckets, empty ones between full ones included where they matter."""
        edges: dict[float, float] = {}
        for index, count in self.negative.items():
            _fill(edges, -_bound(self.scale, index + 1), -_bound(self.scale, index), count)
        if self.zero:
            edges[0.0] = edges.get(0.0, 0.0) + self.zero
        for index, count in self.positive.items():
            _fill(edges, _bound(self.scale, index), _bound(self.scale, index + 1), count)
        bounds = tuple(sorted(edges))
        return Distribution(bounds, (*(edges[bound] for bound in bounds), 0.0), self.sum)


def _fill(edges: dict[float, float], lower: float, upper: float, count: float) -> None:
    if not count:
        return
    edges.setdefault(lower, 0.0)
    edges[upper] = edges.get(upper, 0.0) + count


def _bound(scale: int, index: int) -> float:
    """``base ** index``, cut to what float64 holds; never infinite, so that a mean of two bounds is not either."""
    power = index * 2.0**-scale
    bound: float = 2.0 ** min(max(power, -1074.0), 1023.0)
    return bound


def _merged(buckets: Mapping[int, float], steps: int) -> dict[int, float]:
    merged: dict[int, float] = {}
    for index, count in buckets.items():
        merged[index >> steps] = merged.get(index >> steps, 0.0) + count
    return merged


def _grown(now: Mapping[int, float], then: Mapping[int, float]) -> dict[int, float] | None:
    grown = {index: count - then.get(index, 0.0) for index, count in now.items()}
    missing = any(count and index not in now for index, count in then.items())
    return None if missing or min(grown.values(), default=0.0) < 0 else grown


def _added(one: Mapping[int, float], two: Mapping[int, float]) -> dict[int, float]:
    added = dict(one)
    for index, count in two.items():
        added[index] = added.get(index, 0.0) + count
    return added


def _less(now: float | None, then: float | None) -> float | None:
    return None if now is None or then is None else _finite(now - then)


def _more(one: float | None, two: float | None) -> float | None:
    return None if one is None or two is None else _finite(one + two)


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None
