"""Plans and configurations made of monitors that a test holds in its hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from twinwatch.agent.alerting.addressing import FileAlerts
from twinwatch.agent.configuration import Settings
from twinwatch.agent.plan import Plan, Planned
from twinwatch.monitors import Monitor, Options
from twinwatch.protocol.checks import ConfigurationStanding
from twinwatch.protocol.configuration import Configuration
from twinwatch.protocol.rules import Rule


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


class FixedConfiguration:
    """A configuration that stays as it is but for ``become``: what ``agent.configuration`` is to the agent."""

    def __init__(self, settings: Settings, plan: Plan) -> None:
        self.settings = settings
        self.plan = plan
        self.standing = ConfigurationStanding()
        self.rules: tuple[Rule, ...] = ()
        self.alerts = FileAlerts()
        self.version = 0
        self.taken: list[Configuration] = []
        self.reloads = 0
        self._callbacks: list[Callable[[], None]] = []

    def become(self, plan: Plan) -> None:
        """Let this be the plan from now on."""
        self.plan = plan
        self._tell()

    def judge_by(self, *rules: Rule, alerts: FileAlerts | None = None) -> None:
        """Let these be the file's rules, and this what it says of telling people, from now on."""
        self.rules = rules
        self.alerts = alerts or self.alerts
        self._tell()

    def on_change(self, callback: Callable[[], None]) -> None:
        """See ``agent.life.Configuring``."""
        self._callbacks.append(callback)

    async def reload(self) -> None:
        """Counts."""
        self.reloads += 1

    async def watch(self) -> None:
        """Waits."""
        await asyncio.Event().wait()

    def wants(self, version: int) -> bool:
        """Whether it is another version than the one in force."""
        return version != self.version

    async def take(self, configuration: Configuration) -> bool:
        """Remembers the bundle, and says that its version is in force."""
        self.taken.append(configuration)
        self.version = configuration.version
        self.standing = ConfigurationStanding(version=configuration.version)
        self._tell()
        return True

    def _tell(self) -> None:
        for callback in self._callbacks:
            callback()
