"""Every tick of the last 24 hours, in SQLite: what the hub has yet to get, and what a local reader may want to see.

Invariants:
- A tick is kept before anything is sent, and leaves the file by age only (``trim``), counted as delivered or dropped.
- A batch gets its number in a transaction that is on the disk before the batch is handed out; until the hub has
  acknowledged or refused it, the same ticks are handed out under the same number, after a crash and a power cut too.
- No number is used for two different batches. A fresh file begins at the present ms epoch, above whatever a lost
  predecessor used.
- ``collected = delivered + waiting + in flight + dropped + set aside``, at every moment.

Everything here blocks and belongs to one thread: the agent reaches it through ``worker.Worker``.
Source: https://www.sqlite.org/wal.html, https://www.sqlite.org/pragma.html#pragma_synchronous. The SQL asks for
SQLite 3.30 (2019) only, because some long-lived distributions have little more.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from twinwatch.protocol import limits
from twinwatch.protocol.samples import Frame, Shape
from twinwatch.world.statements import load_statements

KEPT_MILLISECONDS = 24 * 60 * 60 * 1000
BATCH_TICKS = limits.BATCH_FRAMES
"""A tick may need a frame of its own, so as many ticks as frames are always lawful."""
BATCH_SAMPLES = limits.BATCH_SAMPLES // 4
"""A quarter of what the hub takes: it bounds the agent's memory while a day's backlog leaves."""
BATCH_BYTES = limits.DECODED_BYTES // 4

_SCHEMA = 1
_SQL = load_statements("twinwatch.agent", "buffer.sql")
_log = logging.getLogger(__name__)


class BufferUnusable(Exception):
    """The file cannot be opened or written; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Tick:
    """One run's values, in the order of its shape's series. ``time`` is ms UTC; None is *no sample*."""

    shape: Shape
    time: int
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Parcel:
    """The ticks of one batch. ``more`` says that others wait behind it; ``ticks`` is how many it holds."""

    sequence: int
    frames: list[Frame]
    shapes: list[Shape]
    ticks: int
    more: bool


@dataclass(frozen=True, slots=True)
class Trimmed:
    """What age took: ticks that the hub had or had refused, and ticks that it never got."""

    delivered: int
    dropped: int


class Figures(msgspec.Struct, frozen=True):
    """The buffer's accounts since the file was made, in ticks."""

    collected: int
    delivered: int
    waiting: int
    in_flight: int
    dropped: int
    set_aside: int
    oldest_waiting: int | None
    """ms UTC of the oldest waiting tick."""


@dataclass(frozen=True, slots=True)
class _Ledger:
    next_sequence: int
    acknowledged: int
    sending: int
    sending_first: int
    sending_last: int
    collected: int
    delivered: int
    dropped: int
    set_aside: int

    @property
    def flight(self) -> dict[str, int]:
        return {"sequence": self.sending, "first": self.sending_first, "last": self.sending_last}


