"""What the agent must not forget of its alerts, in SQLite: states of things, alerts, and the events that the hub has
yet to get.

Invariants: what one call keeps is kept whole or not at all, and is on the disk when it returns, so that a power cut
repeats nothing; numbers of events only rise, and begin in a fresh file at the present ms epoch, above whatever a lost
one used. A disk that is full, read-only or broken stops nobody from being told: a copy in memory takes its place, and
the file is written anew when that works (``mend``).

Everything here blocks and belongs to the worker's thread.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import msgspec

from twinwatch.agent.alerting.alert import Alert
from twinwatch.agent.alerting.judge import Remembered
from twinwatch.agent.buffer.disk import Connect, set_file_aside
from twinwatch.protocol.alerts import AlertEvent
from twinwatch.world.statements import load_statements

SCHEMA = 1
FILE = "alerts.sqlite3"
EVENTS = 10_000
KEPT_MILLISECONDS = 24 * 60 * 60 * 1000
"""So long, and so many, events wait for a hub that is away."""
PACKED_BYTES = 400 << 10
"""Of the events of one request."""

_log = logging.getLogger(__name__)
_encode = msgspec.msgpack.Encoder().encode

Place = tuple[str, str]
T = TypeVar("T")


@dataclass(slots=True)
class Writing:
    """What one transaction keeps, packed where it was made. A thing or alert without a body is forgotten."""

    things: dict[Place, bytes | None] = field(default_factory=dict)
    alerts: dict[tuple[str, str, int], bytes | None] = field(default_factory=dict)
    events: list[tuple[int, int, bytes]] = field(default_factory=list)
    """Number, time, body."""
    delivered_at: int = 0

    def __bool__(self) -> bool:
        return bool(self.things or self.alerts or self.events or self.delivered_at)

    def thing(self, place: Place, kept: Remembered | None) -> None:
        """Keep the thing, or forget it."""
        self.things[place] = None if kept is None else _encode(kept)

    def alert(self, alert: Alert) -> None:
        """Keep the alert, or forget it once it is over."""
        self.alerts[alert.rule.name, alert.thing, alert.episode] = None if alert.over else _encode(alert)

    def event(self, event: AlertEvent) -> None:
        """Keep the event until the hub has it."""
        self.events.append((event.number, event.at, _encode(event)))


@dataclass(frozen=True, slots=True)
class Known:
    """All that was kept."""

    things: Sequence[Remembered]
    alerts: Sequence[Alert]
    number: int
    delivered_at: int


class Memory:
    """The open memory. ``trouble`` says what is wrong with the disk, empty if nothing is."""

    def __init__(self, path: Path, present: int, *, connect: Connect = sqlite3.connect) -> None:
        self.path = path
        self.trouble = ""
        self._present = present
        self._connect = connect
        self._sql = load_statements("twinwatch.agent.alerting", "memory.sql")
        self._in_memory = False
        try:
            self._db = self._opened(path)
        except sqlite3.Error as err:
            self._db = self._afresh(err)

    def close(self) -> None:
        """What was kept stays."""
        self.mend()
        with suppress(sqlite3.Error):
            self._db.close()

    def known(self) -> Known:
        """What was kept. What cannot be read of it any more is left out."""
        number, delivered_at = self._db.execute(self._sql["ledger"]).fetchone()
        things = [_decoded(body, Remembered) for (body,) in self._db.execute(self._sql["things"])]
        alerts = [_decoded(body, Alert) for (body,) in self._db.execute(self._sql["alerts"])]
        return Known(
            [one for one in things if one is not None], [one for one in alerts if one is not None], number, delivered_at
        )  # fmt: skip

    def write(self, writing: Writing) -> None:
        """Keep all of it in one transaction."""

        def work() -> None:
            for (rule, thing), body in writing.things.items():
                values = {"rule": rule, "thing": thing, "body": body}
                self._do("forget_thing" if body is None else "keep_thing", **values)
            for (rule, thing, episode), body in writing.alerts.items():
                name = "forget_alert" if body is None else "keep_alert"
                self._do(name, rule=rule, thing=thing, episode=episode, body=body)
            for number, at, body in writing.events:
                self._do("add_event", number=number, at=at, body=body)
            if writing.events:
                self._do("note_number", number=writing.events[-1][0])
            if writing.delivered_at:
                self._do("note_delivered", at=writing.delivered_at)

        self._write(work)

    def events(self, most: int) -> tuple[list[AlertEvent], bool]:
        """The oldest events that wait, and whether others do."""
        rows = self._db.execute(self._sql["events"], {"after": 0, "most": most + 1}).fetchall()
        found: list[AlertEvent] = []
        size = 0
        for number, body in rows[:most]:
            size += len(body)
            if found and size > PACKED_BYTES:
                return found, True
            event = _decoded(body, AlertEvent)
            if event is not None:
                found.append(msgspec.structs.replace(event, number=number))
        return found, len(rows) > most

    def acknowledged(self, number: int) -> None:
        """The hub has all events up to this one."""
        self._write(lambda: self._do("acknowledge", number=number))

    def drop(self, number: int) -> None:
        """The hub will never take this event."""
        self._write(lambda: self._do("drop_event", number=number))

    def lift(self, above: int) -> int:
        """The hub has counted up to ``above`` already, in a life that this file knows nothing of: what waits gets
        numbers beyond. The highest number is the result."""

        def work() -> int:
            events = self._db.execute(self._sql["events"], {"after": 0, "most": EVENTS}).fetchall()
            for row in events:
                self._do("drop_event", number=row[0])
            for place, (_, body) in enumerate(events, above + 1):
                at = msgspec.msgpack.decode(body, type=AlertEvent).at
                self._do("add_event", number=place, at=at, body=body)
            self._do("note_number", number=above + len(events))
            return above + len(events)

        return self._write(work) or above

    def trim(self, now: int) -> int:
        """Drop events that nobody waits for any more; how many is the result."""
        before = self._db.total_changes
        self._write(lambda: self._do("expire", before=now - KEPT_MILLISECONDS, most=EVENTS))
        return self._db.total_changes - before

    def waiting(self) -> int:
        """How many events wait for the hub."""
        return int(self._db.execute(self._sql["count_events"]).fetchone()[0])

    def mend(self) -> None:
        """Bring what is in memory only to the disk, if that works now."""
        if not self._in_memory:
            return
        try:
            fresh = self._opened(self.path)
        except sqlite3.Error as err:
            self.trouble = str(err)
            return
        try:
            self._db.backup(fresh)
            fresh.execute("pragma journal_mode = wal")
        except sqlite3.Error as err:
            self.trouble = str(err)
            fresh.close()
            return
        self._db.close()
        self._db, self._in_memory, self.trouble = fresh, False, ""
        _log.info("%s: written again", self.path)

    def _write(self, work: Callable[[], T]) -> T | None:
        for _ in range(2):
            try:
                self._db.execute("begin immediate")
                try:
                    result = work()
                    self._db.commit()
                except BaseException:
                    if self._db.in_transaction:
                        self._db.rollback()
                    raise
            except sqlite3.Error as err:
                if self._in_memory:
                    raise
                self._db = self._retreat(err)
            else:
                return result
        return None

    def _retreat(self, err: sqlite3.Error) -> sqlite3.Connection:
        """A copy in memory of what can still be read."""
        self._say(err)
        memory = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        try:
            self._db.backup(memory)
            memory.execute(self._sql["ledger"]).fetchone()
        except sqlite3.Error as damage:
            memory.close()
            return self._afresh(damage)
        finally:
            with suppress(sqlite3.Error):
                self._db.close()
        self._in_memory = True
        return memory

    def _afresh(self, err: sqlite3.Error) -> sqlite3.Connection:
        """A new one, where the old one cannot be read: a damaged file is set aside, never deleted."""
        code = getattr(err, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
        if code in (1, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            with suppress(OSError, sqlite3.Error):
                aside = set_file_aside(self.path, f"{FILE}.damaged")
                _log.error("%s: damaged (%s); it is now %s, open alerts begin anew", self.path, err, aside.name)
                return self._opened(self.path)
        self._say(err)
        self._in_memory = True
        return self._opened(":memory:")

    def _say(self, err: sqlite3.Error) -> None:
        self.trouble = str(err)
        _log.error("%s: %s; alerts are remembered in memory only until that is mended", self.path, err)

    def _opened(self, path: Path | str) -> sqlite3.Connection:
        db = self._connect(path, isolation_level=None, check_same_thread=False, timeout=5.0, cached_statements=16)
        try:
            db.execute("pragma journal_mode = wal")
            # A message is sent only after this is on the disk, power cut or not; it is written seldom.
            db.execute("pragma synchronous = full")
            db.execute("pragma journal_size_limit = 1048576")
            db.execute("pragma cache_size = -64")
            (version,) = db.execute("pragma user_version").fetchone()
            if version and db.execute("pragma quick_check(1)").fetchone() != ("ok",):
                raise sqlite3.DatabaseError("quick_check found damage")
            if not version:
                db.execute("begin immediate")
                for statement in self._sql["schema_1"].split(";\n"):
                    db.execute(statement)
                db.execute(self._sql["begin"], {"number": self._present})
                db.execute(f"pragma user_version = {SCHEMA}")
                db.commit()
        except BaseException:
            db.close()
            raise
        return db

    def _do(self, name: str, /, **values: int | str | bytes | None) -> None:
        self._db.execute(self._sql[name], values)


def _decoded(body: bytes, kind: type[T]) -> T | None:
    try:
        return msgspec.msgpack.decode(body, type=kind)
    except msgspec.MsgspecError as err:
        _log.warning("something kept of alerts cannot be read (%s) and is left out", err)
        return None
