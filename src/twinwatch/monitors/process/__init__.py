"""The process monitor: do they run, how many, and what do they use."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from twinwatch.monitors import Absent, Check, Finding, Moment, Options, Reading, Unreadable
from twinwatch.monitors.digits import ratio
from twinwatch.monitors.process.options import ProcessOptions, Watched
from twinwatch.monitors.processes import Process, Table, limit_of, pid_of, table
from twinwatch.protocol.metrics import Chart, Headline, Metric
from twinwatch.protocol.rules import Rule
from twinwatch.world.doors import World
from twinwatch.world.host import Host, Kernel, Missing, Refused

LABEL = "process.name"
FILES_LOOKED_AT = 128
"""Processes of an entry whose open files are counted; where there are more, none are."""


@dataclass(slots=True)
class Past:
    """Of one entry: what its last run saw."""

    at: float | None = None
    ticks: dict[tuple[int, int], int] = field(default_factory=dict)
    main: tuple[int, int] | None = None
    restarts: int = 0


class ProcessMonitor:
    """Whether processes run, named by name, command line, pid file or systemd unit, and what they use together.

    Source: /proc, in one pass for all entries.
    Cost: a small read per process of the server: about 20 ms for a thousand.
    Rights: none for all but open files, which only the same user and root may count; without that right they are left
    out. Where /proc is mounted with hidepid, a process that is not seen is unknown, not down.
    """

    name: ClassVar[str] = "process"
    title: ClassVar[str] = "Processes"
    Options: ClassVar[type[Options]] = ProcessOptions
    interval_seconds: ClassVar[float] = 30.0
    deadline_seconds: ClassVar[float] = 10.0
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("process.count", "{process}", "Processes that run."),
        Metric("process.cpu.utilization", "1", "Share of all processors that they use together.", "low"),
        Metric("process.memory.rss", "By", "Resident memory together, shared pages counted for each.", "low"),
        Metric("process.threads", "{thread}", "Threads of all of them."),
        Metric("process.open_file_descriptors", "{file}", "Open files of all of them."),
        Metric("process.open_file_descriptor.utilization", "1", "Share of its limit, of the fullest one.", "low"),
        Metric("process.uptime", "s", "How long the oldest of them has been running."),
        Metric("process.restarts", "{restart}", "How often another became the oldest, since the agent started.", "low"),
    )
    charts: ClassVar[tuple[Chart, ...]] = (
        Chart("CPU of processes", ("process.cpu.utilization",), by=(LABEL,), style="stack"),
        Chart("Memory of processes", ("process.memory.rss",), by=(LABEL,)),
        Chart("Processes", ("process.count",), by=(LABEL,)),
        Chart("Threads of processes", ("process.threads",), by=(LABEL,)),
        Chart("Open files of processes", ("process.open_file_descriptors",), by=(LABEL,)),
        Chart("Share of open files", ("process.open_file_descriptor.utilization",), by=(LABEL,), top=1.0),
        Chart("Uptime of processes", ("process.uptime",), by=(LABEL,)),
        Chart("Restarts of processes", ("process.restarts",), by=(LABEL,)),
    )
    headlines: ClassVar[tuple[Headline, ...]] = ()
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("process missing", severity="critical", check="*"),
        Rule("number of processes", check="*", states=("degraded",), hold="2m"),
    )

    def __init__(self, options: ProcessOptions) -> None:
        self._entries = options.processes
        self._past = {entry.title: Past() for entry in options.processes}
        self._processors = 0

    async def read(self, world: World, moment: Moment) -> list[Finding]:
        """One pass over the processes, for all entries.

        Raises: Absent if there is no /proc; Unreadable if no process may be read.
        """
        host = world.host
        try:
            running = await table(host)
        except Missing as err:
            raise Absent("/proc is not mounted") from err
        except Refused as err:
            raise Unreadable(str(err)) from err
        if not running.processes and running.unread > 1:
            raise Unreadable("/proc: no process may be read")
        uptime = _uptime(host)
        found: list[Finding] = []
        for entry in self._entries:
            matching, trouble = _matching(entry, running, host)
            found.append(trouble or _check(entry, len(matching), running))
            if trouble is None or trouble.state != "unknown":
                found += self._readings(entry, matching, host, moment.monotonic_seconds, uptime)
        return found

    def _readings(
        self, entry: Watched, matching: list[Process], host: Host, now: float, uptime: float | None
    ) -> list[Finding]:
        labels = {LABEL: entry.title}
        past, kernel = self._past[entry.title], host.kernel()
        oldest = min(matching, key=lambda one: (one.started, one.pid), default=None)
        if oldest is not None:
            past.restarts += past.main is not None and past.main != oldest.key
            past.main = oldest.key
        values: list[tuple[str, float | None]] = [
            ("process.count", len(matching)),
            ("process.cpu.utilization", self._busy(past, matching, host, now)),
            ("process.memory.rss", sum(one.pages for one in matching) * kernel.page_bytes),
            ("process.threads", sum(one.threads for one in matching)),
            ("process.restarts", past.restarts),
        ]
        if oldest is not None and uptime is not None:
            values.append(("process.uptime", max(round(uptime - oldest.started / kernel.ticks_per_second, 2), 0.0)))
        values += _open_files(matching, host)
        return [Reading(metric, value, labels) for metric, value in values if value is not None and value < 1 << 63]

    def _busy(self, past: Past, matching: list[Process], host: Host, now: float) -> float | None:
        """The share of all processors; what processes used that ended since the last run is not seen."""
        if not self._processors:
            try:
                self._processors = host.cpu_count()
            except (Missing, Refused):
                return None
        kernel: Kernel = host.kernel()
        before, since = past.ticks, past.at
        past.ticks, past.at = {one.key: one.ticks for one in matching}, now
        known = past.ticks.keys() & before.keys()
        if since is None or now <= since or not self._processors or (past.ticks and not known):
            return None
        used = sum(max(past.ticks[key] - before[key], 0) for key in known)
        return ratio(used / kernel.ticks_per_second / (now - since) / self._processors)


def _matching(entry: Watched, running: Table, host: Host) -> tuple[list[Process], Check | None]:
    """The processes of an entry; or a check that says why nobody can tell."""
    candidates = running.processes
    if entry.pidfile:
        try:
            pid = pid_of(host.read_text(entry.pidfile, 4096))
        except Missing:
            words = f"{entry.pidfile} is not there"
            return [], None if entry.min == 0 else Check(entry.title, "down", words, "no-pidfile")
        except (Refused, ValueError) as err:
            return [], Check(entry.title, "unknown", str(err)[:300], "unreadable")
        if pid is None:
            return [], Check(entry.title, "unknown", f"{entry.pidfile}: expected the number of a process", "unreadable")
        candidates = [one for one in candidates if one.pid == pid]
        if not candidates and entry.min and not running.unread:
            words = f"{entry.pidfile} names process {pid}, which does not run"
            return [], Check(entry.title, "down", words, "stale-pidfile")
    return [one for one in candidates if entry.admits(one, host)], None


def _check(entry: Watched, count: int, running: Table) -> Check:
    if count < max(entry.min, 1) and (running.unread or entry.min):
        if running.unread:
            words = "not seen, but not every process may be read (is /proc mounted with hidepid?)"
            return Check(entry.title, "unknown", words, "unreadable")
        if not count:
            return Check(entry.title, "down", "does not run", "not-running")
        return Check(entry.title, "degraded", f"fewer than {entry.min} processes run", "too-few")
    if entry.max is not None and count > entry.max:
        return Check(entry.title, "degraded", f"more than {entry.max} processes run", "too-many")
    return Check(entry.title, "up")


def _open_files(matching: list[Process], host: Host) -> list[tuple[str, float | None]]:
    if not matching or len(matching) > FILES_LOOKED_AT:
        return []
    total, share = 0, None
    for process in matching:
        try:
            count = len(host.list(f"/proc/{process.pid}/fd"))
            limit = limit_of(host.read_text(f"/proc/{process.pid}/limits"))
        except (Missing, Refused):
            return []  # a part of a sum would be taken for the sum
        total += count
        if limit:
            share = max(share or 0.0, ratio(count / limit))
    return [("process.open_file_descriptors", total), ("process.open_file_descriptor.utilization", share)]


def _uptime(host: Host) -> float | None:
    try:
        seconds = float(host.read_text("/proc/uptime").split()[0])
    except (Missing, Refused, ValueError, IndexError):
        return None
    return seconds if 0 <= seconds < 1e10 else None
