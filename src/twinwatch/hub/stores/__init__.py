"""Where samples are kept: one small protocol, with engines behind it.

A store is told series by their number and knows nothing of names. Which server a person may read, and from when on
their plan lets them, is decided before it is asked.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from twinwatch.hub.stores.batches import whole_frames
from twinwatch.hub.stores.steps import step_for
from twinwatch.protocol.samples import Frame

DAY_MILLISECONDS = 24 * 3600 * 1000

Measure = Literal["mean", "min", "max", "sum", "count"]
"""What a bucket of samples becomes. Of samples as they came each is its own mean, min, max and sum, and counts 1."""


class Misused(Exception):
    """The caller asked for something without meaning, such as a window that ends before it starts."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A batch that passed every check. ``first`` and ``last`` are the times of its oldest and newest sample, ms UTC.

    ``series`` are the numbers of each shape's columns, by the shape's id: every shape of its frames is there. ``body``
    holds the frames as ``batches`` has them: decoded they take ten times as much, and many wait to be committed.
    """

    organization_id: UUID
    server_id: UUID
    sequence: int
    received_at: int
    first: int
    last: int
    samples: int
    series: Mapping[str, Sequence[int]]
    body: bytes

    def frames(self) -> Sequence[Frame]:
        """What it holds, decoded."""
        return whole_frames(self.body)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of an arrival. ``mark`` is the highest number committed; ``None``: the server is gone."""

    mark: int | None
    fresh: bool


@dataclass(frozen=True, slots=True)
class Window:
    """``[since, to)`` in ms UTC, how many points at most, and what a point is where it stands for several samples.

    ``least_step`` is the narrowest bucket wanted, ms: for axes that are to be alike. 0: samples as they came will do.
    """

    since: int
    to: int
    points: int
    measure: Measure = "mean"
    least_step: int = 0

    def __post_init__(self) -> None:
        if self.to <= self.since or self.points < 1 or self.least_step < 0:
            raise Misused(f"window [{self.since}, {self.to}) with {self.points} points of {self.least_step} ms")

    @property
    def step(self) -> int:
        """The width of the buckets, ms, if the samples as they came will not do."""
        return step_for(self.since, self.to, self.points, self.least_step)


@dataclass(frozen=True, slots=True)
class Points:
    """Columns of several series on one axis.

    Shape: times int64[n] ascending, ms UTC; values float64[k, n], a row per series as asked for; NaN = no sample.
    ``step`` is the width of a bucket in ms at whose start the point stands; 0 = samples as they came. With buckets the
    axis has every bucket of the window, and a bucket is whole even where the window cuts it.
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
    """What a store holds. ``oldest`` is ms UTC, ``None`` when it is empty; ``size_bytes`` has everything in it."""

    samples: int
    size_bytes: int
    oldest: int | None


@dataclass(frozen=True, slots=True)
class Retention:
    """How many days samples are kept: as most organizations have it, and those that have it otherwise."""

    days: int
    special: Mapping[UUID, int] = field(default_factory=dict)
    latest: int = sys.maxsize
    """No later moment, ms UTC, is taken for now: a hub whose clock is ahead would end what others keep."""

    @property
    def longest_days(self) -> int:
        """For how many days the samples of those are kept who keep them for longest."""
        return max((self.days, *self.special.values()))

    @property
    def shortest_days(self) -> int:
        """For how many days the samples of those are kept who keep them for the shortest time."""
        return min((self.days, *self.special.values()))

    def moment(self, now: int) -> int:
        """What is taken for now, ms UTC, where a hub's clock says this."""
        return min(now, self.latest)

    def cut(self, now: int, organization_id: UUID) -> int:
        """Samples of the organization that are older than this moment, ms UTC, are past keeping."""
        return self.moment(now) - self.special.get(organization_id, self.days) * DAY_MILLISECONDS

    def longest_cut(self, now: int) -> int:
        """What is older than this moment, ms UTC, is past keeping for everybody."""
        return self.moment(now) - self.longest_days * DAY_MILLISECONDS


class SampleStore(Protocol):
    """Keeps samples. Every method may raise ``DatabaseAway``.

    Of two samples of one series at one time one stays, and every read gives that one.
    """

    async def write(self, arrivals: Sequence[Arrival]) -> list[Verdict]:
        """Commits the arrivals whose number is above their server's mark, all or none, and raises the marks with them.

        Bounds: at most one arrival per server. The verdicts are in the order of the arrivals.
        """
        ...

    async def read(self, server_id: UUID, series_ids: Sequence[int], window: Window) -> Points:
        """Points of these series of one server.

        The samples as they came where there are at most ``window.points`` times of them, ``window.least_step`` is 0
        and ``window.step`` below ``steps.ROLLED``; else buckets of ``window.step``.
        """
        ...

    async def latest(
        self, server_ids: Sequence[UUID], series_ids: Collection[int] | None = None
    ) -> dict[UUID, list[Last]]:
        """The newest sample of each series in what each server sent last; of these series only, if given.

        Of all series of one server alone that is what it sends however seldom; else it may be an older sample, or none,
        of a series that came in none of the last few batches.
        """
        ...

    async def fill(self, organization_id: UUID, server_id: UUID, series_ids: Sequence[int], points: Points) -> None:
        """Adds samples that another store held; one that is there already stays. What came twice counts once.

        ``points`` are samples as they came, a row per series. They are read at once; ``latest`` need not tell of them.
        """
        ...

    async def forget(self, server_id: UUID) -> None:
        """Removes all samples of a server."""
        ...

    async def tend(self, now: int, retention: Retention) -> None:
        """Work that has to be done every hour: room for what comes, an end for what is past keeping.

        What is past keeping may stay a day longer.
        """
        ...

    async def stats(self, organization_id: UUID | None = None) -> Stats:
        """How much is kept, of one organization or of all."""
        ...
