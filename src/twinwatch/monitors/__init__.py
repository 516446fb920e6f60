"""What a monitor is. One file (or folder) each: it declares what it measures and knows how to read it once.

A monitor touches only the doors (``World``) handed to it. It keeps what it must remember between two runs, such as
the counters that a rate is made of, in itself; a fresh instance starts fresh. Importing it has no side effect: it is
found by ``discover``. A library that it alone needs is imported within its methods.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, NamedTuple, Protocol, TypeAlias

import msgspec

from twinwatch.protocol.checks import CheckState
from twinwatch.protocol.metrics import Chart, Headline, Metric
from twinwatch.world.doors import World
from twinwatch.world.forms import SecretText as SecretText

Program = Annotated[str, msgspec.Meta(extra_json_schema={"format": "program"})]
"""The type of an option that names a program to run: a hub may set it only where the agent's file allows exec."""


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person may set on a monitor: a subclass per monitor (``frozen=True, kw_only=True``).

    Each field is ``Annotated[type, Meta(title=…, description=…, bounds)]``: that is where forms and docs come from.
    Lists are ``tuple[X, ...]``, credentials ``SecretText``, durations ``Duration`` (default ``lasting("30s")``).
    """


@dataclass(frozen=True, slots=True)
class Reading:
    """One value of one series, at the run's time. ``value`` is finite, in the metric's unit."""

    metric: str
    value: float
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Check:
    """A named state. ``name`` is unique within the monitor; the agent puts the monitor's own name before it.

    ``unknown`` where it could not be judged: neither ok nor failed. ``reason`` is a slug for programs, ``message`` a
    sentence for people; both are empty or nearly so while it is up.
    """

    name: str
    state: CheckState
    message: str = ""
    reason: str = ""


Finding: TypeAlias = Reading | Check


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


class Part(NamedTuple):
    """One of several things that a monitor watches apart from one another, each with its own runs.

    ``name`` tells it from its brothers in logs and ``twinwatch.monitor.up``; empty if it is the only one.
    """

    name: str
    options: Any
    interval_seconds: float | None = None


class Declaration(NamedTuple):
    """Metrics that are known only once the source was read, and their charts."""

    metrics: tuple[Metric, ...] = ()
    charts: tuple[Chart, ...] = ()


class Monitor(Protocol):
    """A configured plug-in: ``kind(options)``. ``read`` is called every ``interval_seconds`` and cut off at
    ``deadline_seconds``.

    ``name`` is the type in the configuration file. Two optional methods:

    - ``async def watch(self, world: World, changed: Callable[[], None]) -> None`` runs beside ``read`` for as long as
      the monitor does; it calls ``changed()`` when there is something new, and ``read`` is called at once. If it ends
      or raises, it is started again with back-off, and ``read`` goes on by interval.
    - ``@classmethod def split(cls, options: Options) -> Sequence[Part]`` divides one entry of the configuration into
      parts that run, fail and hang apart from one another (an HTTP endpoint each).

    An optional attribute of the class, ``rules: ClassVar[tuple[Rule, ...]]``: what alerts unless somebody says
    otherwise. ``check`` is the check's own name or a pattern (``*`` is every check of the monitor); the agent puts the
    monitor's name before it, as it does before the rule's. Few, and right without tuning.

    Another, ``aliases: ClassVar[tuple[str, ...]]``: names that the configuration takes for the monitor's as well.

    And one optional attribute of the instance, ``learned: Declaration``, for a source that names its own metrics:
    replaced by a new one when there are more, and the catalogue follows.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    Options: ClassVar[type[Options]]
    interval_seconds: ClassVar[float]
    deadline_seconds: ClassVar[float]
    metrics: ClassVar[tuple[Metric, ...]]
    charts: ClassVar[tuple[Chart, ...]]
    headlines: ClassVar[tuple[Headline, ...]]

    def __init__(self, options: Any) -> None: ...

    async def read(self, world: World, moment: Moment) -> Sequence[Finding]:
        """One run.

        Raises: Absent if there is nothing to watch; Unreadable if nothing could be read. A part that cannot be read
        is left out of the readings: a missing series is *no sample*, never zero; its checks are ``unknown``.
        """
        ...
