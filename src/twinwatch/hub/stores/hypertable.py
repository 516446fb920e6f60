"""What the ``timescale`` engine stands on: TimescaleDB, of which version and under which licence, and the tables there.

Invariants: preparing again changes nothing, and adds what an older Twinwatch did not make. It never creates the
extension where nobody asked for it. Everything is made by the owner of the schema, in a schema that no browser role can
reach, and without row security, which TimescaleDB does not compress under.

Source: TimescaleDB's documentation, "create_hypertable", "ALTER TABLE (compression)", "TimescaleDB editions"; its
``src/license_guc.c``: functions beyond the Apache licence are there under it too, and refuse.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import dict_row

from twinwatch.hub.statements import Statements

SQL = Statements("hypertable")

APACHE = "apache"
OLDEST = (2, 11)
"""Before, what came late or twice was refused by what is compressed."""
OLDEST_APACHE = (2, 9)
"""Where nothing is compressed: Supabase has that one. None before it runs on the oldest PostgreSQL that we do."""

Owner = psycopg.AsyncConnection[Any]


@dataclass(frozen=True, slots=True)
class Extension:
    """TimescaleDB as a database has it. ``schema`` is quoted where it must be; ``licence`` as its setting says."""

    version: str
    schema: str
    licence: str

    @property
    def oldest(self) -> tuple[int, int]:
        """The version that the engine needs under this licence."""
        return OLDEST if self.is_complete else OLDEST_APACHE

    @property
    def is_too_old(self) -> bool:
        """Whether it lacks what the engine needs."""
        return tuple(int(one) for one in re.findall(r"\d+", self.version)[:2]) < self.oldest

    @property
    def is_complete(self) -> bool:
        """Whether it compresses, and has policies."""
        return self.licence != APACHE


async def extension(owner: Owner) -> Extension | None:
    """TimescaleDB, if it was created in this database."""
    row = await _row(owner, "extension")
    if row is None:
        return None
    # The setting is there once the library is; it is loaded by the first of its functions if nothing preloads it.
    licence = await _row(owner, "licence")
    return Extension(row["version"], row["schema"], (licence or {}).get("licence") or "")


async def is_offered(owner: Owner) -> bool:
    """Whether the server has TimescaleDB to be created."""
    return await _row(owner, "offered") is not None


async def install(owner: Owner) -> None:
    """Creates the extension.

    Raises: psycopg.Error if the server has none, does not preload it, or does not let this role.
    """
    await owner.execute(SQL["install"])


async def prepare(owner: Owner, found: Extension) -> None:
    """Makes the hypertable, what the hub may do with it, and where the licence has them compression and its policy."""
    async with owner.transaction():
        await owner.execute(SQL["speak_as"], {"schema": found.schema})
        if not await is_there(owner):
            # Not again: a grant goes to every chunk, and the trigger takes a lock that who writes series waits for.
            await owner.execute(SQL["make_tables"])
            await owner.execute(SQL["make_hypertable"])
        await owner.execute(SQL["make_functions"])
        if not found.is_complete:
            return
        row = await _row(owner, "compresses")
        if row is None or not row["compresses"]:
            # Not again: it is refused once something is compressed.
            await owner.execute(SQL["compress"])
        await owner.execute(SQL["add_compression_policy"])


async def is_there(owner: Owner) -> bool:
    """Whether the hypertable was made."""
    row = await _row(owner, "is_there")
    return bool(row and row["is_there"])


async def newest_in_blocks(owner: Owner) -> datetime | None:
    """The newest sample that the ``blocks`` engine holds."""
    row = await _row(owner, "newest_in_blocks")
    return row["newest"] if row else None


async def has_newer(owner: Owner, than: datetime) -> bool:
    """Whether the hypertable has a sample that is newer."""
    row = await _row(owner, "has_newer", {"newest": than})
    return bool(row and row["has_newer"])


async def _row(owner: Owner, name: str, asked: dict[str, Any] | None = None) -> dict[str, Any] | None:
    async with owner.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(SQL[name], asked)
        return await cursor.fetchone()
