"""What the hub does every hour: it ends what is past keeping, and nothing that is not."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from twinwatch.hub.stores import DAY_MILLISECONDS
from twinwatch.testing.hub_stage import HandClock, HubStage

DAY = DAY_MILLISECONDS / 1000


async def samples(stage: HubStage) -> int:
    ((found,),) = await stage.execute("select coalesce(sum(samples), 0)::bigint from samples.sample_log")
    assert isinstance(found, int)
    return found


async def test_a_hub_whose_clock_is_ahead_ends_nothing_and_says_so_once(
    database_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = HandClock(round(time.time() * 1000))
    async with HubStage(database_url, tmp_path, clock=clock) as stage:
        cast = await stage.cast()
        await cast.agent.push((clock.now(), (1.0, 2.0)))
        assert "clock" not in caplog.text
        await stage.stop()
        clock.advance(400 * DAY)
        await stage.start()
        await stage.hub.tend()
        assert await samples(stage) == 2
        told = [one for one in caplog.messages if "clock" in one]
        assert len(told) == 1
        assert "s ahead of PostgreSQL's" in told[0]


async def test_a_hub_whose_clock_is_behind_ends_less_and_says_so(
    database_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, clock: HandClock
) -> None:
    async with HubStage(database_url, tmp_path, clock=clock) as stage:
        cast = await stage.cast()
        await cast.agent.push((clock.now(), (1.0, 2.0)))
        await stage.hub.tend()
        assert await samples(stage) == 2
        assert "s behind PostgreSQL's" in caplog.text
        clock.advance(9 * DAY)
        await stage.hub.tend()
        assert await samples(stage) == 0
