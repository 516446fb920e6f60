"""The agent as a whole, against a fake hub in virtual time: what its parts tell one another."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from twinwatch.agent.buffer import Buffer
from twinwatch.agent.daemon import BUFFER_FILE
from twinwatch.agent.life import pulse
from twinwatch.agent.plan import Plan
from twinwatch.monitors import Check, Declaration, Finding, Reading
from twinwatch.protocol.checks import CheckState
from twinwatch.protocol.configuration import Configuration
from twinwatch.protocol.metrics import Metric
from twinwatch.testing.fake_hub import FakeHub
from twinwatch.testing.fakes import VirtualClock
from twinwatch.testing.planning import plan_of
from twinwatch.testing.story import CountingMonitor, StagedAgent, until
from twinwatch.world.supervisor import Supervisor

from .scripted import Scripted, Watched, fine


class Door:
    """A door that can be shut, seen by a monitor that is watched."""

    def __init__(self) -> None:
        self.state: CheckState = "up"
        self.monitor = Watched(self.look)

    async def look(self, run: int) -> list[Finding]:
        return [Check("front", self.state, reason="" if self.state == "up" else "shut")]

    def shut(self) -> None:
        self.state = "down"
        self.monitor.changed()


class Told(Supervisor):
    """A supervisor whose messages are kept."""

    def __init__(self, watchdog_seconds: float | None = None) -> None:
        super().__init__({"NOTIFY_SOCKET": "/nonexistent"})
        self.watchdog_seconds = watchdog_seconds
        self.states: list[str] = []

    def _tell(self, state: str, status: str) -> None:
        self.states.append(state.partition("\n")[0])


def staged(tmp_path: Path, hub: FakeHub, clock: VirtualClock, *monitors: Scripted) -> StagedAgent:
    return StagedAgent(tmp_path, hub, clock, monitors=monitors or None)


async def test_the_hub_hears_at_once_of_a_check_that_changes(tmp_path: Path, hub: FakeHub, clock: VirtualClock) -> None:
    door = Door()
    agent = staged(tmp_path, hub, clock, door.monitor)
    await agent.start()
    await until(lambda: hub.servers and hub.server.reports and hub.server.reports[-1].checks, 10)
    await asyncio.sleep(31)
    door.shut()
    assert await until(lambda: hub.server.reports[-1].checks[0].state == "down", 5) < 1.5
    (monitor,) = hub.server.reports[-1].monitors
    assert (monitor.name, monitor.state) == ("watched", "ok")
    await agent.stop()


async def test_since_survives_a_restart(tmp_path: Path, hub: FakeHub, clock: VirtualClock) -> None:
    door = Door()
    agent = staged(tmp_path, hub, clock, door.monitor)
    await agent.start()
    await asyncio.sleep(100)
    door.shut()
    await asyncio.sleep(5)
    (before,) = (await agent.agent.status()).checks
    await agent.kill()
    await asyncio.sleep(3600)
    await agent.start()
    (at_once,) = (await agent.agent.status()).checks
    await asyncio.sleep(60)
    (after,) = (await agent.agent.status()).checks
    assert before == at_once == after
    assert before.state == "down"
    await agent.stop()


async def test_a_new_plan_is_followed_while_running(tmp_path: Path, hub: FakeHub, clock: VirtualClock) -> None:
    agent = StagedAgent(tmp_path, hub, clock)
    await agent.start()
    await asyncio.sleep(60)
    before = agent.configuration.plan
    agent.configuration.become(Plan((*before.monitors, *plan_of(Scripted(fine)).monitors)))
    await until(lambda: hub.server.ticks("scripted"), 45)
    assert {facts.name for facts in hub.server.catalogue.monitors} == {"counting", "scripted", "twinwatch"}  # type: ignore[union-attr]
    agent.configuration.become(before)
    await until(lambda: len(hub.server.reports[-1].monitors) == 1, 5)
    gaps = {later - earlier for earlier, later in zip(agent.monitor.times[2:], agent.monitor.times[3:], strict=False)}
    assert {round(gap, -2) for gap in gaps} == {15_000}
    await agent.stop()


async def test_what_a_monitor_learns_reaches_the_hub(tmp_path: Path, hub: FakeHub, clock: VirtualClock) -> None:
    monitor = Scripted(fine)
    agent = staged(tmp_path, hub, clock, monitor)
    await agent.start()
    await until(lambda: hub.servers and hub.server.catalogue, 10)
    monitor.learned = Declaration((Metric("learned", "1", "L"),))  # type: ignore[attr-defined]
    await until(lambda: "learned" in {m.name for facts in hub.server.catalogue.monitors for m in facts.metrics}, 25)  # type: ignore[union-attr]
    await agent.stop()


async def test_a_configuration_of_the_hub_is_taken_and_its_version_reported(hub: FakeHub, agent: StagedAgent) -> None:
    await agent.start()
    await until(lambda: hub.servers and hub.server.reports, 10)
    hub.configure(Configuration(version=3))
    await until(lambda: hub.server.reports[-1].configuration.version == 3, 65)
    assert [taken.version for taken in agent.configuration.taken] == [3]
    await agent.stop()


async def test_without_a_hub_it_runs_for_itself(
    tmp_path: Path, clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    agent = StagedAgent(tmp_path, FakeHub(clock), clock, hub="", enrolment_key=None)
    await agent.start()
    await asyncio.sleep(3600)
    status = await agent.agent.status()
    await agent.stop()
    assert status.link.state == "none"
    assert status.well
    assert status.delivery.pending == status.delivery.collected > 480
    assert agent.http.exchanges == []
    assert [record.getMessage() for record in caplog.records if "no hub" in record.getMessage()] == [
        "no hub is configured: this agent keeps and shows what it sees to itself"
    ]
    buffer = Buffer(tmp_path / BUFFER_FILE, clock.now())
    assert len(buffer.window(0, 2**62)) >= status.delivery.collected
    buffer.close()


async def test_it_says_how_it_fares_itself(hub: FakeHub, agent: StagedAgent) -> None:
    await agent.start()
    await asyncio.sleep(200)
    await agent.stop()
    metrics = {metric for metric, _, _ in hub.server.samples()}
    own = {"cpu.utilization", "memory.rss", "lag", "pending", "dropped"}
    assert {f"twinwatch.agent.{name}" for name in own} | {"twinwatch.buffer.size"} <= metrics
    declared = {metric.name for facts in hub.server.catalogue.monitors for metric in facts.metrics}  # type: ignore[union-attr]
    assert metrics <= declared


async def test_the_supervisor_hears_of_start_reload_life_and_end(agent: StagedAgent) -> None:
    agent.supervisor = told = Told(watchdog_seconds=20.0)
    await agent.start()
    await asyncio.sleep(60)
    assert told.states[0] == "READY=1"
    assert 6 <= told.states.count("WATCHDOG=1") <= 8
    agent.agent.reload()
    await asyncio.sleep(1)
    place = told.states.index("RELOADING=1")
    assert told.states[place : place + 2] == ["RELOADING=1", "READY=1"]
    assert agent.configuration.reloads == 1
    await agent.stop()
    assert told.states[-1] == "STOPPING=1"


async def test_a_disk_that_hangs_gives_no_sign_of_life() -> None:
    told = Told(watchdog_seconds=10.0)
    stuck = asyncio.Event()
    calls = 0

    async def alive() -> None:
        nonlocal calls
        calls += 1
        if calls > 3:
            await stuck.wait()

    task = asyncio.create_task(pulse(told, alive, str))
    await asyncio.sleep(3600)
    assert told.states == ["WATCHDOG=1"] * 3
    stuck.set()
    await asyncio.sleep(11)
    assert len(told.states) > 4
    task.cancel()


async def test_status_is_well_or_says_why_not(tmp_path: Path, hub: FakeHub, clock: VirtualClock) -> None:
    monitor = CountingMonitor()
    agent = StagedAgent(tmp_path, hub, clock, monitors=[monitor])
    await agent.start()
    await asyncio.sleep(90)
    status = await agent.agent.status()
    assert (status.server_name, status.link.state, status.server_uuid) == ("web-1", "up", hub.server.uuid)
    assert status.uptime_seconds == pytest.approx(90, abs=1)
    assert status.well
    agent.http.cut()
    await asyncio.sleep(200)
    status = await agent.agent.status()
    assert (status.link.state, bool(status.link.error)) == ("away", True)
    assert status.well
    monitor.trouble = ValueError("x")
    await asyncio.sleep(20)
    assert not (await agent.agent.status()).well
    await agent.stop()


async def test_readings_and_checks_may_come_from_one_run(tmp_path: Path, hub: FakeHub, clock: VirtualClock) -> None:
    async def both(run: int) -> list[Finding]:
        return [Reading("a", run), Check("c", "degraded")]

    agent = staged(tmp_path, hub, clock, Scripted(both))
    await agent.start()
    await asyncio.sleep(60)
    await agent.stop()
    assert {metric for metric, _, _ in hub.server.samples()} >= {"a", "twinwatch.check.up"}
