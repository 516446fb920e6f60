"""Every tick that was collected is held by the hub exactly once, whatever lay between."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from uuid import UUID

from tests.story.ledger import held, times_of
from twinwatch.testing.fakes import VirtualClock
from twinwatch.testing.hub_stage import HubStage, Player
from twinwatch.testing.story import StagedAgent, until

MINUTE = 60.0
HOUR = 3600.0


async def staged_agent(
    stage: HubStage, state_dir: Path, clock: VirtualClock | None = None, **of_agent: Any
) -> tuple[StagedAgent, Player]:
    """An agent of a new organization, started, and the organization's owner."""
    organization = await stage.organization()
    owner = await stage.person(organization, "owner")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await stage.app(scope, receive, send)  # the hub that runs by then

    clock = clock or VirtualClock(stage.clock.now())
    key = await stage.enrolment_key(organization)
    agent = StagedAgent(made(state_dir), app, clock, enrolment_key=key, **of_agent)
    await agent.start()
    return agent, owner


def made(folder: Path) -> Path:
    folder.mkdir()
    return folder


async def server_of(owner: Player, within_seconds: float = 120.0) -> dict[str, Any]:
    """The organization's one server, once it is registered."""
    servers: list[dict[str, Any]] = []
    async with asyncio.timeout(within_seconds):
        while not servers:
            await asyncio.sleep(1)
            servers = (await owner.client.get("/api/v1/servers")).json()["servers"]
    return servers[0]


async def arrived(stage: HubStage, agent: StagedAgent, server_id: str, within_seconds: float) -> None:
    """Waits until the hub holds all that the agent has collected by now, and holds none of it twice."""
    collected = list(agent.monitor.times)
    assert len(set(collected)) == len(collected)
    theirs: list[int] = []
    async with asyncio.timeout(within_seconds):
        while not set(collected) <= set(theirs):
            await asyncio.sleep(within_seconds / 60)
            theirs = times_of(await held(stage.owner_url, server_id), "test.runs")


async def test_a_hub_that_was_away_for_hours_gets_every_tick_once(stage: HubStage, tmp_path: Path) -> None:
    agent, owner = await staged_agent(stage, tmp_path / "agent")
    server = await server_of(owner)
    await asyncio.sleep(10 * MINUTE)
    agent.http.cut()
    await asyncio.sleep(5 * HOUR)
    agent.http.mend()
    await arrived(stage, agent, server["id"], 5 * MINUTE)
    assert len(agent.monitor.times) > 5 * HOUR / 15
    await agent.stop()


async def test_a_range_reads_what_arrived_late_like_the_rest(stage: HubStage, tmp_path: Path) -> None:
    agent, owner = await staged_agent(stage, tmp_path / "agent")
    server = await server_of(owner)
    agent.http.cut()
    await asyncio.sleep(2 * HOUR)
    agent.http.mend()
    await arrived(stage, agent, server["id"], 5 * MINUTE)
    times = list(agent.monitor.times)
    asked = f"metric=test.runs&since={times[0]}&to={times[-1]}&points=2000"
    # The token of a person who waited for two hours has ended.
    owner = await stage.person(owner.organization_id, "owner")
    answer = (await owner.client.get(f"/api/v1/servers/{server['id']}/range?{asked}")).json()
    assert answer["times"] == times[:-1]
    assert answer["series"][0]["values"] == [float(run) for run in range(1, len(times))]
    await agent.stop()


async def test_batches_whose_answers_are_lost_count_once(stage: HubStage, tmp_path: Path) -> None:
    agent, owner = await staged_agent(stage, tmp_path / "agent")
    server = await server_of(owner)
    for _ in range(20):
        agent.http.lose_answers(3)
        await asyncio.sleep(2 * MINUTE)
    await arrived(stage, agent, server["id"], 5 * MINUTE)
    sent = [exchange for exchange in agent.http.exchanges if exchange.path.endswith("/samples")]
    assert sum(exchange.status == 0 for exchange in sent) >= 5, "hardly an answer was lost: the story proves nothing"
    await agent.stop()


async def test_an_agent_that_was_restarted_goes_on_where_it_was(stage: HubStage, tmp_path: Path) -> None:
    agent, owner = await staged_agent(stage, tmp_path / "agent")
    server = await server_of(owner)
    for round_number in range(6):
        await asyncio.sleep(3 * MINUTE + 7 * round_number)
        agent.http.lose_answers(1)
        await asyncio.sleep(20)
        await (agent.stop() if round_number % 2 else agent.kill())
        await asyncio.sleep(10)
        await agent.start()
    await arrived(stage, agent, server["id"], 5 * MINUTE)
    assert len((await owner.client.get("/api/v1/servers")).json()["servers"]) == 1, "it came back as another server"
    await agent.stop()


async def test_a_hub_that_is_restarted_again_and_again_misses_nothing(stage: HubStage, tmp_path: Path) -> None:
    agent, owner = await staged_agent(stage, tmp_path / "agent")
    server = await server_of(owner)
    for _ in range(5):
        await asyncio.sleep(100)
        agent.http.cut()
        await stage.stop()
        await asyncio.sleep(40)
        await stage.start()
        agent.http.mend()
    await arrived(stage, agent, server["id"], 5 * MINUTE)
    await agent.stop()


async def test_ticks_of_a_clock_far_ahead_wait_until_it_is_right(stage: HubStage, tmp_path: Path) -> None:
    clock = VirtualClock(stage.clock.now())
    agent, owner = await staged_agent(stage, tmp_path / "agent", clock)
    server = await server_of(owner)
    await asyncio.sleep(5 * MINUTE)
    clock.wrong_by_ms = 3_601_234  # not a whole number of intervals, or two ticks would bear the same time
    await asyncio.sleep(10 * MINUTE)
    seen = (await owner.client.get(f"/api/v1/servers/{server['id']}")).json()
    assert seen["state"] == "up", "a wrong clock is no dead server"
    assert 3590 < seen["clock_skew_seconds"] < 3610
    clock.wrong_by_ms = 0
    owner = await stage.person(owner.organization_id, "owner")
    await asyncio.sleep(2 * MINUTE)
    seen = (await owner.client.get(f"/api/v1/servers/{server['id']}")).json()
    assert seen["last_sample_at"] > stage.clock.now() - 60_000
    await arrived(stage, agent, server["id"], 2 * HOUR)
    await agent.stop()


async def test_a_deleted_server_is_told_so_and_keeps_its_ticks(stage: HubStage, tmp_path: Path) -> None:
    agent, owner = await staged_agent(stage, tmp_path / "agent")
    server = await server_of(owner)
    await asyncio.sleep(5 * MINUTE)
    assert (await owner.client.delete(f"/api/v1/servers/{server['id']}")).status == 204
    await until(lambda: agent.http.exchanges[-1].status == 401, 3 * MINUTE)
    before = len(agent.monitor.times)
    await asyncio.sleep(10 * MINUTE)
    assert len(agent.monitor.times) > before, "the agent stopped collecting"
    assert not await held(stage.owner_url, UUID(server["id"]))
    await agent.stop()
