"""Which processes are watched."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Annotated

import msgspec
from msgspec import Meta

from twinwatch.monitors import Options
from twinwatch.monitors.processes import COMM_CHARACTERS, Process, command_of, program_of, units_of
from twinwatch.world.host import Host, Missing, Refused

Text = Annotated[str, Meta(max_length=200)]


class Watched(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Processes that belong together. They meet every condition that is given."""

    label: Annotated[
        str, Meta(max_length=100, title="Label", description="What the check is called; else the first condition is.")
    ] = ""
    name: Annotated[
        Text, Meta(title="Name", description="Name of the process, as ps and top show it, with * and ?: php-fpm*.")
    ] = ""
    command: Annotated[
        Text,
        Meta(title="Command", description="Part of the command line; with * or ? the whole of it: *python*app.py*."),
    ] = ""
    unit: Annotated[Text, Meta(title="Unit", description="systemd unit whose processes they are: nginx.")] = ""
    pidfile: Annotated[
        str, Meta(max_length=500, title="Pid file", description="File with the number of the process: /run/app.pid.")
    ] = ""
    min: Annotated[int, Meta(ge=0, le=100_000, title="At least", description="Fewer than so many are a failure.")] = 1
    max: Annotated[
        Annotated[int, Meta(ge=0, le=100_000)] | None,
        Meta(title="At most", description="More than so many are a failure."),
    ] = None

    def __post_init__(self) -> None:
        if not (self.name or self.command or self.unit or self.pidfile):
            raise ValueError("expected at least one of name, command, unit, pidfile")
        if self.pidfile and not self.pidfile.startswith("/"):
            raise ValueError(f"pidfile {self.pidfile!r}: expected a path that begins with /")
        if self.max is not None and self.max < self.min:
            raise ValueError(f"max {self.max} is less than min {self.min}")
        if not self.title.isprintable():
            raise ValueError("label: expected printable characters")

    @property
    def title(self) -> str:
        """What it is called."""
        return self.label or self.name or self.unit or self.pidfile.rpartition("/")[2] or self.command

    def admits(self, process: Process, host: Host) -> bool:
        """Whether a process meets every condition but that of the pid file."""
        if self.name and not self._has_name(process, host):
            return False
        if self.command and not self._has_command(command_of(_read(host, process.pid, "cmdline"))):
            return False
        return not self.unit or self._full_unit in units_of(_read(host, process.pid, "cgroup"))

    @property
    def _full_unit(self) -> str:
        return self.unit if "." in self.unit else f"{self.unit}.service"

    def _has_name(self, process: Process, host: Host) -> bool:
        if fnmatchcase(process.comm, self.name):
            return True
        if len(self.name) <= COMM_CHARACTERS or not fnmatchcase(process.comm, f"{self.name[:COMM_CHARACTERS]}*"):
            return False
        return fnmatchcase(program_of(_read(host, process.pid, "cmdline")), self.name)

    def _has_command(self, line: str) -> bool:
        if "*" in self.command or "?" in self.command:
            return fnmatchcase(line, self.command)
        return self.command in line


class ProcessOptions(Options, frozen=True, kw_only=True):
    """Which processes have to run."""

    processes: Annotated[
        tuple[Watched, ...], Meta(min_length=1, max_length=100, title="Processes", description="What has to run.")
    ]

    def __post_init__(self) -> None:
        titles = [one.title for one in self.processes]
        twice = sorted({title for title in titles if titles.count(title) > 1})
        if twice:
            raise ValueError(f"{twice[0]!r} is there twice: give one a label")


def _read(host: Host, pid: int, name: str) -> str:
    try:
        return host.read_text(f"/proc/{pid}/{name}")
    except (Missing, Refused):
        return ""  # it ended meanwhile
