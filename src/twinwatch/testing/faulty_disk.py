"""A disk that fails on demand, behind ``Buffer(connect=…)``: SQLite's own errors, where SQLite raises them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any, Literal

Fault = Literal["", "full", "full at commit", "read-only", "broken"]

_ERRORS = {
    "full": (sqlite3.SQLITE_FULL, "database or disk is full"),
    "full at commit": (sqlite3.SQLITE_FULL, "database or disk is full"),
    "read-only": (sqlite3.SQLITE_READONLY, "attempt to write a readonly database"),
    "broken": (sqlite3.SQLITE_IOERR, "disk I/O error"),
    "damaged": (sqlite3.SQLITE_CORRUPT, "database disk image is malformed"),
}


class FaultyDisk:
    """``fault`` is what is wrong now. ``damage`` spoils the files that are open at that moment for good."""

    def __init__(self) -> None:
        self.fault: Fault = ""
        self._open: list[_Connection] = []

    def connect(self, *args: Any, **kwargs: Any) -> sqlite3.Connection:
        """As ``sqlite3.connect``."""
        if self.fault == "broken":
            raise error("broken")
        connection = sqlite3.connect(*args, factory=_Connection, **kwargs)
        connection.disk = self
        self._open.append(connection)
        return connection

    def damage(self) -> None:
        """Let every statement on what is open now fail as on a corrupt file."""
        for connection in self._open:
            connection.damaged = True


class _Connection(sqlite3.Connection):
    disk: FaultyDisk
    damaged = False

    def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
        self._judge(statement)
        return super().execute(statement, *values)

    def executemany(self, statement: str, values: Iterable[Any]) -> sqlite3.Cursor:
        self._judge(statement)
        return super().executemany(statement, values)

    def commit(self) -> None:
        self._judge("commit")
        super().commit()

    def _judge(self, statement: str) -> None:
        word = statement.split(None, 1)[0].lower()
        fault = self.disk.fault
        if self.damaged:
            raise error("damaged")
        if fault == "broken" and word != "rollback":
            raise error(fault)
        if fault == "read-only" and word == "begin":
            raise error(fault)
        if fault == "full" and word in ("insert", "update", "create"):
            raise error(fault)
        if fault == "full at commit" and word == "commit" and self.in_transaction:
            raise error(fault)


def error(fault: str) -> sqlite3.OperationalError:
    """What SQLite raises then."""
    code, message = _ERRORS[fault]
    raised = sqlite3.OperationalError(message)
    raised.sqlite_errorcode = code
    return raised
