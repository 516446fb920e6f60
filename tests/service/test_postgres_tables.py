"""The postgres monitor on real tables, indexes and statements, and what it costs the server."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from tests.service.postgres_watch import binaries_of, watch
from twinwatch.testing.postgres import Cluster, TcpPostgres

MANY = 1_500
"""Tables, each with an index."""
COSTLIEST_SECONDS = 0.5
"""Of a single statement, on a busy machine; the server would end it after two."""
ROUND_SECONDS = 0.3
"""Of all statements together in a run in which every part has its turn: measured are 0.03 at rest."""
COUNTING = pytest.mark.parametrize("server", ["15"], indirect=True)
"""The embedded server has no extensions to load."""


@pytest.fixture(scope="module", params=["18", "15"])
def server(request: pytest.FixtureRequest, cluster: Cluster) -> Iterator[TcpPostgres]:
    settings = {"shared_preload_libraries": "pg_stat_statements"} if request.param == "15" else {}
    with TcpPostgres(binaries_of(request.param, cluster), settings) as server:
        with psycopg.connect(server.url, autocommit=True) as admin:
            admin.execute("create role monitor login in role pg_monitor")
            admin.execute("create table stale (id int, what text)")
            admin.execute("insert into stale select i, md5(i::text) from generate_series(1, 50000) as i")
            admin.execute("delete from stale where id % 10 > 0")
            admin.execute("vacuum analyze stale")
            admin.execute("create table twice (id int)")
            admin.execute("insert into twice values (1), (1)")
            if request.param == "15":
                admin.execute("create extension pg_stat_statements")
        yield server


def url_of_monitor(server: TcpPostgres) -> str:
    return server.url.replace("postgres@", "monitor@", 1)


async def test_the_largest_table_is_seen_and_its_bloat_once_the_role_may_read_it(server: TcpPostgres) -> None:
    async with watch(url_of_monitor(server), bloat=True, top=1) as watching:
        await watching.run()
        assert watching.values["postgresql.table.size", "public.stale", "heap"] > 1_000_000
        assert watching.values["postgresql.table.rows", "public.stale", "live"] > 0
        assert watching.values["postgresql.left_out", "tables"] == 1
        assert watching.checks["bloat"] == ("unknown", "no-right")
        with psycopg.connect(server.url, autocommit=True) as admin:
            admin.execute("grant select on stale to monitor")
        await watching.run()
        assert watching.checks["bloat"] == ("up", ""), "bloated, but small"
        assert 0.8 < watching.values["postgresql.table.bloat_ratio", "public.stale"] < 0.95
        with psycopg.connect(server.url, autocommit=True) as admin:
            admin.execute("vacuum full analyze stale")
        await watching.run()
        assert watching.values.get(("postgresql.table.bloat_ratio", "public.stale"), 0) < 0.1


async def test_a_table_that_somebody_has_locked_delays_nothing(server: TcpPostgres) -> None:
    async with watch(url_of_monitor(server)) as watching:
        with psycopg.connect(server.url) as holder:
            holder.execute("lock table stale in access exclusive mode")
            await watching.run()
            holder.rollback()
        assert {state for state, _ in watching.checks.values()} <= {"up", "degraded"}
        assert ("postgresql.table.size", "public.stale", "heap") in watching.values


async def test_an_index_that_failed_to_be_made_is_told(server: TcpPostgres) -> None:
    with psycopg.connect(server.url, autocommit=True) as admin:
        with pytest.raises(psycopg.errors.UniqueViolation):
            admin.execute("create unique index concurrently twice_id on twice (id)")
        async with watch(url_of_monitor(server)) as watching:
            await watching.run()
            assert watching.checks["indexes"] == ("degraded", "invalid")
            assert "public.twice_id" in watching.message("indexes")
            admin.execute("drop index twice_id")
            await watching.run()
            assert watching.checks["indexes"] == ("up", "")


@COUNTING
async def test_statements_are_counted_where_the_extension_is(server: TcpPostgres) -> None:
    with psycopg.connect(server.url, autocommit=True) as admin:
        async with watch(url_of_monitor(server), statement_texts=True, top=100) as watching:
            for _ in range(2):
                for _ in range(30):
                    admin.execute("select count(*) from stale where what = 'Geheimnis'")
                await watching.run()
    seen = [key for key in watching.values if key[0] == "postgresql.statement.calls"]
    (key,) = (key for key in seen if key[-1].startswith("select count(*) from stale where what = $1"))
    assert watching.values[key] > 0
    assert "Geheimnis" not in repr(watching.found)
    assert watching.checks["statements"] == ("up", "")


async def test_settings_that_need_a_restart_and_those_that_changed_are_told(server: TcpPostgres) -> None:
    with psycopg.connect(server.url, autocommit=True) as admin:
        async with watch(url_of_monitor(server)) as watching:
            await watching.run()
            assert watching.checks["configuration"] == ("up", "")
            admin.execute("alter system set work_mem = '5MB'")
            admin.execute("select pg_reload_conf()")
            await watching.until(lambda seen: "work_mem" in seen.message("configuration"))
            admin.execute("alter system set max_connections = 200")
            admin.execute("select pg_reload_conf()")
            await watching.until(lambda seen: seen.checks["configuration"] == ("degraded", "pending-restart"))
            assert "max_connections" in watching.message("configuration")
            admin.execute("alter system reset all")
            admin.execute("select pg_reload_conf()")


@COUNTING
async def test_what_the_monitor_costs_a_server_of_many_tables(server: TcpPostgres) -> None:
    with psycopg.connect(server.url, autocommit=True) as admin:
        for first in range(0, MANY, 500):
            admin.execute(
                f"do $$ begin for i in {first}..{first + 499} loop execute format("
                "'create table many_%s (id int primary key)', i); end loop; end $$"
            )
        async with watch(url_of_monitor(server), bloat=True) as watching:
            await watching.run()
            admin.execute("select pg_stat_statements_reset()")
            for _ in range(5):
                await watching.run()
        assert watching.values["postgresql.left_out", "tables"] > MANY - 20
        spent = admin.execute(
            "select left(query, 60), max_exec_time / 1000, total_exec_time / 1000 / 5 from pg_stat_statements "
            "join pg_roles as r on r.oid = userid where rolname = 'monitor' and calls >= 5 order by 3 desc"
        ).fetchall()
    assert len(spent) > 15, "the monitor's statements are among them"
    assert max(most for _, most, _ in spent) < COSTLIEST_SECONDS, spent[0]
    assert sum(mean for _, _, mean in spent) < ROUND_SECONDS, spent[:3]
