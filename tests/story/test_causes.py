"""What people read of the cause once a silent server is back: a real agent's facts, judged by a real hub."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.story.test_delivery import server_of, staged_agent
from twinwatch.alerts.forensics import CAUSES
from twinwatch.testing.fakes import VirtualClock
from twinwatch.testing.hub_stage import HubStage, Player
from twinwatch.testing.paper import PaperHost
from twinwatch.testing.paper_bus import PaperBus
from twinwatch.testing.story import StagedAgent

BOOT = "/proc/sys/kernel/random/boot_id"
JOBS = "bus /org/freedesktop/systemd1 ListJobs"
AHEAD_MS = 4 * 60_000


class Cast:
    def __init__(self) -> None:
        self.host = PaperHost({BOOT: "b1", "/run/systemd/system/is-there": ""})
        self.bus = PaperBus({JOBS: "[[]]"})
        self.agent: StagedAgent
        self.owner: Player

    async def live(self, stage: HubStage, folder: Path) -> None:
        clock = VirtualClock(stage.clock.now())
        clock.wrong_by_ms = AHEAD_MS  # the hub's clock is another one
        self.agent, self.owner = await staged_agent(stage, folder, clock, host=self.host, bus=self.bus)
        await server_of(self.owner)
        await asyncio.sleep(90)

    async def alerts(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.owner.client.get("/api/v1/alerts")).json()["alerts"]
        return found

    async def cause(self) -> str:
        """Of the silence that has just ended."""
        (alert,) = await self.alerts()
        assert alert["state"] == "resolved"
        return str(alert["cause"])


@pytest.mark.parametrize("cause", ["agent-crashed", "unclean-reboot", "network-lost"])
async def test_the_resolved_alert_names_the_cause(stage: HubStage, tmp_path: Path, cause: Any) -> None:
    cast = Cast()
    await cast.live(stage, tmp_path / "agent")
    if cause == "network-lost":
        cast.agent.http.cut()
    else:
        await cast.agent.kill()
    await asyncio.sleep(200)
    assert [alert["severity"] for alert in await cast.alerts()] == ["down"]
    if cause == "network-lost":
        cast.agent.http.mend()
    else:
        if cause == "unclean-reboot":
            cast.host.files[BOOT] = "b2"
        await cast.agent.start()
    await asyncio.sleep(30)
    assert await cast.cause() == CAUSES[cause]
    await cast.agent.stop()


async def test_a_reboot_that_was_announced_alarms_nobody(stage: HubStage, tmp_path: Path) -> None:
    cast = Cast()
    await cast.live(stage, tmp_path / "agent")
    cast.bus.sources[JOBS] = json.dumps([[[1, "reboot.target", "start", "waiting", "/", "/"]]])
    await cast.agent.stop()
    await asyncio.sleep(400)
    cast.host.files[BOOT] = "b2"
    cast.bus.sources[JOBS] = "[[]]"
    await cast.agent.start()
    await asyncio.sleep(60)
    assert await cast.alerts() == []
    await cast.agent.stop()
