"""What real programs are watched with."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from tests.unit.monitors.conftest import checks
from twinwatch.monitors import Finding, Moment, Monitor
from twinwatch.world.clock import SystemClock
from twinwatch.world.doors import World
from twinwatch.world.host import Host
from twinwatch.world.http import AiohttpHttp

Read = Callable[[Monitor], Awaitable[list[Finding]]]
States = dict[str, tuple[str, str]]
Until = Callable[[Monitor, States], Awaitable[list[Finding]]]
WAIT_SECONDS = 150.0
"""MinIO keeps a page of its metrics for a minute, and sees a drive's loss some seconds after it."""


@pytest.fixture
async def read() -> AsyncIterator[Read]:
    """One run of a monitor in this world."""
    world = World(clock=SystemClock(), http=AiohttpHttp(answer_bytes=8 << 20, sockets=True), host=Host())

    async def once(monitor: Monitor) -> list[Finding]:
        return list(await monitor.read(world, Moment(world.clock.now(), world.clock.monotonic())))

    yield once
    await world.close()


@pytest.fixture
def until(read: Read) -> Until:
    """Runs a monitor until these of its checks stand so."""

    async def waited(monitor: Monitor, expected: States) -> list[Finding]:
        end = time.monotonic() + WAIT_SECONDS
        while True:
            found = await read(monitor)
            told = {name: standing for name, standing in checks(found).items() if name in expected}
            if told == expected:
                return found
            assert time.monotonic() < end, f"expected {expected}, still {told}"
            await asyncio.sleep(1)

    return waited
