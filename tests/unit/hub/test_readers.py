"""Charts and heartbeats share the database and one event loop: charts wait for one another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast
from uuid import uuid4

from twinwatch.hub.db import Database
from twinwatch.hub.stores import Window
from twinwatch.hub.stores.blocks import READERS, BlocksStore


class SlowDatabase:
    """It lets everybody in and answers nobody."""

    def __init__(self) -> None:
        self.inside = 0

    @asynccontextmanager
    async def as_worker(self) -> AsyncIterator[None]:
        self.inside += 1
        await asyncio.Event().wait()
        yield


async def test_however_many_charts_are_asked_for_few_are_read_at_a_time() -> None:
    database = SlowDatabase()
    store = BlocksStore(cast("Database", database))
    async with asyncio.TaskGroup() as group:
        reads = [group.create_task(store.read(uuid4(), [1], Window(0, 1_000, 10))) for _ in range(50)]
        for _ in range(10):
            await asyncio.sleep(0)
        assert database.inside == READERS
        for read in reads:
            read.cancel()
