"""A sample store in memory, slow and plain: a stand-in for the real ones, and what they are compared with."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from math import isfinite, nan
from uuid import UUID

import numpy as np

from twinwatch.hub.stores import Arrival, Last, Measure, Points, Retention, Stats, Verdict, Window
from twinwatch.hub.stores.steps import ROLLED

SAMPLE_BYTES = 16


class MemoryStore:
    """Keeps samples in dictionaries. ``organization_of`` is ``None`` for a server that is not there."""

    def __init__(self, organization_of: Callable[[UUID], UUID | None]) -> None:
        self._organization_of = organization_of
        self._marks: dict[UUID, int] = defaultdict(int)
        self._samples: dict[UUID, dict[int, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
        """Server → series → time → value."""

    async def write(self, arrivals: Sequence[Arrival]) -> list[Verdict]:
        """See ``SampleStore``."""
        return [self._take(arrival) for arrival in arrivals]

    def _take(self, arrival: Arrival) -> Verdict:
        server = arrival.server_id
        if self._organization_of(server) != arrival.organization_id:
            return Verdict(None, fresh=False)
        if arrival.sequence <= self._marks[server]:
            return Verdict(self._marks[server], fresh=False)
        self._marks[server] = arrival.sequence
        for frame in arrival.frames():
            for number, column in zip(arrival.series[frame.shape], frame.columns, strict=True):
                for time, value in zip(frame.times, column, strict=True):
                    if value is not None and isfinite(value):
                        self._samples[server][number].setdefault(time, value)
        return Verdict(arrival.sequence, fresh=True)

    async def read(self, server_id: UUID, series_ids: Sequence[int], window: Window) -> Points:
        """See ``SampleStore``."""
        kept = self._samples[server_id]
        inside = [
            {time: value for time, value in kept[number].items() if window.since <= time < window.to}
            for number in series_ids
        ]
        times = sorted({time for some in inside for time in some})
        step = 0
        if window.least_step or window.step >= ROLLED or len(times) > window.points:
            step = window.step
            times = list(range(window.since // step * step, window.to, step))
            inside = [_buckets(kept[number], step, window.measure) for number in series_ids]
        elif window.measure == "count":
            inside = [dict.fromkeys(some, 1.0) for some in inside]
        values = [[some.get(time, nan) for time in times] for some in inside]
        axis = np.array(times, dtype=np.int64)
        return Points(axis, np.array(values, dtype=np.float64).reshape(len(series_ids), len(times)), step)

    async def latest(
        self, server_ids: Sequence[UUID], series_ids: Collection[int] | None = None
    ) -> dict[UUID, list[Last]]:
        """See ``SampleStore``."""
        return {
            server: [
                Last(number, max(some), some[max(some)])
                for number, some in self._samples[server].items()
                if some and (series_ids is None or number in series_ids)
            ]
            for server in server_ids
        }

    async def fill(self, organization_id: UUID, server_id: UUID, series_ids: Sequence[int], points: Points) -> None:
        """See ``SampleStore``."""
        if self._organization_of(server_id) == organization_id:
            for number, row in zip(series_ids, points.values.tolist(), strict=True):
                for time, value in zip(points.times.tolist(), row, strict=True):
                    if isfinite(value):
                        self._samples[server_id][number].setdefault(time, value)

    async def forget(self, server_id: UUID) -> None:
        """See ``SampleStore``."""
        self._samples.pop(server_id, None)

    async def tend(self, now: int, retention: Retention) -> None:
        """See ``SampleStore``."""
        for server, series in self._samples.items():
            organization = self._organization_of(server)
            cut = now if organization is None else retention.cut(now, organization)
            for number, some in series.items():
                series[number] = {time: value for time, value in some.items() if time >= cut}

    async def stats(self, organization_id: UUID | None = None) -> Stats:
        """See ``SampleStore``."""
        times = [
            time
            for server, series in self._samples.items()
            if organization_id in (None, self._organization_of(server))
            for some in series.values()
            for time in some
        ]
        return Stats(len(times), SAMPLE_BYTES * len(times), min(times, default=None))


def _buckets(samples: dict[int, float], step: int, measure: Measure) -> dict[int, float]:
    buckets: dict[int, list[float]] = defaultdict(list)
    for time, value in samples.items():
        buckets[time // step * step].append(value)
    return {start: _measured(some, measure) for start, some in buckets.items()}


def _measured(values: list[float], measure: Measure) -> float:
    match measure:
        case "mean":
            return sum(values) / len(values)
        case "min":
            return min(values)
        case "max":
            return max(values)
        case "sum":
            return float(sum(values))
        case "count":
            return float(len(values))
