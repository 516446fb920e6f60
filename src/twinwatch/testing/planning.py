"""Plans and configurations made of monitors that a test holds in its hand."""

from __future__ import annotations

from typing import Any

from twinwatch.agent.plan import Plan, Planned
from twinwatch.monitors import Monitor, Options


def planned(
    monitor: Monitor,
    *,
    name: str = "",
    part: str = "",
    interval_seconds: float | None = None,
    deadline_seconds: float | None = None,
) -> Planned:
    """The monitor as planned: the scheduler gets this very instance. Two calls give two that differ."""
    kind = type(monitor)
    interval = interval_seconds or kind.interval_seconds

    def handed_over(_: type[Monitor], options: Any) -> Monitor:
        return monitor

    staged = type(kind.__name__, (kind,), {"__new__": handed_over})
    return Planned(
        name=name or kind.name,
        part=part,
        kind=staged,
        options=Options(),
        interval_seconds=interval,
        deadline_seconds=min(deadline_seconds or kind.deadline_seconds, interval),
        origin="default",
    )


def plan_of(*monitors: Monitor, interval_seconds: float | None = None) -> Plan:
    """These monitors; of several of one type, the second and later have names of their own (``counting-2``)."""
    count: dict[str, int] = {}
    found = []
    for monitor in monitors:
        count[monitor.name] = number = count.get(monitor.name, 0) + 1
        name = f"{monitor.name}-{number}" if number > 1 else monitor.name
        found.append(planned(monitor, name=name, interval_seconds=interval_seconds))
    return Plan(tuple(found))
