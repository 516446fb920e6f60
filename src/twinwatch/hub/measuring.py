"""From points to what was asked about them: rates, and several lines made one. Pure."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from twinwatch.hub.stores import Measure, Points

Asked = Literal["mean", "min", "max", "sum", "count", "rate"]
"""What a point tells of its step. ``rate``: by how much a counter rose in a second."""
Combine = Literal["none", "mean", "min", "max", "sum", "percentile"]
"""What several lines become: themselves, or one."""

Values = NDArray[np.float64]


def measure_of(asked: Asked) -> Measure:
    """What the store is asked for: a counter stands highest at the end of its step."""
    return "max" if asked == "rate" else asked


def rated(points: Points) -> Points:
    """By how much each series rose in a second since its point before.

    A fall is a counter that began anew: there is no telling how far it came, so there is no point.
    """
    values = np.full(points.values.shape, np.nan)
    seconds = points.times / 1000
    for row, series in enumerate(points.values):
        there = np.flatnonzero(~np.isnan(series))
        rise = np.diff(series[there]) / np.diff(seconds[there])
        values[row, there[1:]] = np.where(rise < 0, np.nan, rise)
    return Points(points.times, values, points.step)


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
