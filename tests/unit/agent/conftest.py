from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from twinwatch.testing.fake_hub import FakeHub
from twinwatch.testing.fakes import VirtualClock
from twinwatch.testing.story import StagedAgent
from twinwatch.testing.virtual_time import VirtualLoop


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, Callable[[], VirtualLoop]]:
    return {"virtual": VirtualLoop}


@pytest.fixture
async def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
async def hub(clock: VirtualClock) -> FakeHub:
    return FakeHub(clock)


@pytest.fixture
async def agent(tmp_path: Path, hub: FakeHub, clock: VirtualClock) -> StagedAgent:
    return StagedAgent(tmp_path, hub, clock)
