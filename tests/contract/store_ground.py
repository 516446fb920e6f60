"""What a sample store is put on for its contract: servers with series, and a way to let the engine do its work.

An engine joins the suite by a subclass of ``Ground`` in ``grounds.GROUNDS``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, ClassVar
from uuid import UUID, uuid4

import psycopg

from twinwatch.hub.db import Database
from twinwatch.hub.migrations import migrate
from twinwatch.hub.stores import Arrival, Last, Measure, Points, Retention, SampleStore, Stats, Verdict, Window
from twinwatch.hub.stores.batches import pack_frames
from twinwatch.hub.stores.blocks import BlocksStore
from twinwatch.hub.stores.compaction import Compaction
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
            series={"a" * 16: self.series, "b" * 16: self.series[::-1]},
            body=pack_frames(made),
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
    lawful: ClassVar[bool] = True
    """Whether the laws are tried here: they settle by themselves, at moments of their own, and take long."""
    is_exact: ClassVar[bool] = True
    """Whether values come back to the last bit; else to 9 digits."""
    tells_size: ClassVar[bool] = True
    """Whether the engine knows how many bytes it takes."""

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


class BlocksGround(Ground):
    """Nothing is compacted unless it is settled."""

    name: ClassVar[str] = "blocks"

    def __init__(self, database: Database, owner: psycopg.AsyncConnection) -> None:
        self.database = database
        self.store: SampleStore = BlocksStore(database)
        self.compaction = Compaction(database)
        self.owner = owner
        self.database_url = ""

    @classmethod
    @asynccontextmanager
    async def open(cls, cluster: Cluster) -> AsyncIterator[BlocksGround]:
        url = cluster.database()
        serving = await migrate(url, SECRET)
        database = Database(serving)
        await database.open()
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as owner:
            ground = cls(database, owner)
            ground.database_url = serving
            yield ground
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

    async def settle(self, now: int) -> None:
        await self.compaction.round(now, Retention(7))

    async def gone(self, server: Server) -> None:
        await self.owner.execute("delete from public.servers where id = %s", (server.id,))

    async def _one(self, statement: str, *values: object) -> Any:
        row = await (await self.owner.execute(statement.encode(), values)).fetchone()
        assert row is not None
        return row[0]


class SettledStore:
    """Does all its work behind after every write, as if days had passed."""

    def __init__(self, ground: BlocksGround, inner: SampleStore, days: int) -> None:
        self._ground = ground
        self._inner = inner
        self._days = days

    async def write(self, arrivals: Sequence[Arrival]) -> list[Verdict]:
        verdicts = await self._inner.write(arrivals)
        await self._ground.settle(max((one.received_at for one in arrivals), default=0) + self._days * DAY + 2 * HOUR)
        return verdicts

    async def read(self, server_id: UUID, series_ids: Sequence[int], window: Window) -> Points:
        return await self._inner.read(server_id, series_ids, window)

    async def latest(
        self, server_ids: Sequence[UUID], series_ids: Collection[int] | None = None
    ) -> dict[UUID, list[Last]]:
        return await self._inner.latest(server_ids, series_ids)

    async def fill(self, organization_id: UUID, server_id: UUID, series_ids: Sequence[int], points: Points) -> None:
        await self._inner.fill(organization_id, server_id, series_ids, points)

    async def forget(self, server_id: UUID) -> None:
        await self._inner.forget(server_id)

    async def tend(self, now: int, retention: Retention) -> None:
        await self._inner.tend(now, retention)

    async def stats(self, organization_id: UUID | None = None) -> Stats:
        return await self._inner.stats(organization_id)


class SegmentsGround(BlocksGround):
    """Every batch has left the log by the time that it is read."""

    name: ClassVar[str] = "segments"
    days: ClassVar[int] = 0
    lawful: ClassVar[bool] = False

    def __init__(self, database: Database, owner: psycopg.AsyncConnection) -> None:
        super().__init__(database, owner)
        self.store = SettledStore(self, self.store, self.days)


class DaysGround(SegmentsGround):
    """And has been merged into its day."""

    name: ClassVar[str] = "days"
    days: ClassVar[int] = 2
