"""How full file systems are: statvfs(2), asked in a thread, because a dead server's mount never answers.

Invariants: at most one thread waits per hanging mount, and at most ``STUCK_MOUNTS`` in all; a mount that hangs is left
alone until the kernel has answered for it; no thread keeps the process from ending.
Source: statvfs(3), and the same precaution in node_exporter's file system collector.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import NamedTuple

STUCK_MOUNTS = 32


class Space(NamedTuple):
    """What statvfs says of one mount: sizes in blocks of ``block_bytes``, inodes in ``files``."""

    block_bytes: int
    blocks: int
    blocks_free: int
    blocks_available: int
    """Free to everybody; the rest of ``blocks_free`` is reserved to root."""
    files: int
    files_free: int


def kernel_space(path: str) -> Space:
    """The kernel's answer for the file system that holds ``path``; may never return.

    Raises: OSError.
    """
    answer = os.statvfs(path)
    return Space(
        answer.f_frsize, answer.f_blocks, answer.f_bfree, answer.f_bavail, answer.f_files, answer.f_ffree
    )  # fmt: skip


class Surveyor:
    """Asks for many mounts with one deadline. ``ask`` may block for ever."""

    def __init__(self, ask: Callable[[str], Space] = kernel_space) -> None:
        self._ask = ask
        self._thread: _Thread | None = None
        self._lock = threading.Lock()
        self._stuck: set[str] = set()

    @property
    def stuck(self) -> frozenset[str]:
        """Paths that have not answered yet."""
        with self._lock:
            return frozenset(self._stuck)

    async def survey(self, paths: Sequence[str], *, timeout_seconds: float) -> dict[str, Space]:
        """The space of those paths that answer. One that fails, hangs or is not reached in time is missing.

        A hanging path costs a quarter of the time, so put those that may hang last.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout_seconds
        stuck = self.stuck
        left = [path for path in paths if path not in stuck]
        found: dict[str, Space] = {}
        while left and (rest := end - loop.time()) > 0 and len(self._stuck) < STUCK_MOUNTS:
            tour = _Tour(left, loop)
            if self._thread is None:
                self._thread = _Thread(self._ask, self._lock, self._stuck)
            self._thread.tours.put(tour)
            try:
                async with asyncio.timeout(min(rest, timeout_seconds / 4)):
                    await tour.done.wait()
            except TimeoutError:
                pass
            finally:
                if not tour.done.is_set():
                    self._abandon(tour)
            found |= tour.found
            left = left[tour.visited :]
        return found

    def _abandon(self, tour: _Tour) -> None:
        with self._lock:
            tour.abandoned = True
            if tour.current is not None:
                self._stuck.add(tour.current)
        self._thread = None  # it ends by itself once the call that holds it returns


class _Tour:
    """A list of paths on its way through the thread."""

    def __init__(self, paths: list[str], loop: asyncio.AbstractEventLoop) -> None:
        self.paths = paths
        self.loop = loop
        self.done = asyncio.Event()
        self.found: dict[str, Space] = {}
        self.visited = 0
        self.current: str | None = None
        self.abandoned = False

    def is_wanted(self) -> bool:
        return not self.abandoned


class _Thread:
    def __init__(self, ask: Callable[[str], Space], lock: threading.Lock, stuck: set[str]) -> None:
        self.tours: SimpleQueue[_Tour] = SimpleQueue()
        self._ask = ask
        self._lock = lock
        self._stuck = stuck
        threading.Thread(target=self._run, name="statvfs", daemon=True).start()

    def _run(self) -> None:
        while self._travel(self.tours.get()):
            pass

    def _travel(self, tour: _Tour) -> bool:
        """Whether the thread is still wanted. Abandoning and moving on exclude each other by the lock."""
        for path in tour.paths:
            with self._lock:
                if not tour.is_wanted():
                    return False
                tour.current = path
                tour.visited += 1
            try:
                space = self._ask(path)
            except OSError:  # gone, or not ours to ask: no sample
                space = None
            with self._lock:
                if not tour.is_wanted():
                    self._stuck.discard(path)
                    return False
                if space is not None:
                    tour.found[path] = space
                tour.current = None
        try:
            tour.loop.call_soon_threadsafe(tour.done.set)
        except RuntimeError:  # the loop is closed: nobody waits any more
            return False
        return True
