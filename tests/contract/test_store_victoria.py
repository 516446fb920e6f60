"""What only the ``victoriametrics`` engine has to show: deaths in between, what goes on, what is left behind."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from twinwatch.hub.db import DatabaseAway
from twinwatch.hub.stores import Retention, Window
from twinwatch.hub.stores.victoria import VictoriaStore
from twinwatch.hub.stores.victoria_node import Node
from twinwatch.testing.fakes import EPOCH
from twinwatch.testing.paper import PaperHttp
from twinwatch.testing.postgres import Cluster
from twinwatch.testing.victoria import single_node
from twinwatch.world.http import AiohttpHttp

from .store_ground import DAY, HOUR
from .test_store import listed
from .victoria_ground import VictoriaClusterGround, VictoriaGround

MINUTE = 60_000


@pytest.fixture(params=[VictoriaGround, VictoriaClusterGround], ids=lambda kind: kind.name)
async def ground(request: pytest.FixtureRequest, victoria: str, cluster: Cluster) -> AsyncIterator[VictoriaGround]:
    async with request.param.before(victoria, cluster) as ground:
        yield ground


async def test_a_batch_that_was_taken_before_its_mark_rose_counts_once_when_it_comes_again(
    ground: VictoriaGround,
) -> None:
    server = await ground.server(1)
    arrival = server.arrival(("a" * 16, [(EPOCH + n * MINUTE, (float(n),)) for n in range(60)]))
    await ground.store.write([arrival])
    await ground.owner.execute("update public.servers set sequence_mark = 0")
    (verdict,) = await ground.store.write([arrival])
    assert verdict.fresh
    assert (await ground.store.stats()).samples == 60
    assert len((await server.read(EPOCH, EPOCH + HOUR)).times) == 60
    counted = await ground.store.read(server.id, server.series, Window(EPOCH, EPOCH + HOUR, 1, "count"))
    assert listed(counted) == [[60.0]]


async def test_a_batch_that_is_not_taken_raises_no_mark(ground: VictoriaGround) -> None:
    server = await ground.server(1)
    arrival = server.arrival(("a" * 16, [(EPOCH, (1.0,))]))
    away = VictoriaStore(ground.database, Node(PaperHttp({}), ("http://vm:8428",)))
    with pytest.raises(DatabaseAway):
        await away.write([arrival])
    (verdict,) = await ground.store.write([arrival])
    assert (verdict.mark, verdict.fresh) == (1, True)


async def test_a_series_that_ended_does_not_go_on(ground: VictoriaGround) -> None:
    server = await ground.server(1)
    await server.push((EPOCH, (1.0,)), (EPOCH + 299_999, (3.0,)), (EPOCH + 600_000, (7.0,)))
    short = await ground.store.read(server.id, server.series, Window(EPOCH, EPOCH + 900_000, 900, least_step=60_000))
    assert listed(short) == [[1.0, None, None, None, 3.0, None, None, None, None, None, 7.0, None, None, None, None]]
    long = await ground.store.read(server.id, server.series, Window(EPOCH, EPOCH + 1_200_000, 4, least_step=300_000))
    assert listed(long) == [[2.0, None, 7.0, None]]


async def test_what_is_past_an_organizations_keeping_is_not_read_and_comes_back_with_a_longer_plan(
    ground: VictoriaGround,
) -> None:
    server = await ground.server(1)
    now = EPOCH + 9 * DAY
    await server.push(*((EPOCH + day * DAY, (float(day),)) for day in range(10)))
    for days, kept in ((3, [6.0, 7.0, 8.0, 9.0]), (5, [4.0, 5.0, 6.0, 7.0, 8.0, 9.0])):
        await ground.store.tend(now, Retention(400, {server.organization_id: days}))
        assert listed(await server.read(EPOCH, now + 1)) == [kept]
        by_day = await server.read(EPOCH, now + 1, 10)
        assert by_day.step == DAY
        assert listed(by_day) == [[None] * (10 - len(kept)) + kept]
        gone = await server.read(EPOCH, EPOCH + DAY)
        assert len(gone.times) == 0


async def test_what_is_left_of_a_server_that_is_gone_ends(ground: VictoriaGround) -> None:
    gone = await ground.server(1)
    here = await ground.server(1, gone.organization_id)
    for server in (gone, here):
        await server.push((EPOCH, (1.0,)))
    await ground.gone(gone)
    await ground.store.tend(EPOCH, Retention(7))
    assert (await ground.store.stats()).samples == 1


async def test_a_server_that_is_not_known_any_more_is_forgotten_in_every_tenant(ground: VictoriaGround) -> None:
    gone = await ground.server(1)
    here = await ground.server(1, gone.organization_id)
    for server in (gone, here):
        await server.push((EPOCH, (1.0,)))
    await ground.gone(gone)
    await ground.store.forget(gone.id)
    assert (await ground.store.stats()).samples == 1


async def test_organizations_are_kept_apart_by_tenant_on_a_cluster_and_by_label_on_a_node(
    ground: VictoriaGround,
) -> None:
    one, other = await ground.server(1), await ground.server(1)
    http = AiohttpHttp()
    node = Node(http, (ground.address,))
    labels = ("tenant", "organization")
    before = [set(await node.label_values(one.organization_id, label)) for label in labels]
    for server in (one, other):
        await server.push((EPOCH, (1.0,)))
    tenants, organizations = [
        set(await node.label_values(one.organization_id, label)) - known
        for label, known in zip(labels, before, strict=True)
    ]
    assert len(tenants) == (2 if isinstance(ground, VictoriaClusterGround) else 0)
    assert organizations == {str(one.organization_id), str(other.organization_id)}
    await http.close()


async def test_more_than_it_looks_at_in_one_question_is_counted_in_pieces(victoria: str, cluster: Cluster) -> None:
    with single_node("-search.maxSamplesPerQuery=1000") as address:
        async with VictoriaGround.before(address, cluster) as ground:
            one, other = await ground.server(1), await ground.server(1)
            for server in (one, other):
                for day in range(3):
                    start = EPOCH + day * DAY
                    await server.push(*((start + n * 1000, (1.0,)) for n in range(900)), received_at=start)
            stats = await ground.store.stats()
            assert (stats.samples, stats.oldest) == (5_400, EPOCH)
            mine = await ground.store.stats(one.organization_id)
            assert mine.samples == 2_700
            assert 0 < mine.size_bytes < stats.size_bytes
