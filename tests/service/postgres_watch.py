"""A monitor on a real server, and what it finds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from twinwatch.monitors import Check, Finding, Moment, Reading
from twinwatch.monitors.options import options_of
from twinwatch.monitors.postgres import Postgres
from twinwatch.testing.paper import paper_world
from twinwatch.testing.postgres import Cluster
from twinwatch.world.clock import SystemClock
from twinwatch.world.postgres import HostPostgres

DEBIAN = Path("/usr/lib/postgresql/15/bin")
PATIENCE = 30.0
STEP_SECONDS = 400.0
"""Between two runs on the monitor's clock: every part's turn comes each time."""


def binaries_of(version: str, cluster: Cluster) -> Path:
    """The folder of ``postgres`` of ``15`` (Debian's) or ``18`` (the embedded one)."""
    if version == "18":
        return cluster.binaries()
    if not (DEBIAN / "initdb").exists():
        pytest.skip("PostgreSQL 15 is not there: apt-get install postgresql-15")
    return DEBIAN


class Watch:
    """One monitor, run by hand."""

    def __init__(self, connection: str, **options: Any) -> None:
        self.door = HostPostgres()
        self._monitor = Postgres(options_of(Postgres, {"connection": connection, **options}))
        self._world = paper_world(postgres=self.door, clock=SystemClock())
        self._moments = (Moment(0, 1000.0 + turn * STEP_SECONDS) for turn in count())
        self.found: list[Finding] = []

    async def run(self) -> Watch:
        """One run."""
        self.found = await self._monitor.read(self._world, next(self._moments))
        return self

    async def until(self, holds: Callable[[Watch], bool]) -> Watch:
        """Runs until it is so."""
        async with asyncio.timeout(PATIENCE):
            while not holds(await self.run()):  # noqa: ASYNC110 - a server is waited for
                await asyncio.sleep(0.02)
        return self

    @property
    def checks(self) -> dict[str, tuple[str, str]]:
        """State and reason of each check."""
        return {one.name: (one.state, one.reason) for one in self.found if isinstance(one, Check)}

    @property
    def values(self) -> dict[tuple[str, ...], float]:
        """Value of each series."""
        return {(one.metric, *one.labels.values()): one.value for one in self.found if isinstance(one, Reading)}

    def message(self, check: str) -> str:
        """What a check says."""
        return next(one.message for one in self.found if isinstance(one, Check) and one.name == check)


@asynccontextmanager
async def watch(connection: str, **options: Any) -> AsyncIterator[Watch]:
    """A monitor whose connection is closed in the end."""
    watching = Watch(connection, **options)
    try:
        yield watching
    finally:
        await watching.door.close()
