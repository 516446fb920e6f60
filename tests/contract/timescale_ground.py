"""The grounds of the ``timescale`` engine: a real TimescaleDB, as complete as its licence has it or as little."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import ClassVar

import psycopg

from twinwatch.hub.db import Database
from twinwatch.hub.stores import hypertable
from twinwatch.hub.stores.hypertable import Extension
from twinwatch.hub.stores.timescale import TimescaleStore

from .store_ground import BlocksGround, SettledStore
from .timescale_server import TimescaleServer

INSERTED = 7
"""Samples of an insert: few, so that nearly every batch takes several."""


class TimescaleGround(BlocksGround):
    """Nothing is compressed unless it is settled. All grounds of a session stand on one server, one after the other."""

    name: ClassVar[str] = "timescale"

    def __init__(self, database: Database, owner: psycopg.AsyncConnection) -> None:
        super().__init__(database, owner)
        self.store = TimescaleStore(database, inserted=INSERTED)

    @classmethod
    @asynccontextmanager
    async def on(cls, server: TimescaleServer) -> AsyncIterator[TimescaleGround]:
        server.empty()
        database = Database(server.serving_url)
        await database.open()
        async with await psycopg.AsyncConnection.connect(server.url, autocommit=True) as owner:
            found = await hypertable.extension(owner)
            assert found is not None
            await cls.prepare(owner, found)
            ground = cls(database, owner)
            ground.database_url = server.serving_url
            yield ground
        await database.close()

    @classmethod
    async def prepare(cls, owner: psycopg.AsyncConnection, found: Extension) -> None:
        await hypertable.prepare(owner, found)

    async def settle(self, now: int) -> None:
        """Compresses every chunk, or what has come to it since."""
        await self.owner.execute(
            "select extensions.compress_chunk(c, true, true) from extensions.show_chunks('samples.readings') as c"
        )


class CompressedGround(TimescaleGround):
    """Every sample is compressed by the time that it is read, and every batch comes to what is compressed."""

    name: ClassVar[str] = "timescale-compressed"
    lawful: ClassVar[bool] = False

    def __init__(self, database: Database, owner: psycopg.AsyncConnection) -> None:
        super().__init__(database, owner)
        self.store = SettledStore(self, self.store, 0)


REFUSING = """
create schema if not exists apache;
create or replace function apache.refuse() returns void language plpgsql as $$
begin
  raise feature_not_supported using message = 'not supported under the current "apache" license';
end
$$;
create or replace function apache.add_retention_policy(relation regclass, drop_after interval) returns void
language sql as 'select apache.refuse()';
create or replace function apache.remove_retention_policy(relation regclass, if_exists boolean) returns void
language sql as 'select apache.refuse()';
"""
"""What TimescaleDB says under that licence, which its build for WebAssembly cannot be given."""


class ApacheGround(TimescaleGround):
    """Of TimescaleDB only what its Apache licence has: hypertables."""

    name: ClassVar[str] = "timescale-apache"
    lawful: ClassVar[bool] = False

    @classmethod
    async def prepare(cls, owner: psycopg.AsyncConnection, found: Extension) -> None:
        await owner.execute(REFUSING)
        await hypertable.prepare(owner, replace(found, licence=hypertable.APACHE, schema=f"apache, {found.schema}"))

    async def settle(self, now: int) -> None:
        """Nothing happens behind."""
