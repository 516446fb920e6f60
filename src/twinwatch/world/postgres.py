"""The door to PostgreSQL servers: one connection each, kept, with deadlines of its own. ``psycopg`` is imported when it
is first used.

Invariants: at most one connection per server and at most one statement on it at a time; no statement outlives its
deadline there either (``statement_timeout``); nothing is ever written (``default_transaction_read_only``); no
connection string is ever in a message.
Source: https://www.psycopg.org/psycopg3/docs/, https://www.postgresql.org/docs/current/libpq-connect.html.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from twinwatch.world.secret import Secret

if TYPE_CHECKING:
    from psycopg import AsyncConnection

APPLICATION = "twinwatch"
CONNECT_SECONDS = 5
STATEMENT_MILLISECONDS = 2_000
LOCK_MILLISECONDS = 100
ROWS = 1_000
CLOSE_SECONDS = 1.0
IDLE_SECONDS = 4000.0
"""Longer than the longest interval."""


class PostgresAway(Exception):
    """No connection, or it broke. The message is the server's or the system's, without the connection string."""


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
        """The statement's rows, at most ``ROWS``, by column. ``name`` is the statement's, for messages.

        Raises: PostgresAway; PostgresRefused; PostgresMissing.
        """
        ...


class HostPostgres:
    """The real door."""

    def __init__(self) -> None:
        self._connections: dict[Secret, AsyncConnection[dict[str, Any]]] = {}
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
        turn = self._turns.setdefault(connection, asyncio.Lock())
        try:
            async with asyncio.timeout(timeout_seconds), turn:
                return await self._ask(connection, statement)
        except psycopg.errors.QueryCanceled as err:
            raise PostgresRefused(
                f"{name}: longer than {STATEMENT_MILLISECONDS / 1000:g} s", err.sqlstate or ""
            ) from err
        except psycopg.OperationalError as err:
            await self._drop(connection)
            raise PostgresAway(_reason(err)) from err
        except psycopg.Error as err:
            raise PostgresRefused(f"{name}: {_reason(err)}", err.sqlstate or "") from err
        except TimeoutError as err:
            await self._drop(connection)
            raise PostgresAway(f"no answer within {timeout_seconds:g} s") from err
        except asyncio.CancelledError:
            await self._drop(connection)
            raise

    async def _ask(self, connection: Secret, statement: str) -> list[dict[str, Any]]:
        held = self._connections.get(connection)
        if held is None or held.closed:
            held = self._connections[connection] = await _connected(connection)
        cursor = await held.execute(statement.encode())
        rows = await cursor.fetchmany(ROWS)
        self._rest(connection)
        return rows

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


async def _connected(connection: Secret) -> AsyncConnection[dict[str, Any]]:
    from psycopg import AsyncConnection  # noqa: PLC0415
    from psycopg.rows import dict_row  # noqa: PLC0415

    settings = {
        "statement_timeout": STATEMENT_MILLISECONDS,
        "lock_timeout": LOCK_MILLISECONDS,
        "default_transaction_read_only": "on",
        "idle_in_transaction_session_timeout": STATEMENT_MILLISECONDS,
    }
    options = " ".join(f"-c {name}={value}" for name, value in settings.items())
    return await AsyncConnection.connect(
        connection.reveal(),
        autocommit=True,
        row_factory=dict_row,
        prepare_threshold=None,  # a pooler between may hand the next statement to another session
        application_name=APPLICATION,
        connect_timeout=CONNECT_SECONDS,
        options=options,
    )


def _reason(err: Exception) -> str:
    """The first line, which names no password: libpq repeats host, port, user and database only."""
    return (str(err).strip().splitlines() or [type(err).__name__])[0][:300]
