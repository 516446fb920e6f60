"""The load averages."""

from __future__ import annotations

from typing import ClassVar

from twinwatch.monitors import Moment, Reading, Unreadable
from twinwatch.monitors.system import procfs
from twinwatch.protocol.metrics import Chart, Headline, Metric
from twinwatch.world.host import Host

LOADAVG = "/proc/loadavg"
NAMES = ("system.cpu.load_average.1m", "system.cpu.load_average.5m", "system.cpu.load_average.15m")


class Load:
    """How many tasks ran or waited, on average.

    Source: /proc/loadavg (proc_loadavg(5)).
    Cost: one read of a line.
    Rights: none.
    """

    name: ClassVar[str] = "load"
    metrics: ClassVar[tuple[Metric, ...]] = tuple(
        Metric(
            name,
            "{thread}",
            f"Tasks that ran, waited for a core or for a disk, averaged over {minutes}. Above the number of cores, "
            "some wait; pressure says more precisely how long.",
            good="low",
        )
        for name, minutes in zip(NAMES, ("one minute", "five minutes", "fifteen minutes"), strict=True)
    )
    charts: ClassVar[tuple[Chart, ...]] = (Chart("Load average", NAMES),)
    headlines: ClassVar[tuple[Headline, ...]] = ()

    async def read(self, host: Host, moment: Moment) -> list[Reading]:
        """One run."""
        words = [word for line in procfs.lines(host.read_text(LOADAVG)) for word in line.split()]
        if len(words) < 3:
            raise Unreadable(f"{LOADAVG}: expected three numbers and a newline")
        return [Reading(name, procfs.decimal(LOADAVG, word)) for name, word in zip(NAMES, words, strict=False)]
