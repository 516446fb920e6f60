"""Stories run in virtual time: agents, hub and people on one loop whose clock jumps; PostgreSQL is a real one.

A module that says ``REAL_TIME = True`` has real processes to wait for, and the usual loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from twinwatch.testing.fakes import VirtualClock
from twinwatch.testing.hub_stage import HubStage
from twinwatch.testing.virtual_time import VirtualLoop


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    if getattr(getattr(item, "module", None), "REAL_TIME", False):
        return {"real": asyncio.SelectorEventLoop}
    return {"virtual": VirtualLoop}


@pytest.fixture
async def stage(database_url: str, tmp_path: Path) -> AsyncIterator[HubStage]:
    """A running hub on a fresh database, on the loop's own clock."""
    clock: Any = VirtualClock()
    async with HubStage(database_url, tmp_path / "hub", clock=clock) as stage:
        yield stage
