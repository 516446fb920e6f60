"""The processes of a host, from one pass over ``/proc``, without kernel threads and zombies. Pure but for ``table``.

Invariants: text that is not lawful is None, never an exception; a process is told from a later one of the same number
by its start.
Source: proc(5).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from twinwatch.world.host import Host, Missing, Refused

KERNEL_THREAD = 0x0020_0000
"""PF_KTHREAD of the kernel's include/linux/sched.h."""
LARGEST = 1 << 63
COMM_CHARACTERS = 15
"""The kernel cuts a process's name to so many."""
COMMAND_CHARACTERS = 4096
AT_ONCE = 250
"""Processes that are looked at before other tasks get their turn."""


@dataclass(frozen=True, slots=True)
class Process:
    """One process. Times in clock ticks: ``started`` since boot, ``ticks`` of processor time."""

    pid: int
    comm: str
    state: str
    flags: int
    ticks: int
    threads: int
    started: int
    pages: int

    @property
    def key(self) -> tuple[int, int]:
        """What no other process has until the next boot."""
        return self.pid, self.started


@dataclass(frozen=True, slots=True)
class Table:
    """Who runs. ``unread``: processes that may not be read, so that nobody can say what they are."""

    processes: list[Process] = field(default_factory=list)
    unread: int = 0


def process_of(text: str) -> Process | None:
    """``/proc/<pid>/stat``. The name in parentheses may hold anything, parentheses and newlines too."""
    head, opened, rest = text.partition(" (")
    comm, closed, tail = rest.rpartition(") ")
    words = tail.split()
    if not (opened and closed) or len(words) < 22 or not tail.endswith("\n"):
        return None
    numbers = [_number(word) for word in (head, words[6], words[11], words[12], words[17], words[19], words[21])]
    pid, flags, user, system, threads, started, pages = numbers
    if pid is None or flags is None or user is None or system is None:
        return None
    if threads is None or started is None or pages is None or not pid:
        return None
    return Process(pid, comm, words[0], flags, user + system, threads, started, pages)


def limit_of(text: str) -> int | None:
    """The soft limit of open files in ``/proc/<pid>/limits``; None if there is none."""
    for line in text.split("\n")[:-1]:
        if line.startswith("Max open files "):
            words = line[len("Max open files ") :].split()
            return _number(words[0]) or None if words else None
    return None


def units_of(text: str) -> frozenset[str]:
    """The units that a process belongs to, from ``/proc/<pid>/cgroup``: parts of its path in systemd's hierarchy."""
    found: set[str] = set()
    for line in text.split("\n")[:-1]:
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if (number == "0" and not controllers) or controllers == "name=systemd":
            found.update(part for part in path.split("/") if "." in part)
    return frozenset(found)


def command_of(text: str) -> str:
    """``/proc/<pid>/cmdline`` as a line: arguments end with NUL."""
    return text[:COMMAND_CHARACTERS].rstrip("\0").replace("\0", " ")


def program_of(text: str) -> str:
    """The file name of the program as it was called, from ``/proc/<pid>/cmdline``."""
    return text.partition("\0")[0].rpartition("/")[2]


def pid_of(text: str) -> int | None:
    """What a pid file says: its first line is a number."""
    return _number(text.strip().partition("\n")[0].strip()) or None


async def table(host: Host) -> Table:
    """Everything that runs, by pid.

    Cost: a read per process: about 20 ms for a thousand; other tasks run in between.
    Raises: Missing if there is no /proc; Refused.
    """
    found: list[Process] = []
    unread = 0
    pids = [name for name in host.list("/proc") if name.isascii() and name.isdigit()]
    for place, pid in enumerate(pids):
        if place % AT_ONCE == AT_ONCE - 1:
            await asyncio.sleep(0)
        try:
            process = process_of(host.read_text(f"/proc/{pid}/stat"))
        except Missing:
            continue  # it ended meanwhile
        except Refused:
            unread += 1
            continue
        if process is None or str(process.pid) != pid:
            unread += 1
        elif not process.flags & KERNEL_THREAD and process.state not in {"Z", "X", "x"}:
            found.append(process)
    # With hidepid=2 those of others are not even listed; the first one is always there.
    return Table(sorted(found, key=lambda one: one.pid), unread + ("1" not in pids))


def _number(word: str) -> int | None:
    if not (word.isascii() and word.isdigit() and len(word) < 20):
        return None
    number = int(word)
    return number if number < LARGEST else None
