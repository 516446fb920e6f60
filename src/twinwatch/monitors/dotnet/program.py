"""The process of an application: whether it runs, since when, with what; and which version of it.

Source: proc(5); for the version ``<application>.deps.json``, which every build of .NET Core and later puts beside the
assembly (https://learn.microsoft.com/dotnet/core/dependency-loading/default-probing).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from twinwatch.monitors import Absent, Check, Finding, Reading, Unreadable
from twinwatch.monitors.digits import ratio
from twinwatch.monitors.dotnet.options import DotnetOptions
from twinwatch.monitors.processes import Process, limit_of, pid_of, table
from twinwatch.world.host import Host, Missing, Refused

RESTART_SECONDS = 600.0
LOOP_SECONDS = 900.0
LOOP_RESTARTS = 3
VERSION_SECONDS = 3600.0
DEPS_BYTES = 8 << 20
VERSION_CHARACTERS = 100
FILES_LOOKED_AT = 32
LARGEST = 1 << 62


class Kept(msgspec.Struct):
    """What is known over a restart of the agent. ``main`` is the process: boot, pid and start."""

    main: str = ""
    version: str = ""


@dataclass
class Program:
    """The process of one application."""

    options: DotnetOptions
    kept: Kept = field(default_factory=Kept)
    main: Process | None = None
    """The oldest of its processes in this run."""
    is_new: bool = False
    """Whether that one began since the last run."""
    _ticks: dict[tuple[int, int], int] = field(default_factory=dict)
    _at: float | None = None
    _restarts: list[float] = field(default_factory=list)
    _changed: tuple[float, str] | None = None
    _processors: int = 0

    async def read(self, host: Host, now: float) -> list[Finding]:
        """The checks ``process``, ``restart`` and ``version``, and what it uses.

        Raises: Absent without /proc; Unreadable if no process may be read.
        """
        try:
            running = await table(host)
        except Missing as err:
            raise Absent("/proc is not mounted") from err
        except Refused as err:
            raise Unreadable(str(err)) from err
        self.is_new = False
        candidates = running.processes
        if self.options.pidfile:
            pid = self._pid(host)
            candidates = [one for one in candidates if one.pid == pid]
        matching = [one for one in candidates if self.options.admits(one, host)]
        self.main = min(matching, key=lambda one: (one.started, one.pid), default=None)
        if self.main is None:
            if running.unread:
                words = "not seen, but not every process may be read (is /proc mounted with hidepid?)"
                return [Check("process", "unknown", words, "unreadable")]
            message = f"{self._title} does not run: start it, and see its log for why it ended"
            return [Check("process", "down", message, "not-running"), *self._restart(now)]
        self._meet(host, self.main, now)
        found: list[Finding] = [Check("process", "up"), *self._restart(now)]
        if self.kept.version:
            found.append(self._version(now))
        return [*found, *self._uses(host, matching, now)]

    @property
    def _title(self) -> str:
        options = self.options
        return options.process or options.command or options.unit or options.pidfile

    def _pid(self, host: Host) -> int | None:
        try:
            return pid_of(host.read_text(self.options.pidfile, 4096))
        except (Missing, Refused):
            return None

    def _meet(self, host: Host, main: Process, now: float) -> None:
        """Notice whether this is another process than before, and what it was built from."""
        try:
            boot = host.boot_id()
        except (Missing, Refused):
            boot = ""
        key = f"{boot}:{main.pid}:{main.started}"
        if key == self.kept.main:
            return
        if self.kept.main:
            self.is_new = True
            self._restarts.append(now)
        self.kept.main = key
        version = version_of(host, main)
        if version and self.kept.version and version != self.kept.version:
            self._changed = now, self.kept.version
        self.kept.version = version or self.kept.version

    def _restart(self, now: float) -> list[Check]:
        self._restarts = [one for one in self._restarts if now - one < LOOP_SECONDS]
        if len(self._restarts) >= LOOP_RESTARTS:
            message = f"Began anew {len(self._restarts)} times within 15 minutes: see its log for why it ends"
            return [Check("restart", "down", message, "crash-loop")]
        if self._restarts and now - self._restarts[-1] < RESTART_SECONDS:
            return [Check("restart", "degraded", "Began anew. If nobody did that, see its log", "restarted")]
        return [Check("restart", "up")]

    def _version(self, now: float) -> Check:
        if self._changed is not None and now - self._changed[0] < VERSION_SECONDS:
            message = f"The version changed from {self._changed[1]} to {self.kept.version}"
            return Check("version", "degraded", message, "version-changed")
        return Check("version", "up", self.kept.version)

    def _uses(self, host: Host, matching: list[Process], now: float) -> list[Finding]:
        kernel = host.kernel()
        values: list[tuple[str, float | None]] = [
            ("dotnet.app.memory.rss", sum(one.pages for one in matching) * kernel.page_bytes),
            ("dotnet.app.threads", sum(one.threads for one in matching)),
            ("dotnet.app.cpu.utilization", self._busy(host, matching, now)),
            ("dotnet.app.open_files.utilization", _files(host, matching)),
        ]
        uptime = _uptime(host)
        if uptime is not None and self.main is not None:
            values.append(("dotnet.app.uptime", max(round(uptime - self.main.started / kernel.ticks_per_second), 0)))
        return [Reading(metric, value) for metric, value in values if value is not None and value < LARGEST]

    def _busy(self, host: Host, matching: list[Process], now: float) -> float | None:
        if not self._processors:
            try:
                self._processors = host.cpu_count()
            except (Missing, Refused):
                return None
        before, since = self._ticks, self._at
        self._ticks, self._at = {one.key: one.ticks for one in matching}, now
        known = self._ticks.keys() & before.keys()
        if since is None or now <= since or not self._processors or not known:
            return None
        used = sum(max(self._ticks[key] - before[key], 0) for key in known)
        return ratio(used / host.kernel().ticks_per_second / (now - since) / self._processors)


def version_of(host: Host, process: Process) -> str:
    """The version that the application was built with; empty if it does not tell, or may not be read."""
    try:
        arguments = host.read_text(f"/proc/{process.pid}/cmdline").split("\0")
    except (Missing, Refused):
        return ""
    assembly = next((one for one in arguments[:20] if one.endswith(".dll")), arguments[0])
    stem = assembly.removesuffix(".dll")
    if not stem or not stem.isprintable():
        return ""
    path = stem if stem.startswith("/") else f"/proc/{process.pid}/cwd/{stem}"
    try:
        content = msgspec.json.decode(host.read_text(f"{path}.deps.json", DEPS_BYTES))
    except (Missing, Refused, msgspec.MsgspecError, UnicodeError, RecursionError, ValueError):
        return ""
    libraries = content.get("libraries") if isinstance(content, dict) else None
    wanted = stem.rpartition("/")[2]
    for name in libraries if isinstance(libraries, dict) else ():
        library, _, version = str(name).partition("/")
        if library == wanted and version and version.isprintable():
            return version[:VERSION_CHARACTERS]
    return ""


def _files(host: Host, matching: list[Process]) -> float | None:
    share: float | None = None
    for process in matching[:FILES_LOOKED_AT]:
        try:
            count = len(host.list(f"/proc/{process.pid}/fd"))
            limit = limit_of(host.read_text(f"/proc/{process.pid}/limits"))
        except (Missing, Refused):
            continue
        if limit:
            share = max(share or 0.0, ratio(count / limit))
    return share


def _uptime(host: Host) -> float | None:
    try:
        seconds = float(host.read_text("/proc/uptime").split()[0])
    except (Missing, Refused, ValueError, IndexError):
        return None
    return seconds if 0 <= seconds < 1e10 else None
