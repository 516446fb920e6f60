"""What a monitor is. One file (or folder) each: it declares what it measures and knows how to read it once.

A monitor touches only the ``Host`` (and later other doors) handed to ``read``. It keeps what it must remember between
two runs, such as the counters that a rate is made of, in itself; a fresh instance starts fresh. Importing it has no
side effect: it is found by ``discover``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from twinwatch.protocol.metrics import Chart, Headline, Metric
from twinwatch.world.host import Host


@dataclass(frozen=True, slots=True)
class Reading:
    """One value of one series, at the run's time. ``value`` is finite, in the metric's unit."""

    metric: str
    value: float
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Moment:
    """When a run takes place.

    ``monotonic_seconds`` never jumps and is what rates are made with; ``time`` is the wall clock in ms UTC.
    """

    time: int
    monotonic_seconds: float


class Absent(Exception):
    """What the monitor watches is not on this host. Expected; not an error of the run."""


class Unreadable(Exception):
    """The source is there but its answer is not lawful, or it may not be read; the message says which and why."""


class Monitor(Protocol):
    """A configured plug-in. ``read`` is called every ``interval_seconds`` and cut off at ``deadline_seconds``."""

    name: ClassVar[str]
    title: ClassVar[str]
    interval_seconds: ClassVar[float]
    deadline_seconds: ClassVar[float]
    metrics: ClassVar[tuple[Metric, ...]]
    charts: ClassVar[tuple[Chart, ...]]
    headlines: ClassVar[tuple[Headline, ...]]

    async def read(self, host: Host, moment: Moment) -> list[Reading]:
        """One run.

        Raises: Absent if there is nothing to watch; Unreadable if nothing could be read. A part that cannot be read
        is left out of the readings: a missing series is *no sample*, never zero.
        """
        ...
