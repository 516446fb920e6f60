"""What only the ``timescale`` engine has to show: compression, policies, what is left behind, two hubs at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import numpy as np
import psycopg
import pytest

from twinwatch.hub.db import Database
from twinwatch.hub.shapes import Shapes
from twinwatch.hub.statements import Statements
from twinwatch.hub.stores import Retention, Window, hypertable
from twinwatch.hub.stores.timescale import TimescaleStore
from twinwatch.protocol.samples import SeriesKey, shape_of
from twinwatch.testing.fakes import EPOCH
from twinwatch.testing.hub_stage import HandClock
from twinwatch.testing.postgres import Cluster

from .store_ground import DAY, HOUR, BlocksGround
from .test_store import EXACT, listed
from .timescale_ground import ApacheGround, CompressedGround, TimescaleGround
from .timescale_server import TimescaleServer

TEN_YEARS = 3650


@pytest.fixture
async def ground(timescale: TimescaleServer) -> AsyncIterator[TimescaleGround]:
    async with TimescaleGround.on(timescale) as ground:
        yield ground


async def rows(ground: TimescaleGround, statement: str, *values: object) -> list[tuple[Any, ...]]:
    return await (await ground.owner.execute(statement.encode(), values)).fetchall()


async def policies(ground: TimescaleGround) -> dict[str, Any]:
    """What each policy is set to."""
    found = await rows(
        ground, "select proc_name, config from timescaledb_information.jobs where hypertable_name = 'readings'"
    )
    assert len(found) == len(dict(found)), "one of each"
    return {name: config.get("compress_after") or config.get("drop_after") for name, config in found}


async def run_job(ground: TimescaleGround, name: str) -> None:
    """What a background worker of TimescaleDB would do, by its own clock."""
    ((job,),) = await rows(ground, "select job_id from timescaledb_information.jobs where proc_name = %s", name)
    await ground.owner.execute("call extensions.run_job(%s)", (job,))


async def compressed(ground: TimescaleGround) -> list[bool]:
    """Of each chunk, the oldest first."""
    found = await rows(
        ground,
        "select is_compressed from timescaledb_information.chunks where hypertable_name = 'readings'"
        " order by range_start",
    )
    return [one for (one,) in found]


async def test_what_is_compressed_takes_little_and_comes_back_to_the_last_bit(ground: TimescaleGround) -> None:
    store = TimescaleStore(ground.database)
    server = await ground.server(1)
    values = [EXACT[n % len(EXACT)] for n in range(5_000)]
    await store.write([server.arrival(("a" * 16, [(EPOCH + n * 1_000, (value,)) for n, value in enumerate(values)]))])
    before = await store.stats()
    await ground.settle(EPOCH)
    assert await compressed(ground) == [True]
    after = await store.stats()
    assert (after.samples, after.oldest) == (before.samples, before.oldest) == (5_000, EPOCH)
    assert after.size_bytes < before.size_bytes / 2
    found = await store.read(server.id, server.series, Window(EPOCH, EPOCH + 2 * HOUR, 100_000))
    assert found.values.tobytes() == np.array([values]).tobytes()


async def test_compression_is_by_series(ground: TimescaleGround) -> None:
    server = await ground.server(3)
    await server.push(*((EPOCH + n, (1.0, 2.0, 3.0)) for n in range(50)))
    await ground.settle(EPOCH)
    settings = await rows(
        ground, "select segmentby, orderby from timescaledb_information.hypertable_compression_settings"
    )
    assert settings == [("series_id", "taken_at DESC")]


async def test_late_samples_and_repeated_ones_find_into_what_is_compressed(ground: TimescaleGround) -> None:
    server = await ground.server(1)
    await server.push(*((EPOCH + n * 10, (float(n),)) for n in range(100)))
    await ground.settle(EPOCH)
    await server.push(*((EPOCH + n * 5, (-1.0 if n % 2 == 0 else float(n),)) for n in range(100)))
    read = await server.read(EPOCH, EPOCH + HOUR)
    assert listed(read) == [
        [n / 2 if n % 2 == 0 else float(n) for n in range(100)] + [float(n) for n in range(50, 100)]
    ]
    assert (await ground.store.stats()).samples == 150
    counted = await ground.store.read(server.id, server.series, Window(EPOCH, EPOCH + HOUR, 1, "count"))
    assert listed(counted) == [[150.0]]


async def test_its_own_policies_compress_and_drop(ground: TimescaleGround) -> None:
    """By the machine's clock, which is later than that of the samples."""
    server = await ground.server(1)
    await server.push((EPOCH, (1.0,)))
    await ground.store.tend(EPOCH, Retention(TEN_YEARS))
    assert await policies(ground) == {"policy_compression": "1 day", "policy_retention": f"{TEN_YEARS} days"}
    await run_job(ground, "policy_compression")
    assert await compressed(ground) == [True]
    await run_job(ground, "policy_retention")
    assert await compressed(ground) == [True]
    await ground.store.tend(EPOCH, Retention(7))
    await run_job(ground, "policy_retention")
    assert await compressed(ground) == []


