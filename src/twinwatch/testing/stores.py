"""A sample store in memory, slow and plain: a stand-in for the real ones, and what they are compared with."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from math import isfinite, nan
from uuid import UUID

import numpy as np

from twinwatch.hub.stores import Arrival, Last, Points, Stats, Verdict, Window
from twinwatch.hub.stores.log import step_for

DAY_MILLISECONDS = 24 * 3600 * 1000


class MemoryStore:
    """Keeps samples in dictionaries. ``organization_of`` is ``None`` for a server that is not there, ``series_of``
    gives the series of a shape's columns."""

    def __init__(
        self, organization_of: Callable[[UUID], UUID | None], series_of: Callable[[UUID, str], Sequence[int]]
    ) -> None:
        self._organization_of = organization_of
        self._series_of = series_of
        self._marks: dict[UUID, int] = defaultdict(int)
        self._batches: dict[UUID, list[Arrival]] = defaultdict(list)

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
        self._batches[server].append(arrival)
        return Verdict(arrival.sequence, fresh=True)

    def _samples(self, server_id: UUID) -> dict[int, dict[int, float]]:
        """Series → time → value; the one that came first stays."""
        found: dict[int, dict[int, float]] = defaultdict(dict)
        for arrival in self._batches[server_id]:
            for frame in arrival.frames:
                series = self._series_of(server_id, frame.shape)
                for number, column in zip(series, frame.columns, strict=True):
                    for time, value in zip(frame.times, column, strict=True):
                        if value is not None and isfinite(value):
                            found[number].setdefault(time, value)
        return found

    async def read(self, server_id: UUID, series_ids: Sequence[int], window: Window) -> Points:
        """See ``SampleStore``."""
        kept = self._samples(server_id)
        inside = [
            {time: value for time, value in kept[number].items() if window.since <= time < window.to}
            for number in series_ids
        ]
        times = sorted({time for some in inside for time in some})
        step = 0
        if len(times) > window.points:
            step = step_for(window)
            times = list(range(window.since // step * step, window.to, step))
            inside = [_means(some, step) for some in inside]
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
                for number, some in self._samples(server).items()
                if some and (series_ids is None or number in series_ids)
            ]
            for server in server_ids
        }

    async def forget(self, server_id: UUID) -> None:
        """See ``SampleStore``."""
        self._batches.pop(server_id, None)

    async def tend(self, now: int, retention_days: int) -> None:
        """See ``SampleStore``."""
        for server, batches in self._batches.items():
            self._batches[server] = [
                one for one in batches if one.received_at >= now - retention_days * DAY_MILLISECONDS
            ]

    async def stats(self) -> Stats:
        """See ``SampleStore``."""
        batches = [arrival for some in self._batches.values() for arrival in some]
        oldest = min((arrival.first for arrival in batches), default=None)
        return Stats(sum(arrival.samples for arrival in batches), 100 * len(batches), oldest)


def _means(samples: dict[int, float], step: int) -> dict[int, float]:
    buckets: dict[int, list[float]] = defaultdict(list)
    for time, value in samples.items():
        buckets[time // step * step].append(value)
    return {start: sum(some) / len(some) for start, some in buckets.items()}
