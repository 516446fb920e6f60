"""A day of a fleet, replayed from a recording of a real machine: what every engine is filled with and measured by.

A server's day is made of stretches of the recording, 5 to 20 minutes each, in an order of its own: a quiet server has
more of the quiet ones. So that no stretch ever comes twice, one value in ten is moved by a quarter of a difference that
the series has shown elsewhere, and kept to the digits in which the agent tells that series; sizes and rates are scaled
for each server. What never changed in the recording does not change here; what always rose goes on rising. The same
seed gives the same fleet. It is the same for every engine, and no real day: stretches come again within it, nearly as
they were, which helps an engine that looks far back more than a real day would.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.rig.recorder import Recorded, Recording, load
from twinwatch.monitors.digits import rate, ratio
from twinwatch.protocol.samples import SeriesKey

RECORDING = Path(__file__).with_name("recording.zst")
"""90 minutes of a machine that built and tested most of the time."""
QUIET = Path(__file__).with_name("quiet.zst")
"""125 minutes of one that did so half of the time."""
TICK_MILLISECONDS = 15_000
DAY_TICKS = 5_760
BUSY = "system.cpu.busy"
LEAST_TICKS, MOST_TICKS = 20, 80
MOVED = 0.1
MOVE = 0.25
LARGE = 10_000.0

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ServerDay:
    """One server's samples. Shape: times int64[n], ms UTC; values float64[k, n], a row per series; NaN = no sample."""

    name: str
    series: list[SeriesKey]
    times: NDArray[np.int64]
    values: Values


def fleet(
    servers: int, since: int, *, ticks: int = DAY_TICKS, seed: int = 1, source: Path = RECORDING
) -> Iterator[ServerDay]:
    """The servers' days, from ``since`` (ms UTC) on."""
    recording = load(source)
    busy = next(_filled(one) for one in recording.series if one.metric == BUSY)
    offsets = np.diff(np.array(recording.times)) - TICK_MILLISECONDS
    for number in range(servers):
        chance = np.random.default_rng((seed, number))
        places = _places(busy, ticks, quiet=number / max(servers - 1, 1), chance=chance)
        scale = float(chance.uniform(0.3, 3.0))
        jitter = np.clip(chance.choice(offsets, ticks), -2_000, 2_000)
        yield ServerDay(
            name=f"replayed-{number:03}",
            series=[SeriesKey(one.metric, one.labels) for one in recording.series],
            times=since + np.arange(ticks, dtype=np.int64) * TICK_MILLISECONDS + 3_000 + jitter,
            values=np.array([_replayed(_filled(one), places, scale, chance) for one in recording.series]),
        )


def describe(recording: Recording) -> str:
    """What the fleet is made from."""
    moving = sum(len(set(one.values)) > 1 for one in recording.series)
    return f"{len(recording.times)} ticks of {len(recording.series)} series, of which {moving} move"


def _places(busy: Values, ticks: int, *, quiet: float, chance: np.random.Generator) -> NDArray[np.int64]:
    """Which ticks of the recording the day consists of."""
    pieces: list[NDArray[np.int64]] = []
    length = 0
    while length < ticks:
        size = int(chance.integers(LEAST_TICKS, MOST_TICKS))
        starts = chance.integers(0, max(1, len(busy) - size), 4)
        ranked = sorted(starts, key=lambda start: float(np.mean(busy[start : start + size])))
        start = ranked[0 if chance.random() < quiet else -1]
        pieces.append(np.arange(start, min(start + size, len(busy))))
        length += len(pieces[-1])
    return np.concatenate(pieces)[:ticks]


def _replayed(recorded: Values, places: NDArray[np.int64], scale: float, chance: np.random.Generator) -> Values:
    steps = np.diff(recorded, prepend=recorded[:1])
    if not steps.any():
        return np.full(len(places), recorded[0])
    if (steps[1:] > 0).all():
        rising: Values = recorded[0] + np.cumsum(np.rint(chance.choice(steps[1:], len(places))))
        return rising
    moved = (chance.random(len(places)) < MOVED) & (steps[places] != 0)
    values = recorded[places] + np.where(
        moved, MOVE * chance.choice(steps, len(places)) * chance.choice([-1, 1], len(places)), 0
    )
    values = np.clip(values, recorded.min(), recorded.max())
    if recorded.max() <= 1.0:
        return np.array([ratio(value) for value in values.tolist()])
    if (recorded == np.rint(recorded)).all():
        grain = float(np.gcd.reduce(recorded.astype(np.int64)))
        return np.rint(values * (scale if recorded.max() > LARGE else 1.0) / grain) * grain
    return np.array([rate(value * scale) for value in values.tolist()])


def _filled(one: Recorded) -> Values:
    """The series without its gaps, each bearing the value before it."""
    values = np.array(one.values, dtype=np.float64)
    there = np.flatnonzero(~np.isnan(values))
    return values[there[np.clip(np.searchsorted(there, np.arange(len(values)), side="right") - 1, 0, None)]]
