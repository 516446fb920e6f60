"""Samples moved from one engine to another: all of them, once, and known to be there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from uuid import UUID

import pytest

from twinwatch.hub.copying import Copying, Ledger, Progress
from twinwatch.hub.db import DatabaseAway
from twinwatch.hub.plans import Plans
from twinwatch.hub.stores import Points, Retention, SampleStore, Window
from twinwatch.hub.stores.blocks import BlocksStore
from twinwatch.hub.stores.timescale import TimescaleStore
from twinwatch.testing.fakes import EPOCH
from twinwatch.testing.hub_stage import HandClock
from twinwatch.testing.postgres import Cluster
from twinwatch.testing.stores import MemoryStore

from .store_ground import DAY, HOUR, BlocksGround, Server
from .test_store import listed
from .timescale_ground import TimescaleGround
from .timescale_server import TimescaleServer
from .victoria_ground import VictoriaGround

DAYS = 6
NOW = EPOCH + DAYS * DAY


class Target(MemoryStore):
    """A store in memory that fails at a fill, if it is told to, and counts them."""

    def __init__(self, servers: Sequence[Server], *, fails_at: int = 0) -> None:
        super().__init__({one.id: one.organization_id for one in servers}.get)
        self.fills = 0
        self.fails_at = fails_at

    async def fill(self, organization_id: UUID, server_id: UUID, series_ids: Sequence[int], points: Points) -> None:
        self.fills += 1
        if self.fills == self.fails_at:
            raise DatabaseAway("gone")
        await super().fill(organization_id, server_id, series_ids, points)


@pytest.fixture
async def ground(cluster: Cluster) -> AsyncIterator[BlocksGround]:
    async with BlocksGround.open(cluster) as ground:
        yield ground


async def filled(ground: BlocksGround) -> list[Server]:
    """Two servers with six days of samples, a gap among them; some days compacted, some still in the log."""
    servers = [await ground.server(), await ground.server()]
    await ground.owner.execute("update public.servers set registered_at = '2026-01-01 00:00:00Z'")
    for day in range(DAYS):
        for server in servers:
            ticks = [(EPOCH + day * DAY + n * HOUR, (n / 7, None if n % 3 else float(n))) for n in range(24)]
            await server.push(*ticks, received_at=ticks[-1][0])
        if day == DAYS - 2:
            await ground.compaction.round(EPOCH + day * DAY + 26 * HOUR, Retention(7))
    return servers


def copying(
    ground: BlocksGround, source: SampleStore, target: SampleStore, ledger: Path, *, is_exact: bool = True
) -> Copying:
    def told(progress: Progress) -> None:
        assert progress.days <= progress.of_days

    clock, plans = HandClock(NOW), Plans(ground.database, 30)
    patience = 15.0 if not is_exact else 0.0
    return Copying(
        clock,
        ground.database,
        plans,
        source,
        target,
        Ledger(ledger),
        told,
        is_exact=is_exact,
        shown_seconds=patience,
    )


async def whole(store: SampleStore, server: Server) -> list[list[float | None]]:
    return listed(await store.read(server.id, server.series, Window(EPOCH, NOW + DAY, 1 << 40)))


async def test_everything_is_copied_and_the_days_to_which_nothing_can_come_are_not_looked_at_again(
    ground: BlocksGround, tmp_path: Path
) -> None:
    servers = await filled(ground)
    target = Target(servers)
    done = await copying(ground, ground.store, target, tmp_path / "done").run()
    assert (done.samples, done.differing) == (2 * DAYS * (24 + 8), [])
    assert done.days == done.of_days > 0
    for server in servers:
        assert await whole(target, server) == await whole(ground.store, server)
    before = target.fills
    await servers[0].push((NOW - HOUR, (5.0, 6.0)), received_at=NOW)
    again = await copying(ground, ground.store, target, tmp_path / "done").run()
    assert again.samples == 2 * 3 * (24 + 8) + 1, "the last three days are open, and what is there already stays"
    assert target.fills - before <= 2 * 3 * 4
    assert await whole(target, servers[0]) == await whole(ground.store, servers[0])


async def test_one_that_was_ended_early_goes_on_where_it_was(ground: BlocksGround, tmp_path: Path) -> None:
    servers = await filled(ground)
    target = Target(servers, fails_at=20)
    with pytest.raises(DatabaseAway):
        await copying(ground, ground.store, target, tmp_path / "done").run()
    done = await copying(ground, ground.store, target, tmp_path / "done").run()
    assert done.differing == []
    assert done.samples < 2 * DAYS * (24 + 8), "what was verified is not copied again"
    for server in servers:
        assert await whole(target, server) == await whole(ground.store, server)
    assert (await target.stats()).samples == 2 * DAYS * (24 + 8)


async def test_where_the_target_has_something_else_the_day_is_named(ground: BlocksGround, tmp_path: Path) -> None:
    servers = await filled(ground)
    target = Target(servers)
    await target.write([servers[0].arrival(("a" * 16, [(EPOCH + HOUR, (99.0, None))]))])
    for _ in range(2):
        done = await copying(ground, ground.store, target, tmp_path / "done").run()
        assert done.differing == [(servers[0].id, EPOCH // DAY)]


async def test_samples_go_to_timescale_and_come_back(timescale: TimescaleServer, tmp_path: Path) -> None:
    async with TimescaleGround.on(timescale) as ground:
        hypertable, ground.store = TimescaleStore(ground.database), BlocksStore(ground.database)
        servers = await filled(ground)
        there = await copying(ground, ground.store, hypertable, tmp_path / "there").run()
        assert (there.samples, there.differing) == (2 * DAYS * (24 + 8), [])
        assert (await hypertable.stats()).samples == there.samples
        await ground.settle(NOW)
        before = [await whole(ground.store, server) for server in servers]
        for server in servers:
            await ground.store.forget(server.id)
        back = await copying(ground, hypertable, ground.store, tmp_path / "back").run()
        assert (back.samples, back.differing) == (there.samples, [])
        assert [await whole(ground.store, server) for server in servers] == before


async def test_samples_go_to_victoriametrics_and_come_back(victoria: str, cluster: Cluster, tmp_path: Path) -> None:
    async with VictoriaGround.before(victoria, cluster) as ground:
        node, ground.store = ground.store, BlocksStore(ground.database)
        servers = await filled(ground)
        there = await copying(ground, ground.store, node, tmp_path / "there", is_exact=False).run()
        assert (there.samples, there.differing) == (2 * DAYS * (24 + 8), [])
        assert (await node.stats()).samples == there.samples
        for server in servers:
            await ground.store.forget(server.id)
        back = await copying(ground, node, ground.store, tmp_path / "back").run()
        assert (back.samples, back.differing) == (there.samples, [])
        for server in servers:
            assert await whole(ground.store, server) == await whole(node, server)
