"""What shall run: the outcome of the configuration and the input of the scheduler."""

from __future__ import annotations

from dataclasses import dataclass

from twinwatch.monitors import Monitor, Options
from twinwatch.protocol.checks import Origin


@dataclass(frozen=True, slots=True)
class Planned:
    """One part of one configured monitor, with a task of its own.

    Two that are equal are the same run: the scheduler leaves it alone when a new plan still has it.
    """

    name: str
    """The monitor's name: its type, or its own where the configuration gives one."""
    part: str
    """Tells the parts of one monitor apart; empty where there is one."""
    kind: type[Monitor]
    options: Options
    interval_seconds: float
    deadline_seconds: float
    origin: Origin

    @property
    def label(self) -> str:
        """What logs and ``twinwatch.monitor.name`` call it."""
        return f"{self.name}/{self.part}" if self.part else self.name

    @property
    def own_name(self) -> str:
        """The name, where it is not just the type: then its series bear it as a label."""
        return self.name if self.name != self.kind.name else ""


@dataclass(frozen=True, slots=True)
class Plan:
    """All that shall run. ``label`` is unique within."""

    monitors: tuple[Planned, ...] = ()
