"""Where samples are kept: one small protocol, with engines behind it.

A store is told series by their number and knows nothing of names. Which server a person may read is decided before
it is asked.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from twinwatch.protocol.samples import Frame


class Misused(Exception):
    """The caller asked for something without meaning, such as a window that ends before it starts."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A batch that passed every check. ``first`` and ``last`` are the times of its oldest and newest sample, ms UTC."""

    organization_id: UUID
    server_id: UUID
    sequence: int
    received_at: int
    first: int
    last: int
    samples: int
    frames: list[Frame]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of an arrival. ``mark`` is the highest number committed; ``None``: the server is gone."""

    mark: int | None
    fresh: bool


@dataclass(frozen=True, slots=True)
class Window:
    """``[since, to)`` in ms UTC, and how many points at most."""

    since: int
    to: int
    points: int

    def __post_init__(self) -> None:
        if self.to <= self.since or self.points < 1:
            raise Misused(f"window [{self.since}, {self.to}) with {self.points} points")


@dataclass(frozen=True, slots=True)
class Points:
    """Columns of several series on one axis.

    Shape: times int64[n] ascending, ms UTC; values float64[k, n], a row per series as asked for; NaN = no sample.
    ``step`` is the width of a bucket in ms whose mean the point is, at whose start it stands; 0 = samples as they came.
    """

    times: NDArray[np.int64]
    values: NDArray[np.float64]
    step: int


@dataclass(frozen=True, slots=True)
class Last:
    """The newest sample of a series."""

    series_id: int
    time: int
    value: float


@dataclass(frozen=True, slots=True)
class Stats:
    """What a store holds. ``oldest`` is ms UTC, ``None`` when it is empty."""

    samples: int
    size_bytes: int
    oldest: int | None


class SampleStore(Protocol):
    """Keeps samples. Every method may raise ``DatabaseAway``."""

    async def write(self, arrivals: Sequence[Arrival]) -> list[Verdict]:
        """Commits the arrivals whose number is above their server's mark, all or none, and raises the marks with them.

        Bounds: at most one arrival per server. The verdicts are in the order of the arrivals.
        """
        ...

    async def read(self, server_id: UUID, series_ids: Sequence[int], window: Window) -> Points:
        """Points of these series of one server, coarsened to at most ``window.points``."""
        ...

    async def latest(
        self, server_ids: Sequence[UUID], series_ids: Collection[int] | None = None
    ) -> dict[UUID, list[Last]]:
        """The newest sample of each series in each server's most recent batches; of these series only, if given."""
        ...

    async def forget(self, server_id: UUID) -> None:
        """Removes all samples of a server."""
        ...

    async def tend(self, now: int, retention_days: int) -> None:
        """Work that has to be done every hour: room for what comes, an end for what is past keeping."""
        ...

    async def stats(self) -> Stats:
        """How much is kept."""
        ...
