"""The grounds of the ``victoriametrics`` engine: Debian's single node, and a cluster's addresses before one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from typing import ClassVar
from uuid import UUID

from twinwatch.hub.stores import Arrival, Last, Points, Retention, SampleStore, Stats, Verdict, Window
from twinwatch.hub.stores.victoria import VictoriaStore
from twinwatch.hub.stores.victoria_node import Node
from twinwatch.testing.postgres import Cluster
from twinwatch.testing.victoria import cluster_before, flush
from twinwatch.world.http import AiohttpHttp

from .store_ground import BlocksGround


class FlushedStore:
    """Shows what was written at once, and not a second later."""

    def __init__(self, inner: SampleStore, address: str) -> None:
        self._inner = inner
        self._address = address

    async def write(self, arrivals: Sequence[Arrival]) -> list[Verdict]:
        verdicts = await self._inner.write(arrivals)
        await flush(self._address)
        return verdicts

    async def read(self, server_id: UUID, series_ids: Sequence[int], window: Window) -> Points:
        return await self._inner.read(server_id, series_ids, window)

    async def latest(
        self, server_ids: Sequence[UUID], series_ids: Collection[int] | None = None
    ) -> dict[UUID, list[Last]]:
        return await self._inner.latest(server_ids, series_ids)

    async def fill(self, organization_id: UUID, server_id: UUID, series_ids: Sequence[int], points: Points) -> None:
        await self._inner.fill(organization_id, server_id, series_ids, points)
        await flush(self._address)

    async def forget(self, server_id: UUID) -> None:
        await self._inner.forget(server_id)

    async def tend(self, now: int, retention: Retention) -> None:
        await self._inner.tend(now, retention)

    async def stats(self, organization_id: UUID | None = None) -> Stats:
        return await self._inner.stats(organization_id)


class VictoriaGround(BlocksGround):
    """PostgreSQL for servers and marks, one VictoriaMetrics for the samples."""

    name: ClassVar[str] = "victoriametrics"
    is_exact: ClassVar[bool] = False
    address: str

    @classmethod
    @asynccontextmanager
    async def before(cls, address: str, cluster: Cluster) -> AsyncIterator[VictoriaGround]:
        """On the node at this address. Others may have stood on it: organizations are never the same."""
        async with cls.addresses(address) as addresses, cls.open(cluster) as ground:
            assert isinstance(ground, VictoriaGround)
            http = AiohttpHttp(answer_bytes=1 << 28)
            ground.address = address
            ground.store = FlushedStore(VictoriaStore(ground.database, Node(http, addresses)), address)
            yield ground
            await http.close()

    @classmethod
    @asynccontextmanager
    async def addresses(cls, address: str) -> AsyncIterator[tuple[str, ...]]:
        yield (address,)

    async def settle(self, now: int) -> None:
        """It merges when it likes."""


class VictoriaClusterGround(VictoriaGround):
    """The same by the routes of a cluster."""

    name: ClassVar[str] = "victoriametrics-cluster"
    tells_size: ClassVar[bool] = False
    lawful: ClassVar[bool] = False

    @classmethod
    @asynccontextmanager
    async def addresses(cls, address: str) -> AsyncIterator[tuple[str, ...]]:
        async with cluster_before(address) as addresses:
            yield addresses
