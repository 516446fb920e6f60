"""Virtual time: an event loop whose clock jumps to the next timer whenever nothing else is to be done.

``asyncio.sleep``, ``timeout`` and timers work unmodified, and a day passes in milliseconds. Real I/O and threads still
work, because the clock stands still while one of these is under way:

- a callback is ready, or a file descriptor is;
- a call of ``run_in_executor`` has not returned;
- somebody waits for a descriptor through ``loop.add_reader`` or ``add_writer``, as psycopg does for PostgreSQL, for
  up to ``PATIENCE_SECONDS`` of real time (one that is silent for longer, such as a LISTEN, is taken to be idle);
- asyncio's own transports (sockets of real servers and clients) get ``GLANCE_SECONDS`` of real time at each jump.

Two ways to use it. A whole folder of tests, in its ``conftest.py``::

    from twinwatch.testing.virtual_time import VirtualLoop

    def pytest_asyncio_loop_factories(config, item):
        return {"virtual": VirtualLoop}

One coroutine: ``run(story())``. In both, ``asyncio.get_running_loop().time()`` is the virtual clock, and
``fakes.VirtualClock`` the wall clock that goes with it.
"""

from __future__ import annotations

import asyncio
import math
import selectors
import time
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Executor
from typing import Any, TypeVar

T = TypeVar("T")

START_SECONDS = 1_000.0
PATIENCE_SECONDS = 15.0
GLANCE_SECONDS = 0.002
STALL_SECONDS = 30.0
"""After so much real time without a timer, a callback or I/O the loop gives up: what is awaited will never come."""


class Stalled(Exception):
    """Nothing is scheduled, nothing is under way, and the loop waits for ever."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """The loop. ``time()`` begins at ``START_SECONDS``."""

    def __init__(self) -> None:
        self._now = START_SECONDS
        self._awaited: dict[int, float] = {}
        self._threads = 0
        super().__init__(_Jumper(selectors.DefaultSelector(), self))
        self._own_descriptors = len(self._jumper.get_map())

    def time(self) -> float:
        """The virtual clock, in seconds."""
        return self._now

    def jump(self, seconds: float) -> None:
        """Move the clock. Called by the selector when there is nothing to do before the next timer."""
        # Rounded up: a timer must never find itself a bit before its time.
        self._now = math.nextafter(self._now + seconds, math.inf)

    def busy(self) -> bool:
        """Whether something outside the loop is at work that the clock must wait for."""
        oldest = time.monotonic() - PATIENCE_SECONDS
        return self._threads > 0 or any(since > oldest for since in self._awaited.values())

    def connected(self) -> bool:
        """Whether a transport or a server has a descriptor open."""
        return len(self._jumper.get_map()) > self._own_descriptors

    def add_reader(self, fd: Any, callback: Callable[..., Any], *args: Any) -> None:  # type: ignore[override]
        """As ``asyncio``'s; the clock waits for it."""
        self._awaited[_number(fd)] = time.monotonic()
        super().add_reader(fd, callback, *args)

    def remove_reader(self, fd: Any) -> bool:
        """As ``asyncio``'s."""
        self._awaited.pop(_number(fd), None)
        return super().remove_reader(fd)

    def add_writer(self, fd: Any, callback: Callable[..., Any], *args: Any) -> None:  # type: ignore[override]
        """As ``asyncio``'s; the clock waits for it."""
        self._awaited[_number(fd)] = time.monotonic()
        super().add_writer(fd, callback, *args)

    def remove_writer(self, fd: Any) -> bool:
        """As ``asyncio``'s."""
        self._awaited.pop(_number(fd), None)
        return super().remove_writer(fd)

    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """As ``asyncio``'s; the clock waits for the thread."""
        future = super().run_in_executor(executor, func, *args)
        self._threads += 1
        future.add_done_callback(self._thread_done)
        return future

    def _thread_done(self, _: asyncio.Future[Any]) -> None:
        self._threads -= 1

    @property
    def _jumper(self) -> selectors.BaseSelector:
        selector: selectors.BaseSelector = self._selector  # type: ignore[attr-defined]
        return selector


class _Jumper(selectors.BaseSelector):
    """A selector that asks the real one without waiting, and lets the loop's clock do the waiting."""

    def __init__(self, real: selectors.BaseSelector, loop: VirtualLoop) -> None:
        self._real = real
        self._loop = loop

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.modify(fileobj, events, data)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()

    def close(self) -> None:
        self._real.close()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = self._real.select(0)
        if ready or timeout == 0:
            return ready
        while self._loop.busy():
            if ready := self._real.select(0.05):
                return ready
        if timeout is None:
            if ready := self._real.select(STALL_SECONDS):
                return ready
            raise Stalled(f"no timer, no callback, no I/O within {STALL_SECONDS:g} s of real time")
        if self._loop.connected() and (ready := self._real.select(GLANCE_SECONDS)):
            return ready
        self._loop.jump(timeout)
        return []


def run(story: Coroutine[Any, Any, T]) -> T:
    """The coroutine's result, in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(story)


def _number(fd: Any) -> int:
    return fd if isinstance(fd, int) else int(fd.fileno())
