"""Every tick of the last 24 hours, in SQLite: what the hub has yet to get, and what a local reader may want to see.

Invariants:
- A tick is kept before anything is sent, and leaves by age or for want of room only, counted as delivered or dropped.
- A batch gets its number in a transaction that is on the disk before the batch is handed out; until the hub has
  acknowledged or refused it, the same ticks are handed out under the same number, after a crash and a power cut too.
- No number is used for two different batches, and they only rise. A fresh file begins at the present ms epoch, above
  whatever a lost predecessor used; each opening leaves a gap of ``RESERVED_NUMBERS``, which batches from memory use.
- ``collected = delivered + waiting + in flight + dropped + set aside``, at every moment.
- A disk that is full, read-only or broken raises nothing: the newest ticks are held in memory (``spare``), sent from
  there, and written as soon as that works. What a crash then takes with it is lost, and nothing is ever brought twice.

Everything here blocks and belongs to one thread: the agent reaches it through ``worker.Worker``. The SQL asks for
SQLite 3.30 (2019) only, because some long-lived distributions have little more.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

import msgspec

from twinwatch.agent.buffer.accounts import Figures, Ledger, Sums, Trimmed
from twinwatch.agent.buffer.disk import BufferUnusable, Connect, Failing, salvaged_ledger, set_file_aside, size_of
from twinwatch.agent.buffer.file import BufferFile, Place
from twinwatch.agent.buffer.spare import SPARE_BYTES, SPARE_TICKS, Spare
from twinwatch.agent.buffer.ticks import (
    BATCH_BYTES,
    BATCH_SAMPLES,
    BATCH_TICKS,
    Packed,
    Parcel,
    Tick,
    frames_of,
    pack_ticks,
    unpack_values,
)
from twinwatch.protocol.checks import CheckStanding
from twinwatch.protocol.heartbeat import Delivery

__all__ = [
    "BATCH_BYTES",
    "BATCH_SAMPLES",
    "BATCH_TICKS",
    "KEPT_MILLISECONDS",
    "MOST_BYTES",
    "Buffer",
    "BufferUnusable",
    "Figures",
    "Page",
    "Parcel",
    "Place",
    "Tick",
    "Trimmed",
]

KEPT_MILLISECONDS = 24 * 60 * 60 * 1000
MOST_BYTES = 256 << 20
RESERVED_NUMBERS = 1_000_000
DAMAGED_FILES = 8
"""So many damaged files are set aside in one life; after that the disk is taken to be the trouble."""
SKIPPED_TRIES = 7
"""Most runs that are kept in memory between two tries at a failing disk."""

T = TypeVar("T")
_log = logging.getLogger(__name__)


class Page(NamedTuple):
    """Some ticks of a window. ``after`` is where the next page begins; None: there is none."""

    ticks: list[Tick]
    after: Place | None


Becomes = Literal["acknowledged", "released", "set aside"]


class _Fate(NamedTuple):
    """What became of the file's batch under way, where the file could not be told yet."""

    sequence: int
    becomes: Becomes


