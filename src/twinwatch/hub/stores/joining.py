"""Pieces of series, from wherever they were kept, to points on one axis. Pure.

Invariants: a sample that is in several pieces counts once, and the earlier piece has the say; a roll-up and samples of
the same bucket never meet, which is the caller's to see to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from twinwatch.hub.stores import Measure, Points, Window
from twinwatch.hub.stores.steps import ROLLED

Times = NDArray[np.int64]
Values = NDArray[np.float64]


class Samples(NamedTuple):
    """Samples as they came. NaN = no sample."""

    times: Times
    values: Values


class Rolled(NamedTuple):
    """Buckets of samples: where each begins, and what is in it. ``counts`` are above 0."""

    times: Times
    counts: Values
    sums: Values
    mins: Values
    maxs: Values


@dataclass(slots=True)
class Pieces:
    """What was found of one series, in the order in which it came in."""

    samples: list[Samples] = field(default_factory=list)
    rolled: list[Rolled] = field(default_factory=list)


def points_of(series: Sequence[Pieces], window: Window) -> Points:
    """The series on one axis, as ``SampleStore.read`` promises it."""
    step = window.step
    if step < ROLLED and not window.least_step:
        joined = [_within(joined_samples(one.samples), window.since, window.to) for one in series]
        axis = np.unique(np.concatenate([times for times, _ in joined])) if joined else np.empty(0, dtype=np.int64)
        if len(axis) <= window.points:
            values = np.array([_placed(axis, one, window.measure) for one in joined])
            return Points(axis, values.reshape(len(series), len(axis)), step=0)
    axis = np.arange(window.since // step, (window.to - 1) // step + 1, dtype=np.int64) * step
    with np.errstate(over="ignore"):  # a sum beyond all numbers is infinite
        rows = [_bucketed(axis, step, one, window.measure) for one in series]
    return Points(axis, np.array(rows).reshape(len(series), len(axis)), step)


def joined_samples(pieces: Sequence[Samples]) -> Samples:
    """One piece of several: gaps left out, times ascending and once each; at one time the earlier piece has the say."""
    times = np.concatenate([one.times for one in pieces] or [np.empty(0, dtype=np.int64)])
    values = np.concatenate([one.values for one in pieces] or [np.empty(0)])
    there = ~np.isnan(values)
    times, values = times[there], values[there]
    if len(times) > 1 and not (times[1:] > times[:-1]).all():
        times, first = np.unique(times, return_index=True)
        values = values[first]
    return Samples(times, values)


def roll(samples: Samples, step: int) -> Rolled:
    """Buckets of samples that are in order and have no gaps, those without any left out."""
    buckets = samples.times // step
    starts = np.flatnonzero(np.diff(buckets, prepend=-1))
    if not len(starts):
        none = np.empty(0)
        return Rolled(np.empty(0, dtype=np.int64), none, none, none, none)
    counts = np.diff(starts, append=len(buckets)).astype(np.float64)
    return Rolled(
        buckets[starts] * step,
        counts,
        np.add.reduceat(samples.values, starts),
        np.minimum.reduceat(samples.values, starts),
        np.maximum.reduceat(samples.values, starts),
    )


def _within(samples: Samples, since: int, to: int) -> Samples:
    begin, end = np.searchsorted(samples.times, (since, to))
    return Samples(samples.times[begin:end], samples.values[begin:end])


def _placed(axis: Times, samples: Samples, measure: Measure) -> Values:
    row = np.full(len(axis), np.nan)
    row[np.searchsorted(axis, samples.times)] = 1.0 if measure == "count" else samples.values
    return row


def _bucketed(axis: Times, step: int, pieces: Pieces, measure: Measure) -> Values:
    """The measure of each bucket of the axis."""
    first, last = int(axis[0]), int(axis[-1]) + step
    rolled = [roll(_within(joined_samples(pieces.samples), first, last), step), *pieces.rolled]
    size = len(axis)
    counts, sums = np.zeros(size), np.zeros(size)
    mins, maxs = np.full(size, np.inf), np.full(size, -np.inf)
    for one in rolled:
        inside = (one.times >= first) & (one.times < last)
        places = (one.times[inside] - first) // step
        np.add.at(counts, places, one.counts[inside])
        np.add.at(sums, places, one.sums[inside])
        np.minimum.at(mins, places, one.mins[inside])
        np.maximum.at(maxs, places, one.maxs[inside])
    none = counts == 0
    if measure == "mean":
        return np.where(none, np.nan, sums / np.where(none, 1.0, counts))
    found = {"min": mins, "max": maxs, "sum": sums, "count": counts}[measure]
    return np.where(none, np.nan, found)
