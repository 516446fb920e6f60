"""From points to what was asked about them: rates, and several lines made one. Pure."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from twinwatch.hub.stores import Measure, Points, Window
from twinwatch.hub.stores.steps import ROLLED

Asked = Literal["mean", "min", "max", "sum", "count", "rate"]
"""What a point tells of its step. ``rate``: by how much a counter rose in a second."""
Combine = Literal["none", "mean", "min", "max", "sum", "percentile"]
"""What several lines become: themselves, or one."""

Values = NDArray[np.float64]

EVERY_POINT = 1 << 40
"""More than there are: samples as they came."""


def measure_of(asked: Asked) -> Measure:
    """What the store is asked for: a counter stands highest at the end of its step."""
    return "max" if asked == "rate" else asked


def beside(points: Points, window: Window, now: int) -> list[Window]:
    """What ``rated`` needs besides the points of a window: what came before, and whether the counter went on after."""
    if not len(points.times):
        return []
    if not points.step:
        return [Window(window.since - ROLLED, window.since, EVERY_POINT)] if window.since >= ROLLED else []
    first, end = int(points.times[0]), int(points.times[-1]) + points.step
    edges = [start for start in (first - points.step, end) if 0 <= start <= now]
    return [Window(start, start + points.step, 1, window.measure, points.step) for start in edges]


def rated(points: Points, around: Sequence[Points], until: int) -> Points:
    """By how much each series rose in a second since its point before; ``around`` is what was read of ``beside``.

    A fall is a counter that began anew: there is no telling how far it came, so there is no point.
    A bucket has none either if it ends after ``until``, ms UTC, or if the series does not go on behind it as it did
    before: its highest is not that of its end.
    """
    parts = [points, *around]
    times = np.concatenate([one.times for one in parts])
    order = np.argsort(times)
    found = np.hstack([one.values for one in parts])[:, order]
    rates = np.full(found.shape, np.nan)
    for rate, series in zip(rates, found, strict=True):
        _rate(rate, series, times[order] / 1000, is_bucketed=points.step > 0)
    values = rates[:, np.searchsorted(times[order], points.times)]
    if points.step:
        values[:, points.times + points.step > until] = np.nan
    return Points(points.times, values, points.step)


def _rate(rate: Values, series: Values, seconds: Values, *, is_bucketed: bool) -> None:
    """Puts in how fast a series rose, where that is known."""
    there = np.flatnonzero(~np.isnan(series))
    fell = np.diff(series[there]) < 0
    falls = np.concatenate(([0], np.cumsum(fell)))
    if is_bucketed:
        apart = np.diff(there)
        # Sparse samples leave buckets empty between them; a longer silence than usual is an end.
        whole = np.append(~fell & (apart <= np.median(apart)), [False]) if len(apart) else np.zeros(len(there), bool)
        there, falls = there[whole], falls[whole]
    rise = np.diff(series[there]) / np.diff(seconds[there])
    rate[there[1:]] = np.where(np.diff(falls) > 0, np.nan, rise)


def combined(values: Sequence[Values], how: Combine, percentile: float) -> Values:
    """Several lines on one axis, made one; where none has a point, neither has this."""
    lines = np.array(values)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of points that no line has
        match how:
            case "mean":
                one: Values = np.nanmean(lines, axis=0)
            case "min":
                one = np.nanmin(lines, axis=0)
            case "max":
                one = np.nanmax(lines, axis=0)
            case "percentile":
                one = np.nanpercentile(lines, percentile, axis=0)
            case _:
                one = np.nansum(lines, axis=0)
    return np.where(np.isnan(lines).all(axis=0), np.nan, one)
