"""A silence turns a server late, then down, at the times that the settings name; a heartbeat turns it up again."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.story.test_delivery import server_of, staged_agent
from twinwatch.testing.hub_stage import HubStage


async def test_a_cut_server_is_late_after_90_seconds_and_down_after_120(stage: HubStage, tmp_path: Path) -> None:
    agent, owner = await staged_agent(stage, tmp_path / "agent")
    server = await server_of(owner)
    loop = asyncio.get_running_loop()
    await asyncio.sleep(300)
    async with owner.client.stream("/api/v1/live") as live:
        await live.next("hello")
        agent.http.cut()
        last_heartbeat = (await owner.client.get(f"/api/v1/servers/{server['id']}")).json()["last_heartbeat_at"]
        cut_seconds = loop.time() - (stage.clock.now() - last_heartbeat) / 1000
        seen: dict[str, float] = {}
        while "down" not in seen:
            _, told = await live.next("server", within_seconds=300)
            seen.setdefault(told["state"], loop.time() - cut_seconds)
        agent.http.mend()
        mended = loop.time()
        told = {"state": "down"}
        while told["state"] != "up":
            _, told = await live.next("server", within_seconds=60)
        assert loop.time() - mended < 15
    assert 90 < seen["late"] < 95
    assert 120 < seen["down"] < 125
    await agent.stop()


async def test_an_agent_that_never_stops_is_never_called_late(stage: HubStage, tmp_path: Path) -> None:
    agent, owner = await staged_agent(stage, tmp_path / "agent")
    await server_of(owner)
    states: set[str] = set()

    async def listen() -> None:
        async with owner.client.stream("/api/v1/live") as live:
            while True:
                _, told = await live.next("server", "hello", within_seconds=120)
                states.add(told.get("state", "up"))

    listening = asyncio.create_task(listen())
    await asyncio.sleep(50 * 60)
    listening.cancel()
    await asyncio.wait({listening})
    assert listening.cancelled(), listening
    assert states == {"up"}
    await agent.stop()
