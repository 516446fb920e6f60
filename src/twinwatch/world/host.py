"""The door to the machine that is watched: its files below one root, and what the kernel says of them.

With ``root`` on a capture folder the same code reads another machine's recorded ``/proc`` and ``/sys``; what the
kernel answers to system calls then comes from ``statvfs.json`` and ``kernel.json`` in that folder.

Invariants: every read is bounded; only ``Missing`` and ``Refused`` leave the door; nothing is written.
Source: proc(5), sysfs(5), os-release(5).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from twinwatch.world.space import Space, Surveyor, kernel_space
from twinwatch.world.timekeeping import Timekeeping, kernel_timekeeping

READ_BYTES = 1 << 20
"""Bound of one read: /proc/stat of a machine with a thousand cores and interrupts stays below it."""

CHUNK_BYTES = 1 << 16


class Missing(Exception):
    """There is no such file on this host. The message is the path."""


class Refused(Exception):
    """The file is there, but cannot be read: rights, an I/O error, or larger than the bound. The message says which."""


class Kernel(NamedTuple):
    """What only system calls tell."""

    machine: str
    """As ``uname -m``: ``x86_64``, ``aarch64`` …"""
    page_bytes: int
    ticks_per_second: int


class Host:
    """One machine. ``ask_space`` stands for statvfs(2) and may block; it is not used on a capture."""

    def __init__(self, root: str | Path = "/", *, ask_space: Callable[[str], Space] = kernel_space) -> None:
        self._root = str(root).rstrip("/")
        self._surveyor = Surveyor(ask_space)
        self._recorded_space = self._recorded("statvfs.json") if self._root else None
        self._recorded_kernel = self._recorded("kernel.json") if self._root else None

    def read_text(self, path: str, limit_bytes: int = READ_BYTES) -> str:
        """The file at the absolute ``path``; bytes that are not UTF-8 become replacement characters.

        Raises: Missing; Refused.
        """
        try:
            # Non-blocking, so that a pipe in place of a file cannot hold the agent.
            file = os.open(self._root + path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as err:
            raise _translated(path, err) from err
        try:
            content = os.read(file, CHUNK_BYTES)
            if content:  # /proc hands out large files in pieces, and only an empty one is the end
                while piece := os.read(file, CHUNK_BYTES):
                    content += piece
                    if len(content) > limit_bytes:
                        break
        except OSError as err:
            raise _translated(path, err) from err
        finally:
            os.close(file)
        if len(content) > limit_bytes:
            raise Refused(f"{path}: larger than {limit_bytes} bytes")
        return content.decode("utf-8", "replace")

    def list(self, path: str) -> list[str]:
        """The names in a folder, sorted.

        Raises: Missing; Refused.
        """
        try:
            return sorted(os.listdir(self._root + path))  # noqa: PTH208 - names, not paths
        except OSError as err:
            raise _translated(path, err) from err

    def exists(self, path: str) -> bool:
        """Whether there is something at ``path``; False too where that may not be seen."""
        return os.path.exists(self._root + path)  # noqa: PTH110 - called for every device

    async def statvfs(self, paths: Sequence[str], *, timeout_seconds: float) -> dict[str, Space]:
        """How full the file systems at these mount points are; those that fail or hang are missing.

        Cost: one hand-over to a thread for all of them. Put mounts that may hang (NFS) last.
        """
        if self._recorded_space is not None:
            recorded = self._recorded_space
            return {path: Space(**recorded[path]) for path in paths if path in recorded}
        root = self._root
        found = await self._surveyor.survey([root + path for path in paths], timeout_seconds=timeout_seconds)
        return {path[len(root) :]: space for path, space in found.items()} if root else found

    @property
    def stuck_mounts(self) -> frozenset[str]:
        """Mount points that were asked and have not answered yet."""
        return frozenset(path[len(self._root) :] for path in self._surveyor.stuck)

    def kernel(self) -> Kernel:
        """Machine type, page size, clock ticks."""
        if self._recorded_kernel is not None:
            return Kernel(**self._recorded_kernel)
        return Kernel(os.uname().machine, os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_CLK_TCK"))

    def timekeeping(self) -> Timekeeping:
        """How well the clock is kept; on a capture what ``timekeeping.json`` recorded.

        Raises: Missing; Refused.
        """
        if self._root:
            recorded = self._recorded("timekeeping.json")
            if recorded is None:
                raise Missing("adjtimex")
            return Timekeeping(**recorded)
        try:
            return kernel_timekeeping()
        except OSError as err:
            raise Refused(f"adjtimex: {err.strerror or err}") from err

    def hostname(self) -> str:
        """The node name.

        Raises: Missing; Refused.
        """
        return self.read_text("/proc/sys/kernel/hostname").strip()

    def kernel_release(self) -> str:
        """As ``uname -r``.

        Raises: Missing; Refused.
        """
        return self.read_text("/proc/sys/kernel/osrelease").strip()

    def boot_id(self) -> str:
        """A uuid that the kernel makes anew at every boot.

        Raises: Missing; Refused.
        """
        return self.read_text("/proc/sys/kernel/random/boot_id").strip()

    def cpu_count(self) -> int:
        """Logical processors that are online; 0 if /proc/stat does not say.

        Raises: Missing; Refused.
        """
        return sum(line.startswith("cpu") and line[3:4].isdigit() for line in self.read_text("/proc/stat").splitlines())

    def os_release(self) -> dict[str, str]:
        """The fields of os-release(5), such as ``PRETTY_NAME``, without their quotes.

        Raises: Missing; Refused.
        """
        try:
            text = self.read_text("/etc/os-release")
        except Missing:
            text = self.read_text("/usr/lib/os-release")
        fields = (line.partition("=") for line in text.splitlines() if "=" in line and not line.startswith("#"))
        return {name.strip(): value.strip().strip("\"'") for name, _, value in fields}

    def _recorded(self, name: str) -> dict[str, Any] | None:
        try:
            recorded: dict[str, Any] = json.loads(self.read_text("/" + name))
        except Missing:
            return None
        return recorded


def _translated(path: str, err: OSError) -> Missing | Refused:
    # A process that ended while its files were read is no such process.
    if isinstance(err, FileNotFoundError | NotADirectoryError | ProcessLookupError):
        return Missing(path)
    return Refused(f"{path}: {err.strerror or err}")
