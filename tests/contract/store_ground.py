"""What a sample store is put on for its contract: servers with series, and a way to let the engine do its work.

An engine joins the suite by a subclass of ``Ground`` in ``GROUNDS``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, ClassVar
from uuid import UUID, uuid4

import psycopg

from twinwatch.hub.db import Database
from twinwatch.hub.migrations import migrate
from twinwatch.hub.stores import Arrival, Measure, Points, SampleStore, Window
from twinwatch.hub.stores.log import LogStore
from twinwatch.protocol.samples import Frame
from twinwatch.testing.fakes import EPOCH
from twinwatch.testing.postgres import SECRET, Cluster
from twinwatch.testing.stores import MemoryStore

Ticks = Sequence[tuple[int, Sequence[float | None]]]
HOUR, DAY = 3_600_000, 24 * 3_600_000


class Server:
    """One server on the ground: its shapes have one series per column, numbered from ``first_series``."""

    def __init__(self, ground: Ground, organization_id: UUID, server_id: UUID, series: list[int]) -> None:
        self.organization_id = organization_id
        self.id = server_id
        self.series = series
        self._ground = ground
        self._sequences = count(1)

    def arrival(self, *frames: tuple[str, Ticks], sequence: int | None = None, received_at: int = EPOCH) -> Arrival:
        made = [
            Frame(
                shape, [time for time, _ in ticks], [list(one) for one in zip(*(row for _, row in ticks), strict=True)]
            )
            for shape, ticks in frames
        ]
        return Arrival(
            organization_id=self.organization_id,
            server_id=self.id,
            sequence=next(self._sequences) if sequence is None else sequence,
            received_at=received_at,
            first=min(frame.times[0] for frame in made),
            last=max(frame.times[-1] for frame in made),
            samples=sum(value is not None for frame in made for column in frame.columns for value in column),
            frames=made,
            series={"a" * 16: self.series, "b" * 16: self.series[::-1]},
        )

    async def push(self, *ticks: tuple[int, Sequence[float | None]], received_at: int = EPOCH) -> None:
        """One batch of one frame; its columns are the first of the server's series."""
        (verdict,) = await self._ground.store.write([self.arrival(("a" * 16, ticks), received_at=received_at)])
        assert verdict.fresh

    async def read(self, since: int, to: int, points: int = 100_000, measure: Measure = "mean") -> Points:
        return await self._ground.store.read(self.id, self.series, Window(since, to, points, measure))


class Ground:
    """A store and what it stands on: servers, and shapes ``aaaa…`` (all series) and ``bbbb…`` (all, backwards)."""

    store: SampleStore

    async def server(self, series: int = 2, organization_id: UUID | None = None) -> Server:
        """A new server, of a new organization unless one is named."""
        raise NotImplementedError

    async def settle(self, now: int) -> None:
        """Lets the engine do what it does behind, as if it were this moment; nothing where it does nothing."""

    async def gone(self, server: Server) -> None:
        """The server is deleted, and nobody has told the store."""
        raise NotImplementedError


class MemoryGround(Ground):
    name: ClassVar[str] = "memory"

    def __init__(self) -> None:
        self._servers: dict[UUID, Server] = {}
        self._numbers = count(1)
        self.store = MemoryStore(self._organization_of)

    @classmethod
    @asynccontextmanager
    async def open(cls, cluster: Cluster) -> AsyncIterator[MemoryGround]:
        yield cls()

    async def server(self, series: int = 2, organization_id: UUID | None = None) -> Server:
        numbers = [next(self._numbers) for _ in range(series)]
        server = Server(self, organization_id or uuid4(), uuid4(), numbers)
        self._servers[server.id] = server
        return server

    async def gone(self, server: Server) -> None:
        del self._servers[server.id]

    def _organization_of(self, server_id: UUID) -> UUID | None:
        server = self._servers.get(server_id)
        return server.organization_id if server else None


class LogGround(Ground):
    name: ClassVar[str] = "log"

    def __init__(self, database: Database, owner: psycopg.AsyncConnection) -> None:
        self.store = LogStore(database)
        self.owner = owner

    @classmethod
    @asynccontextmanager
    async def open(cls, cluster: Cluster) -> AsyncIterator[LogGround]:
        url = cluster.database()
        database = Database(await migrate(url, SECRET))
        await database.open()
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as owner:
            yield cls(database, owner)
        await database.close()
        cluster.drop(url)

    async def server(self, series: int = 2, organization_id: UUID | None = None) -> Server:
        organization = organization_id or await self._one(
            "insert into public.organizations (name) values ('x') returning id"
        )
        server = await self._one(
            "insert into public.servers (organization_id, install_id, name, agent_version)"
            " values (%s, gen_random_uuid(), 'x', '1') returning id",
            organization,
        )
        cursor = await self.owner.execute(
            "insert into public.series (organization_id, server_id, key, metric)"
            " select %s, %s, decode(md5(n::text), 'hex'), 'm' from generate_series(1, %s) n returning id",
            (organization, server, series),
        )
        numbers = [row[0] for row in await cursor.fetchall()]
        for shape, order in (("a" * 16, numbers), ("b" * 16, numbers[::-1])):
            await self.owner.execute(
                "insert into public.shapes values (%s, %s, %s, 'x', %s)", (organization, server, shape, order)
            )
        return Server(self, organization, server, numbers)

    async def gone(self, server: Server) -> None:
        await self.owner.execute("delete from public.servers where id = %s", (server.id,))

    async def _one(self, statement: str, *values: object) -> Any:
        row = await (await self.owner.execute(statement.encode(), values)).fetchone()
        assert row is not None
        return row[0]


GROUNDS: list[Any] = [MemoryGround, LogGround]
