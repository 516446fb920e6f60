"""The hub's connections to PostgreSQL, and whom it is when it speaks.

Invariants: every statement runs in a transaction that has taken on exactly one role: ``authenticated`` with the
person's claims, so that row security decides; ``service_role`` for the hub's workers; ``supabase_auth_admin`` for
sign-in. A connection that took on none has no rights at all. Days and hours are those of UTC, whatever the server's or
the role's time zone is. A machine that vanishes is found out within half a minute.

Source: libpq's parameter key words; tcp(7).
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext
from typing import Any
from uuid import UUID
from weakref import WeakKeyDictionary

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

Connection = psycopg.AsyncConnection[DictRow]

# Of the transaction, as the role is: what a session sets is lost, or is somebody else's, behind a pooler.
BECOME = (
    "select set_config('role', %s, true), set_config('request.jwt.claims', %s, true),"
    " set_config('TimeZone', 'UTC', true)"
)

REACHING = {
    "connect_timeout": 5,
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
"""When a machine counts as gone that neither answers nor says goodbye. The system's own deadlines are 15 min for what
was sent, 2 h for an answer that is waited for."""
RECONNECT_SECONDS = 5.0
"""For how long one connection is tried for, with growing pauses. Whoever needs one after that begins anew, at once."""

TRUSTED_SECONDS = 1.0

Last = Callable[[Connection, list[Any]], Awaitable[None]]


class DatabaseAway(Exception):
    """PostgreSQL does not answer. Passing: the caller says so and the other side tries again."""


def reaching(url: str) -> str:
    """The connection string with the hub's deadlines, but for those that it names itself."""
    named = conninfo_to_dict(url)
    return make_conninfo(url, **{name: value for name, value in REACHING.items() if name not in named})


async def connect(url: str, application_name: str) -> psycopg.AsyncConnection:
    """A connection outside the pool, with the same deadlines and in UTC. It commits each statement."""
    connection = await psycopg.AsyncConnection.connect(
        reaching(url), autocommit=True, application_name=application_name
    )
    await connection.execute("set time zone 'UTC'")
    return connection


class Database:
    """A pool of connections. Open it before use; ``close`` waits for none."""

    def __init__(self, url: str, *, most: int = 16) -> None:
        self._used: WeakKeyDictionary[Connection, float] = WeakKeyDictionary()
        self._before: WeakKeyDictionary[Connection, dict[Last, list[Any]]] = WeakKeyDictionary()
        self._after: WeakKeyDictionary[Connection, list[Callable[[], None]]] = WeakKeyDictionary()
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            reaching(url),
            kwargs={"row_factory": dict_row, "application_name": "twinwatch", "autocommit": True},
            min_size=1,
            max_size=most,
            open=False,
            timeout=5.0,
            reconnect_timeout=RECONNECT_SECONDS,
            check=self._check,
            name="hub",
        )

    async def open(self) -> None:
        """Connects once, so that a wrong address is told at start and not at the first request."""
        await self._pool.open(wait=True, timeout=15.0)

    async def close(self) -> None:
        """Closes every connection."""
        await self._pool.close()

    async def renew(self) -> None:
        """Leaves all connections and makes others: for who has found out that one of them does not answer.

        What is under way goes on; its connection is left when it has ended.
        """
        await self._pool.drain()

    @asynccontextmanager
    async def as_person(self, user_id: UUID) -> AsyncIterator[Connection]:
        """A transaction in which row security shows what this person may see."""
        claims = {"sub": str(user_id), "role": "authenticated"}
        async with self._transaction("authenticated", claims) as connection:
            yield connection

    @asynccontextmanager
    async def as_worker(self) -> AsyncIterator[Connection]:
        """A transaction of the hub itself, across organizations."""
        async with self._transaction("service_role", {}) as connection:
            yield connection

    @asynccontextmanager
    async def as_worker_at_once(self) -> AsyncIterator[Connection]:
        """As ``as_worker``, but nothing is waited for before the end: all of it is one round trip.

        What was asked has its answer only then; a statement that fails is told at the end.
        """
        async with self._transaction("service_role", {}, at_once=True) as connection:
            yield connection

    @asynccontextmanager
    async def as_auth(self) -> AsyncIterator[Connection]:
        """A transaction on users and sessions, and on nothing else."""
        async with self._transaction("supabase_auth_admin", {}) as connection:
            yield connection

    @staticmethod
    async def become(connection: Connection, role: str) -> None:
        """Goes on in the same transaction as another role, where one change has to touch what two roles own."""
        await connection.execute(BECOME, (role, "{}"))

    def before_commit(self, connection: Connection, last: Last, asked: list[Any]) -> None:
        """Calls this as the last thing of the transaction under way, once, with all that was asked of it."""
        self._before.setdefault(connection, {}).setdefault(last, []).extend(asked)

    def after_commit(self, connection: Connection, done: Callable[[], None]) -> None:
        """Calls this once the transaction under way on the connection has committed; if it has not, never."""
        self._after.setdefault(connection, []).append(done)

    async def _check(self, connection: Connection) -> None:
        """Whether it still answers; one that has just been of use is not asked, since that costs a round trip."""
        if time.monotonic() - self._used.get(connection, 0.0) > TRUSTED_SECONDS:
            await AsyncConnectionPool.check_connection(connection)

    @asynccontextmanager
    async def _transaction(
        self, role: str, claims: dict[str, Any], *, at_once: bool = False
    ) -> AsyncIterator[Connection]:
        try:
            async with self._pool.connection() as connection, connection.pipeline() if at_once else nullcontext():
                self._before.pop(connection, None)
                self._after.pop(connection, None)
                async with connection.transaction():
                    await connection.execute(BECOME, (role, json.dumps(claims)))
                    yield connection
                    for last, asked in self._before.pop(connection, {}).items():
                        await last(connection, asked)
                self._used[connection] = time.monotonic()
                for done in self._after.pop(connection, ()):
                    done()
        except (PoolTimeout, psycopg.OperationalError) as err:
            raise DatabaseAway(type(err).__name__) from err
