"""Metrics that are known only once they are read: what Prometheus text exposes, as readings and their declaration.

Counters become rates per second; a histogram becomes how often it recorded (``name.count``), the mean and the quantiles
of what it recorded since the last run; a summary keeps its quantiles. Units follow from the metric's name, as
Prometheus asks authors to name them.
Invariant: at most ``series`` series are learned; what would be more is counted and left out, the same ones each time.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite

from twinwatch.monitors import Declaration, Reading
from twinwatch.monitors.digits import rate
from twinwatch.monitors.distributions import QUANTILES, Distribution
from twinwatch.monitors.exposition import Exposed, Family, Histogram, Scalar, Summary
from twinwatch.protocol import limits
from twinwatch.protocol.metrics import Chart, Metric

METRICS = 500
"""Metrics that one source may teach; each has a chart."""
HELP_CHARACTERS = 500
UNITS = {
    "seconds": "s",
    "second": "s",
    "milliseconds": "ms",
    "bytes": "By",
    "celsius": "Cel",
    "volts": "V",
    "amperes": "A",
    "joules": "J",
    "grams": "g",
    "meters": "m",
    "percent": "%",
    "hertz": "Hz",
}
VALUE = "{value}"

Key = tuple[str, tuple[tuple[str, str], ...]]


class Learner:
    """What one source has taught so far. ``labels`` are put on every series; ``series`` is the most there may be."""

    def __init__(self, labels: dict[str, str], *, series: int) -> None:
        self.declaration = Declaration()
        self.left_out = 0
        """Series of the last run that were beyond a bound."""
        self._labels = labels
        self._most = series
        self._known: dict[Key, None] = {}
        self._metrics: dict[str, tuple[Metric, frozenset[str]]] = {}
        self._at: float | None = None
        self._seconds = 0.0
        self._counters: dict[Key, float] = {}
        self._before: dict[Key, float] = {}
        self._distributions: dict[Key, Distribution] = {}
        self._earlier: dict[Key, Distribution] = {}
        self._learned = False

    def learn(self, exposed: Iterable[Exposed], monotonic_seconds: float) -> list[Reading]:
        """One run's readings. ``declaration`` is a new one afterwards if there was something new."""
        self._seconds = 0.0 if self._at is None else max(monotonic_seconds - self._at, 0.0)
        self._before, self._counters = self._counters, {}
        self._earlier, self._distributions = self._distributions, {}
        self.left_out, self._learned = 0, False
        found: dict[Key, Reading] = {}
        for one in exposed:
            for name, unit, value, labels, family in self._values(one):
                self._put(found, name, unit, value, labels, family)
        self._at = monotonic_seconds
        if len(self._known) > 2 * self._most:
            self._known = dict.fromkeys(found)
        if self._learned:
            self.declaration = self._declare()
        return list(found.values())

    def _values(self, one: Exposed) -> Iterable[tuple[str, str, float, dict[str, str], Family]]:
        family = one.family
        # An empty label is none, says Prometheus.
        labels = {**{name: value for name, value in one.labels.items() if value}, **self._labels}
        if isinstance(one, Scalar):
            unit = unit_of(family, one.name)
            if not one.rising:
                yield one.name, unit, one.value, labels, family
            elif (grown := self._grown(one.name, labels, one.value)) is not None:
                yield one.name, per_second(unit), rate(grown), labels, family
        elif isinstance(one, Summary):
            yield from self._summary(one, labels)
        else:
            yield from self._histogram(one, labels)

    def _summary(
        self, one: Summary, labels: dict[str, str]
    ) -> Iterable[tuple[str, str, float, dict[str, str], Family]]:
        name, unit = one.family.name, unit_of(one.family, one.family.name)
        for share, value in one.quantiles.items():
            yield name, unit, value, {**labels, "quantile": f"{share:g}"}, one.family
        count = None if one.recorded is None else self._grown(f"{name}.count", labels, one.recorded)
        total = None if one.sum is None else self._grown(f"{name}.sum", labels, one.sum)
        if count is not None:
            yield f"{name}.count", "{count}/s", rate(count), labels, one.family
            if count and total is not None:
                yield f"{name}.mean", unit, total / count, labels, one.family

    def _histogram(
        self, one: Histogram, labels: dict[str, str]
    ) -> Iterable[tuple[str, str, float, dict[str, str], Family]]:
        name, unit = one.family.name, unit_of(one.family, one.family.name)
        key = key_of(name, labels)
        self._distributions[key] = one.distribution
        before = self._earlier.get(key)
        grown = one.distribution.since(before) if before is not None and self._seconds > 0 else None
        if grown is None:
            return
        yield f"{name}.count", "{count}/s", rate(grown.count / self._seconds), labels, one.family
        if grown.mean is not None:
            yield f"{name}.mean", unit, grown.mean, labels, one.family
        for ending, share in QUANTILES:
            value = grown.quantile(share)
            if value is not None:
                yield f"{name}.{ending}", unit, value, labels, one.family

    def _grown(self, name: str, labels: dict[str, str], counter: float) -> float | None:
        """Per second since the last run; None if that cannot be said: the first run, a counter that fell."""
        key = key_of(name, labels)
        self._counters[key] = counter
        before = self._before.get(key)
        if before is None or self._seconds <= 0 or counter < before:
            return None
        grown = (counter - before) / self._seconds
        return grown if isfinite(grown) else None

    def _put(
        self, found: dict[Key, Reading], name: str, unit: str, value: float, labels: dict[str, str], family: Family
    ) -> None:
        key = key_of(name, labels)
        if not isfinite(value) or abs(value) >= 1 << 63 or not is_lawful(name, labels):
            self.left_out += 1
            return
        if key not in self._known:
            if len(found) >= self._most or (name not in self._metrics and len(self._metrics) >= METRICS):
                self.left_out += 1
                return
            self._known[key] = None
        elif len(found) >= self._most:
            self.left_out += 1
            return
        metric, by = self._metrics.get(name, (None, frozenset[str]()))
        if metric is None or not by >= labels.keys() - self._labels.keys():
            said = " ".join(family.help.split()) or f"{family.kind.capitalize()} {family.name}"
            metric = metric or Metric(name, unit, said[:HELP_CHARACTERS].rstrip(".") + ".")
            self._metrics[name] = metric, by | labels.keys()
            self._learned = True
        if metric.unit.endswith(("/s", "By")) and value < 0:
            self.left_out += 1
            return
        found[key] = Reading(name, value, labels)

    def _declare(self) -> Declaration:
        charts = []
        for name, (_, by) in self._metrics.items():
            charts.append(Chart(name, (name,), by=tuple(sorted(by))))
        return Declaration(tuple(metric for metric, _ in self._metrics.values()), tuple(charts))


def key_of(name: str, labels: dict[str, str]) -> Key:
    """What names a series."""
    return name, tuple(sorted(labels.items()))


def unit_of(family: Family, name: str) -> str:
    """UCUM, from what the text declares or from the name's last word; ``{value}`` if neither says."""
    word = family.unit or name.removesuffix("_total").rpartition("_")[2]
    return UNITS.get(word, VALUE)


def per_second(unit: str) -> str:
    """The unit of a counter's rate."""
    return "{count}/s" if unit == VALUE else f"{unit}/s"


def is_lawful(name: str, labels: dict[str, str]) -> bool:
    """Whether the hub would take such a series."""
    if not 0 < len(name) <= limits.METRIC_NAME_CHARACTERS or len(labels) > limits.LABELS_PER_SERIES:
        return False
    return name.isprintable() and all(
        0 < len(label) <= limits.LABEL_NAME_CHARACTERS
        and 0 < len(value) <= limits.LABEL_VALUE_CHARACTERS
        and label.isprintable()
        and value.isprintable()
        for label, value in labels.items()
    )