class Buffer:
    """The open file. ``present`` (ms UTC) starts the numbers of a fresh one."""

    def __init__(self, path: Path, present: int) -> None:
        self.path = path
        self._pack = msgspec.msgpack.Encoder().encode
        self._values = msgspec.msgpack.Decoder(list[Any]).decode
        self._shape = msgspec.msgpack.Decoder(Shape).decode
        self._shape_ids: dict[str, int] = {}
        try:
            self._db = _open(path, present)
        except sqlite3.DatabaseError as err:
            if isinstance(err, sqlite3.OperationalError):
                raise BufferUnusable(f"{path}: {err}") from err
            aside = _set_file_aside(path, present)
            _log.error("the buffer %s is damaged (%s); it was set aside as %s and a new one begun", path, err, aside)
            self._db = _open(path, present)

    def close(self) -> None:
        """Close the file. What is committed stays; the batch in flight will be handed out again."""
        self._db.close()

    def keep(self, ticks: Sequence[Tick]) -> None:
        """Keep what one run yielded, all of it or nothing."""
        with self._transaction():
            for tick in ticks:
                shape_id = self._shape_ids.get(tick.shape.id) or self._shape_id(tick.shape)
                self._do("keep_tick", time_ms=tick.time, shape_id=shape_id, samples=self._pack(tick.values))
            self._do("count_collected", ticks=len(ticks))

    def next_batch(self, *, ticks: int = BATCH_TICKS, since: int = 0, until: int = 2**62) -> Parcel | None:
        """The batch to send now: the one in flight if there is one, else the oldest waiting ticks under a new number.

        Bounds: at most ``ticks`` ticks, ``BATCH_SAMPLES`` and ``BATCH_BYTES``, but never less than one tick. A new
        batch holds only ticks with ``since <= time <= until``; the others wait.
        """
        with self._transaction():
            ledger = self._ledger()
            if ledger.sending:
                rows = self._do("in_flight", **ledger.flight)
                if rows:
                    return self._parcel(ledger.sending, rows, more=True)
                self._do("end_sending")
            waiting = self._db.execute(_SQL["waiting"], {"since": since, "until": until, "ticks": ticks + 1})
            rows, more = _cut(waiting, ticks)
            waiting.close()
            if not rows:
                return None
        with self._on_disk(), self._transaction():
            self._db.executemany(
                _SQL["number_tick"], [{"sequence": ledger.next_sequence, "id": row[0]} for row in rows]
            )
            self._do("begin_sending", first=rows[0][0], last=rows[-1][0])
            return self._parcel(ledger.next_sequence, rows, more=more)

    def acknowledged(self, sequence: int) -> bool:
        """The hub holds this batch. False, and nothing changes, if it is not the one in flight."""
        with self._transaction():
            ledger = self._ledger()
            if not sequence or sequence != ledger.sending:
                return False
            self._do("announce", **ledger.flight)
            self._do("count_delivered", sequence=sequence, ticks=self._in_flight(ledger))
            self._do("end_sending")
            return True

    def release(self) -> None:
        """The hub refused the batch in flight and holds nothing of it: its ticks wait again, for another number."""
        with self._transaction():
            self._land(None)

    def set_aside(self) -> None:
        """The hub will never take the ticks in flight: they stay readable here, are counted and not sent again."""
        with self._transaction():
            self._do("count_set_aside", ticks=self._land(0))

    def forget_announced(self, digests: Sequence[str]) -> None:
        """The hub does not know these shapes: the next batch that needs one carries it."""
        with self._transaction():
            for digest in digests:
                self._do("forget_announced", digest=digest)

    def raise_sequence(self, above: int) -> None:
        """Let the next new batch have a number above this one."""
        with self._on_disk(), self._transaction():
            self._do("raise_sequence", above=above)

    def trim(self, now: int) -> Trimmed:
        """Delete ticks older than ``KEPT_MILLISECONDS``, but for those in flight."""
        with self._transaction():
            bounds = {"before": now - KEPT_MILLISECONDS, "sending": self._ledger().sending or -1}
            ((past, waiting),) = self._do("past", **bounds)
            if past:
                self._do("trim", **bounds)
                self._do("trim_shapes")
                self._do("count_dropped", ticks=waiting)
                self._shape_ids.clear()
            return Trimmed(delivered=past - waiting, dropped=waiting)

    def figures(self) -> Figures:
        """The accounts as they stand."""
        with self._transaction():
            ledger = self._ledger()
            ((waiting, oldest),) = self._do("pending")
            return Figures(
                collected=ledger.collected,
                delivered=ledger.delivered,
                waiting=waiting,
                in_flight=self._in_flight(ledger),
                dropped=ledger.dropped,
                set_aside=ledger.set_aside,
                oldest_waiting=oldest,
            )

    def window(self, since: int, until: int, *, ticks: int = 10_000) -> list[Tick]:
        """Kept ticks of the window ``[since, until)``, by ascending time, sent or not.

        Bounds: at most ``ticks``; ask again from the last one's time for the rest.
        """
        with self._transaction():
            shapes: dict[bytes, Shape] = {}
            found = []
            for time, samples, definition in self._do("window", since=since, until=until, ticks=ticks):
                shape = shapes.get(definition) or shapes.setdefault(definition, self._shape(definition))
                found.append(Tick(shape, time, self._values(samples)))
            return found

    def _parcel(self, sequence: int, rows: list[Any], *, more: bool) -> Parcel:
        frames: list[Frame] = []
        latest: dict[str, Frame] = {}
        unannounced: dict[int, None] = {}
        for _, shape_id, time, samples, digest, _, _, announced in rows:
            values = self._values(samples)
            frame = latest.get(digest)
            if frame is None or time <= frame.times[-1]:
                frame = latest[digest] = Frame(digest, [time], [[value] for value in values])
                frames.append(frame)
            else:
                frame.times.append(time)
                for column, value in zip(frame.columns, values, strict=True):
                    column.append(value)
            if not announced:
                unannounced[shape_id] = None
        shapes = [self._shape(self._do("definition", id=shape_id)[0][0]) for shape_id in unannounced]
        return Parcel(sequence, frames, shapes, len(rows), more)

    def _shape_id(self, shape: Shape) -> int:
        found = self._do("find_shape", digest=shape.id)
        if found:
            self._shape_ids[shape.id] = found[0][0]
        else:
            self._do("keep_shape", digest=shape.id, definition=self._pack(shape), series=len(shape.series))
            self._shape_ids[shape.id] = self._do("find_shape", digest=shape.id)[0][0]
        return self._shape_ids[shape.id]

    def _land(self, becomes: int | None) -> int:
        ledger = self._ledger()
        if not ledger.sending:
            return 0
        ticks = self._db.execute(_SQL["renumber"], {"becomes": becomes, **ledger.flight}).rowcount
        self._do("end_sending")
        return ticks

    def _in_flight(self, ledger: _Ledger) -> int:
        return int(self._do("count_in_flight", **ledger.flight)[0][0]) if ledger.sending else 0

    def _ledger(self) -> _Ledger:
        return _Ledger(*self._do("ledger")[0])

    def _do(self, name: str, **values: int | str | bytes) -> list[Any]:
        return self._db.execute(_SQL[name], values).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._db.execute("begin immediate")
            try:
                yield
            except BaseException:
                self._shape_ids.clear()
                self._db.rollback()
                raise
            self._db.commit()
        except sqlite3.Error as err:
            raise BufferUnusable(f"{self.path}: {err}") from err

    @contextmanager
    def _on_disk(self) -> Iterator[None]:
        """Commits within survive a power cut, not only a crash."""
        self._db.execute("pragma synchronous = full")
        try:
            yield
        finally:
            self._db.execute("pragma synchronous = normal")