async def test_the_policy_keeps_what_the_longest_plan_does(ground: TimescaleGround) -> None:
    server = await ground.server(1)
    for special, days in ({}, 7), ({server.organization_id: 400}, 400), ({server.organization_id: 3}, 7):
        for _ in range(2):
            await ground.store.tend(EPOCH, Retention(7, special))
            assert (await policies(ground))["policy_retention"] == f"{days} days"


async def test_under_the_apache_licence_there_is_neither_and_the_hub_ends_what_is_past_keeping(
    timescale: TimescaleServer,
) -> None:
    async with ApacheGround.on(timescale) as ground:
        server = await ground.server(1)
        await server.push((EPOCH, (1.0,)), (EPOCH + 9 * DAY, (2.0,)))
        await ground.store.tend(EPOCH + 9 * DAY, Retention(7))
        assert await policies(ground) == {}
        assert listed(await server.read(EPOCH, EPOCH + 10 * DAY)) == [[2.0]]
        ((enabled,),) = await rows(
            ground,
            "select compression_enabled from timescaledb_information.hypertables where hypertable_name = 'readings'",
        )
        assert not enabled


async def test_preparing_again_changes_nothing_whatever_is_compressed_by_then(ground: TimescaleGround) -> None:
    server = await ground.server(1)
    await server.push((EPOCH, (1.0,)))
    await ground.settle(EPOCH)
    await ground.store.tend(EPOCH, Retention(7))
    before = await policies(ground)
    found = await hypertable.extension(ground.owner)
    assert found is not None
    await hypertable.prepare(ground.owner, found)
    assert await policies(ground) == before
    assert listed(await server.read(EPOCH, EPOCH + 1)) == [[1.0]]


async def test_what_a_licence_lacked_is_added_when_it_has_it(timescale: TimescaleServer) -> None:
    async with ApacheGround.on(timescale) as ground:
        server = await ground.server(1)
        await server.push((EPOCH, (1.0,)))
        await TimescaleGround.prepare(ground.owner, await _extension(ground))
        assert await policies(ground) == {"policy_compression": "1 day"}
        await run_job(ground, "policy_compression")
        assert await compressed(ground) == [True]
        assert listed(await server.read(EPOCH, EPOCH + 1)) == [[1.0]]


async def _extension(ground: TimescaleGround) -> hypertable.Extension:
    found = await hypertable.extension(ground.owner)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("version", "licence", "is_too_old"),
    [
        ("2.23.0-dev", "timescale", False),
        ("2.11.0", "timescale", False),
        ("2.10.9", "timescale", True),
        ("2.9.1", "apache", False),
        ("1.7.5", "apache", True),
        ("3.0", "timescale", False),
    ],
)
def test_versions_are_compared_by_number(version: str, licence: str, is_too_old: bool) -> None:
    assert hypertable.Extension(version, "public", licence).is_too_old == is_too_old