class Buffer:
    """The open buffer. ``present`` (ms UTC) starts the numbers of a fresh file; ``most_bytes`` bounds it.

    Raises: BufferUnusable if a newer version has written the file; for nothing else, see ``trouble``.
    """

    def __init__(
        self,
        path: Path,
        present: int,
        *,
        most_bytes: int = MOST_BYTES,
        spare_bytes: int = SPARE_BYTES,
        spare_ticks: int = SPARE_TICKS,
        connect: Connect = sqlite3.connect,
    ) -> None:
        self.path = path
        self.trouble = ""
        """What is wrong with the disk, for people; empty if nothing is."""
        self._most_bytes = most_bytes
        self._connect = connect
        self._present = present
        self._file: BufferFile | None = None
        self._spare = Spare(spare_bytes, spare_ticks)
        self._owed = Sums()
        self._floor = present
        self._last = Ledger(present, 0, 0, 0, 0, 0, 0, 0, 0)
        self._fate: _Fate | None = None
        self._handed: tuple[int, list[Packed]] | None = None
        self._inherited = 0
        self._reserved_until = 0
        self._carried = Sums()
        self._damaged = self._tries = self._skipped = 0
        self._checks: dict[str, bytes] | None = None
        self._checks_owed = self._crowded = False
        self._try(lambda file: None)

    def close(self) -> None:
        """Write what memory holds, if that works now, and close the file. What was in flight is handed out again."""
        self._settle()
        lost = self._spare.waiting + self._spare.in_flight
        if lost:
            _log.error("%s: %d ticks were only in memory and are lost", self.path, lost)
        if self._file is not None:
            self._try(BufferFile.close)
            self._file = None

    def keep(self, ticks: Sequence[Tick]) -> None:
        """Keep what one run yielded, all of it or nothing: in the file, or in memory while that fails."""
        packed = pack_ticks(ticks)
        dropped, damaged = self._last.dropped, self._damaged
        if not self._is_owing() and self._try(lambda file: file.keep(packed)) is not _FAILED:
            if self._last.dropped > dropped and self._damaged == damaged and not self._crowded:
                self._crowded = True
                _log.warning("%s: has reached its size; the oldest ticks that wait for the hub are dropped", self.path)
            return
        self._owed.collected += len(packed)
        self._owed.dropped += self._spare.add(packed)
        self._skipped += 1
        if self._skipped >= min(self._tries, SKIPPED_TRIES):
            self._settle()

    def next_batch(self, *, ticks: int = BATCH_TICKS, since: int = 0, until: int = 2**62) -> Parcel | None:
        """The batch to send now: the one in flight if there is one, else the oldest waiting ticks under a new number.

        Bounds: at most ``ticks`` ticks, ``BATCH_SAMPLES`` and ``BATCH_BYTES``, but never less than one tick. A new
        batch holds only ticks with ``since <= time <= until``; the others wait.
        """
        self._settle()
        if not self._spare.sending and not self._fate:
            number = self._number()
            found = self._try(lambda file: file.next_batch(number, ticks=ticks, since=since, until=until))
            if isinstance(found, tuple):
                parcel, packed = found
                self._handed = (parcel.sequence, packed)
                return replace(parcel, inherited=parcel.sequence == self._inherited)
            if found is _FAILED and self._last.sending and not self._spare.sending:
                return self._repeated()
            if found is _FAILED:
                # What failed may be on the disk for all that: the number is taken.
                self._floor = max(self._floor, number + 1)
        if not len(self._spare) or not self._may_number():
            return None
        number = self._number()
        spared = self._spare.next_batch(number, ticks=ticks, since=since, until=until)
        self._floor = max(self._floor, self._spare.sending + 1)
        return spared and replace(spared, inherited=spared.sequence == self._inherited)

    def acknowledged(self, sequence: int) -> bool:
        """The hub holds this batch. False, and nothing changes, if it is not the one in flight."""
        return self._resolve("acknowledged", sequence)

    def release(self) -> None:
        """The hub refused the batch in flight and holds nothing of it: its ticks wait again, for another number."""
        self._resolve("released", self._spare.sending or self._last.sending)

    def set_aside(self) -> None:
        """The hub will never take the ticks in flight: they stay readable here, are counted and not sent again."""
        self._resolve("set aside", self._spare.sending or self._last.sending)

    def forget_announced(self, digests: Sequence[str]) -> None:
        """The hub does not know these shapes: the next batch that needs one carries it."""
        self._try(lambda file: file.forget_announced(digests))

    def raise_sequence(self, above: int) -> None:
        """Let the next new batch have a number above this one."""
        self._floor = max(self._floor, above + 1)
        self._try(lambda file: file.raise_sequence(above))

    def trim(self, now: int) -> Trimmed:
        """Delete ticks older than ``KEPT_MILLISECONDS``, but for those in flight."""
        before = now - KEPT_MILLISECONDS
        lost = self._spare.trim(before)
        self._owed.dropped += lost
        self._settle()
        self._crowded = False
        trimmed = self._try(lambda file: file.trim(before))
        if not isinstance(trimmed, Trimmed):
            return Trimmed(0, lost)
        return Trimmed(trimmed.delivered, trimmed.dropped + lost)

    def figures(self) -> Figures:
        """The accounts as they stand."""
        found = self._try(BufferFile.pending)
        last, owed, spare = self._last, self._owed, self._spare
        if isinstance(found, tuple):
            waiting, in_flight, oldest = found
        else:
            in_flight = len(self._handed[1]) if self._handed and last.sending else 0
            waiting, oldest = last.pending - in_flight, None
        landed, becomes = (in_flight, self._fate.becomes) if self._fate else (0, "")
        times = [time for time in (oldest, spare.oldest_waiting) if time is not None]
        return Figures(
            collected=last.collected + owed.collected,
            delivered=last.delivered + owed.delivered + landed * (becomes == "acknowledged"),
            waiting=waiting + spare.waiting + landed * (becomes == "released"),
            in_flight=in_flight - landed + spare.in_flight,
            dropped=last.dropped + owed.dropped,
            set_aside=last.set_aside + owed.set_aside + landed * (becomes == "set aside"),
            oldest_waiting=min(times, default=None),
        )

    def delivery(self) -> Delivery:
        """The accounts as the hub is told them: what was set aside counts as dropped. Costs no look at the ticks."""
        oldest = self._try(BufferFile.oldest_waiting)
        last, owed, spare = self._last, self._owed, self._spare
        landed = len(self._handed[1]) if self._handed and self._fate and self._fate.becomes != "released" else 0
        delivered = last.delivered + owed.delivered
        dropped = last.dropped + owed.dropped + last.set_aside + owed.set_aside
        if self._fate and self._fate.becomes == "acknowledged":
            delivered += landed
        else:
            dropped += landed
        times = [time for time in (oldest, spare.oldest_waiting) if isinstance(time, int)]
        return Delivery(
            collected=last.collected + owed.collected,
            delivered=delivered,
            pending=last.pending - landed + spare.waiting + spare.in_flight,
            dropped=dropped,
            buffer_bytes=self.size_bytes(),
            oldest_pending=min(times, default=None),
        )

    def size_bytes(self) -> int:
        """What the buffer takes on the disk and, while the disk fails, in memory."""
        return size_of(self.path) + self._spare.size_bytes

    def window(self, since: int, until: int, *, ticks: int = 10_000) -> list[Tick]:
        """Kept ticks of the window ``[since, until)``, sent or not, by ascending time; at most ``ticks``."""
        found = self._try(lambda file: file.window(since, until, ticks))
        kept = found if isinstance(found, list) else []
        held = self._spared(since, until, ())
        return sorted([*kept, *held], key=lambda tick: tick.time)[:ticks] if held else kept

    def page(
        self, since: int, until: int, *, metrics: Collection[str] = (), after: Place = (-1, -1), ticks: int = 1_000
    ) -> Page:
        """The next at most ``ticks`` ticks of the window ``[since, until)``, by ascending time.

        Of those shapes only that hold one of the ``metrics``, if any are named. Begin without ``after``, go on with
        the last page's. What is in memory only comes with the last page, which may then be longer.
        """
        found = self._try(lambda file: file.page(since, until, metrics, after, ticks))
        kept, place = found if isinstance(found, tuple) else ([], after)
        if len(kept) == ticks:
            return Page(kept, place)
        return Page([*kept, *self._spared(since, until, metrics)], None)

    def keep_checks(self, checks: Sequence[CheckStanding]) -> None:
        """Keep how all checks stand, in place of what was kept before. Costs as much as has changed."""
        known = self._known_checks()
        fresh = {check.name: msgspec.json.encode(check) for check in checks}
        changed = {name: standing for name, standing in fresh.items() if known.get(name) != standing}
        gone = known.keys() - fresh.keys()
        self._checks = fresh
        if changed or gone:
            self._checks_owed |= self._try(lambda file: file.keep_checks(changed, gone)) is _FAILED

    def checks(self) -> list[CheckStanding]:
        """How the checks stood when they were last kept."""
        try:
            return [msgspec.json.decode(standing, type=CheckStanding) for standing in self._known_checks().values()]
        except msgspec.MsgspecError:
            return []

    def _known_checks(self) -> dict[str, bytes]:
        if self._checks is None:
            found = self._try(BufferFile.checks)
            self._checks = found if isinstance(found, dict) else {}
        return self._checks

    def _is_owing(self) -> bool:
        return bool(len(self._spare) or self._owed or self._fate or self._checks_owed)

    def _settle(self) -> None:
        """Tell the file what it has missed, if it can be told now."""
        if not self._is_owing():
            return
        self._skipped = 0
        if self._try(self._tell) is _FAILED:
            self._tries = min(self._tries * 2 or 1, SKIPPED_TRIES)
            return
        self._tries = 0
        self._recover()

    def _tell(self, file: BufferFile) -> None:
        if self._fate:
            _apply(file, self._fate)
            self._fate = self._handed = None
        if len(self._spare) or self._owed:
            # From here on the batch under way is the file's, and handed out by it again.
            handed = [one.tick for one in self._spare if one.sequence == self._spare.sending]
            file.settle(self._spare, self._spare.sending, self._owed, self._floor)
            self._handed = (self._spare.sending, handed) if self._spare.sending else None
            self._spare.clear()
            self._owed = Sums()
        if self._checks_owed:
            checks = self._known_checks()
            file.keep_checks(checks, file.checks().keys() - checks.keys())
            self._checks_owed = False

    def _resolve(self, becomes: Becomes, sequence: int) -> bool:
        fate = _Fate(sequence, becomes)
        if sequence and sequence == self._spare.sending:
            self._land(fate)
            return True
        if not sequence or self._fate or sequence != self._last.sending:
            return False
        failed = self._try(lambda file: _apply(file, fate)) is _FAILED
        if sequence == self._spare.sending:  # the file was found damaged, and the batch recalled
            self._land(fate)
        elif failed:
            self._fate = fate
        else:
            self._handed = None
        self._inherited = 0
        return True

    def _land(self, fate: _Fate) -> None:
        match fate.becomes:
            case "acknowledged":
                self._owed.delivered += self._spare.land(fate.sequence)
            case "set aside":
                self._owed.set_aside += self._spare.land(0)
            case "released":
                self._spare.land(None)
        self._settle()

    def _repeated(self) -> Parcel | None:
        """The batch under way, where the file cannot be read; None if that is not known: nothing overtakes it."""
        if self._handed is None:
            return None
        sequence, packed = self._handed
        shapes = {tick.shape.id: tick.shape for tick in packed}
        frames = frames_of((tick.shape.id, tick.time, tick.samples) for tick in packed)
        return Parcel(sequence, frames, list(shapes.values()), len(packed), True, sequence == self._inherited)

    def _number(self) -> int:
        return max(self._floor, self._last.next_sequence)

    def _may_number(self) -> bool:
        """Whether the number is one that no later life will give, whatever becomes of this one."""
        return not self._reserved_until or bool(self._spare.sending) or self._number() < self._reserved_until

    def _spared(self, since: int, until: int, metrics: Collection[str]) -> list[Tick]:
        held = (one.tick for one in self._spare if since <= one.tick.time < until)
        return [
            Tick(tick.shape, tick.time, unpack_values(tick.samples))
            for tick in held
            if not metrics or any(series.metric in metrics for series in tick.shape.series)
        ]

    def _try(self, work: Callable[[BufferFile], T]) -> T | _Failed:
        """What the file answers, or ``_FAILED``; then ``trouble`` says why."""
        for _ in range(2):
            try:
                file = self._opened()
                try:
                    return work(file)
                except (msgspec.MsgspecError, ValueError) as err:
                    raise Failing(sqlite3.DatabaseError(f"unlawful content: {err}")) from err
                finally:
                    self._last = file.ledger
            except Failing as err:
                if not err.damaged or not self._lose_file(err):
                    self._become(err)
                    return _FAILED
        return _FAILED

    def _opened(self) -> BufferFile:
        if self._file is not None:
            return self._file
        file = BufferFile(
            self.path, self._floor, carried=self._carried, most_bytes=self._most_bytes, connect=self._connect
        )
        ledger = file.ledger
        self._file, self._last, self._carried = file, ledger, Sums()
        self._inherited = ledger.sending or self._inherited
        fresh = ledger.next_sequence == self._floor and not ledger.acknowledged
        self._floor = max(self._floor, ledger.next_sequence + (0 if fresh else RESERVED_NUMBERS))
        self._reserved_until = self._floor + RESERVED_NUMBERS
        try:
            file.raise_sequence(self._floor - 1)
        except Failing:
            # The next life will find the same number and must not come to the same floor: time tells them apart.
            self._floor += self._present
            self._reserved_until = self._floor + RESERVED_NUMBERS
            raise
        return file

    def _lose_file(self, err: Failing) -> bool:
        """Set the damaged file aside, and take its accounts over. False if that cannot be done either."""
        file, self._file = self._file, None
        if file is not None:
            try:
                file.close()
            except Failing as also:
                _log.debug("%s: not closed: %s", self.path, also)
        ledger = self._last if file is not None else salvaged_ledger(self.path, self._connect)
        try:
            if self._damaged >= DAMAGED_FILES:
                raise OSError(f"{self._damaged} damaged files have been set aside already")
            aside = set_file_aside(self.path, f"{self.path.name}.damaged-{self._present}")
        except OSError as why:
            _log.error("%s is damaged (%s) and cannot be set aside: %s", self.path, err, why)
            return False
        self._damaged += 1
        lost = 0
        if ledger is not None:
            self._floor = max(self._floor, ledger.next_sequence + (0 if file else RESERVED_NUMBERS))
            lost = self._carry(ledger)
        self._handed = self._fate = None
        self._last = Ledger(self._floor, 0, 0, 0, 0, **asdict(self._carried))
        self._checks_owed = bool(self._checks)
        _log.error(
            "the buffer %s is damaged (%s); it was set aside as %s and a new one begun. %s",
            self.path,
            err,
            aside,
            f"{lost} ticks that the hub did not have are lost" if ledger else "How many ticks it held is not known",
        )
        return True

    def _carry(self, ledger: Ledger) -> int:
        """Take a lost file's accounts over, and its batch under way; the result is how many ticks were lost."""
        carried = Sums(ledger.collected, ledger.delivered, ledger.dropped, ledger.set_aside)
        lost = ledger.pending
        if self._handed and ledger.sending:
            count = len(self._handed[1])
            if self._fate is None:
                self._spare.recall(*self._handed)
                carried.collected -= count
                self._owed.collected += count
                lost -= count
            elif self._fate.becomes == "acknowledged":
                carried.delivered += count
                lost -= count
            elif self._fate.becomes == "set aside":
                carried.set_aside += count
                lost -= count
        carried.dropped += lost
        self._carried = carried
        return lost

    def _become(self, err: Failing) -> None:
        if not self.trouble:
            _log.error("%s: %s; the newest ticks are kept in memory meanwhile", self.path, err)
        self.trouble = f"{self.path}: {err}; the newest ticks are kept in memory"

    def _recover(self) -> None:
        if self.trouble:
            self.trouble = ""
            dropped = self._last.dropped
            _log.info("%s: ticks are written again; %d were dropped since the buffer was made", self.path, dropped)


class _Failed:
    """No answer."""


_FAILED = _Failed()


def _apply(file: BufferFile, fate: _Fate) -> None:
    if fate.becomes == "acknowledged":
        file.acknowledged()
    else:
        file.land(None if fate.becomes == "released" else 0)
