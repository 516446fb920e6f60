"""Room for samples: partitions come and go beside whoever reads, for hours, and in a database of any time zone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import UUID

import psycopg
import pytest

from twinwatch.hub.stores import Retention
from twinwatch.hub.stores.compaction import Compaction, Done
from twinwatch.testing.client import PATIENCE_SECONDS
from twinwatch.testing.fakes import EPOCH
from twinwatch.testing.postgres import Cluster

from .store_ground import DAY, HOUR, BlocksGround
from .test_store import listed

SKIPPED = int(datetime(2026, 3, 29, 2, 30, tzinfo=UTC).timestamp() * 1000)
"""Half past two on the morning on which Europe has no such hour."""
LONG = Retention(400)


@pytest.fixture
async def ground(cluster: Cluster) -> AsyncIterator[BlocksGround]:
    async with BlocksGround.open(cluster) as ground:
        yield ground


@asynccontextmanager
async def reading(ground: BlocksGround, *tables: str) -> AsyncIterator[None]:
    """Somebody reads these tables all the while, as a backup does."""
    async with await psycopg.AsyncConnection.connect(ground.owner.info.dsn) as reader:
        for table in tables:
            await reader.execute(f"lock table samples.{table} in access share mode".encode())
        yield


async def test_tests_run_in_a_zone_in_which_hours_are_skipped(ground: BlocksGround) -> None:
    row = await (await ground.owner.execute("show timezone")).fetchone()
    assert row == ("Europe/Berlin",)


async def test_an_hour_that_the_databases_zone_skips_is_compacted_like_any_other(ground: BlocksGround) -> None:
    await ground.store.tend(SKIPPED, LONG)
    server = await ground.server(1)
    for time in (SKIPPED, SKIPPED + HOUR):
        await server.push((time, (1.0,)), received_at=time)
    for hours in (2, 4, 5, 6):
        assert (await ground.compaction.round(SKIPPED + hours * HOUR, LONG)).batches == (2 if hours == 2 else 0)
        assert await ground.compaction.lag_seconds(SKIPPED + hours * HOUR) == 0
        await ground.store.tend(SKIPPED + hours * HOUR, LONG)
    assert listed(await server.read(SKIPPED, SKIPPED + 2 * HOUR)) == [[1.0, 1.0]]


async def test_room_is_made_and_samples_come_and_go_beside_a_backup(ground: BlocksGround) -> None:
    server = await ground.server(1)
    await server.push((EPOCH, (1.0,)))
    later = EPOCH + 70 * HOUR  # for which there is no room yet
    async with asyncio.timeout(PATIENCE_SECONDS), reading(ground, "sample_log", "segments", "days"):
        await ground.store.tend(later, LONG)
        await server.push((later, (2.0,)), received_at=later)
        await ground.settle(later + 2 * HOUR)
        assert listed(await server.read(EPOCH, later + 1)) == [[1.0, 2.0]]


async def test_an_old_hour_that_somebody_reads_is_dropped_the_next_time(ground: BlocksGround) -> None:
    server = await ground.server(1)
    await server.push((EPOCH, (1.0,)))
    later = EPOCH + 9 * DAY
    async with asyncio.timeout(PATIENCE_SECONDS), reading(ground, "sample_log"):
        await ground.store.tend(later, Retention(7))
        await server.push((later, (2.0,)), received_at=later)
    await ground.store.tend(later, Retention(7))
    assert (await ground.store.stats()).oldest == later


async def test_who_tends_does_not_wait_for_another_who_is_at_it(ground: BlocksGround) -> None:
    async with ground.owner.transaction():
        await ground.owner.execute("select pg_advisory_xact_lock(hashtextextended('twinwatch.partitions', 0))")
        for function in (
            "drop_partitions(now())",
            "drop_days('2030-01-01')",
            "drop_empty(now(), '2030-01-01', '2030-01-01')",
        ):
            async with ground.database.as_worker() as connection:
                row = await (await connection.execute(f"select samples.{function} as dropped".encode())).fetchone()
            assert row == {"dropped": 0}, function


async def test_an_hour_that_is_dropped_meanwhile_holds_nothing(ground: BlocksGround) -> None:
    async with ground.database.as_worker() as connection:
        row = await (await connection.execute("select samples.empty_hour('1999-01-01') as emptied")).fetchone()
    assert row == {"emptied": True}


async def test_a_day_that_is_dropped_before_it_is_filled_is_made_again(
    ground: BlocksGround, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = await ground.server(1)
    await server.push((EPOCH - 5 * DAY, (1.0,)), received_at=EPOCH)
    take = Compaction._take
    dropped: list[datetime] = []

    async def late(compaction: Compaction, hour: datetime, servers: Sequence[UUID], done: Done) -> None:
        if not dropped:
            await ground.owner.execute("select samples.drop_empty(now(), '2030-01-01', '2030-01-01')")
            dropped.append(hour)
        await take(compaction, hour, servers, done)

    monkeypatch.setattr(Compaction, "_take", late)
    for batches in (0, 1):
        assert (await ground.compaction.round(EPOCH + 2 * HOUR, LONG)).batches == batches
    assert listed(await server.read(EPOCH - 5 * DAY, EPOCH)) == [[1.0]]
