"""Which application is watched, and by which of its ways to tell of itself."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Annotated
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from twinwatch.monitors import Options, SecretText
from twinwatch.monitors.options import lasting
from twinwatch.monitors.processes import COMM_CHARACTERS, Process, command_of, program_of, units_of
from twinwatch.protocol.durations import Duration
from twinwatch.world.host import Host, Missing, Refused

Text = Annotated[str, Meta(max_length=200)]
Url = Annotated[str, Meta(pattern=r"^https?://[^\s@]+$", max_length=2000)]
LONGEST_SECONDS = 10.0


class DotnetOptions(Options, frozen=True, kw_only=True):
    """One application. Each way that is given is used; together they say more."""

    process: Annotated[
        Text, Meta(title="Process", description="Name of its process, as ps shows it, with * and ?: Shop.Api*.")
    ] = ""
    command: Annotated[
        Text,
        Meta(title="Command", description="Part of its command line, for what dotnet or mono runs: Shop.Api.dll."),
    ] = ""
    unit: Annotated[Text, Meta(title="Unit", description="systemd unit whose process it is: shop.")] = ""
    pidfile: Annotated[
        str, Meta(max_length=500, title="Pid file", description="File with the number of its process.")
    ] = ""
    health: Annotated[
        tuple[Url, ...],
        Meta(
            max_length=10,
            title="Health",
            description="Addresses of its health checks, plain or JSON: http://127.0.0.1:5000/health.",
        ),
    ] = ()
    metrics: Annotated[
        str,
        Meta(
            pattern=r"^$|^https?://[^\s@]+$",
            max_length=2000,
            title="Metrics",
            description="Address of its Prometheus metrics: http://127.0.0.1:5000/metrics.",
        ),
    ] = ""
    service: Annotated[
        Text,
        Meta(
            title="Service",
            description="Its service.name, if it pushes OpenTelemetry metrics to this agent.",
        ),
    ] = ""
    event_counters: Annotated[
        bool,
        Meta(
            title="Event counters",
            description="Listen to the runtime's counters on its diagnostic socket, for an application that tells them "
            "in no other way. The agent must then be the application's user or root; the socket could do more, such as "
            "memory dumps, of which nothing is used.",
        ),
    ] = False
    diagnostics_dir: Annotated[
        str,
        Meta(
            max_length=500,
            title="Diagnostics folder",
            description="Where the application's diagnostic socket is, if its TMPDIR is not /tmp.",
        ),
    ] = ""
    headers: Annotated[
        dict[str, SecretText], Meta(title="Headers", description="Further headers of requests to health and metrics.")
    ] = msgspec.field(default_factory=dict)
    verify: Annotated[bool, Meta(title="Verify", description="With https: whether the certificate must be valid.")] = (
        True
    )
    gc_pause_most: Annotated[
        float,
        Meta(gt=0, le=1, title="GC pauses", description="Degraded when pauses take more than this share of the time."),
    ] = 0.10
    exceptions_times: Annotated[
        float,
        Meta(
            ge=1.5,
            le=1000,
            title="Exceptions",
            description="Degraded when there are so many times as many exceptions as are usual.",
        ),
    ] = 5.0
    request_timeout: Annotated[
        Duration, Meta(title="Request timeout", description="How long one answer may take; at most 10s.")
    ] = lasting("5s")

    def __post_init__(self) -> None:
        if self.pidfile and not self.pidfile.startswith("/"):
            raise ValueError(f"pidfile {self.pidfile!r}: expected a path that begins with /")
        if not 0 < self.request_timeout <= LONGEST_SECONDS:
            raise ValueError(f"request_timeout: expected more than 0s and at most {LONGEST_SECONDS:g}s")
        if self.event_counters and not self.names_process:
            raise ValueError("event_counters: expected process, command, unit or pidfile too, to know whose they are")
        if self.diagnostics_dir and not self.diagnostics_dir.startswith("/"):
            raise ValueError(f"diagnostics_dir {self.diagnostics_dir!r}: expected a path that begins with /")
        names = [place_of(url) for url in self.health]
        if len(set(names)) < len(names):
            raise ValueError("health: two addresses have the same path")

    @property
    def names_process(self) -> bool:
        """Whether it is known which process it is."""
        return bool(self.process or self.command or self.unit or self.pidfile)

    def admits(self, process: Process, host: Host) -> bool:
        """Whether a process meets every condition but that of the pid file."""
        if self.process and not self._has_name(process, host):
            return False
        if self.command and self.command not in command_of(_read(host, process.pid, "cmdline")):
            return False
        unit = self.unit if "." in self.unit else f"{self.unit}.service"
        return not self.unit or unit in units_of(_read(host, process.pid, "cgroup"))

    def _has_name(self, process: Process, host: Host) -> bool:
        if fnmatchcase(process.comm, self.process):
            return True
        if len(process.comm) < COMM_CHARACTERS:
            return False
        return fnmatchcase(program_of(_read(host, process.pid, "cmdline")), self.process)


def place_of(url: str) -> str:
    """The path of a health address, which tells it from others."""
    return urlsplit(url).path or "/"


def _read(host: Host, pid: int, name: str) -> str:
    try:
        return host.read_text(f"/proc/{pid}/{name}")
    except (Missing, Refused):
        return ""  # it ended meanwhile
