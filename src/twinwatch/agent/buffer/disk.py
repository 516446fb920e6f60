"""The buffer's SQLite file: opening, what went wrong with it, and transactions.

Source: https://www.sqlite.org/rescode.html, https://www.sqlite.org/wal.html,
https://www.sqlite.org/pragma.html#pragma_synchronous.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from twinwatch.agent.buffer.accounts import Ledger, Sums
from twinwatch.world.statements import load_statements

SCHEMA = 2
WAL_BYTES = 4 << 20
SQL = load_statements("twinwatch.agent", "buffer.sql")

Connect = Callable[..., sqlite3.Connection]

_DAMAGED = {1, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
"""1 is what a statement gets whose table is not there: the file is lawful SQLite, but no buffer."""


class BufferUnusable(Exception):
    """The file belongs to a newer version; the message says what to do."""


class Failing(Exception):
    """The file cannot be read or written now. ``full``: for want of space; ``damaged``: it never will be again."""

    def __init__(self, err: sqlite3.Error) -> None:
        # An error without a code is made here or is a file that SQLite itself calls malformed.
        code = getattr(err, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
        self.full = code == sqlite3.SQLITE_FULL
        self.damaged = code in _DAMAGED
        super().__init__(str(err))


def open_file(path: Path, present: int, carried: Sums, connect: Connect) -> sqlite3.Connection:
    """The file, made if it is missing: its numbers begin at ``present``, its accounts with what is ``carried``.

    Raises: Failing; BufferUnusable.
    """
    try:
        db = connect(path, isolation_level=None, check_same_thread=False, timeout=5.0, cached_statements=32)
    except sqlite3.Error as err:
        raise Failing(err) from err
    try:
        db.execute("pragma journal_mode = wal")
        db.execute("pragma synchronous = normal")
        db.execute(f"pragma journal_size_limit = {WAL_BYTES}")
        db.execute("pragma cache_size = -96")
        (version,) = db.execute("pragma user_version").fetchone()
        if version > SCHEMA:
            raise BufferUnusable(
                f"{path}: written by a newer twinwatch (schema {version}, this one knows {SCHEMA}); "
                "install that version again, or move the file away"
            )
        if version and db.execute("pragma quick_check(1)").fetchone() != ("ok",):
            raise sqlite3.DatabaseError("quick_check found damage")
        if version < SCHEMA:
            _migrate(db, version, present, carried)
    except sqlite3.Error as err:
        db.close()
        raise Failing(err) from err
    except BaseException:
        db.close()
        raise
    return db


def _migrate(db: sqlite3.Connection, version: int, present: int, carried: Sums) -> None:
    db.execute("begin immediate")
    for number in range(version + 1, SCHEMA + 1):
        for statement in SQL["schema_" + str(number)].split(";\n"):
            db.execute(statement)
    if not version:
        db.execute(SQL["open_ledger"], {"next_sequence": present})
        db.execute(
            SQL["count"],
            {
                "collected": carried.collected,
                "delivered": carried.delivered,
                "dropped": carried.dropped,
                "set_aside": carried.set_aside,
            },
        )
    db.execute(f"pragma user_version = {SCHEMA}")
    db.commit()


def salvaged_ledger(path: Path, connect: Connect) -> Ledger | None:
    """The accounts of a damaged file, if they can still be read."""
    with suppress(sqlite3.Error, TypeError):
        db = connect(path, isolation_level=None, timeout=1.0)
        try:
            ledger = Ledger(*db.execute(SQL["ledger"]).fetchone())
        finally:
            db.close()
        if min(ledger.collected, ledger.delivered, ledger.dropped, ledger.set_aside, ledger.pending) >= 0:
            return ledger
    return None


def set_file_aside(path: Path, name: str) -> Path:
    """Rename the file and its companions: to ``name``, or that with a number, so that nothing is overwritten."""
    aside = path.with_name(name)
    number = 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{name}-{number}")
    for ending in ("", "-wal", "-shm"):
        part = path.with_name(path.name + ending)
        if part.exists():
            part.rename(aside.with_name(aside.name + ending))
    return aside


def size_of(path: Path) -> int:
    """Bytes on the disk, the log of pending changes included."""
    size = 0
    for part in (str(path), f"{path}-wal"):
        with suppress(OSError):
            size += os.stat(part).st_size  # noqa: PTH116 - a path made anew each time is not free, see Sources
    return size


@contextmanager
def transaction(db: sqlite3.Connection, *, durable: bool = False) -> Iterator[None]:
    """All of it or nothing. ``durable``: it survives a power cut too, not only a crash.

    Raises: Failing.
    """
    try:
        if durable:
            db.execute("pragma synchronous = full")
        try:
            db.execute("begin immediate")
            try:
                yield
                db.commit()
            except BaseException:
                # A full disk may have rolled back already.
                if db.in_transaction:
                    db.rollback()
                raise
        finally:
            if durable:
                db.execute("pragma synchronous = normal")
    except sqlite3.Error as err:
        if isinstance(err, (sqlite3.ProgrammingError, sqlite3.InterfaceError)):
            raise
        raise Failing(err) from err
