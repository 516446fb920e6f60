"""Swap space, and pages that had to be fetched."""

from __future__ import annotations

from typing import ClassVar

from twinwatch.monitors import Moment, Reading
from twinwatch.monitors.digits import rate, ratio
from twinwatch.monitors.rates import Rates
from twinwatch.monitors.system import procfs
from twinwatch.monitors.system.memory import meminfo
from twinwatch.protocol.metrics import Chart, Headline, Metric
from twinwatch.world.host import Host

VMSTAT = "/proc/vmstat"
USED, FREE = ({"system.paging.state": state} for state in ("used", "free"))
DIRECTIONS = tuple({"system.paging.direction": direction} for direction in ("in", "out"))
FAULTS = tuple({"system.paging.fault.type": kind} for kind in ("major", "minor"))


class Paging:
    """Swap and page faults. Where there is no swap space its series are absent rather than zero.

    Source: /proc/meminfo, /proc/vmstat (proc(5)): pswpin, pswpout, pgmajfault, pgfault.
    Cost: two reads.
    Rights: none.
    """

    name: ClassVar[str] = "paging"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("system.paging.usage", "By", "Swap space by state."),
        Metric("system.paging.utilization", "1", "Share of the swap space that is used.", good="low"),
        Metric(
            "system.paging.operations",
            "{operation}/s",
            "Pages read from swap (in) and written to it (out), per second. Much of both at once means that memory is "
            "too small for the work.",
            good="low",
        ),
        Metric(
            "system.paging.faults",
            "{fault}/s",
            "Page faults per second. A major one had to wait for a disk; a minor one did not.",
            good="low",
        ),
    )
    charts: ClassVar[tuple[Chart, ...]] = (
        Chart("Swap", ("system.paging.usage",), by=("system.paging.state",), style="stack"),
        Chart(
            "Swap activity",
            ("system.paging.operations",),
            by=("system.paging.direction",),
            style="area",
            mirror=("out",),
        ),
        Chart("Page faults", ("system.paging.faults",), by=("system.paging.fault.type",)),
    )
    headlines: ClassVar[tuple[Headline, ...]] = ()

    def __init__(self) -> None:
        self._rates = Rates()

    async def read(self, host: Host, moment: Moment) -> list[Reading]:
        """One run."""
        sizes = meminfo(host)
        text = host.read_text(VMSTAT)
        swapped = _pair(text, "pswpin", "pswpout")
        faults = _pair(text, "pgmajfault", "pgfault")
        self._rates.begin(moment.monotonic_seconds)
        readings = []
        total = sizes.get("SwapTotal", 0)
        if total:
            free = min(sizes.get("SwapFree", total), total)
            readings.append(Reading("system.paging.usage", total - free, USED))
            readings.append(Reading("system.paging.usage", free, FREE))
            readings.append(Reading("system.paging.utilization", ratio((total - free) / total)))
        if swapped and (grown := self._rates.growth("swap", swapped)) and total:
            for labels, amount in zip(DIRECTIONS, grown, strict=True):
                readings.append(Reading("system.paging.operations", rate(amount / self._rates.seconds), labels))
        if faults and (grown := self._rates.growth("faults", faults)):
            major, every = grown
            for labels, amount in zip(FAULTS, (major, max(0, every - major)), strict=True):
                readings.append(Reading("system.paging.faults", rate(amount / self._rates.seconds), labels))
        return readings


def _pair(text: str, first: str, second: str) -> tuple[int, int] | None:
    left, right = procfs.field(VMSTAT, text, first), procfs.field(VMSTAT, text, second)
    return None if left is None or right is None else (left, right)
