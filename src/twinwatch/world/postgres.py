"""The door to PostgreSQL servers: one connection each, kept, with deadlines of its own. ``psycopg`` is imported when it
is first used.

Invariants: at most one connection per server and at most one statement on it at a time; no statement outlives its
deadline there either (``statement_timeout``); nothing is ever written (``default_transaction_read_only``); a caller
waits no longer than its timeout and a few ``PARTING_SECONDS``, whatever the server does; no connection string, no
password and no piece of a string that could not be read is ever in a message.
Source: https://www.psycopg.org/psycopg3/docs/, https://www.postgresql.org/docs/current/libpq-connect.html.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from twinwatch.world.secret import Secret, hidden

if TYPE_CHECKING:
    from psycopg import AsyncConnection

APPLICATION = "twinwatch"
CONNECT_SECONDS = 5
STATEMENT_MILLISECONDS = 2_000
LOCK_MILLISECONDS = 100
ROWS = 1_000
CLOSE_SECONDS = 1.0
PARTING_SECONDS = 0.5
"""What the server gets to cancel a statement before the connection is thrown away."""
IDLE_SECONDS = 4000.0
"""Longer than the longest interval."""
SETTINGS = {
    "statement_timeout": STATEMENT_MILLISECONDS,
    "lock_timeout": LOCK_MILLISECONDS,
    "default_transaction_read_only": "on",
    "idle_in_transaction_session_timeout": STATEMENT_MILLISECONDS,
}
BOUNDS = (
    "begin read only; "
    f"set local statement_timeout = {STATEMENT_MILLISECONDS}; set local lock_timeout = {LOCK_MILLISECONDS}"
)
"""The same for one transaction: for a pooler that takes no settings when one connects."""
SECRETS = ("password", "sslpassword", "scram_client_key", "scram_server_key", "oauth_client_secret")
REASONS = (
    ("full", ("too many clients", "connection slots are reserved", "too many connections for")),
    ("login", ("password authentication failed", "no password supplied", "no pg_hba.conf entry", "authentication")),
    ("login", ('role "', 'database "', "certificate", "support SSL", "SSL was required")),
    ("starting", ("is starting up", "in recovery mode", "not yet accepting", "is shutting down")),
)
"""What the server says while one connects; libpq tells no code then."""
POOLER = "unsupported startup parameter"

T = TypeVar("T")


class PostgresAway(Exception):
    """No connection, or it broke. The message is the server's or the system's, without the connection string.

    ``reason``: ``full`` (no connection is free), ``login`` (the server refuses user, password, database or address, or
    TLS fails), ``starting`` (or stopping), ``misspelt`` (the connection string cannot be read), else ``away``.
    """

    def __init__(self, message: str, reason: str = "away") -> None:
        self.reason = reason
        super().__init__(message)


class PostgresRefused(Exception):
    """The server answered with an error: no right, no such view, too slow. ``sqlstate`` is its code."""

    def __init__(self, message: str, sqlstate: str) -> None:
        self.sqlstate = sqlstate
        super().__init__(message)


class PostgresMissing(Exception):
    """The library is not installed; the message says what to install."""


class Postgres(Protocol):
    """Asks servers."""

    async def query(
        self, connection: Secret, name: str, statement: str, *, timeout_seconds: float
    ) -> list[dict[str, Any]]:
        """The statement's rows, at most ``ROWS``, by column. ``name`` is the statement's, for messages. A connection
        that was kept and proves broken is made anew once: the statement only reads.

        Raises: PostgresAway; PostgresRefused; PostgresMissing.
        """
        ...


class HostPostgres:
    """The real door."""

    def __init__(self) -> None:
        self._connections: dict[Secret, AsyncConnection[dict[str, Any]]] = {}
        self._pooled: set[Secret] = set()
        self._turns: dict[Secret, asyncio.Lock] = {}
        self._idle: dict[Secret, asyncio.TimerHandle] = {}
        self._closing: set[asyncio.Task[None]] = set()

    async def query(
        self, connection: Secret, name: str, statement: str, *, timeout_seconds: float
    ) -> list[dict[str, Any]]:
        """As ``Postgres`` says."""
        try:
            import psycopg  # noqa: PLC0415 - megabytes, for those who use it
        except ImportError as err:
            raise PostgresMissing("psycopg is not installed: pip install 'twinwatch[postgres]'") from err
        secrets = _secrets(connection)
        try:
            return await _within(timeout_seconds, self._ask(connection, statement))
        except psycopg.errors.QueryCanceled as err:
            raise PostgresRefused(
                f"{name}: longer than {STATEMENT_MILLISECONDS / 1000:g} s", err.sqlstate or ""
            ) from err
        except psycopg.Error as err:
            broken = connection not in self._connections or self._connections[connection].broken
            if broken or (isinstance(err, psycopg.OperationalError) and not err.sqlstate):
                await self._drop(connection)
                said = hidden(_line(err), *secrets)
                raise PostgresAway(said, _reason(said)) from err
            raise PostgresRefused(f"{name}: {hidden(_line(err), *secrets)}", err.sqlstate or "") from err
        except UnicodeError as err:
            raise PostgresRefused(f"{name}: a text in the answer is not UTF-8", "22021") from err
        except TimeoutError as err:
            await self._drop(connection)
            raise PostgresAway(f"no answer within {timeout_seconds:g} s") from err
        except asyncio.CancelledError:
            await self._drop(connection)
            raise

    async def _ask(self, connection: Secret, statement: str) -> list[dict[str, Any]]:
        import psycopg  # noqa: PLC0415

        async with self._turns.setdefault(connection, asyncio.Lock()):
            kept = self._connections.get(connection)
            if kept is not None and not kept.closed:
                try:
                    return await self._rows(connection, kept, statement)
                except psycopg.Error:
                    if not kept.broken:
                        raise
                await self._drop(connection)
            return await self._rows(connection, await self._connected(connection), statement)

    async def _rows(
        self, connection: Secret, held: AsyncConnection[dict[str, Any]], statement: str
    ) -> list[dict[str, Any]]:
        if connection not in self._pooled:
            rows = await (await held.execute(statement.encode())).fetchmany(ROWS)
        else:
            await held.execute(BOUNDS)
            try:
                rows = await (await held.execute(statement.encode())).fetchmany(ROWS)
            finally:
                if not held.broken:
                    await held.execute("rollback")
        self._rest(connection)
        return rows

    async def _connected(self, connection: Secret) -> AsyncConnection[dict[str, Any]]:
        from psycopg import OperationalError  # noqa: PLC0415

        try:
            held = await _connect(connection, SETTINGS if connection not in self._pooled else {})
        except OperationalError as err:
            if POOLER not in str(err) or connection in self._pooled:
                raise
            held = await _connect(connection, {})
            self._pooled.add(connection)
        self._connections[connection] = held
        return held

    async def close(self) -> None:
        """Ends every connection."""
        for connection in list(self._connections):
            await self._drop(connection)
        await asyncio.gather(*self._closing)

    def _rest(self, connection: Secret) -> None:
        """From now on the connection is unused: one that stays so, since its monitor is gone, is closed."""

        def end() -> None:
            closing = asyncio.ensure_future(self._drop(connection))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

        if connection in self._idle:
            self._idle[connection].cancel()
        self._idle[connection] = asyncio.get_running_loop().call_later(IDLE_SECONDS, end)

    async def _drop(self, connection: Secret) -> None:
        held = self._connections.pop(connection, None)
        if connection in self._idle:
            self._idle.pop(connection).cancel()
        if held is not None:
            with suppress(Exception):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await held.close()


async def _connect(connection: Secret, settings: dict[str, Any]) -> AsyncConnection[dict[str, Any]]:
    from psycopg import AsyncConnection  # noqa: PLC0415
    from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415
    from psycopg.rows import dict_row  # noqa: PLC0415

    given = conninfo_to_dict(connection.reveal())
    options = " ".join(
        [str(given.pop("options", "") or ""), *(f"-c {name}={value}" for name, value in settings.items())]
    )
    return await AsyncConnection.connect(
        connection.reveal(),
        autocommit=True,
        row_factory=dict_row,
        prepare_threshold=None,  # a pooler between may hand the next statement to another session
        application_name=APPLICATION,
        connect_timeout=CONNECT_SECONDS,
        client_encoding="utf8",  # else a server of SQL_ASCII sends bytes where texts are expected
        options=options.strip(),
    )


async def _within(timeout_seconds: float, asking: Awaitable[T]) -> T:
    """Its result. One that is cut off may ask the server to cancel, but not for longer than ``PARTING_SECONDS``;
    psycopg itself would wait for ten seconds.

    Raises: TimeoutError.
    """
    task = asyncio.ensure_future(asking)
    try:
        await asyncio.wait({task}, timeout=timeout_seconds)
        if task.done():
            return task.result()
        raise TimeoutError
    finally:
        for _ in range(3):
            if not task.done():
                task.cancel()
                await asyncio.wait({task}, timeout=PARTING_SECONDS)
        if task.done() and not task.cancelled():
            task.exception()


def _secrets(connection: Secret) -> list[Secret]:
    """The passwords in a connection string.

    Raises: PostgresAway if it is none, in words that repeat nothing of it: what is not understood may be a password.
    """
    from psycopg import ProgrammingError  # noqa: PLC0415
    from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415

    try:
        given = conninfo_to_dict(connection.reveal())
    except (ProgrammingError, UnicodeError) as err:
        raise PostgresAway(
            "no connection string that libpq understands: expected postgres://user:password@host:5432/database, with "
            "%-codes for special letters in the password, or host=… user=… password='…' dbname=…",
            "misspelt",
        ) from err
    if "@" in str(given.get("host") or "") or not str(given.get("port") or "0").replace(",", "").isdigit():
        raise PostgresAway(
            "host or port hold what cannot be one: in a postgres:// address an @ in the password has to be written as "
            "%40, a / as %2F, a : as %3A",
            "misspelt",
        )
    return [Secret(str(given[name])) for name in SECRETS if given.get(name)]


def _reason(said: str) -> str:
    return next((reason for reason, words in REASONS if any(word in said for word in words)), "away")


def _line(err: Exception) -> str:
    """The first line that the server or libpq said. A failed connection names each address that was tried."""
    lines = [line.strip() for line in str(err).splitlines() if line.strip()]
    told = next((line for line in lines if "FATAL:" in line), lines[0] if lines else type(err).__name__)
    return told.partition("FATAL:")[2].strip()[:300] if "FATAL:" in told else told[:300]