def _cut(rows: Iterable[Any], ticks: int) -> tuple[list[Any], bool]:
    """The rows that one batch may hold, and whether others were left."""
    taken: list[Any] = []
    samples = size = 0
    defined: set[int] = set()
    for row in rows:
        _, shape_id, _, blob, _, series, definition_bytes, announced = row
        samples += series
        size += len(blob)
        if not announced and shape_id not in defined:
            defined.add(shape_id)
            size += definition_bytes
        full = samples > BATCH_SAMPLES or size > BATCH_BYTES or len(defined) > limits.BATCH_SHAPES
        if len(taken) >= ticks or (full and taken):
            return taken, True
        taken.append(row)
    return taken, False


def _open(path: Path, present: int) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0, cached_statements=32)
    try:
        db.execute("pragma journal_mode = wal")
        db.execute("pragma synchronous = normal")
        db.execute("pragma journal_size_limit = 4194304")
        db.execute("pragma cache_size = -256")
        (version,) = db.execute("pragma user_version").fetchone()
        if version > _SCHEMA:
            raise BufferUnusable(
                f"{path}: written by a newer twinwatch (schema {version}, this one knows {_SCHEMA}); "
                "install that version again, or move the file away"
            )
        if version == 0:
            db.execute("begin immediate")
            for statement in _SQL["schema_1"].split(";\n"):
                db.execute(statement)
            db.execute(_SQL["open_ledger"], {"next_sequence": present})
            db.execute("pragma user_version = 1")
            db.commit()
        elif db.execute("pragma quick_check(1)").fetchone() != ("ok",):
            raise sqlite3.DatabaseError("quick_check found damage")
    except BaseException:
        db.close()
        raise
    return db


def _set_file_aside(path: Path, present: int) -> Path:
    aside = path.with_name(f"{path.name}.damaged-{present}")
    for ending in ("", "-wal", "-shm"):
        part = path.with_name(path.name + ending)
        if part.exists():
            part.rename(aside.with_name(aside.name + ending))
    return aside
