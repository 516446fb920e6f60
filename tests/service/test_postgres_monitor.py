"""The postgres monitor on a real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest

from twinwatch.monitors import Check, Finding, Moment, Reading
from twinwatch.monitors.options import options_of
from twinwatch.monitors.postgres import Postgres
from twinwatch.testing.paper import paper_world
from twinwatch.world.postgres import HostPostgres, PostgresAway, PostgresRefused
from twinwatch.world.secret import Secret


def values(findings: list[Finding]) -> dict[tuple[str, ...], float]:
    return {(one.metric, *one.labels.values()): one.value for one in findings if isinstance(one, Reading)}


@pytest.fixture
async def door() -> AsyncIterator[HostPostgres]:
    door = HostPostgres()
    yield door
    await door.close()


async def test_every_statement_is_understood_and_the_connection_kept(database_url: str, door: HostPostgres) -> None:
    monitor = Postgres(options_of(Postgres, {"connection": database_url}))
    world = paper_world(postgres=door)
    await monitor.read(world, Moment(0, 0.0))
    found = await monitor.read(world, Moment(0, 10.0))
    assert [one for one in found if isinstance(one, Check)] == [Check("connection", "up")]
    names = {name for name, *_ in values(found)}
    assert {"postgresql.up", "postgresql.commits", "postgresql.db_size", "postgresql.connection.utilization"} <= names
    with psycopg.connect(database_url) as watching:
        held = watching.execute("select count(*) from pg_stat_activity where application_name = 'twinwatch'").fetchone()
    assert held == (1,)


async def test_a_connection_that_the_server_ends_is_made_anew(database_url: str, door: HostPostgres) -> None:
    monitor = Postgres(options_of(Postgres, {"connection": database_url}))
    world = paper_world(postgres=door)
    await monitor.read(world, Moment(0, 0.0))
    with psycopg.connect(database_url, autocommit=True) as other:
        other.execute("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'twinwatch'")
    states = []
    for turn in range(2):
        found = await monitor.read(world, Moment(0, 10.0 + turn))
        states += [one.state for one in found if isinstance(one, Check) and one.name == "connection"]
    assert states[-1] == "up"


async def test_a_lock_that_is_waited_for_is_seen(database_url: str, door: HostPostgres) -> None:
    monitor = Postgres(options_of(Postgres, {"connection": database_url}))
    world = paper_world(postgres=door)
    async with (
        await psycopg.AsyncConnection.connect(database_url) as holder,
        await psycopg.AsyncConnection.connect(database_url) as waiter,
    ):
        await holder.execute("select pg_advisory_xact_lock(7)")
        waiting = asyncio.create_task(waiter.execute("select pg_advisory_xact_lock(7)"))
        async with asyncio.timeout(20):
            while values(list(await monitor.read(world, Moment(0, 0.0))))["postgresql.lock.waiting",] < 1:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        await holder.rollback()
        await waiting


async def test_a_statement_that_takes_long_is_cut_off_by_the_server(database_url: str, door: HostPostgres) -> None:
    with pytest.raises(PostgresRefused, match="slow: longer than 2 s") as refused:
        await door.query(Secret(database_url), "slow", "select pg_sleep(60)", timeout_seconds=30)
    assert refused.value.sqlstate == "57014"
    assert await door.query(Secret(database_url), "one", "select 1 as one", timeout_seconds=10) == [{"one": 1}]


async def test_nothing_can_be_written_and_no_message_holds_the_password(database_url: str, door: HostPostgres) -> None:
    with pytest.raises(PostgresRefused, match="read-only"):
        await door.query(Secret(database_url), "write", "create table x (a int)", timeout_seconds=10)
    with pytest.raises(PostgresAway) as away:
        await door.query(Secret("postgres://me:hunter22@127.0.0.1:1/x"), "one", "select 1", timeout_seconds=10)
    assert "hunter22" not in str(away.value)
