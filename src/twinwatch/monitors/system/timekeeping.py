"""Is the server's clock kept right?"""

from __future__ import annotations

from typing import ClassVar

from twinwatch.monitors import Check, Finding, Moment, Reading
from twinwatch.monitors.system import procfs
from twinwatch.protocol.metrics import Chart, Headline, Metric
from twinwatch.world.host import Host, Missing, Refused

UPTIME = "/proc/uptime"
SETTLED_SECONDS = 17 * 60.0
"""A time service may take so long after boot: twice the longest pause between two of its questions."""
CHECK = "clock"


class Clock:
    """Whether a time service steers the clock, and by how much it is off.

    Source: adjtimex(2), /proc/uptime.
    Cost: a system call and a read.
    Rights: none.
    """

    name: ClassVar[str] = "clock"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("system.clock.synchronized", "1", "Whether a time service steers the clock: 1 it does.", good="high"),
        Metric(
            "system.clock.offset", "s", "What the time service still has to correct; positive: the clock is behind."
        ),
        Metric("system.clock.error", "s", "The most by which the clock may be off, as the kernel reckons.", good="low"),
    )
    charts: ClassVar[tuple[Chart, ...]] = (Chart("Clock offset", ("system.clock.offset",)),)
    headlines: ClassVar[tuple[Headline, ...]] = ()

    async def read(self, host: Host, moment: Moment) -> list[Finding]:
        """One run."""
        clock = host.timekeeping()
        found: list[Finding] = [Reading("system.clock.synchronized", int(clock.synchronized))]
        if clock.synchronized:
            found.append(Reading("system.clock.offset", round(clock.offset_seconds, 6)))
            found.append(Reading("system.clock.error", round(max(clock.error_seconds, 0.0), 4)))
            return [*found, Check(CHECK, "up")]
        if _up_seconds(host) < SETTLED_SECONDS:
            return [*found, Check(CHECK, "unknown", "No time service has set the clock since boot yet", "starting")]
        message = "No time service keeps the clock; switch one on, for example with: timedatectl set-ntp true"
        return [*found, Check(CHECK, "degraded", message, "unsynchronized")]


def _up_seconds(host: Host) -> float:
    try:
        words = host.read_text(UPTIME).split()
    except (Missing, Refused):
        return SETTLED_SECONDS
    return procfs.decimal(UPTIME, words[0]) if words else SETTLED_SECONDS
