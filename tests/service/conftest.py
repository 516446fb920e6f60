"""What several modules of this folder stand on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.service.alert_desk import Desk
    from twinwatch.testing.hub_stage import HandClock


@pytest.fixture
async def desk(database_url: str, tmp_path: Path, clock: HandClock) -> AsyncIterator[Desk]:
    """People, channels of paper and an agent before a running hub that knows its address."""
    from tests.service.alert_desk import set_up
    from twinwatch.testing.hub_stage import HubStage

    async with HubStage(database_url, tmp_path, clock=clock, public_url="https://hub.example") as stage:
        yield await set_up(stage)
