"""Which engine keeps the samples, decided and made ready before a hub serves.

Invariants: an engine that somebody named is that one, or the hub does not start. Where nobody did, TimescaleDB is used
if it was created in the database, and nobody's samples are left where no chart looks for them: a hub whose samples are
in ``blocks`` stays there and says how to move. Several hubs of one database decide alike.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from datetime import datetime

import psycopg

from twinwatch.hub.db import connect
from twinwatch.hub.migrations import LOCK
from twinwatch.hub.settings import Misconfigured
from twinwatch.hub.stores import hypertable
from twinwatch.hub.stores.engines import Engine
from twinwatch.hub.stores.hypertable import Extension, Owner

log = logging.getLogger(__name__)

PRELOADED = "it also has to stand in shared_preload_libraries of postgresql.conf"


Look = Callable[[Owner], Awaitable[Extension | None]]


async def choose(owner_url: str, engine: Engine, look: Look = hypertable.extension) -> Engine:
    """The engine to serve with, after ``migrate``. Says in the log what was chosen, and what it is missing.

    ``look`` finds TimescaleDB in the database.

    Raises: Misconfigured if ``timescale`` was named and the database cannot have it.
    """
    if engine.name not in ("automatic", "timescale"):
        return engine
    try:
        connection = await connect(owner_url, "twinwatch-owner")
        async with connection:
            await connection.execute(LOCK)
            return await _chosen(connection, engine, look)
    except psycopg.Error as err:
        raise Misconfigured(f"TimescaleDB cannot be prepared: {_brief(err)}") from err


async def _chosen(owner: Owner, engine: Engine, look: Look) -> Engine:
    found = await look(owner)
    if engine.name == "automatic":
        if found is None:
            return Engine("blocks")
        reason = await _against(owner, found)
        if reason:
            log.warning("TimescaleDB %s is in the database, and samples stay in blocks: %s", found.version, reason)
            return Engine("blocks")
    elif found is None:
        found = await _installed(owner, look)
    if found.is_too_old:
        raise Misconfigured(
            f"TimescaleDB {found.version} is too old: {_needed(found)}; "
            "alter extension timescaledb update, or TWINWATCH_SAMPLE_STORE=blocks"
        )
    await hypertable.prepare(owner, found)
    log.info("the hypertable for samples is ready, on TimescaleDB %s", found.version)
    if not found.is_complete:
        log.warning("%s", MISSING)
    return Engine("timescale")


MISSING = (
    "TimescaleDB has the Apache licence here (timescaledb.license): compression and policies are missing. Samples take "
    "about 100 bytes each and are ended by the hub alone, while it runs; with the community licence both are there "
    "from the hub's next start on, and TWINWATCH_SAMPLE_STORE=blocks takes about a byte a sample without either"
)


async def _against(owner: Owner, found: Extension) -> str:
    """Why an extension that is there is not used though nobody said so; empty: it is."""
    if found.is_too_old:
        return _needed(found)
    newest = await hypertable.newest_in_blocks(owner)
    if newest is None or await _was_written_since(owner, newest):
        return ""
    return (
        "there are some already. To move: twinwatch hub copy-samples --from blocks --to timescale, then start with "
        "TWINWATCH_SAMPLE_STORE=timescale; TWINWATCH_SAMPLE_STORE=blocks says that they stay"
    )


def _needed(found: Extension) -> str:
    return f"Twinwatch needs {found.oldest[0]}.{found.oldest[1]} or newer"


async def _was_written_since(owner: Owner, newest: datetime) -> bool:
    return await hypertable.is_there(owner) and await hypertable.has_newer(owner, newest)


async def _installed(owner: Owner, look: Look) -> Extension:
    """Creates the extension, which somebody asked for by name."""
    if not await hypertable.is_offered(owner):
        raise Misconfigured(
            "TWINWATCH_SAMPLE_STORE is timescale, and this PostgreSQL has no TimescaleDB: install its package "
            f"({PRELOADED}), or choose blocks"
        )
    try:
        await hypertable.install(owner)
    except psycopg.Error as err:
        raise Misconfigured(
            f"TimescaleDB cannot be created: {_brief(err)}; let a superuser create extension timescaledb ({PRELOADED})"
        ) from err
    found = await look(owner)
    if found is None:
        raise Misconfigured("TimescaleDB was created and is not there; see PostgreSQL's log")
    return found


def _brief(err: psycopg.Error) -> str:
    """The first line of what PostgreSQL or the connection said. Passwords are not part of it."""
    return err.diag.message_primary or str(err).strip().partition("\n")[0] or type(err).__name__
