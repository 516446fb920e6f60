"""How long the machine has been up."""

from __future__ import annotations

from typing import ClassVar

from twinwatch.monitors import Moment, Reading, Unreadable
from twinwatch.monitors.system import procfs
from twinwatch.protocol.metrics import Chart, Headline, Metric
from twinwatch.world.host import Host

UPTIME = "/proc/uptime"


class Uptime:
    """Seconds since boot, whole ones: the rest is the jitter of the agent's own schedule.

    Source: /proc/uptime (proc_uptime(5)).
    Cost: one read of a line.
    Rights: none.
    """

    name: ClassVar[str] = "uptime"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("system.uptime", "s", "Time since the server was started.", good="high"),
    )
    charts: ClassVar[tuple[Chart, ...]] = ()
    headlines: ClassVar[tuple[Headline, ...]] = ()

    async def read(self, host: Host, moment: Moment) -> list[Reading]:
        """One run."""
        for line in procfs.lines(host.read_text(UPTIME)):
            for word in line.split():
                return [Reading("system.uptime", int(procfs.decimal(UPTIME, word)))]
        raise Unreadable(f"{UPTIME}: expected two numbers and a newline")
