"""From a run's readings to columns: which series they are (a shape, hardly ever a new one) and their values.

Invariants: the same series give the same shape in whatever order a monitor yields them; a run with the same series in
the same order as the one before costs a comparison per reading and nothing more; a series the hub would refuse is
left out here, so that it cannot spoil the rest of its run.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from math import isfinite

from twinwatch.monitors import Reading
from twinwatch.protocol import limits
from twinwatch.protocol.samples import SeriesKey, Shape, shape_of

_WIDEST_INT = 2**53
_SAYINGS = 20
_log = logging.getLogger(__name__)


class Shaper:
    """The memory of one monitor's last run. ``labels`` are put on every series, over the monitor's own."""

    def __init__(self, monitor: str, labels: Mapping[str, str] | None = None) -> None:
        self._monitor = monitor
        self._labels = dict(labels or {})
        self._known: Sequence[Reading] = ()
        self._parts: list[tuple[Shape, list[int]]] = []
        self._said: set[str] = set()

    def shape(self, readings: Sequence[Reading]) -> list[tuple[Shape, list[float | None]]]:
        """The run as shapes with their values: one, or several if it has more series than a shape may have."""
        if not _same_series(readings, self._known):
            self._learn(readings)
        self._known = readings
        return [(shape, [lawful(readings[index].value) for index in order]) for shape, order in self._parts]

    def _learn(self, readings: Sequence[Reading]) -> None:
        places: dict[tuple[str, tuple[tuple[str, str], ...]], int] = {}
        left_out: set[str] = set()
        for index, reading in enumerate(readings):
            labels = reading.labels | self._labels if self._labels else reading.labels
            key = (reading.metric, tuple(sorted(labels.items())))
            if key in places:
                left_out.add(f"{reading.metric}: yielded twice with the same labels")
            elif reason := _unlawful(reading.metric, labels):
                left_out.add(f"{reading.metric[:80]}: {reason}")
            else:
                places[key] = index
        keys = sorted(places)
        self._parts = []
        for start in range(0, len(keys), limits.SERIES_PER_SHAPE):
            part = keys[start : start + limits.SERIES_PER_SHAPE]
            series = tuple(SeriesKey(metric, dict(labels)) for metric, labels in part)
            self._parts.append((shape_of(self._monitor, series), [places[key] for key in part]))
        for reason in sorted(left_out - self._said)[: _SAYINGS - len(self._said)]:
            _log.warning("monitor %s: a series is left out: %s", self._monitor, reason)
            self._said.add(reason)


def lawful(value: float) -> float | None:
    """The value as it may travel: an int stays one while float64 can tell it apart, NaN and infinity are no sample."""
    try:
        if not isfinite(value):
            return None
    except OverflowError:
        return None
    whole: type = int
    return value if type(value) is whole and -_WIDEST_INT <= value <= _WIDEST_INT else float(value)


def _same_series(readings: Sequence[Reading], known: Sequence[Reading]) -> bool:
    if len(readings) != len(known):
        return False
    for one, other in zip(readings, known, strict=True):
        if one.metric != other.metric or (one.labels is not other.labels and one.labels != other.labels):
            return False
    return True


def _unlawful(metric: str, labels: Mapping[str, str]) -> str:
    if not 0 < len(metric) <= limits.METRIC_NAME_CHARACTERS:
        return f"its name has {len(metric)} characters, at most {limits.METRIC_NAME_CHARACTERS}"
    if len(labels) > limits.LABELS_PER_SERIES:
        return f"it has {len(labels)} labels, at most {limits.LABELS_PER_SERIES}"
    for name, value in labels.items():
        if not 0 < len(name) <= limits.LABEL_NAME_CHARACTERS:
            return f"the name of a label has {len(name)} characters, at most {limits.LABEL_NAME_CHARACTERS}"
        if len(value) > limits.LABEL_VALUE_CHARACTERS:
            return f"label {name!r} has {len(value)} characters, at most {limits.LABEL_VALUE_CHARACTERS}"
        if not (_is_text(name) and _is_text(value)):
            return f"label {name!r} holds control characters or broken Unicode"
    return "" if _is_text(metric) else "its name holds control characters or broken Unicode"


def _is_text(text: str) -> bool:
    return text.isprintable() or not any(ord(letter) < 32 or 0xD800 <= ord(letter) < 0xE000 for letter in text)
