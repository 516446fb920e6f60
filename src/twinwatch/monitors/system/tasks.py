"""Processes, threads and open files of the whole server, against their limits."""

from __future__ import annotations

from typing import ClassVar

from twinwatch.monitors import Finding, Moment, Reading
from twinwatch.monitors.digits import rate, ratio
from twinwatch.monitors.rates import Rates
from twinwatch.monitors.system import procfs
from twinwatch.protocol.metrics import Chart, Headline, Metric
from twinwatch.world.host import Host, Missing, Refused

STAT = "/proc/stat"
LOADAVG = "/proc/loadavg"
FILE_NR = "/proc/sys/fs/file-nr"
PID_MAX = "/proc/sys/kernel/pid_max"
THREADS_MAX = "/proc/sys/kernel/threads-max"

ZOMBIE_SECONDS = 60.0
"""Zombies are only found by looking at every process, so that is done once a minute."""
LOOKED_AT = 4_096
"""Processes looked at for zombies."""

RUNNING, BLOCKED, ZOMBIE = ({"process.state": state} for state in ("running", "blocked", "zombie"))


class Tasks:
    """How many there are, how many are made, and how near the limits are.

    Source: /proc/stat, /proc/loadavg, /proc/sys/fs/file-nr, /proc/sys/kernel/{pid_max,threads-max}, and for zombies
    the state in /proc/<pid>/stat (proc(5)).
    Cost: five reads; once a minute one per process.
    Rights: none; with ``hidepid`` on /proc other users' processes are not counted.
    """

    name: ClassVar[str] = "tasks"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(
            "system.process.count",
            "{process}",
            "Processes that run on a core, are blocked by I/O, or are zombies: ended, but not yet asked after by "
            "their parent.",
            good="low",
        ),
        Metric("system.process.created", "{process}/s", "Processes and threads made, per second."),
        Metric("system.cpu.context_switches", "{switch}/s", "How often cores changed from one task to another."),
        Metric("system.thread.count", "{thread}", "Threads of all processes."),
        Metric(
            "system.thread.utilization",
            "1",
            "Share of the threads that the kernel allows. At 1 nothing can be started any more.",
            good="low",
        ),
        Metric("system.file_descriptor.count", "{file_descriptor}", "Open files of all processes."),
        Metric(
            "system.file_descriptor.utilization", "1", "Share of the open files that the kernel allows.", good="low"
        ),
    )
    charts: ClassVar[tuple[Chart, ...]] = (
        Chart("Processes", ("system.process.count",), by=("process.state",)),
        Chart("Processes made", ("system.process.created",)),
        Chart("Context switches", ("system.cpu.context_switches",)),
        Chart("Limits of the kernel", ("system.thread.utilization", "system.file_descriptor.utilization"), top=1.0),
    )
    headlines: ClassVar[tuple[Headline, ...]] = ()

    def __init__(self) -> None:
        self._rates = Rates()
        self._zombies: int | None = None
        self._looked_at: float | None = None

    async def read(self, host: Host, moment: Moment) -> list[Finding]:
        """One run. The limits that cannot be read leave the rest."""
        text = host.read_text(STAT)
        readings: list[Finding] = []
        for name, labels in (("procs_running", RUNNING), ("procs_blocked", BLOCKED)):
            count = procfs.field(STAT, text, name)
            if count is not None:
                readings.append(Reading("system.process.count", count, labels))
        zombies = self._count_zombies(host, moment.monotonic_seconds)
        if zombies is not None:
            readings.append(Reading("system.process.count", zombies, ZOMBIE))
        counters = procfs.field(STAT, text, "processes"), procfs.field(STAT, text, "ctxt")
        self._rates.begin(moment.monotonic_seconds)
        for metric, counter in zip(("system.process.created", "system.cpu.context_switches"), counters, strict=True):
            if counter is not None and (grown := self._rates.growth(metric, (counter,))):
                readings.append(Reading(metric, rate(grown[0] / self._rates.seconds)))
        return readings + _threads(host) + _open_files(host)

    def _count_zombies(self, host: Host, now: float) -> int | None:
        if self._looked_at is not None and 0 <= now - self._looked_at < ZOMBIE_SECONDS:
            return self._zombies
        self._looked_at = now
        try:
            processes = [name for name in host.list("/proc") if name.isascii() and name.isdigit()]
        except (Missing, Refused):
            processes = []
        # Without processes this is no real /proc: then nothing is known, which is not zero.
        self._zombies = sum(_is_zombie(host, pid) for pid in processes[:LOOKED_AT]) if processes else None
        return self._zombies


def _is_zombie(host: Host, pid: str) -> bool:
    try:
        # The name in parentheses may hold anything, parentheses too: the state follows the last one.
        return host.read_text(f"/proc/{pid}/stat").rpartition(")")[2][1:2] == "Z"
    except (Missing, Refused):
        return False


def _threads(host: Host) -> list[Finding]:
    words = [word for line in procfs.lines(host.read_text(LOADAVG)) for word in line.split()]
    if len(words) < 4 or words[3].count("/") != 1:
        return []
    threads = procfs.counters(LOADAVG, (words[3].partition("/")[2],))[0]
    if threads >= procfs.LARGEST_EXACT:
        return []
    found: list[Finding] = [Reading("system.thread.count", threads)]
    bounds = [bound for path in (PID_MAX, THREADS_MAX) if (bound := _number(host, path))]
    return [*found, Reading("system.thread.utilization", ratio(threads / min(bounds)))] if bounds else found


def _open_files(host: Host) -> list[Finding]:
    try:
        lines = procfs.lines(host.read_text(FILE_NR))
    except (Missing, Refused):
        return []
    numbers = procfs.counters(FILE_NR, lines[0].split()) if lines else ()
    if len(numbers) < 3 or not numbers[2]:
        return []
    taken = max(numbers[0] - numbers[1], 0)
    if taken >= procfs.LARGEST_EXACT:
        return []
    return [
        Reading("system.file_descriptor.count", taken),
        Reading("system.file_descriptor.utilization", ratio(taken / numbers[2])),
    ]


def _number(host: Host, path: str) -> int | None:
    try:
        lines = procfs.lines(host.read_text(path))
    except (Missing, Refused):
        return None
    return procfs.counters(path, lines[:1])[0] if lines else None