@pytest.mark.parametrize("kind", [TimescaleGround, CompressedGround])
async def test_what_is_left_of_servers_that_are_gone_ends(
    timescale: TimescaleServer, kind: type[TimescaleGround]
) -> None:
    async with kind.on(timescale) as ground:
        gone, forgotten, here = await ground.server(), await ground.server(), await ground.server()
        for server in (gone, forgotten, here):
            await server.push((EPOCH, (1.0, 2.0)))
        for server in (gone, forgotten):
            await ground.gone(server)
        assert (await ground.store.stats()).samples == 6
        await ground.store.forget(forgotten.id)
        assert (await ground.store.stats()).samples == 4
        await ground.store.tend(EPOCH, Retention(7))
        assert (await ground.store.stats()).samples == 2
        assert await rows(ground, "select series_id from samples.ended_series") == []
        assert listed(await here.read(EPOCH, EPOCH + 1)) == [[1.0], [2.0]]


async def test_a_series_that_ends_leaves_nothing_and_comes_again_under_another_number(ground: TimescaleGround) -> None:
    server, clock = await ground.server(1), HandClock()
    shape = shape_of("m", (SeriesKey("m", {"job": "x"}),))
    who = (server.organization_id, server.id, {shape.id}, [shape])
    (first,) = (await Shapes(clock, ground.database).series_of(*who))[shape.id]
    for number in (first, *server.series):
        await rows(ground, "insert into samples.readings values (%s, '2026-01-01', 1.0) returning 1", number)
    clock.advance(30 * DAY / 1000)
    await Shapes(clock, ground.database).tend(clock.now(), Retention(7))
    await ground.store.tend(EPOCH, Retention(7))
    assert await rows(ground, "select series_id from samples.readings") == [(server.series[0],)]
    (again,) = (await Shapes(clock, ground.database).series_of(*who))[shape.id]
    assert again > first


async def test_what_is_filled_into_a_server_that_is_gone_is_not_kept(ground: TimescaleGround) -> None:
    server = await ground.server(1)
    await server.push((EPOCH, (1.0,)))
    points = await server.read(EPOCH, EPOCH + 1)
    await ground.store.forget(server.id)
    await ground.gone(server)
    await ground.store.fill(server.organization_id, server.id, server.series, points)
    assert (await ground.store.stats()).samples == 0


async def test_a_batch_that_is_not_taken_raises_no_mark(ground: TimescaleGround) -> None:
    server = await ground.server(1)
    arrival = server.arrival(("a" * 16, [(EPOCH + n, (float(n),)) for n in range(20)]))
    await ground.owner.execute(
        "alter table samples.readings add constraint odd check (value <> 13)"  # in the second of the inserts
    )
    with pytest.raises(psycopg.errors.CheckViolation):
        await ground.store.write([arrival])
    assert (await ground.store.stats()).samples == 0
    await ground.owner.execute("alter table samples.readings drop constraint odd")
    (verdict,) = await ground.store.write([arrival])
    assert (verdict.mark, verdict.fresh) == (1, True)
    assert (await ground.store.stats()).samples == 20


@pytest.mark.parametrize("role", ["anon", "authenticated"])
async def test_no_browser_role_reaches_samples_by_any_way(ground: TimescaleGround, role: str) -> None:
    server = await ground.server(1)
    await server.push((EPOCH, (1.0,)))
    ((chunk,),) = await rows(ground, "select extensions.show_chunks('samples.readings')::text")
    await ground.settle(EPOCH)
    ((packed,),) = await rows(
        ground,
        "select c.oid::regclass::text from pg_class c where c.relname like 'compress_hyper%%chunk' and c.relkind = 'r'",
    )
    for asked in (
        "select 1 from samples.readings",
        "select 1 from samples.ended_series",
        f"select 1 from {chunk}",
        f"select 1 from {packed}",
        "select samples.keep_readings(1)",
        "select samples.drop_readings(now())",
        "select samples.readings_bytes()",
    ):
        async with ground.owner.transaction(force_rollback=True):
            await ground.owner.execute(f"set local role {role}".encode())
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                await ground.owner.execute(asked.encode())


