"""What the kernel has had to do or report and never should: kill for memory, lose memory cells, see tasks hang."""

from __future__ import annotations

from typing import ClassVar

from twinwatch.monitors import Check, Finding, Moment, Reading, Unreadable
from twinwatch.monitors.digits import rate
from twinwatch.monitors.rates import Rates
from twinwatch.monitors.system import procfs
from twinwatch.monitors.system.memory import meminfo
from twinwatch.protocol.metrics import Chart, Headline, Metric
from twinwatch.world.host import Host, Missing, Refused

VMSTAT = "/proc/vmstat"
HUNG_TASKS = "/proc/sys/kernel/hung_task_detect_count"
REMEMBERED_SECONDS = 30 * 60.0
"""For so long after an event its check stays degraded, so that a person who was not looking learns of it."""


class Distress:
    """Out-of-memory kills, memory cells that failed, tasks that hung for minutes.

    Source: /proc/vmstat (oom_kill, Linux 4.13), /proc/meminfo (HardwareCorrupted),
    /proc/sys/kernel/hung_task_detect_count (Linux 6.11).
    Cost: three reads.
    Rights: none.
    """

    name: ClassVar[str] = "distress"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(
            "system.memory.oom_kills", "{kill}/s", "Processes that the kernel killed for want of memory.", good="low"
        ),
        Metric("system.memory.corrupted", "By", "Memory that failed and is no longer used.", good="low"),
        Metric("system.process.hung", "{process}/s", "Tasks found hanging for minutes, without a wake-up.", good="low"),
    )
    charts: ClassVar[tuple[Chart, ...]] = (Chart("Killed for want of memory", ("system.memory.oom_kills",)),)
    headlines: ClassVar[tuple[Headline, ...]] = ()

    def __init__(self) -> None:
        self._rates = Rates()
        self._happened: dict[str, float] = {}

    async def read(self, host: Host, moment: Moment) -> list[Finding]:
        """One run."""
        kills = procfs.field(VMSTAT, host.read_text(VMSTAT), "oom_kill")
        hung = _count(host, HUNG_TASKS)
        corrupted = meminfo(host).get("HardwareCorrupted")
        self._rates.begin(moment.monotonic_seconds)
        found: list[Finding] = []
        if kills is not None:
            happened = self._event("system.memory.oom_kills", kills, moment, found)
            message = "A process was killed for want of memory; which one says: journalctl -k -g 'Out of memory'"
            found.append(Check("oom", "degraded", message, "oom-kill") if happened else Check("oom", "up"))
        if hung is not None:
            happened = self._event("system.process.hung", hung, moment, found)
            message = "A task hung for minutes, mostly for a disk; which one says: journalctl -k -g 'blocked for more'"
            found.append(Check("hung-tasks", "degraded", message, "hung") if happened else Check("hung-tasks", "up"))
        if corrupted is not None:
            found.append(Reading("system.memory.corrupted", corrupted))
            message = f"{corrupted // 1024} KiB of memory have failed: the module should be replaced"
            broken = Check("memory-hardware", "degraded", message, "corrupted")
            found.append(broken if corrupted else Check("memory-hardware", "up"))
        return found

    def _event(self, metric: str, counter: int, moment: Moment, found: list[Finding]) -> bool:
        """Adds the rate; the result is whether it happened within ``REMEMBERED_SECONDS``."""
        grown = self._rates.growth(metric, (counter,))
        if grown:
            found.append(Reading(metric, rate(grown[0] / self._rates.seconds)))
            if grown[0]:
                self._happened[metric] = moment.monotonic_seconds
        at = self._happened.get(metric)
        return at is not None and 0 <= moment.monotonic_seconds - at < REMEMBERED_SECONDS


def _count(host: Host, path: str) -> int | None:
    try:
        return procfs.counters(path, (host.read_text(path).strip(),))[0]
    except (Missing, Refused, Unreadable):
        return None
