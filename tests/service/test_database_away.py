"""A database machine that vanishes: nothing comes back, and no connection is ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import NamedTuple

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from twinwatch.hub.db import Database
from twinwatch.hub.ingest import Ingest
from twinwatch.hub.refusals import Refused
from twinwatch.hub.shapes import Shapes
from twinwatch.hub.stores.log import Log
from twinwatch.protocol.samples import BatchAccepted
from twinwatch.testing.hub_stage import Cast, HubStage

COMMIT_SECONDS = 0.5
CONNECTIONS = 4
PATIENCE_SECONDS = 30.0


class Wire:
    """A way to PostgreSQL. While it is ``cut`` nothing passes, and what was connected then never says a word again."""

    def __init__(self, url: str) -> None:
        named = conninfo_to_dict(url)
        self._target = f"{named['host']}/.s.PGSQL.{named['port']}"
        self._tasks: set[asyncio.Task[None]] = set()
        self._lost: set[asyncio.Task[None]] = set()
        self.is_cut = False

    @asynccontextmanager
    async def open(self) -> AsyncIterator[int]:
        """The port of 127.0.0.1 that it begins at."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        async with server:
            yield server.sockets[0].getsockname()[1]
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Loses all that is sent from now on."""
        self.is_cut = True
        self._lost |= self._tasks

    def heal(self) -> None:
        """Lets new connections through, as an address does that is another machine's now."""
        self.is_cut = False

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        if self.is_cut:
            self._lost.add(task)
        with suppress(asyncio.CancelledError, OSError):
            there, back = await asyncio.open_unix_connection(self._target)
            try:
                await asyncio.gather(self._pass(reader, back, task), self._pass(there, writer, task))
            finally:
                back.close()
        writer.close()
        self._tasks.discard(task)

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, task: asyncio.Task[None]) -> None:
        while data := await source.read(1 << 16):
            if task not in self._lost:
                sink.write(data)
        if task not in self._lost:
            sink.close()


class Far(NamedTuple):
    """Ingest whose database is at the other end of a wire."""

    wire: Wire
    database: Database
    ingest: Ingest


@pytest.fixture
async def far(stage: HubStage) -> AsyncIterator[Far]:
    wire = Wire(stage.serving_url)
    async with wire.open() as port:
        database = Database(make_conninfo(stage.serving_url, host="127.0.0.1", port=port), most=CONNECTIONS)
        await database.open()
        ingest = Ingest(
            stage.clock,
            Log(database),  # type: ignore[arg-type]
            Shapes(stage.clock, database),
            lambda _: None,
            overdue=database.renew,
            commit_seconds=COMMIT_SECONDS,
        )
        running = asyncio.ensure_future(ingest.run())
        yield Far(wire, database, ingest)
        running.cancel()
    # The wire is gone, so that whatever waits for an answer ends.
    await asyncio.gather(running, return_exceptions=True)
    await database.close()


async def push(far: Far, cast: Cast, sequence: int) -> BatchAccepted:
    agent = cast.agent
    batch = agent.batch((agent.clock.now() + sequence, (1.0, 2.0)), sequence=sequence)
    return await far.ingest.take(await far.ingest.check(cast.organization_id, agent.server_id, batch))


async def test_a_database_that_vanishes_is_told_in_time_and_found_again(stage: HubStage, cast: Cast, far: Far) -> None:
    assert (await push(far, cast, 1)).sequence_mark == 1
    far.wire.cut()
    for _ in range(3):
        async with asyncio.timeout(COMMIT_SECONDS + PATIENCE_SECONDS / 4):
            with pytest.raises(Refused) as told:
                await push(far, cast, 2)
        assert (told.value.status, told.value.retry_after_seconds) == (503, 5)
    far.wire.heal()
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            with suppress(Refused):
                accepted = await push(far, cast, 2)
                break
            await asyncio.sleep(0.05)
    assert accepted.sequence_mark == 2
    kept = await stage.execute("select sequence from samples.sample_log order by sequence")
    assert kept == [(1,), (2,)]


async def test_one_commit_without_an_answer_is_enough_to_try_new_connections(
    stage: HubStage, cast: Cast, far: Far
) -> None:
    assert (await push(far, cast, 1)).sequence_mark == 1
    async with AsyncExitStack() as at_once:
        for _ in range(CONNECTIONS):
            await at_once.enter_async_context(far.database.as_worker())
    far.wire.cut()
    far.wire.heal()
    refused = 0
    while True:
        try:
            await push(far, cast, 2)
        except Refused:
            refused += 1
        else:
            break
    assert 0 < refused < CONNECTIONS, "else it went through all that were lost"


async def test_a_commit_that_waits_for_a_lock_too_long_is_stopped_in_the_database(
    stage: HubStage, cast: Cast, far: Far
) -> None:
    assert (await push(far, cast, 1)).sequence_mark == 1
    waiting = (
        "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
        " and application_name = 'twinwatch'"
    )
    async with await psycopg.AsyncConnection.connect(stage.owner_url) as holder:
        await holder.execute("select from public.servers where id = %s for update", (cast.agent.server_id,))
        with pytest.raises(Refused, match="did not take"):
            await push(far, cast, 2)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await stage.execute(waiting) != [(0,)]:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        await holder.rollback()
    accepted = await push(far, cast, 2)
    assert (accepted.sequence_mark, accepted.duplicate) == (2, False)