async def test_every_statement_prepares_as_the_role_that_says_it(ground: TimescaleGround) -> None:
    """The schema that the other statements are held against has no hypertable."""
    named = Statements("timescale")
    for name in named.names():
        text, numbers = str(named[name]), dict[str, int]()
        for one in text.split("%(")[1:]:
            numbers.setdefault(one.partition(")")[0], len(numbers) + 1)
        for parameter, number in numbers.items():
            text = text.replace(f"%({parameter})s", f"${number}").replace(f"%({parameter})b", f"${number}")
        async with ground.owner.transaction(force_rollback=True):
            await ground.owner.execute("set local role service_role")
            await ground.owner.execute(f"prepare tested as {text}".encode())
            await ground.owner.execute("deallocate tested")


async def test_of_what_is_compressed_only_the_series_that_are_asked_for_are_touched(ground: TimescaleGround) -> None:
    """Found by index; what is removed is not unpacked for it."""
    servers = [await ground.server(20) for _ in range(5)]
    store = TimescaleStore(ground.database)
    for server in servers:
        ticks = [(EPOCH + n * 60_000, [float(n % 7 + k) for k in range(20)]) for n in range(300)]
        await store.write([server.arrival(("a" * 16, ticks))])
    await ground.settle(EPOCH)
    await ground.owner.execute("analyze samples.readings")
    asked = {"series": servers[2].series[:3], "since": "2026-01-01", "to": "2026-01-02", "step": "1 hour"}
    plans = {name: await _plan(ground, name, asked) for name in ("samples", "buckets", "expire", "forget")}
    for name in ("samples", "buckets"):
        assert "Index Cond: ((series_id = ANY" in plans[name]
    for name in ("expire", "forget"):
        assert "Batches deleted: 3" in plans[name]
        assert "decompressed" not in plans[name]


async def _plan(ground: TimescaleGround, name: str, asked: Mapping[str, object]) -> str:
    statement = f"explain (analyze, costs off, timing off, summary off) {Statements('timescale')[name]}"
    async with ground.owner.transaction(force_rollback=True):
        found = await (await ground.owner.execute(statement.encode(), asked)).fetchall()
    return "\n".join(line for (line,) in found)


async def test_of_two_hubs_with_the_same_batches_one_counts_each(cluster: Cluster) -> None:
    """On a PostgreSQL with many sessions, where what takes the samples is a table like any other."""
    async with BlocksGround.open(cluster) as ground:
        assert isinstance(ground, BlocksGround)
        await ground.owner.execute(Statements("hypertable")["make_tables"])
        await ground.owner.execute("create function samples.readings_bytes() returns bigint language sql return 1")
        hubs = [Database(ground.database_url, most=2) for _ in range(2)]
        for hub in hubs:
            await hub.open()
        stores = [TimescaleStore(hub, inserted=50) for hub in hubs]
        servers = [await ground.server() for _ in range(4)]
        for batch in range(10):
            ticks = [(EPOCH + batch * HOUR + n, (float(n), -float(n))) for n in range(100)]
            arrivals = [server.arrival(("a" * 16, ticks)) for server in servers]
            verdicts = await asyncio.gather(*(store.write(arrivals) for store in stores))
            assert [one.fresh != other.fresh for one, other in zip(*verdicts, strict=True)] == [True] * 4
            assert {one.mark for some in verdicts for one in some} == {batch + 1}
        assert (await stores[0].stats()).samples == 4 * 10 * 200
        for hub in hubs:
            await hub.close()
