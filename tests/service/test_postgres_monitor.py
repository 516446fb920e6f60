"""The postgres door and monitor on real servers: every statement, one connection, deadlines, secrets."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator

import psycopg
import pytest

from tests.service.postgres_watch import binaries_of, watch
from twinwatch.monitors import Unreadable
from twinwatch.testing.postgres import Cluster, TcpPostgres
from twinwatch.world.postgres import HostPostgres, PostgresAway, PostgresRefused
from twinwatch.world.secret import Secret


@pytest.fixture
async def door() -> AsyncIterator[HostPostgres]:
    door = HostPostgres()
    yield door
    await door.close()


@pytest.fixture(scope="module", params=["18", "15"])
def server(request: pytest.FixtureRequest, cluster: Cluster) -> Iterator[TcpPostgres]:
    with TcpPostgres(binaries_of(request.param, cluster), {"autovacuum": "on"}) as server:
        yield server


async def test_every_statement_is_understood_over_one_connection(server: TcpPostgres) -> None:
    async with watch(server.url) as watching:
        for _ in range(3):
            await watching.run()
        assert {state for state, _ in watching.checks.values()} == {"up"}
        names = {name for name, *_ in watching.values}
        assert {"postgresql.commits", "postgresql.db_size", "postgresql.wal.size", "postgresql.xid.age"} <= names
        with psycopg.connect(server.url) as admin:
            held = admin.execute(
                "select count(*) from pg_stat_activity where application_name = 'twinwatch'"
            ).fetchone()
        assert held == (1,)


async def test_a_statement_that_takes_long_is_cut_off_by_the_server(database_url: str, door: HostPostgres) -> None:
    with pytest.raises(PostgresRefused, match="slow: longer than 2 s") as refused:
        await door.query(Secret(database_url), "slow", "select pg_sleep(60)", timeout_seconds=30)
    assert refused.value.sqlstate == "57014"
    assert await door.query(Secret(database_url), "one", "select 1 as one", timeout_seconds=10) == [{"one": 1}]


async def test_a_lock_is_not_waited_for(server: TcpPostgres, door: HostPostgres) -> None:
    with psycopg.connect(server.url) as holder:
        holder.execute("create table held (id int)")
        holder.commit()
        holder.execute("lock table held")
        with pytest.raises(PostgresRefused) as refused:
            await door.query(Secret(server.url), "read", "select * from held", timeout_seconds=10)
        assert refused.value.sqlstate == "55P03"
        holder.execute("drop table held")


async def test_nothing_can_be_written(database_url: str, door: HostPostgres) -> None:
    with pytest.raises(PostgresRefused, match="read-only"):
        await door.query(Secret(database_url), "write", "create table x (a int)", timeout_seconds=10)


async def test_options_of_the_connection_string_hold_beside_the_doors_own(
    server: TcpPostgres, door: HostPostgres
) -> None:
    connection = Secret(f"{server.url}&options=-c%20work_mem%3D3MB")
    statement = "select current_setting('work_mem') as one, current_setting('lock_timeout') as other"
    assert await door.query(connection, "ask", statement, timeout_seconds=10) == [{"one": "3MB", "other": "100ms"}]


@pytest.mark.parametrize(
    "connection",
    [
        "postgres://me:hunter22@127.0.0.1:1/x",
        "postgres://me:hunter@22@127.0.0.1:1/x",
        "postgres://me:hunter/22@127.0.0.1:1/x",
        "postgres://me:hunter%22@127.0.0.1:1/x",
        "postgres://me:%hunter@127.0.0.1:1/x",
        "host=127.0.0.1 port=1 password=hun hunter22",
        "host=127.0.0.1 port=hunter22",
        "postgres://127.0.0.1:1/x?passwort=hunter22",
        "hunter22",
    ],
)
async def test_no_message_holds_a_piece_of_the_password(connection: str, door: HostPostgres) -> None:
    with pytest.raises(PostgresAway) as away:
        await door.query(Secret(connection), "one", "select 1", timeout_seconds=10)
    told = str(away.value)
    assert "hunter" not in told
    assert "22" not in told
    assert told


async def test_a_connection_string_that_is_none_is_told_as_the_monitors_mistake() -> None:
    async with watch("host=127.0.0.1 password=hun hunter22") as watching:
        with pytest.raises(Unreadable, match="expected postgres://") as unreadable:
            await watching.run()
        assert "hunter" not in str(unreadable.value)


async def test_a_host_that_takes_connections_and_says_nothing_ends_at_the_deadline(door: HostPostgres) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        connection = Secret(f"postgres://me@127.0.0.1:{silent.getsockname()[1]}/x")
        started = asyncio.get_running_loop().time()
        with pytest.raises(PostgresAway, match="no answer within 1 s"):
            await door.query(connection, "one", "select 1", timeout_seconds=1)
        assert asyncio.get_running_loop().time() - started < 3


async def test_a_pooler_that_takes_no_settings_gets_them_with_each_transaction(
    server: TcpPostgres, door: HostPostgres
) -> None:
    async with pooler(server) as port:
        connection = Secret(f"postgresql://postgres@127.0.0.1:{port}/postgres?sslmode=disable")
        asked = "select current_setting('statement_timeout') as one, current_setting('transaction_read_only') as other"
        for _ in range(2):
            rows = await door.query(connection, "ask", asked, timeout_seconds=10)
            assert rows == [{"one": "2s", "other": "on"}]
        with pytest.raises(PostgresRefused, match="read-only"):
            await door.query(connection, "write", "create table x (a int)", timeout_seconds=10)
        await door.close()


@contextlib.asynccontextmanager
async def pooler(server: TcpPostgres) -> AsyncIterator[int]:
    """Stands before a server and refuses what PgBouncer refuses: settings in the first message."""
    port = int(str(psycopg.conninfo.conninfo_to_dict(server.url)["port"]))
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with contextlib.AsyncExitStack() as ends:
            ends.push_async_callback(_ended, writer)
            first = await reader.read(4096)
            if b"options\0" in first:
                said = b"SFATAL\0C08P01\0Munsupported startup parameter: options\0\0"
                writer.write(b"E" + (len(said) + 4).to_bytes(4, "big") + said)
                return
            behind, before = await asyncio.open_connection("127.0.0.1", port)
            ends.push_async_callback(_ended, before)
            before.write(first)
            ways = [asyncio.create_task(_pass(*way)) for way in ((reader, before), (behind, writer))]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            await asyncio.wait(ways)

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.create_task(serve(reader, writer)))

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as listening:
        yield listening.sockets[0].getsockname()[1]
    await asyncio.gather(*serving)


async def _pass(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while data := await source.read(65536):
        sink.write(data)


async def _ended(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
