"""What systemd says of one unit, out of the properties of its object. Pure.

Nothing of what the bus answers is taken on trust: a property that is missing, of another type or out of bounds is
None or empty. ``UINT64_MAX`` is how systemd writes "unset" and "infinity".
Source: systemd's D-Bus API (org.freedesktop.systemd1(5)).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from twinwatch.monitors.systemd.names import is_lawful

LARGEST = (1 << 63) - 1
"""Of a sample; no machine counts as far."""
TEXT_CHARACTERS = 200
MICROSECONDS = 1_000_000

Properties = Mapping[str, Any]


def number(properties: Properties, name: str) -> int | None:
    """A count, a size or a time; None if it is unset."""
    value = properties.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < LARGEST:
        return None
    return value


def text(properties: Properties, name: str) -> str:
    """A printable text, cut to a bound."""
    value = properties.get(name)
    if not isinstance(value, str):
        return ""
    return "".join(sign for sign in value[:TEXT_CHARACTERS] if sign.isprintable())


def seconds(properties: Properties, name: str) -> float | None:
    """A time in µs as seconds; None if it is unset or 0, which is "never"."""
    value = number(properties, name)
    return value / MICROSECONDS if value else None


def names(properties: Properties, name: str) -> tuple[str, ...]:
    """A list of units."""
    value = properties.get(name)
    return tuple(one for one in value if isinstance(one, str) and is_lawful(one)) if isinstance(value, list) else ()


@dataclass(frozen=True, slots=True)
class Service:
    """What only a service has. Times in seconds of the monotonic clock, sizes in bytes; None: unset."""

    type: str
    result: str
    restart: str
    code: int
    """How the main process ended: 1 exited, 2 killed, 3 dumped (the kernel's CLD_*); 0: it did not."""
    status: int
    """Its exit status or signal."""
    main_pid: int
    started: float | None
    ended: float | None
    restarts: int | None
    group: str
    """Its control group, below the root of the hierarchy."""
    memory: int | None
    memory_peak: int | None
    memory_max: int | None
    tasks: int | None
    tasks_max: int | None
    cpu_nanoseconds: int | None
    io: tuple[int | None, int | None]
    """Bytes read, written."""
    network: tuple[int | None, int | None]
    """Bytes received, sent."""
    oom_kills: int | None
    watchdog: float | None
    watchdog_heard: float | None


@dataclass(frozen=True, slots=True)
class Timer:
    """What only a timer has. Times in seconds; None: unset or never."""

    unit: str
    """The unit that it starts."""
    last: float | None
    """When it last did, wall clock."""
    next_real: float | None
    next_monotonic: float | None
    accuracy: float
    period: float | None
    """The longest pause that its monotonic settings leave between two starts."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit. Times in seconds of the monotonic clock; None: never."""

    name: str
    load: str
    active: str
    sub: str
    file: str = ""
    """``enabled``, ``masked`` … of its unit file."""
    condition: bool = True
    stale: bool = False
    """Its file changed since systemd read it."""
    triggered_by: tuple[str, ...] = ()
    entered: float | None = None
    """When it took on its state."""
    limit_burst: int | None = None
    limit_seconds: float | None = None
    result: str = ""
    """Of a mount, a socket and so on."""
    service: Service | None = None
    timer: Timer | None = None


def unit_of(name: str, common: Properties, own: Properties) -> Unit:
    """The unit whose ``Unit`` interface said ``common`` and whose own interface said ``own``."""
    return Unit(
        name=name,
        load=text(common, "LoadState"),
        active=text(common, "ActiveState"),
        sub=text(common, "SubState"),
        file=text(common, "UnitFileState"),
        condition=common.get("ConditionResult") is not False or not number(common, "ConditionTimestampMonotonic"),
        stale=common.get("NeedDaemonReload") is True,
        triggered_by=names(common, "TriggeredBy"),
        entered=seconds(common, "StateChangeTimestampMonotonic"),
        limit_burst=number(common, "StartLimitBurst"),
        limit_seconds=seconds(common, "StartLimitIntervalUSec"),
        result=text(own, "Result"),
        service=_service_of(own) if name.endswith(".service") else None,
        timer=_timer_of(own) if name.endswith(".timer") else None,
    )


def _service_of(own: Properties) -> Service:
    return Service(
        type=text(own, "Type"),
        result=text(own, "Result"),
        restart=text(own, "Restart"),
        code=number(own, "ExecMainCode") or 0,
        status=number(own, "ExecMainStatus") or 0,
        main_pid=number(own, "MainPID") or 0,
        started=seconds(own, "ExecMainStartTimestampMonotonic"),
        ended=seconds(own, "ExecMainExitTimestampMonotonic"),
        restarts=number(own, "NRestarts"),
        group=text(own, "ControlGroup"),
        memory=number(own, "MemoryCurrent"),
        memory_peak=number(own, "MemoryPeak"),
        memory_max=number(own, "MemoryMax"),
        tasks=number(own, "TasksCurrent"),
        tasks_max=number(own, "TasksMax"),
        cpu_nanoseconds=number(own, "CPUUsageNSec"),
        io=(number(own, "IOReadBytes"), number(own, "IOWriteBytes")),
        network=(number(own, "IPIngressBytes"), number(own, "IPEgressBytes")),
        oom_kills=number(own, "OOMKills"),
        watchdog=seconds(own, "WatchdogUSec"),
        watchdog_heard=seconds(own, "WatchdogTimestampMonotonic"),
    )


def _timer_of(own: Properties) -> Timer:
    unit = text(own, "Unit")
    return Timer(
        unit=unit if is_lawful(unit) else "",
        last=seconds(own, "LastTriggerUSec"),
        next_real=seconds(own, "NextElapseUSecRealtime"),
        next_monotonic=seconds(own, "NextElapseUSecMonotonic"),
        accuracy=(seconds(own, "AccuracyUSec") or 0.0) + (seconds(own, "RandomizedDelayUSec") or 0.0),
        period=_period(own.get("TimersMonotonic")),
    )


def _period(settings: Any) -> float | None:
    """Of ``OnUnitActiveUSec=`` and ``OnUnitInactiveUSec=``, which are what repeats."""
    found = []
    for setting in settings if isinstance(settings, list) else ():
        if isinstance(setting, list | tuple) and len(setting) == 3 and setting[0] in _REPEATING:
            after = seconds({"": setting[1]}, "")
            if after:
                found.append(after)
    return max(found, default=None)


_REPEATING = ("OnUnitActiveUSec", "OnUnitInactiveUSec")


@dataclass(frozen=True, slots=True)
class Row:
    """A line of ``ListUnits``."""

    name: str
    load: str
    active: str
    sub: str


def rows_of(listed: Any) -> list[Row]:
    """The rows that are lawful, by name. Raises nothing: what is not a row is left out."""
    found: dict[str, Row] = {}
    for row in listed if isinstance(listed, list) else ():
        if isinstance(row, list | tuple) and len(row) >= 5 and all(isinstance(word, str) for word in row[:5]):
            name = row[0]
            if is_lawful(name):
                load, active, sub = (text({"": word}, "") for word in row[2:5])
                found[name] = Row(name, load, active, sub)
    return [found[name] for name in sorted(found)]


def files_of(listed: Any) -> frozenset[str]:
    """The unit files that ``ListUnitFiles`` names: names without folders."""
    found = set()
    for row in listed if isinstance(listed, list) else ():
        if isinstance(row, list | tuple) and len(row) >= 2 and isinstance(row[0], str):
            found.add(row[0].rpartition("/")[2])
    return frozenset(found)
