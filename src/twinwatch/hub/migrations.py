"""The schema and how it comes into the database: plain SQL files, each applied once, recorded as the Supabase CLI does.

Invariants: one hub migrates at a time (advisory lock); a file is applied and recorded in one transaction;
``supabase db push`` and the hub agree about what is applied, whoever came first.
Source: the table ``supabase_migrations.schema_migrations`` as the Supabase CLI makes it (version, statements, name).
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from twinwatch.hub.db import connect
from twinwatch.hub.settings import Misconfigured
from twinwatch.world.secret import Secret

OLDEST_POSTGRES = 15
LOGIN = "twinwatch_hub"
LOCK = "select pg_advisory_lock(hashtextextended('twinwatch.migrations', 0))"
TRIES = 10
AGAIN_SECONDS = 0.1
RECORD = "insert into supabase_migrations.schema_migrations (version, statements, name) values (%s, %s, %s)"


class Migration(NamedTuple):
    """One file of ``supabase/migrations``: ``<version>_<name>.sql``."""

    version: str
    name: str
    text: str


def migrations() -> list[Migration]:
    """All files in the order of their versions: from the wheel, else from the source tree."""
    packaged = files("twinwatch.hub") / "migrations"
    folder = Path(str(packaged)) if packaged.is_dir() else Path(__file__).parents[3] / "supabase" / "migrations"
    found = []
    for path in sorted(folder.glob("*.sql")):
        version, _, name = path.stem.partition("_")
        found.append(Migration(version, name, path.read_text(encoding="utf-8")))
    if not found:
        raise Misconfigured(f"no migrations in {folder}: the installation is incomplete, install twinwatch again")
    return found


async def migrate(owner_url: str, secret: Secret) -> str:
    """Brings the schema up to date and returns the connection string that the hub serves with.

    The role it names owns nothing and bypasses no row security; its password is derived from the hub's secret.
    Raises: Misconfigured if the database cannot be reached, is too old, or refuses to let this role migrate.
    """
    try:
        # Waiting for another hub's migration may take its time: no statement timeout here.
        connection = await connect(owner_url, "twinwatch-owner")
    except psycopg.ProgrammingError:
        # libpq would quote the part that it does not understand, and that may be the password.
        raise Misconfigured(
            "--database-url is not a connection string: expected postgresql://user:password@host:5432/database"
        ) from None
    except psycopg.Error as err:
        raise Misconfigured(
            f"database unreachable: {_brief(err)}; check --database-url and that PostgreSQL runs"
        ) from err
    async with connection:
        major = connection.info.server_version // 10_000
        if major < OLDEST_POSTGRES:
            raise Misconfigured(
                f"PostgreSQL {major} is too old: Twinwatch needs {OLDEST_POSTGRES} or newer; upgrade the server, "
                "or leave --database-url out to use the embedded one"
            )
        try:
            await connection.execute(LOCK)
            for _ in range(TRIES - 1):
                # "tuple concurrently updated": the lock is a database's own, the roles are shared by all of a server.
                with contextlib.suppress(psycopg.errors.InternalError_):
                    return await _bring_up_to_date(connection, owner_url, secret)
                await asyncio.sleep(AGAIN_SECONDS)
            return await _bring_up_to_date(connection, owner_url, secret)
        except psycopg.Error as err:
            raise Misconfigured(f"migration refused by PostgreSQL: {_brief(err)}") from err


async def _bring_up_to_date(connection: psycopg.AsyncConnection, owner_url: str, secret: Secret) -> str:
    for migration in await _pending(connection):
        await _apply(connection, migration)
    return await _login(connection, owner_url, secret)


async def _pending(connection: psycopg.AsyncConnection) -> list[Migration]:
    await connection.execute("create schema if not exists supabase_migrations")
    await connection.execute(
        "create table if not exists supabase_migrations.schema_migrations"
        " (version text not null primary key, statements text[], name text)"
    )
    cursor = await connection.execute("select version from supabase_migrations.schema_migrations")
    applied = {row[0] for row in await cursor.fetchall()}
    known = migrations()
    newer = applied - {migration.version for migration in known}
    if newer:
        raise Misconfigured(
            f"the database has migration {max(newer)}, which this version of Twinwatch does not know: "
            "it was used by a newer one; install that or later"
        )
    return [migration for migration in known if migration.version not in applied]


async def _apply(connection: psycopg.AsyncConnection, migration: Migration) -> None:
    try:
        async with connection.transaction():
            await connection.execute(migration.text.encode())
            await connection.execute(RECORD, (migration.version, [migration.text], migration.name))
    except psycopg.errors.InternalError_:
        raise
    except psycopg.errors.LockNotAvailable as err:
        raise Misconfigured(
            f"migration {migration.version}_{migration.name} waited for a table that somebody uses for long, perhaps a "
            "backup: nothing was changed; start again when that has ended"
        ) from err
    except psycopg.Error as err:
        raise Misconfigured(f"migration {migration.version}_{migration.name} failed: {_brief(err)}") from err


async def _login(connection: psycopg.AsyncConnection, owner_url: str, secret: Secret) -> str:
    """The hub's own login, made able to log in if it is not yet."""
    password = hmac.new(secret.reveal().encode(), LOGIN.encode(), hashlib.sha256).hexdigest()
    serving = make_conninfo(owner_url, user=LOGIN, password=password)
    try:
        await (await psycopg.AsyncConnection.connect(serving, connect_timeout=10)).close()
    except psycopg.OperationalError:
        async with connection.transaction():
            await connection.execute(
                sql.SQL("alter role {} login password {}").format(sql.Identifier(LOGIN), sql.Literal(password))
            )
            await connection.execute(
                sql.SQL("grant connect on database {} to {}").format(
                    sql.Identifier(connection.info.dbname), sql.Identifier(LOGIN)
                )
            )
        try:
            await (await psycopg.AsyncConnection.connect(serving, connect_timeout=10)).close()
        except psycopg.OperationalError as err:
            raise Misconfigured(
                f"role {LOGIN} cannot log in: {_brief(err)}; let it in with a line in pg_hba.conf"
            ) from err
    return serving


def _brief(err: psycopg.Error) -> str:
    """The first line of what PostgreSQL or the connection said. Passwords are not part of it."""
    return err.diag.message_primary or str(err).strip().partition("\n")[0] or type(err).__name__
