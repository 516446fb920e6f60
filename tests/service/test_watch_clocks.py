"""Several hubs whose clocks do not agree: who is silent is told of, once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.service.alert_desk import Desk
from twinwatch.testing.hub_stage import HandClock, HubStage


@asynccontextmanager
async def another(desk: Desk, path: Path, ahead: float) -> AsyncIterator[HubStage]:
    """A hub on the same database whose clock is ahead by so many seconds."""
    clock = HandClock(desk.stage.clock.now() + round(ahead * 1000))
    async with HubStage(desk.stage.owner_url, path, clock=clock, public_url="https://hub.example") as stage:
        yield stage


@pytest.mark.parametrize("ahead", [-20.0, 20.0])
async def test_hubs_whose_clocks_are_far_apart_do_not_take_that_for_blindness(
    desk: Desk, tmp_path: Path, ahead: float
) -> None:
    async with another(desk, tmp_path / "other", ahead) as other:
        for _ in range(40):
            for stage in (desk.stage, other):
                stage.clock.advance(4)
                await stage.hub.look()
        ((level,),) = await desk.stage.execute("select max(level) from public.servers")
        assert level == 2, "160 s without a heartbeat"
        assert await _happened(desk) == {"fired": 1}


async def test_a_hub_whose_clock_is_a_little_behind_takes_back_nothing(desk: Desk, tmp_path: Path) -> None:
    async with another(desk, tmp_path / "other", 3.0) as other:
        for _ in range(55):
            for stage in (other, desk.stage):
                stage.clock.advance(2)
                await stage.hub.look()
        assert await _happened(desk) == {"fired": 1}


async def _happened(desk: Desk) -> dict[str, int]:
    rows = await desk.stage.execute(
        "select kind, count(*) from public.alert_events where kind in ('fired', 'resolved') group by kind"
    )
    return {str(kind): int(count) for kind, count in rows}
