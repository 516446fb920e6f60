"""A monitor whose one value and one check are set by hand, for stories about alerts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from twinwatch.monitors import Check, Finding, Moment, Monitor, Options, Reading
from twinwatch.protocol.checks import CheckState
from twinwatch.protocol.metrics import Chart, Headline, Metric
from twinwatch.protocol.rules import Rule
from twinwatch.world.doors import World


class Gauge(Monitor):
    """Yields ``value`` (none for None) and, by name, the ``checks``."""

    name: ClassVar[str] = "gauge"
    title: ClassVar[str] = "Gauge"
    Options: ClassVar[type[Options]] = Options
    interval_seconds: ClassVar[float] = 15.0
    deadline_seconds: ClassVar[float] = 10.0
    metrics: ClassVar[tuple[Metric, ...]] = (Metric("gauge.level", "1", "How full it is", good="low"),)
    charts: ClassVar[tuple[Chart, ...]] = (Chart("Level", ("gauge.level",)),)
    headlines: ClassVar[tuple[Headline, ...]] = ()
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("failed", severity="critical", check="*"),
        Rule("almost full", metric="gauge.level", above=0.9),
    )

    def __init__(self, options: Any = None) -> None:
        self.value: float | None = 0.1
        self.checks: dict[str, CheckState] = {"pump": "up"}

    async def read(self, world: World, moment: Moment) -> Sequence[Finding]:
        """One run."""
        found: list[Finding] = [Check(name, state, _said(name, state)) for name, state in self.checks.items()]
        if self.value is not None:
            found.append(Reading("gauge.level", self.value))
        return found


def _said(name: str, state: CheckState) -> str:
    return "" if state == "up" else f"{name} is {state}"
