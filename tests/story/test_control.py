"""A configuration saved in the hub reaches a whole agent within a second, and what it reports reaches the hub."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from tests.story.test_delivery import MINUTE, server_of, staged_agent
from twinwatch.testing.hub_stage import HubStage, Player
from twinwatch.testing.story import until


async def saved(owner: Player, server_id: str, version: int) -> dict[str, Any]:
    """A configuration on top of the version."""
    wanted = {"version": version, "monitors": [{"type": "counting"}], "rules": []}
    reply = await owner.client.put(f"/api/v1/servers/{server_id}/configuration", wanted)
    assert reply.status == 200, reply
    told: dict[str, Any] = reply.json()
    return told


async def test_a_saved_configuration_is_with_the_agent_within_a_second(stage: HubStage, tmp_path: Path) -> None:
    agent, owner = await staged_agent(stage, tmp_path / "agent")
    server = await server_of(owner)
    await until(lambda: [exchange for exchange in agent.http.exchanges if exchange.method == "WS"], 30)
    await asyncio.sleep(5)
    taken = agent.configuration.taken
    await saved(owner, server["id"], 0)
    assert await until(lambda: taken and taken[-1].version == 1, 2, every_seconds=0.05) < 1
    agent.http.websockets_blocked = True
    await stage.stop()
    await stage.start()
    await saved(owner, server["id"], 1)
    assert await until(lambda: taken[-1].version == 2, 90) < 90, "the next heartbeat says it"
    read = (await owner.client.get(f"/api/v1/servers/{server['id']}/configuration")).json()
    assert read["version"] == 2
    await agent.stop()


async def test_what_the_agent_reports_and_has_delivered_is_read_at_the_hub(stage: HubStage, tmp_path: Path) -> None:
    agent, owner = await staged_agent(stage, tmp_path / "agent")
    server = await server_of(owner)
    await asyncio.sleep(3 * MINUTE)
    seen = (await owner.client.get(f"/api/v1/servers/{server['id']}")).json()
    delivery = seen["delivery"]
    assert delivery["collected"] == delivery["delivered"] + delivery["pending"] + delivery["dropped"]
    assert delivery["delivered"] > 10
    await agent.stop()
