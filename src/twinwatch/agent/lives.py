"""The agent's own life, written down while it lasts, so that the next one can say how this one ended.

One small JSON file in the state directory: this life and the last one that the hub heard of. That it went on is told by
the file's time of modification, which every beat sets: that costs one system call.

Invariants: nothing here raises or holds anybody up; what cannot be written is not known later, and makes the hub's
answer weaker, never wrong; a life that the hub never heard of does not stand between it and the one that it did.
Source: proc(5) (``btime``, ``boot_id``), utimensat(2).
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from twinwatch.protocol.life import Leaving, Life, PreviousLife
from twinwatch.world.clock import Clock
from twinwatch.world.host import Host, Missing, Refused

FILE = "life.json"
BEAT_SECONDS = 10.0
GAP_SECONDS = 2 * BEAT_SECONDS
"""A beat that is later than this is a gap in which nothing ran."""
REBOOT_SECONDS = 300.0
"""What a reboot is expected to take as long as none has been measured."""
LONGEST_REBOOT_SECONDS = 3600.0

_log = logging.getLogger(__name__)


class Chapter(msgspec.Struct, omit_defaults=True):
    """One life as it is kept. Times are ms UTC, 0 for not known."""

    boot_id: str = ""
    started_at: int = 0
    last_at: int = 0
    ended_at: int = 0
    """Of a life that ended as it was told to."""
    leaving: Leaving = "stop"
    heard: bool = False
    """Whether the hub has answered a heartbeat of it."""

    def told(self) -> PreviousLife:
        """As the hub is told."""
        clean = self.ended_at > 0
        leaving: Leaving | None = self.leaving if clean else None
        last = self.ended_at or max(self.last_at, self.started_at)
        return PreviousLife(self.boot_id, self.started_at, last, clean, leaving or "")


class Book(msgspec.Struct, omit_defaults=True):
    """The content of the file."""

    present: Chapter
    previous: Chapter | None = None
    """The last one before it that the hub heard of; where there is none such, the last one."""
    reboot_seconds: float = 0.0
    """How long the last planned reboot took, from the agent's end to its start; 0: not known."""


class Gaps:
    """The longest time in which nothing ran, by either clock: a process that was stopped sees it on the one that only
    runs, a host that slept on the other."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._monotonic = clock.monotonic()
        self._wall = clock.now()
        self._longest = 0.0
        self._told = 0.0

    def beat(self) -> None:
        """Something runs."""
        monotonic, wall = self._clock.monotonic(), self._clock.now()
        gap = max(monotonic - self._monotonic, (wall - self._wall) / 1000)
        self._monotonic, self._wall = monotonic, wall
        if gap > GAP_SECONDS:
            self._longest = max(self._longest, gap)

    def tell(self) -> float:
        """The longest one since the hub last answered, in seconds."""
        self.beat()
        self._told = max(self._told, self._longest)
        self._longest = 0.0
        return self._told

    def answered(self) -> None:
        """The hub has what it was told."""
        self._told = 0.0


class Lives:
    """This life and the one before it. Opening it ends the last one; that blocks, as every write does."""

    def __init__(self, state_dir: Path, host: Host, clock: Clock, gaps: Gaps) -> None:
        self._path = state_dir / FILE
        self._clock = clock
        self._gaps = gaps
        self._troubled = False
        present = Chapter(_boot_id(host), clock.now())
        self._booted_at = _booted_at(host)
        self._book = _turned(self._read(), present)
        self._write()

    @property
    def back_within_seconds(self) -> float:
        """When to be expected back from a reboot: twice what the last one took."""
        return min(max(REBOOT_SECONDS, 2 * self._book.reboot_seconds), LONGEST_REBOOT_SECONDS)

    def told(self) -> Life:
        """What a heartbeat says of it. Does not block."""
        present, previous = self._book.present, self._book.previous
        return Life(
            boot_id=present.boot_id,
            booted_at=self._booted_at,
            started_at=present.started_at,
            longest_gap_seconds=round(self._gaps.tell(), 3),
            previous=previous.told() if previous is not None else None,
        )

    def answered(self) -> bool:
        """The hub has heard of it; whether that is the first time, and ``keep`` is to be called."""
        self._gaps.answered()
        first = not self._book.present.heard
        self._book.present.heard = True
        return first

    def keep(self) -> None:
        """Write down what has changed."""
        self._write()

    def ended(self, leaving: Leaving) -> None:
        """It ends as it was told to."""
        self._book.present.ended_at = self._clock.now()
        self._book.present.leaving = leaving
        self._write()

    def beat(self) -> None:
        """It goes on: noted on the file, and in no other way."""
        self._gaps.beat()
        now = self._clock.now()
        with suppress(OSError):
            os.utime(self._path, ns=(now * 1_000_000, now * 1_000_000))

    async def run(self) -> None:
        """Beat until cancelled."""
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            self.beat()

    def _read(self) -> Book | None:
        try:
            book = msgspec.json.decode(self._path.read_bytes(), type=Book)
            book.present.last_at = self._path.stat().st_mtime_ns // 1_000_000
            return book
        except (OSError, msgspec.MsgspecError):
            return None

    def _write(self) -> None:
        fresh = self._path.with_name(f"{self._path.name}.new")
        now = self._clock.now() * 1_000_000
        try:
            with open(fresh, "wb", opener=_for_us_alone) as file:
                file.write(msgspec.json.encode(self._book))
                file.flush()
                os.fsync(file.fileno())
            os.utime(fresh, ns=(now, now))
            fresh.replace(self._path)
        except OSError as err:
            if not self._troubled:
                _log.warning("%s: %s; how this agent ends will not be known", self._path, err.strerror or err)
            self._troubled = True


def _turned(book: Book | None, present: Chapter) -> Book:
    """The book with a new life in it."""
    if book is None:
        return Book(present)
    last = book.present
    previous = last if last.heard or book.previous is None else book.previous
    seconds = book.reboot_seconds
    if last.ended_at and last.leaving == "reboot" and last.boot_id != present.boot_id:
        seconds = max(present.started_at - last.ended_at, 0) / 1000
    return Book(present, previous, seconds)


def _for_us_alone(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _boot_id(host: Host) -> str:
    return _or(host.boot_id, "")


def _booted_at(host: Host) -> int:
    """ms UTC by this host's clock; 0: not known."""
    for line in _or(lambda: host.read_text("/proc/stat"), "").splitlines():
        name, _, value = line.partition(" ")
        if name == "btime" and value.strip().isdigit():
            return int(value) * 1000
    return 0


def _or(ask: Callable[[], str], otherwise: str) -> str:
    try:
        return ask()
    except (Missing, Refused):
        return otherwise
