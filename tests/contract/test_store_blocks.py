"""What only the ``blocks`` engine promises: that it compacts, and that nothing can stop it halfway."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import numpy as np
import psycopg
import pytest

from twinwatch.hub.db import Database, DatabaseAway
from twinwatch.hub.stores import Retention, Window
from twinwatch.hub.stores import compaction as compaction_module
from twinwatch.hub.stores import log as log_module
from twinwatch.hub.stores.compaction import Compaction, Done, Unreadable
from twinwatch.hub.stores.tending import turn
from twinwatch.testing.fakes import EPOCH
from twinwatch.testing.postgres import Cluster

from .store_ground import DAY, HOUR, BlocksGround, Server
from .test_store import listed

MINUTE = 60_000


@pytest.fixture
async def ground(cluster: Cluster) -> AsyncIterator[BlocksGround]:
    async with BlocksGround.open(cluster) as ground:
        yield ground


async def counts(ground: BlocksGround) -> dict[str, int]:
    """Rows in each place."""
    found = {}
    for place in ("sample_log", "segments", "days"):
        row = await (await ground.owner.execute(f"select count(*) from samples.{place}".encode())).fetchone()
        assert row is not None
        found[place] = row[0]
    return found


async def fill(server: Server, since: int, hours: int, every: int = 5 * MINUTE) -> None:
    for time in range(since, since + hours * HOUR, every):
        await server.push((time, (float(time // every % 100),)), received_at=time + 1)


async def test_an_hour_that_is_not_over_stays_in_the_log(ground: BlocksGround) -> None:
    server = await ground.server(1)
    await fill(server, EPOCH, 2, 10 * MINUTE)
    await ground.settle(EPOCH + HOUR + 4 * MINUTE)
    assert await counts(ground) == {"sample_log": 12, "segments": 0, "days": 0}
    await ground.settle(EPOCH + HOUR + 5 * MINUTE)
    assert await counts(ground) == {"sample_log": 6, "segments": 1, "days": 0}


async def test_a_day_that_is_over_becomes_one_row(ground: BlocksGround) -> None:
    server = await ground.server(1)
    await fill(server, EPOCH, 24, 30 * MINUTE)
    before = listed(await server.read(EPOCH, EPOCH + DAY))
    await ground.settle(EPOCH + DAY + HOUR)
    assert await counts(ground) == {"sample_log": 0, "segments": 24, "days": 0}
    await ground.settle(EPOCH + DAY + 2 * HOUR)
    assert await counts(ground) == {"sample_log": 0, "segments": 0, "days": 1}
    assert listed(await server.read(EPOCH, EPOCH + DAY)) == before


async def test_what_comes_late_is_merged_into_the_day_that_it_belongs_to(ground: BlocksGround) -> None:
    server = await ground.server(1)
    await fill(server, EPOCH, 24, 30 * MINUTE)
    await ground.settle(EPOCH + DAY + 2 * HOUR)
    late = EPOCH + DAY + 3 * HOUR
    await server.push((EPOCH + 7 * MINUTE, (500.0,)), (EPOCH + 8 * MINUTE, (700.0,)), received_at=late)
    window = Window(EPOCH, EPOCH + DAY, 24, "max")
    before = await ground.store.read(server.id, server.series, window)
    assert before.values[0, 0] == 700.0
    for now in (late + 2 * HOUR, late + 3 * HOUR):
        await ground.settle(now)
        assert await counts(ground) == {"sample_log": 0, "segments": 0, "days": 1}
        after = await ground.store.read(server.id, server.series, window)
        np.testing.assert_array_equal(before.values, after.values)
    assert len((await server.read(EPOCH, EPOCH + DAY)).times) == 50


async def test_an_emptied_hour_gives_its_room_back(ground: BlocksGround) -> None:
    server = await ground.server(1)
    await fill(server, EPOCH, 1, MINUTE)
    size = "select pg_relation_size('samples.sample_log_2026010100')"
    held = await (await ground.owner.execute(size)).fetchone()
    assert held is not None
    assert held[0] > 0
    await ground.settle(EPOCH + 2 * HOUR)
    held = await (await ground.owner.execute(size)).fetchone()
    assert held == (0,)


async def test_long_charts_read_roll_ups_that_tell_the_same(ground: BlocksGround) -> None:
    server = await ground.server(1)
    for day in range(3):
        await fill(server, EPOCH + day * DAY, 24, 10 * MINUTE)
    windows = [Window(EPOCH, EPOCH + 3 * DAY, points, measure) for points in (30, 300) for measure in ("mean", "min")]
    before = [await ground.store.read(server.id, server.series, window) for window in windows]
    await ground.settle(EPOCH + 4 * DAY)
    # The samples are gone, so what is read can only be roll-ups.
    await ground.owner.execute("update samples.days set body = ''")
    for window, expected in zip(windows, before, strict=True):
        found = await ground.store.read(server.id, server.series, window)
        np.testing.assert_array_equal(found.times, expected.times)
        np.testing.assert_allclose(found.values, expected.values, rtol=1e-9)


async def test_two_shapes_that_tell_the_same_sample_count_it_once(ground: BlocksGround) -> None:
    server = await ground.server(2)
    ticks = [(EPOCH + n * MINUTE, (float(n), float(n))) for n in range(10)]
    arrivals = [server.arrival((shape * 16, ticks)) for shape in "ab"]
    for arrival in arrivals:
        await ground.store.write([arrival])
    window = Window(EPOCH, EPOCH + DAY, 24, "count")
    for now in (EPOCH, EPOCH + 2 * HOUR, EPOCH + 2 * DAY):
        await ground.settle(now)
        found = await ground.store.read(server.id, server.series, window)
        assert listed(found)[0][0] == 10.0


async def test_several_hubs_may_compact_at_once(ground: BlocksGround) -> None:
    servers = [await ground.server(1) for _ in range(30)]
    for server in servers:
        await server.push(*((EPOCH + n * MINUTE, (float(n),)) for n in range(60)))
    others = [Compaction(ground.database) for _ in range(4)]
    await asyncio.gather(*(one.round(EPOCH + 2 * DAY, Retention(7)) for one in others))
    await ground.settle(EPOCH + 2 * DAY)
    assert await counts(ground) == {"sample_log": 0, "segments": 0, "days": 30}
    for server in servers:
        assert listed(await server.read(EPOCH, EPOCH + HOUR)) == [[float(n) for n in range(60)]]


class Mortal(Database):
    """A database to which the connection is lost at the statement of this number."""

    def __init__(self, url: str, at: int) -> None:
        super().__init__(url)
        self.left = at

    def as_worker(self) -> Any:
        return _Mortal(super().as_worker(), self)


class _Mortal:
    def __init__(self, inner: Any, database: Mortal) -> None:
        self._inner = inner
        self._database = database

    async def __aenter__(self) -> Any:
        connection = await self._inner.__aenter__()
        execute = connection.execute
        database = self._database

        async def counted(*arguments: Any, **named: Any) -> Any:
            database.left -= 1
            if database.left == 0:
                await connection.close()
            return await execute(*arguments, **named)

        connection.execute = counted
        self._connection = connection
        return connection

    async def __aexit__(self, *error: Any) -> Any:
        del self._connection.execute
        return await self._inner.__aexit__(*error)


async def test_a_kill_at_any_statement_loses_nothing_and_doubles_nothing(
    ground: BlocksGround, cluster: Cluster
) -> None:
    server = await ground.server(1)
    for hour in range(3):
        await fill(server, EPOCH + hour * HOUR, 1, 15 * MINUTE)
    expected = listed(await server.read(EPOCH, EPOCH + 3 * HOUR))
    url = ground.database_url
    for at in range(1, 80):
        mortal = Mortal(url, at)
        await mortal.open()
        try:
            await Compaction(mortal).round(EPOCH + 2 * DAY, Retention(7))
        except (DatabaseAway, psycopg.Error):
            pass
        finally:
            await mortal.close()
        assert listed(await server.read(EPOCH, EPOCH + 3 * HOUR)) == expected, f"killed at statement {at}"
        assert (await ground.store.stats()).samples == 12
        if (await counts(ground))["days"]:
            break
    assert await counts(ground) == {"sample_log": 0, "segments": 0, "days": 1}


async def test_batches_of_a_server_that_is_gone_go_with_it(ground: BlocksGround) -> None:
    here, gone = await ground.server(1), await ground.server(1)
    for server in (here, gone):
        await fill(server, EPOCH, 1, 10 * MINUTE)
    await ground.gone(gone)
    await ground.settle(EPOCH + 2 * HOUR)
    assert (await ground.store.stats()).samples == 6


async def three(ground: BlocksGround) -> list[Server]:
    """Servers with a batch each."""
    servers = [await ground.server(1) for _ in range(3)]
    for server in servers:
        await server.push((EPOCH, (1.0,)), received_at=EPOCH + 1)
    return servers


async def bent(ground: BlocksGround, place: str, server: Server) -> list[bytes]:
    """What a server has in a place is made unreadable; it as it was."""
    bodies = await (
        await ground.owner.execute(f"select body from samples.{place} where server_id = %s".encode(), (server.id,))
    ).fetchall()
    await ground.owner.execute(f"update samples.{place} set body = '\\x2a' where server_id = %s".encode(), (server.id,))
    return [bytes(row[0]) for row in bodies]


async def mended(ground: BlocksGround, place: str, server: Server, body: bytes) -> None:
    await ground.owner.execute(f"update samples.{place} set body = %s where server_id = %s".encode(), (body, server.id))


async def test_a_batch_that_cannot_be_read_holds_up_nobody_else(
    ground: BlocksGround, caplog: pytest.LogCaptureFixture
) -> None:
    servers = await three(ground)
    (body,) = await bent(ground, "sample_log", servers[1])
    await ground.settle(EPOCH + 2 * HOUR)
    assert await counts(ground) == {"sample_log": 1, "segments": 2, "days": 0}
    assert f"cannot be read, and stay in the log: server {servers[1].id}: Undecodable" in caplog.text
    caplog.clear()
    await ground.settle(EPOCH + 2 * HOUR)
    assert "cannot be read" not in caplog.text, "it was told"
    everybody = [one.id for one in servers]
    latest = await ground.store.latest(everybody)
    assert [len(latest[one]) for one in everybody] == [1, 0, 1]
    assert listed(await servers[1].read(EPOCH, EPOCH + HOUR)) == listed(await servers[1].read(0, 1))
    await mended(ground, "sample_log", servers[1], body)
    await ground.settle(EPOCH + 2 * HOUR)
    assert await counts(ground) == {"sample_log": 0, "segments": 3, "days": 0}
    assert listed(await servers[1].read(EPOCH, EPOCH + HOUR)) == listed(await servers[0].read(EPOCH, EPOCH + HOUR))


async def test_a_batch_that_comes_while_others_are_passed_over_may_be_unreadable_too(
    ground: BlocksGround, monkeypatch: pytest.MonkeyPatch
) -> None:
    servers = await three(ground)
    await bent(ground, "sample_log", servers[1])
    take = Compaction._take

    async def slowly(compaction: Compaction, hour: datetime, chosen: Sequence[UUID], done: Done) -> None:
        try:
            await take(compaction, hour, chosen, done)
        except Unreadable:
            await bent(ground, "sample_log", servers[0])
            raise

    monkeypatch.setattr(Compaction, "_take", slowly)
    await ground.settle(EPOCH + 2 * HOUR)
    assert await counts(ground) == {"sample_log": 2, "segments": 1, "days": 0}


async def test_newest_samples_that_cannot_be_read_are_replaced_and_hold_up_nobody(
    ground: BlocksGround, caplog: pytest.LogCaptureFixture
) -> None:
    servers = await three(ground)
    await ground.settle(EPOCH + 2 * HOUR)
    await ground.owner.execute("update samples.newest set readings = '\\x2a' where server_id = %s", (servers[1].id,))
    for server in servers:
        await server.push((EPOCH + 3 * HOUR, (2.0,)), received_at=EPOCH + 3 * HOUR + 1)
    await ground.settle(EPOCH + 5 * HOUR)
    assert await counts(ground) == {"sample_log": 0, "segments": 6, "days": 0}
    assert f"server {servers[1].id} cannot be read" in caplog.text
    latest = await ground.store.latest([one.id for one in servers])
    assert [[last.value for last in latest[one.id]] for one in servers] == [[2.0]] * 3


async def test_the_lag_can_be_asked_while_hours_of_the_log_are_dropped(ground: BlocksGround) -> None:
    server = await ground.server(1)
    await server.push((EPOCH, (1.0,)), received_at=EPOCH + 1)
    async with await psycopg.AsyncConnection.connect(ground.database_url) as other:
        await other.execute("set role service_role")
        await other.execute("select samples.drop_partitions('2999-01-01')")
        asking = asyncio.create_task(ground.compaction.lag_seconds(EPOCH + 5 * HOUR))

        async def waits() -> bool:
            cursor = await ground.owner.execute(
                "select exists (select from pg_stat_activity where wait_event_type = 'Lock' and query like %s)",
                ("%log_hours%",),
            )
            row = await cursor.fetchone()
            return row is not None and bool(row[0])

        async with asyncio.timeout(10):
            while not await waits():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await other.commit()
    assert await asking == 0.0


async def test_a_day_that_cannot_be_merged_holds_up_no_other(
    ground: BlocksGround, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction_module, "DAYS", 2)
    servers = [await ground.server(1) for _ in range(5)]
    for server in servers:
        for day in (0, DAY):
            await server.push((EPOCH + day, (1.0,)), received_at=EPOCH + day + 1)
    await ground.settle(EPOCH + HOUR + 5 * MINUTE)
    bodies = [(server, await bent(ground, "segments", server)) for server in servers[:2]]
    await ground.settle(EPOCH + 3 * DAY)
    assert await counts(ground) == {"sample_log": 0, "segments": 2, "days": 8}
    for server in servers[:2]:
        assert f"cannot be merged, and stays in its segments: server {server.id}" in caplog.text
    caplog.clear()
    await ground.settle(EPOCH + 3 * DAY)
    assert "cannot be merged" not in caplog.text, "it was told"
    for server, (body,) in bodies:
        await mended(ground, "segments", server, body)
    await ground.settle(EPOCH + 3 * DAY)
    assert await counts(ground) == {"sample_log": 0, "segments": 0, "days": 10}


async def test_hours_come_first_again_while_a_day_of_many_servers_is_merged(
    ground: BlocksGround, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction_module, "DAYS_SECONDS", -1.0)
    servers = [await ground.server(1) for _ in range(3)]
    for server in servers:
        await server.push((EPOCH, (1.0,)), received_at=EPOCH + 1)
    for step in range(2):
        later = EPOCH + 2 * DAY + step * HOUR
        await servers[0].push((later, (2.0,)), received_at=later)
        done = await ground.compaction.round(later + 2 * HOUR, Retention(7))
        assert (done.days, done.more) == (0, True)
        assert await ground.compaction.lag_seconds(later + 2 * HOUR) == 0
    monkeypatch.undo()
    done = await ground.compaction.round(EPOCH + 3 * DAY, Retention(7))
    assert (done.days, done.more) == (3, False)


async def test_the_latest_of_a_server_with_a_backlog_is_sought_in_so_many_bytes(
    ground: BlocksGround, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = await ground.server()
    await server.push((EPOCH, (1.0, 10.0)), received_at=EPOCH)
    for step in range(1, 4):
        await server.push((EPOCH + step, (float(step), None)), received_at=EPOCH + step)
    assert len((await ground.store.latest([server.id]))[server.id]) == 2
    monkeypatch.setattr(log_module, "ALONE_BYTES", 1)
    (last,) = (await ground.store.latest([server.id]))[server.id]
    assert last.value == 3.0, "the newest is looked at whatever its size"


async def test_what_a_server_left_behind_is_swept_up(ground: BlocksGround) -> None:
    server = await ground.server(1)
    await fill(server, EPOCH, 1, 10 * MINUTE)
    await ground.settle(EPOCH + 2 * DAY)
    await ground.gone(server)
    await ground.store.tend(EPOCH + 2 * DAY, Retention(7))
    assert (await ground.store.stats()).samples == 0


async def test_the_newest_samples_of_a_shape_end_with_it(ground: BlocksGround) -> None:
    server, other = await ground.server(1), await ground.server(1)
    for one in (server, other):
        await fill(one, EPOCH, 1, 10 * MINUTE)
    await ground.settle(EPOCH + 2 * HOUR)
    await ground.owner.execute("delete from public.shapes where server_id = %s", (server.id,))
    assert len((await ground.store.latest([server.id, other.id]))[other.id]) == 1
    await ground.store.tend(EPOCH + 2 * HOUR, Retention(7))
    cursor = await ground.owner.execute("select server_id from samples.newest")
    assert await cursor.fetchall() == [(other.id,)]


async def test_a_day_is_merged_with_what_is_left_of_a_shape_that_has_ended(ground: BlocksGround) -> None:
    server = await ground.server(1)
    for shape in "ab":
        await ground.store.write([server.arrival((shape * 16, [(EPOCH, (1.0,))]))])
    await ground.settle(EPOCH + 2 * HOUR)
    await ground.owner.execute("delete from public.shapes where id = %s", ("b" * 16,))
    await ground.settle(EPOCH + 2 * DAY)
    assert await counts(ground) == {"sample_log": 0, "segments": 0, "days": 2}
    assert listed(await server.read(EPOCH, EPOCH + 1)) == [[1.0]]


async def test_of_several_hubs_one_ends_what_is_past_keeping_and_each_makes_room(ground: BlocksGround) -> None:
    server, now = await ground.server(1), EPOCH + 9 * DAY
    await server.push((EPOCH, (1.0,)))
    async with turn(ground.database), asyncio.timeout(5):
        await ground.store.tend(now, Retention(7))
        assert (await ground.store.stats()).samples == 1
        cursor = await ground.owner.execute("select to_regclass('samples.sample_log_2026011000') is not null")
        assert await cursor.fetchone() == (True,)
    await ground.store.tend(now, Retention(7))
    assert (await ground.store.stats()).samples == 0


async def test_the_lag_is_how_long_the_oldest_batch_could_have_been_compacted(ground: BlocksGround) -> None:
    server = await ground.server(1)
    assert await ground.compaction.lag_seconds(EPOCH) == 0.0
    await fill(server, EPOCH, 1, 10 * MINUTE)
    assert await ground.compaction.lag_seconds(EPOCH + HOUR) == 0.0
    closed = EPOCH + HOUR + compaction_module.MARGIN_MILLISECONDS
    assert await ground.compaction.lag_seconds(closed + 90_000) == 90.0
    await ground.settle(closed + 90_000)
    assert await ground.compaction.lag_seconds(closed + 90_000) == 0.0


async def test_a_hub_that_takes_in_samples_does_not_wait_for_compaction(ground: BlocksGround) -> None:
    """What compaction has in hand is held; a batch of the same server goes in meanwhile."""
    server = await ground.server(1)
    await fill(server, EPOCH, 1, 10 * MINUTE)
    async with ground.database.as_worker() as connection:
        await connection.execute("delete from samples.sample_log where server_id = %s", (server.id,))
        async with asyncio.timeout(5):
            await server.push((EPOCH + HOUR, (1.0,)), received_at=EPOCH + HOUR)


async def test_samples_kept_for_long_do_not_hold_up_the_end_of_those_that_are_not(ground: BlocksGround) -> None:
    short, long = await ground.server(1), await ground.server(1)
    retention = Retention(7, {long.organization_id: 90})
    for server in (short, long):
        await fill(server, EPOCH, 1, 10 * MINUTE)
    await ground.compaction.round(EPOCH + 2 * DAY, retention)
    cursor = await ground.owner.execute("select keep, server_id from samples.days order by keep desc")
    assert await cursor.fetchall() == [("short", short.id), ("long", long.id)]
    await ground.store.tend(EPOCH + 30 * DAY, retention)
    cursor = await ground.owner.execute("select to_regclass('samples.days_short_20251229'), count(*) from samples.days")
    assert await cursor.fetchone() == (None, 1)
