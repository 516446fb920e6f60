"""The postgres monitor on a real primary, its streaming standby and its replication slots."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.service.postgres_watch import binaries_of, watch
from twinwatch.testing.postgres import Cluster, TcpPostgres

SETTINGS = {"wal_level": "logical", "max_slot_wal_keep_size": "16MB", "max_wal_size": "32MB", "min_wal_size": "32MB"}


@pytest.fixture(scope="module", params=["18", "15"])
def primary(request: pytest.FixtureRequest, cluster: Cluster) -> Iterator[TcpPostgres]:
    with TcpPostgres(binaries_of(request.param, cluster), SETTINGS) as server:
        server.database("shop")
        execute(server, "create table goods (id int)")
        yield server


@pytest.fixture(scope="module")
def standby(primary: TcpPostgres) -> Iterator[TcpPostgres]:
    with TcpPostgres(primary.binaries, standby_of=primary) as server:
        yield server


def execute(server: TcpPostgres, *statements: str) -> None:
    with psycopg.connect(server.url, autocommit=True) as admin:
        for statement in statements:
            admin.execute(statement.encode())


async def test_lag_is_zero_while_idle_grows_while_replay_is_paused_and_ends(
    primary: TcpPostgres, standby: TcpPostgres
) -> None:
    async with watch(primary.url, standbys=["standby"]) as above, watch(standby.url) as below:
        await above.until(lambda seen: seen.values.get(("postgresql.replication.lag_bytes", "standby")) == 0)
        for _ in range(3):  # idle: the last transaction grows older
            await above.run()
            await below.until(lambda seen: seen.values.get(("postgresql.replication.lag", "this server")) == 0)
            assert above.values["postgresql.replication.lag", "standby"] == 0
        assert above.checks["standby:standby"] == ("up", "")
        assert above.checks["standbys"] == ("up", "")
        assert below.checks["replication"] == ("up", "")

        execute(standby, "select pg_wal_replay_pause()")
        execute(primary, "insert into goods select generate_series(1, 1000)")
        await below.until(lambda seen: seen.values.get(("postgresql.replication.lag_bytes", "this server"), 0) > 0)
        await above.until(lambda seen: seen.values["postgresql.replication.lag_bytes", "standby"] > 0)
        assert below.checks["replication"] == ("degraded", "paused")
        lags = []
        for _ in range(3):
            await below.run()
            await above.run()
            lags.append(
                (
                    above.values["postgresql.replication.lag", "standby"],
                    below.values["postgresql.replication.lag", "this server"],
                )
            )
        assert lags[0][0] < lags[1][0] < lags[2][0]
        assert 0 < lags[0][1] < lags[1][1] < lags[2][1]

        execute(standby, "select pg_wal_replay_resume()")
        await below.until(lambda seen: seen.values["postgresql.replication.lag", "this server"] == 0)
        await above.until(lambda seen: seen.values["postgresql.replication.lag", "standby"] == 0)
        assert below.checks["replication"] == ("up", "")


async def test_a_standby_that_is_gone_and_commits_that_wait_for_it(primary: TcpPostgres, standby: TcpPostgres) -> None:
    async with watch(primary.url, standbys=["standby"]) as above:
        await above.until(lambda seen: seen.checks["standby:standby"] == ("up", ""))
        standby.stop()
        try:
            await above.until(lambda seen: seen.checks["standby:standby"] == ("down", "not-connected"))
            assert above.values["postgresql.replication.standbys",] == 0
            assert above.checks["standbys"] == ("up", "")
            execute(primary, "alter system set synchronous_standby_names = 'standby'", "select pg_reload_conf()")
            await above.until(lambda seen: seen.checks["standbys"] == ("down", "no-synchronous-standby"))
            assert "empty that setting" in above.message("standbys")
        finally:
            execute(primary, "alter system reset synchronous_standby_names", "select pg_reload_conf()")
            standby.start()
        await above.until(lambda seen: seen.checks["standby:standby"] == ("up", ""))


async def test_a_standby_that_loses_its_primary_says_so(primary: TcpPostgres, standby: TcpPostgres) -> None:
    async with watch(standby.url) as below:
        await below.until(lambda seen: seen.checks["replication"] == ("up", ""))
        primary.stop(signal.SIGQUIT)
        try:
            await below.until(lambda seen: seen.checks["replication"] == ("down", "not-streaming"))
            assert below.checks["connection"] == ("up", "")
        finally:
            primary.start()
        await below.until(lambda seen: seen.checks["replication"] == ("up", ""))


async def test_a_slot_that_nobody_reads_retains_and_is_lost(primary: TcpPostgres) -> None:
    execute(primary, "select pg_create_physical_replication_slot('forgotten', true)")
    execute(primary, "select pg_create_logical_replication_slot('changes', 'pgoutput')")
    try:
        async with watch(primary.url, slot_bytes=1_000_000) as above:
            await above.run()
            assert above.checks["slots"] == ("up", "")
            assert above.values["postgresql.slot.active", "forgotten"] == 0
            assert ("postgresql.slot.unconfirmed", "changes") in above.values
            execute(primary, "insert into goods select generate_series(1, 50000)")
            await above.run()
            assert above.values["postgresql.slot.retained", "forgotten"] > 1_000_000
            assert above.checks["slots"] == ("degraded", "retains")
            assert "forgotten" in above.message("slots")
            for _ in range(4):
                execute(primary, "insert into goods select generate_series(1, 50000)", "select pg_switch_wal()")
            execute(primary, "checkpoint")
            await above.until(lambda seen: seen.checks["slots"] == ("down", "lost"))
            assert "pg_drop_replication_slot" in above.message("slots")
    finally:
        execute(primary, "select pg_drop_replication_slot('forgotten'), pg_drop_replication_slot('changes')")


async def test_an_archive_that_fails_is_down_until_it_takes_files_again(cluster: Cluster) -> None:
    with TcpPostgres(binaries_of("18", cluster), {"archive_mode": "on"}) as server:
        async with watch(server.url) as watching:
            execute(server, "alter system set archive_command = 'false'", "select pg_reload_conf()")
            execute(server, "create table goods (id int)", "select pg_switch_wal()")
            await watching.until(lambda seen: seen.checks["archive"] == ("down", "failing"))
            assert "nothing was ever archived" in watching.message("archive")
            await watching.until(lambda seen: seen.values["postgresql.archive.waiting",] > 0)
            execute(server, "alter system set archive_command = 'true'", "select pg_reload_conf()")
            await watching.until(lambda seen: seen.checks["archive"] == ("up", ""))
            assert watching.values["postgresql.archive.waiting",] == 0


async def test_a_page_that_is_damaged_on_the_disk_is_told_once_it_was_read(cluster: Cluster) -> None:
    with TcpPostgres(binaries_of("18", cluster)) as server:
        execute(server, "create table goods as select generate_series(1, 1000) as id", "checkpoint")
        with psycopg.connect(server.url) as admin:
            ((path,),) = admin.execute("select pg_relation_filepath('goods')").fetchall()
        server.stop()
        damage(server.data / path)
        server.start()
        async with watch(server.url) as watching:
            await watching.run()
            assert watching.checks["checksums"] == ("up", "")
            with pytest.raises(psycopg.errors.DataCorrupted):
                execute(server, "select count(*) from goods")
            await watching.until(lambda seen: seen.checks["checksums"] == ("down", "checksum-failures"))
            assert "postgres" in watching.message("checksums")


def damage(file: Path) -> None:
    """Turns the bits of some bytes in the middle of the first page."""
    page = bytearray(file.read_bytes())
    page[4000:4008] = bytes(byte ^ 0xFF for byte in page[4000:4008])
    file.write_bytes(page)
