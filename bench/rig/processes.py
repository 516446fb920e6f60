"""What a process costs, from /proc.

Source: proc_pid_stat(5), proc_pid_smaps(5), proc_pid_io(5).
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class Stat(NamedTuple):
    """The fields of ``/proc/PID/stat`` that matter here."""

    parent: int
    cpu_seconds: float
    """User and system time of all threads, ended ones included; not of children."""
    started_ticks: int
    """Since boot. With the number it names one process for good: numbers are given again."""
    rss_bytes: int


@dataclass(frozen=True, slots=True)
class Process:
    """One process, not whoever gets its number later."""

    pid: int
    started_ticks: int

    def is_running(self) -> bool:
        """Whether it is still there and has not ended."""
        try:
            text = _read(self.pid, "stat")
        except OSError:
            return False
        return stat_of(text).started_ticks == self.started_ticks and text.rpartition(")")[2].split()[0] not in "ZX"

    def stat(self) -> Stat:
        """As of now.

        Raises: OSError once it is gone.
        """
        return stat_of(_read(self.pid, "stat"))

    def cpu_seconds(self) -> float:
        """User and system time so far, of all threads; to the nanosecond where the kernel keeps schedstat.

        Raises: OSError once it is gone.
        """
        # An ended thread is in the one and not in the other, and only the other is finer than a tick.
        return max(self.stat().cpu_seconds, self._scheduled_seconds())

    def _scheduled_seconds(self) -> float:
        nanoseconds = 0
        for thread in Path("/proc", str(self.pid), "task").iterdir():
            with suppress(OSError):
                nanoseconds += int((thread / "schedstat").read_text().split()[0])
        return nanoseconds / 1e9

    def pss_bytes(self) -> int:
        """Its share of memory: what it has alone, and of shared pages its part.

        Raises: OSError if it is gone or another user's.
        """
        return field_of(_read(self.pid, "smaps_rollup"), "Pss") * 1024

    def written_bytes(self) -> int:
        """What it caused to be written to storage so far.

        Raises: OSError if it is gone or another user's.
        """
        return field_of(_read(self.pid, "io"), "write_bytes")

    def command(self) -> str:
        """Program and arguments; empty once it is gone."""
        try:
            return _read(self.pid, "cmdline").replace("\0", " ").strip()
        except OSError:
            return ""


def process(pid: int) -> Process:
    """The process that has this number now.

    Raises: OSError if there is none.
    """
    return Process(pid, stat_of(_read(pid, "stat")).started_ticks)


def descendants(pid: int) -> list[Process]:
    """All processes that this one has started, and those that they have."""
    parents: dict[int, list[Process]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                stat = stat_of(_read(int(entry.name), "stat"))
            except OSError:  # ended while we looked
                continue
            parents.setdefault(stat.parent, []).append(Process(int(entry.name), stat.started_ticks))
    found: list[Process] = []
    front = [pid]
    while front:
        children = parents.get(front.pop(), [])
        found += children
        front += [child.pid for child in children]
    return found


def naming(text: str) -> list[Process]:
    """Every process whose command line holds this text, but for this one."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            try:
                one = process(int(entry.name))
            except OSError:
                continue
            if text in one.command():
                found.append(one)
    return found


def stat_of(text: str) -> Stat:
    """The line of ``/proc/PID/stat``. The name in it may hold spaces and brackets."""
    fields = text.rpartition(")")[2].split()
    return Stat(
        parent=int(fields[1]),
        cpu_seconds=(int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND,
        started_ticks=int(fields[19]),
        rss_bytes=int(fields[21]) * PAGE_BYTES,
    )


def field_of(text: str, name: str) -> int:
    """The number of a ``Name:  123 kB`` line.

    Raises: ValueError if there is no such line.
    """
    for row in text.splitlines():
        label, _, value = row.partition(":")
        if label == name:
            return int(value.split()[0])
    raise ValueError(f"no field {name}")


def _read(pid: int, name: str) -> str:
    return Path("/proc", str(pid), name).read_text(errors="replace")
