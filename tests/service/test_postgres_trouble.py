"""The postgres monitor on real servers in trouble: locks, old transactions, no connection, no rights, no server."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator

import psycopg
import pytest

from tests.service.postgres_watch import Watch, binaries_of, watch
from twinwatch.testing.postgres import Cluster, TcpPostgres
from twinwatch.world.postgres import HostPostgres, PostgresAway
from twinwatch.world.secret import Secret

SETTINGS = {
    "autovacuum": "on",
    "max_connections": "12",
    "superuser_reserved_connections": "3",
    "max_prepared_transactions": "2",
}
PASSWORD = "p4ss w@rd'x"
SPELT = "p4ss%20w%40rd%27x"


@pytest.fixture(scope="module", params=["18", "15"])
def server(request: pytest.FixtureRequest, cluster: Cluster) -> Iterator[TcpPostgres]:
    with TcpPostgres(binaries_of(request.param, cluster), SETTINGS) as server:
        with psycopg.connect(server.url, autocommit=True) as admin:
            admin.execute(
                f"create role monitor login in role pg_monitor password '{PASSWORD.replace(chr(39), chr(39) * 2)}'"
            )
            admin.execute("create role nobody login")
            admin.execute("create table goods (id int primary key)")
            admin.execute("insert into goods select generate_series(1, 10)")
            admin.execute("grant all on goods to monitor, nobody")
        yield server


def as_(server: TcpPostgres, role: str, password: str = "") -> str:
    return server.url.replace("postgres@", f"{role}{f':{password}' if password else ''}@", 1)


@contextlib.asynccontextmanager
async def session(url: str) -> AsyncIterator[psycopg.AsyncConnection]:
    connection = await psycopg.AsyncConnection.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


async def test_who_blocks_whom_is_told_with_what_to_do(server: TcpPostgres) -> None:
    async with (
        watch(as_(server, "monitor"), blocked_after="1ms") as watching,
        session(f"{server.url}&application_name=shop") as holder,
        session(f"{server.url}&application_name=till") as waiter,
    ):
        await holder.execute("update goods set id = id where id = 1")
        waiting = asyncio.create_task(waiter.execute("update goods set id = id where id = 1"))
        await watching.until(lambda seen: seen.checks["locks"] == ("degraded", "blocked"))
        said = watching.message("locks")
        assert f"pid {waiter.info.backend_pid} (postgres@postgres, till)" in said
        assert (
            f"waits for pid {holder.info.backend_pid} (postgres@postgres, shop), which is idle in transaction" in said
        )
        assert f"pg_terminate_backend({holder.info.backend_pid})" in said
        assert watching.values["postgresql.lock.waiting",] == 1
        assert watching.values["postgresql.lock.longest",] > 0
        await holder.rollback()
        await waiting
        await watching.until(lambda seen: seen.checks["locks"] == ("up", ""))


async def test_an_idle_transaction_is_told_and_then_one_that_is_prepared(server: TcpPostgres) -> None:
    async with (
        watch(as_(server, "monitor"), idle_transaction_after="1ms") as watching,
        session(f"{server.url}&application_name=shop") as idler,
    ):
        await idler.execute("insert into goods values (100)")
        await watching.until(lambda seen: seen.checks["transactions"] == ("degraded", "idle-transaction"))
        assert f"select pg_terminate_backend({idler.info.backend_pid})" in watching.message("transactions")
        assert watching.values["postgresql.transaction.idle",] > 0
        await idler.execute("prepare transaction 'left behind'")
        await watching.until(lambda seen: seen.checks["transactions"] == ("up", ""))
        assert watching.values["postgresql.prepared.count",] == 1
        await idler.set_autocommit(True)
        await idler.execute("rollback prepared 'left behind'")


async def test_a_long_transaction_is_told_unless_it_is_a_backups(server: TcpPostgres) -> None:
    async with watch(as_(server, "monitor"), long_transaction_after="1ms", idle_transaction_after="1h") as watching:
        async with session(f"{server.url}&application_name=pg_dump") as dump:
            await dump.execute("select 1")
            await watching.run()
            assert watching.checks["transactions"] == ("up", "")
        async with session(f"{server.url}&application_name=report") as report:
            await report.execute("select 1")
            await watching.until(lambda seen: seen.checks["transactions"] == ("degraded", "long-transaction"))
            assert f"pg_cancel_backend({report.info.backend_pid})" in watching.message("transactions")


async def test_a_full_table_of_connections_is_told_from_within_and_without_and_recovers(server: TcpPostgres) -> None:
    within = watch(as_(server, "monitor"))
    async with within as inside, watch(as_(server, "monitor")) as outside:
        await inside.run()
        async with contextlib.AsyncExitStack() as crowd:
            with pytest.raises(psycopg.OperationalError):
                await fill(crowd, as_(server, "nobody"))
            await inside.run()
            assert inside.checks["connection"] == ("up", "")
            assert inside.values["postgresql.connection.utilization",] == 1
            await outside.run()
            assert outside.checks["connection"] == ("down", "full")
            assert "raise max_connections" in outside.message("connection")
            assert outside.values["postgresql.up",] == 0
            assert outside.values["postgresql.connection.utilization",] == 1
        await outside.until(lambda seen: seen.checks["connection"] == ("up", ""))
        assert outside.values["postgresql.connection.utilization",] < 1


async def fill(crowd: contextlib.AsyncExitStack, url: str) -> None:
    for _ in range(20):
        await crowd.enter_async_context(session(url))


async def test_a_role_without_rights_says_what_to_grant_and_notices_the_grant(server: TcpPostgres) -> None:
    async with watch(as_(server, "nobody")) as watching:
        await watching.run()
        assert watching.checks["connection"] == ("up", "")
        assert watching.checks["transactions"] == ("unknown", "no-right")
        unknown = {name for name, (state, _) in watching.checks.items() if state == "unknown"}
        assert unknown == {"transactions", "part:sessions", "part:wal-folder", "standbys", "autovacuum"}
        for check in unknown:
            assert "grant pg_monitor to nobody" in watching.message(check)
        assert 0 < watching.values["postgresql.connection.utilization",] <= 1
        assert ("postgresql.db_size", "postgres") in watching.values
        assert refusals(server) == 0, "what will be refused is not asked for"
        with psycopg.connect(server.url, autocommit=True) as admin:
            admin.execute("grant pg_monitor to nobody")
            await watching.run()
            admin.execute("revoke pg_monitor from nobody")
        assert "unknown" not in {state for state, _ in watching.checks.values()}
        assert ("postgresql.wal.size",) in watching.values


async def test_what_a_managed_service_lets_nobody_run_is_lost_alone_and_not_asked_for_again(
    server: TcpPostgres,
) -> None:
    with psycopg.connect(server.url, autocommit=True) as admin:
        admin.execute("revoke execute on function pg_ls_waldir() from pg_monitor")
        try:
            async with watch(as_(server, "monitor")) as watching:
                await watching.run()
                assert watching.checks["part:wal-folder"] == ("unknown", "no-right")
                assert "permission denied for function pg_ls_waldir" in watching.message("part:wal-folder")
                assert {state for name, (state, _) in watching.checks.items() if not name.startswith("part:")} == {"up"}
                before = refusals(server)
                await watching.run()
                assert refusals(server) == before
        finally:
            admin.execute("grant execute on function pg_ls_waldir() to pg_monitor")


def refusals(server: TcpPostgres) -> int:
    return (server.data.parent / "log").read_text().count("permission denied")


async def test_a_backend_that_is_ended_in_the_middle_of_a_statement_costs_no_alarm(server: TcpPostgres) -> None:
    async with watch(as_(server, "monitor")) as watching:
        await watching.run()
        with psycopg.connect(server.url, autocommit=True) as admin:
            admin.execute("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'twinwatch'")
        await watching.run()
        assert watching.checks["connection"] == ("up", "")
        assert "unknown" not in {state for state, _ in watching.checks.values()}


async def test_a_server_that_dies_in_the_middle_of_a_statement_is_away_at_once_and_asked_again(
    cluster: Cluster,
) -> None:
    with TcpPostgres(binaries_of("18", cluster)) as server:
        door, secret = HostPostgres(), Secret(server.url)
        assert await door.query(secret, "one", "select 1 as one", timeout_seconds=10) == [{"one": 1}]
        asking = asyncio.create_task(door.query(secret, "slow", "select pg_sleep(1.9)", timeout_seconds=60))
        async with asyncio.timeout(20):
            while not sleeping(server):  # noqa: ASYNC110 - a server is waited for
                await asyncio.sleep(0.02)
        server.stop(signal.SIGQUIT)
        with pytest.raises(PostgresAway) as away:
            await asking
        assert away.value.reason in ("away", "starting")
        server.start()
        assert await door.query(secret, "one", "select 1 as one", timeout_seconds=10) == [{"one": 1}]
        await door.close()


def sleeping(server: TcpPostgres) -> bool:
    with psycopg.connect(server.url) as admin:
        asked = "select 1 from pg_stat_activity where wait_event = 'PgSleep'"
        return admin.execute(asked).fetchone() is not None


async def test_a_server_that_wants_tls_is_no_dead_server(server: TcpPostgres) -> None:
    async with watch(server.url.replace("sslmode=disable", "sslmode=require")) as watching:
        await watching.run()
        assert watching.checks["connection"] == ("unknown", "login")
        assert "SSL" in watching.message("connection")


async def test_a_server_that_dies_is_down_until_it_is_back(cluster: Cluster) -> None:
    with TcpPostgres(binaries_of("18", cluster)) as server:
        async with watch(server.url) as watching:
            await watching.run()
            assert watching.checks["locks"] == ("up", "")
            server.stop(signal.SIGQUIT)
            await watching.run()
            assert watching.checks["connection"] == ("down", "away")
            assert watching.checks["locks"] == ("unknown", "away")
            assert "onnection refused" in watching.message("connection")
            assert watching.values == {("postgresql.up",): 0}
            server.start()
            await watching.until(lambda seen: seen.checks["connection"] == ("up", ""))
            assert watching.checks["locks"] == ("up", "")
            assert watching.values["postgresql.uptime",] < 60


@pytest.mark.parametrize("server", ["18"], indirect=True)
async def test_a_server_that_hangs_is_down_before_the_deadline_and_up_when_it_goes_on(server: TcpPostgres) -> None:
    async with watch(as_(server, "monitor")) as watching:
        await watching.run()
        with psycopg.connect(server.url, autocommit=True) as admin:
            ((backend,),) = admin.execute(
                "select pid from pg_stat_activity where application_name = 'twinwatch'"
            ).fetchall()
        postmaster = int((server.data / "postmaster.pid").read_text().split()[0])
        for pid in (backend, postmaster):
            os.kill(pid, signal.SIGSTOP)
        try:
            started = time.monotonic()
            await watching.run()
            assert time.monotonic() - started < 14
            assert watching.checks["connection"] == ("down", "away")
            assert "no answer within" in watching.message("connection")
        finally:
            for pid in (postmaster, backend):
                os.kill(pid, signal.SIGCONT)
        await watching.until(lambda seen: seen.checks["connection"] == ("up", ""))


async def test_a_wrong_password_is_no_dead_server_and_is_never_shown(
    server: TcpPostgres, caplog: pytest.LogCaptureFixture
) -> None:
    rules = server.data / "pg_hba.conf"
    trusting = rules.read_text()
    rules.write_text(f"host all monitor 127.0.0.1/32 scram-sha-256\n{trusting}")
    try:
        with psycopg.connect(server.url, autocommit=True) as admin:
            admin.execute("select pg_reload_conf()")
        async with watch(as_(server, "monitor", "Geh3im%40wort")) as watching:
            await watching.until(lambda seen: seen.checks["connection"] == ("unknown", "login"))
            assert ("postgresql.up",) not in watching.values
            assert "password authentication failed" in watching.message("connection")
            assert_silent("Geh3im", watching, caplog)
        async with watch(as_(server, "monitor", SPELT)) as watching:
            await watching.run()
            assert watching.checks["connection"] == ("up", "")
            with psycopg.connect(server.url) as admin:
                shown = admin.execute("select string_agg(to_jsonb(a)::text, ' ') from pg_stat_activity as a").fetchone()
            assert shown is not None
            assert "p4ss" not in shown[0]
            assert_silent("p4ss", watching, caplog)
        async with watch(as_(server, "gone")) as watching:
            await watching.run()
            assert watching.checks["connection"] == ("unknown", "login")
    finally:
        rules.write_text(trusting)
        with psycopg.connect(server.url, autocommit=True) as admin:
            admin.execute("select pg_reload_conf()")


def assert_silent(secret: str, watching: Watch, caplog: pytest.LogCaptureFixture) -> None:
    assert secret not in repr(watching.found)
    assert secret not in caplog.text
