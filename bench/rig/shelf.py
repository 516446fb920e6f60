"""A PostgreSQL with our schema and a ``blocks`` store on it, filled as a hub would fill it."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg

from bench.rig.fleet_day import TICK_MILLISECONDS, ServerDay
from bench.rig.processes import descendants, process
from bench.rig.up import temporary_folder
from twinwatch.hub.db import Database
from twinwatch.hub.embedded import EmbeddedPostgres
from twinwatch.hub.migrations import migrate
from twinwatch.hub.shapes import Shapes
from twinwatch.hub.stores import Arrival, Retention
from twinwatch.hub.stores.batches import pack_frames
from twinwatch.hub.stores.blocks import BlocksStore
from twinwatch.hub.stores.compaction import Compaction
from twinwatch.protocol.samples import Frame, SeriesKey, shape_of
from twinwatch.world.clock import SystemClock
from twinwatch.world.secret import Secret

SECRET = Secret("bench" * 8)
TICKS_PER_BATCH = 2
FOREVER = Retention(36_500)


@dataclass(slots=True)
class Known:
    """A server that the database knows: its shape and the numbers of its series."""

    organization_id: UUID
    server_id: UUID
    shape: str
    series: tuple[int, ...]
    sequence: int = 0


class Shelf:
    """The store, and what it stands on."""

    def __init__(
        self, database: Database, owner: psycopg.AsyncConnection[Any], postgres: EmbeddedPostgres, folder: Path
    ) -> None:
        self._postgres = postgres
        self.database = database
        self.owner = owner
        self.owner_url = postgres.url
        self.folder = folder
        self.store = BlocksStore(database)
        self.compaction = Compaction(database)

    async def organization(self, plan: str = "enterprise") -> UUID:
        """A new organization."""
        return UUID(
            str(await self.one("insert into public.organizations (name, plan) values ('b', %s) returning id", plan))
        )

    async def server(self, organization_id: UUID, name: str, series: Sequence[SeriesKey]) -> Known:
        """A new server that has told its series."""
        server_id = UUID(
            str(
                await self.one(
                    "insert into public.servers (organization_id, install_id, name, agent_version)"
                    " values (%s, gen_random_uuid(), %s, '1') returning id",
                    organization_id,
                    name,
                )
            )
        )
        shape = shape_of("system", tuple(series))
        numbers = await Shapes(SystemClock(), self.database).series_of(organization_id, server_id, {shape.id}, [shape])
        return Known(organization_id, server_id, shape.id, numbers[shape.id])

    async def write(self, days: Sequence[tuple[Known, ServerDay]], *, begin: int = 0, end: int | None = None) -> int:
        """The ticks from ``begin`` to ``end`` of these servers, by batches as agents send them; how many samples."""
        length = len(days[0][1].times) if end is None else end
        columns = [(known, day.times.tolist(), day.values.tolist()) for known, day in days]
        written = 0
        for tick in range(begin, length, TICKS_PER_BATCH):
            arrivals = []
            for known, times, values in columns:
                some = times[tick : tick + TICKS_PER_BATCH]
                known.sequence += 1
                frame = Frame(known.shape, some, [column[tick : tick + TICKS_PER_BATCH] for column in values])
                samples = len(some) * len(values)
                written += samples
                arrivals.append(
                    Arrival(
                        organization_id=known.organization_id,
                        server_id=known.server_id,
                        sequence=known.sequence,
                        received_at=some[-1] + TICK_MILLISECONDS,
                        first=some[0],
                        last=some[-1],
                        samples=samples,
                        series={known.shape: known.series},
                        body=pack_frames([frame]),
                    )
                )
            await self.store.write(arrivals)
        return written

    def cool(self) -> None:
        """Starts the database anew, with nothing of it in memory. Whoever is connected no longer is."""
        self._postgres.stop()
        for path in (self.folder / "postgres").rglob("*"):
            if path.is_file():
                with path.open("rb") as file:
                    os.fsync(file.fileno())
                    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        self._postgres.start()

    def cpu_seconds(self) -> float:
        """What this process and the database have spent so far."""
        pid = int((self.folder / "postgres" / "postmaster.pid").read_text().splitlines()[0])
        database = [process(pid), *descendants(pid)]
        return time.process_time() + sum(one.cpu_seconds() for one in database)

    async def one(self, statement: str, *values: object) -> Any:
        """The first column of the first row, asked for as the owner."""
        row = await (await self.owner.execute(statement.encode(), values)).fetchone()
        return None if row is None else row[0]


@asynccontextmanager
async def shelf() -> AsyncIterator[Shelf]:
    """One for the length of a block, on a disk."""
    folder = temporary_folder()
    postgres = EmbeddedPostgres(folder)
    try:
        owner_url = postgres.start()
        database = Database(await migrate(owner_url, SECRET))
        await database.open()
        async with await psycopg.AsyncConnection.connect(owner_url, autocommit=True) as owner:
            yield Shelf(database, owner, postgres, folder)
        await database.close()
    finally:
        postgres.stop()
        shutil.rmtree(folder, ignore_errors=True)
