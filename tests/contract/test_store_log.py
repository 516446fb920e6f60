"""What only the log of the ``blocks`` engine promises."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest

from twinwatch.hub.stores import Retention
from twinwatch.testing.fakes import EPOCH
from twinwatch.testing.postgres import Cluster

from .store_ground import DAY, HOUR, BlocksGround
from .test_store import listed


class TestLog:
    @pytest.fixture
    async def log(self, cluster: Cluster) -> AsyncIterator[BlocksGround]:
        async with BlocksGround.open(cluster) as ground:
            yield ground

    async def partitions(self, log: BlocksGround) -> list[str]:
        cursor = await log.owner.execute(
            "select inhrelid::regclass::text from pg_inherits where inhparent = 'samples.sample_log'::regclass"
            " order by 1"
        )
        return [name for (name,) in await cursor.fetchall()]

    async def test_a_group_of_which_one_cannot_be_kept_is_not_kept_at_all(self, log: BlocksGround) -> None:
        good, bad = await log.server(1), await log.server(1)
        arrival = bad.arrival(("a" * 16, [(EPOCH, (1.0,))]))
        object.__setattr__(arrival, "samples", 1 << 40)
        with pytest.raises(psycopg.DataError):
            await log.store.write([good.arrival(("a" * 16, [(EPOCH, (1.0,))]), sequence=1), arrival])
        assert (await log.store.stats()).samples == 0
        (verdict,) = await log.store.write([good.arrival(("a" * 16, [(EPOCH, (1.0,))]), sequence=1)])
        assert verdict.fresh

    async def test_partitions_are_made_ahead_and_dropped_when_they_are_past(self, log: BlocksGround) -> None:
        for name in await self.partitions(log):
            await log.owner.execute(f"drop table {name}".encode())
        await log.store.tend(EPOCH, Retention(7))
        names = await self.partitions(log)
        assert names[0] == "samples.sample_log_2025123123"
        assert len(names) == 8
        await log.store.tend(EPOCH, Retention(7))
        assert await self.partitions(log) == names, "a second round finds nothing to do"
        await log.store.tend(EPOCH + 8 * DAY, Retention(7))
        left = await self.partitions(log)
        assert left[0] == "samples.sample_log_2026010823", "hours that hold nothing go as soon as they are over"
        assert left[-1] == "samples.sample_log_2026010906"

    async def test_two_hubs_tend_at_the_same_time(self, log: BlocksGround) -> None:
        for name in await self.partitions(log):
            await log.owner.execute(f"drop table {name}".encode())
        await asyncio.gather(*(log.store.tend(EPOCH + n * HOUR, Retention(7)) for n in range(6)))
        assert len(await self.partitions(log)) >= 10, "hours that are over may go as they come"

    async def test_a_batch_for_which_there_is_no_partition_gets_one(self, log: BlocksGround) -> None:
        server = await log.server(1)
        late = EPOCH + 30 * DAY
        await server.push((late, (1.0,)), received_at=late)
        assert listed(await server.read(late, late + 1)) == [[1.0]]
