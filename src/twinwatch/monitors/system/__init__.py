"""The system monitor: processors, memory, disks, network, pressure of the server itself.

One part per file. Each part has its own source and fails alone: what cannot be read is left out of the readings.
Counters become rates here on the agent, so that the hub stores what people look at.
Names and units follow the OpenTelemetry semantic conventions for system metrics. Where the convention has a counter
(``system.disk.io`` in ``By``) the metric of that name is its rate (``By/s``).
"""

from __future__ import annotations

from typing import ClassVar

from twinwatch.monitors import Absent, Check, Finding, Moment, Options, Unreadable
from twinwatch.monitors.system.options import PARTS, SystemOptions
from twinwatch.monitors.system.rules import RULES
from twinwatch.protocol.metrics import Chart, Headline, Metric
from twinwatch.protocol.rules import Rule
from twinwatch.world.doors import World
from twinwatch.world.host import Missing, Refused


class System:
    """Watches the server itself: processors, memory, disks, network, pressure, limits, heat, clock, pending updates.

    Parts run one after another, in the order of their charts.

    Source: /proc and, for the kinds of disks, /sys.
    Cost: some thirty small reads and a call per mount: about two milliseconds on a small machine.
    Rights: none.
    """

    name: ClassVar[str] = "system"
    title: ClassVar[str] = "System"
    Options: ClassVar[type[Options]] = SystemOptions
    interval_seconds: ClassVar[float] = 15.0
    deadline_seconds: ClassVar[float] = 10.0
    metrics: ClassVar[tuple[Metric, ...]] = tuple(metric for part in PARTS for metric in part.metrics)
    charts: ClassVar[tuple[Chart, ...]] = tuple(chart for part in PARTS for chart in part.charts)
    headlines: ClassVar[tuple[Headline, ...]] = tuple(headline for part in PARTS for headline in part.headlines)
    rules: ClassVar[tuple[Rule, ...]] = RULES

    def __init__(self, options: SystemOptions) -> None:
        self._options = options
        self._parts = tuple(part() for part in options.parts())
        self.left_out: dict[str, str] = {}
        """Why parts were left out of the last run: name of the part to reason. Empty when all is well."""

    async def read(self, world: World, moment: Moment) -> list[Finding]:
        """One run of every part that is wanted.

        Raises: Absent if the host has no source of any part; Unreadable if some are there but none can be read.
        """
        found: list[Finding] = []
        missing: dict[str, str] = {}
        unreadable: dict[str, str] = {}
        for part in self._parts:
            try:
                found += await part.read(world.host, moment)
            except Missing as err:
                missing[part.name] = f"{err} is not there"
            except (Refused, Unreadable) as err:
                unreadable[part.name] = str(err)
        self.left_out = missing | unreadable
        if not found and len(self.left_out) == len(self._parts):
            reasons = "; ".join(unreadable.values())
            raise Unreadable(reasons) if unreadable else Absent("/proc is not mounted")
        found += [Check(f"part:{name}", "unknown", reason, "unreadable") for name, reason in unreadable.items()]
        return [one for one in found if self._options.wants(one)] if self._options.leaves_out else found
