"""The buffer's file: every statement, and nothing of what to do when it fails (every method may raise ``Failing``)."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from twinwatch.agent.buffer.accounts import Ledger, Sums, Trimmed
from twinwatch.agent.buffer.disk import SQL, WAL_BYTES, Connect, Failing, open_file, transaction
from twinwatch.agent.buffer.spare import Spared
from twinwatch.agent.buffer.ticks import Load, Packed, Parcel, Tick, frames_of, unpack_values
from twinwatch.protocol.samples import Shape

DISCARDED_TICKS = 256
"""How many go at a time when room is needed."""

T = TypeVar("T")
Place = tuple[int, int]
"""Where a reader is: the time and the row of the last tick it got."""


class BufferFile:
    """The open file. ``ledger`` is its accounts after the last transaction."""

    def __init__(self, path: Path, present: int, *, carried: Sums, most_bytes: int, connect: Connect) -> None:
        self.ledger: Ledger
        self._most_bytes = max(most_bytes - WAL_BYTES, most_bytes // 2)
        self._fresh_bytes = 0
        self._cramped = False
        self._pack = msgspec.msgpack.Encoder().encode
        self._shape = msgspec.msgpack.Decoder(Shape).decode
        self._shape_ids: dict[str, int] = {}
        self._db = open_file(path, present, carried, connect)
        try:
            self.ledger = Ledger(*self._db.execute(SQL["ledger"]).fetchone())
        except (sqlite3.Error, TypeError) as err:
            self._db.close()
            raise Failing(err if isinstance(err, sqlite3.Error) else sqlite3.DatabaseError("no ledger")) from err

    def close(self) -> None:
        """What is committed stays."""
        try:
            self._db.close()
        except sqlite3.Error as err:
            raise Failing(err) from err

    def keep(self, ticks: Sequence[Packed]) -> None:
        """Keep what one run yielded, all of it or nothing."""
        self._fitting(lambda: self._keep(ticks))

    def settle(self, held: Iterable[Spared], sending: int, sums: Sums, next_sequence: int) -> None:
        """Take over what memory held: ticks with their fates, the batch under way, and what is to be counted."""

        def write() -> None:
            under_way = []
            for one in held:
                row = self._insert(one.tick, one.sequence)
                if sending and one.sequence == sending:
                    under_way.append(row)
            if under_way:
                self._do("begin_sending", sequence=sending, first=under_way[0], last=under_way[-1])
            self._do("raise_sequence", above=next_sequence - 1)
            self._do("count", **asdict(sums))

        self._fitting(write, durable=True)

    def next_batch(self, sequence: int, *, ticks: int, since: int, until: int) -> tuple[Parcel, list[Packed]] | None:
        """The batch under way, else the oldest waiting ticks under this number, and the ticks themselves."""
        # Looked up without a transaction: what is under way can be handed out again from a disk that takes no writes.
        ledger = self._read(self._ledger)
        if ledger.sending:
            rows = self._read(lambda: self._do("in_flight", **ledger.flight))
            if rows:
                return self._read(lambda: self._parcel(ledger.sending, rows, more=True))
            self._write(lambda: self._do("end_sending"))
        rows, more = self._read(lambda: self._waiting(ticks, since, until))
        if not rows:
            return None
        with transaction(self._db, durable=True):
            self._db.executemany(SQL["number_tick"], [{"sequence": sequence, "id": row[0]} for row in rows])
            self._do("begin_sending", sequence=sequence, first=rows[0][0], last=rows[-1][0])
            parcel = self._parcel(sequence, rows, more=more)
            fresh = self._ledger()
        self.ledger = fresh
        return parcel

    def acknowledged(self) -> None:
        """The hub holds the batch under way."""

        def write() -> None:
            flight = self._ledger().flight
            self._do("announce", **flight)
            self._do("note_acknowledged", sequence=flight["sequence"])
            self._do("count", **asdict(Sums(delivered=self._in_flight())))
            self._do("end_sending")

        self._write(write)

    def land(self, becomes: int | None) -> None:
        """The batch under way is under way no more: its ticks wait again (None) or are set aside (0)."""

        def write() -> None:
            count = self._db.execute(SQL["renumber"], {"becomes": becomes, **self._ledger().flight}).rowcount
            self._do("end_sending")
            if becomes == 0:
                self._do("count", **asdict(Sums(set_aside=count)))

        self._write(write)

    def forget_announced(self, digests: Sequence[str]) -> None:
        """The hub does not know these shapes."""
        self._write(lambda: [self._do("forget_announced", digest=digest) for digest in digests])

    def raise_sequence(self, above: int) -> None:
        """Let the next new batch have a number above this one."""
        if self.ledger.next_sequence <= above:
            self._write(lambda: self._do("raise_sequence", above=above), durable=True)

    def trim(self, before: int) -> Trimmed:
        """Delete ticks older than this, but for those in flight."""

        def write() -> Trimmed:
            bounds = {"before": before, "sending": self._ledger().sending or -1}
            ((past, waiting),) = self._do("past", **bounds)
            if past:
                self._do("trim", **bounds)
                self._do("trim_shapes")
                self._do("count", **asdict(Sums(dropped=waiting)))
                self._shape_ids.clear()
            return Trimmed(delivered=past - waiting, dropped=waiting)

        trimmed = self._write(write)
        if self._pragma("page_count") * self._pragma("page_size") > self._most_bytes * 5 // 4:
            # The bound was lowered: what it deletes leaves free pages, and the file as large as it was.
            self._write(self._make_room)
            self._read(lambda: self._db.execute("vacuum").fetchall())
        return trimmed

    def pending(self) -> tuple[int, int, int | None]:
        """Waiting ticks, ticks in flight, time of the oldest waiting one."""

        def read() -> tuple[int, int, int | None]:
            ((waiting, oldest),) = self._do("pending")
            return waiting, self._in_flight(), oldest

        return self._write(read)

    def oldest_waiting(self) -> int | None:
        """ms UTC."""
        rows = self._read(lambda: self._do("oldest_waiting"))
        return int(rows[0][0]) if rows else None

    def window(self, since: int, until: int, ticks: int) -> list[Tick]:
        """Ticks of ``[since, until)`` by time."""

        def read() -> list[Tick]:
            shapes: dict[bytes, Shape] = {}
            found = []
            for time, samples, definition in self._do("window", since=since, until=until, ticks=ticks):
                shape = shapes.get(definition) or shapes.setdefault(definition, self._shape(definition))
                found.append(Tick(shape, time, unpack_values(samples)))
            return found

        return self._read(read)

    def page(
        self, since: int, until: int, metrics: Collection[str], after: Place, ticks: int
    ) -> tuple[list[Tick], Place]:
        """At most so many ticks that hold one of these metrics, from after a place on, and the place of the last."""

        def read() -> tuple[list[Tick], Place]:
            shapes = {number: self._shape(definition) for number, definition in self._do("definitions")}
            wanted = [
                number
                for number, shape in shapes.items()
                if not metrics or any(series.metric in metrics for series in shape.series)
            ]
            statement = SQL["page"].replace("/* shapes */", ",".join(map(str, wanted)))
            bounds = {"time": after[0], "id": after[1], "since": since, "until": until, "ticks": ticks}
            rows = self._db.execute(statement, bounds).fetchall()
            place = (rows[-1][1], rows[-1][0]) if rows else after
            return [Tick(shapes[row[2]], row[1], unpack_values(row[3])) for row in rows], place

        return self._read(read)

    def checks(self) -> dict[str, bytes]:
        """What was kept of each check, by its name."""
        return dict(self._read(lambda: self._do("checks")))

    def keep_checks(self, changed: dict[str, bytes], gone: Iterable[str]) -> None:
        """Keep these, forget those."""

        def write() -> None:
            for name, standing in changed.items():
                self._do("keep_check", name=name, standing=standing)
            for name in gone:
                self._do("forget_check", name=name)

        self._write(write)

    def _waiting(self, ticks: int, since: int, until: int) -> tuple[list[Any], bool]:
        found = self._db.execute(SQL["waiting"], {"since": since, "until": until, "ticks": ticks + 1})
        try:
            return _cut(found, ticks)
        finally:
            found.close()

    def _keep(self, ticks: Sequence[Packed]) -> None:
        for tick in ticks:
            self._insert(tick, None)
        self._do("count", **asdict(Sums(collected=len(ticks))))
        self._fresh_bytes += sum(len(tick.samples) for tick in ticks)
        if self._fresh_bytes >= self._most_bytes // 128:
            self._fresh_bytes = 0
            self._make_room()

    def _insert(self, tick: Packed, sequence: int | None) -> int:
        shape_id = self._shape_ids.get(tick.shape.id) or self._shape_id(tick.shape)
        values = {"time_ms": tick.time, "shape_id": shape_id, "samples": tick.samples, "sequence": sequence}
        return self._db.execute(SQL["keep_tick"], values).lastrowid or 0

    def _fitting(self, work: Callable[[], None], *, durable: bool = False) -> None:
        """The write; on a full disk once more after the file has made room within itself."""
        try:
            self._write(work, durable=durable)
        except Failing as err:
            if not err.full or self._cramped:
                raise
            self._cramped = True  # until a write succeeds: what is deleted in vain is gone all the same
            self._write(self._discard_sent)
            self._read(lambda: self._db.execute("pragma wal_checkpoint(restart)").fetchall())
            self._write(work, durable=durable)
        self._cramped = False

    def _discard(self) -> bool:
        """Delete some of the oldest ticks: such as the hub has, else such as it never got, which are counted."""
        if self._discard_sent():
            return True
        dropped = self._db.execute(SQL["discard_waiting"], {"ticks": DISCARDED_TICKS}).rowcount
        self._do("count", **asdict(Sums(dropped=dropped)))
        return dropped > 0

    def _discard_sent(self) -> bool:
        bounds = {"sending": self._ledger().sending or -1, "ticks": DISCARDED_TICKS}
        return self._db.execute(SQL["discard_sent"], bounds).rowcount > 0

    def _make_room(self) -> None:
        while self._used_bytes() > self._most_bytes and self._discard():
            pass

    def _used_bytes(self) -> int:
        return (self._pragma("page_count") - self._pragma("freelist_count")) * self._pragma("page_size")

    def _pragma(self, name: str) -> int:
        return int(self._read(lambda: self._db.execute(f"pragma {name}").fetchone()[0]))

    def _parcel(self, sequence: int, rows: list[Any], *, more: bool) -> tuple[Parcel, list[Packed]]:
        shapes = {number: self._shape(self._do("definition", id=number)[0][0]) for number in {row[1] for row in rows}}
        unannounced = {row[1]: shapes[row[1]] for row in rows if not row[7]}
        frames = frames_of((digest, time, samples) for _, _, time, samples, digest, _, _, _ in rows)
        packed = [Packed(shapes[row[1]], row[2], row[3]) for row in rows]
        return Parcel(sequence, frames, list(unannounced.values()), len(rows), more), packed

    def _shape_id(self, shape: Shape) -> int:
        found = self._do("find_shape", digest=shape.id)
        if not found:
            self._do("keep_shape", digest=shape.id, definition=self._pack(shape), series=len(shape.series))
            found = self._do("find_shape", digest=shape.id)
        self._shape_ids[shape.id] = found[0][0]
        return self._shape_ids[shape.id]

    def _in_flight(self) -> int:
        ledger = self._ledger()
        return int(self._do("count_in_flight", **ledger.flight)[0][0]) if ledger.sending else 0

    def _ledger(self) -> Ledger:
        return Ledger(*self._do("ledger")[0])

    def _write(self, work: Callable[[], T], *, durable: bool = False) -> T:
        try:
            with transaction(self._db, durable=durable):
                result = work()
                fresh = self._ledger()
        except BaseException:
            self._shape_ids.clear()
            raise
        self.ledger = fresh
        return result

    def _read(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except sqlite3.DatabaseError as err:
            raise Failing(err) from err

    def _do(self, name: str, /, **values: int | str | bytes) -> list[Any]:
        return self._db.execute(SQL[name], values).fetchall()


def _cut(rows: Iterable[Any], ticks: int) -> tuple[list[Any], bool]:
    """The rows that one batch may hold, and whether others were left."""
    taken: list[Any] = []
    load = Load(ticks)
    for row in rows:
        _, _, _, samples, digest, series, definition_bytes, announced = row
        if not load.takes(digest, series, len(samples), 0 if announced else definition_bytes):
            return taken, True
        taken.append(row)
    return taken, False
