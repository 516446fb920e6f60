"""What may go wrong around an agent, in virtual time: after each fault nothing is lost that could be kept, nothing is
twice, and what is lost is counted."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, ClassVar

import pytest

from twinwatch.agent.buffer import Buffer
from twinwatch.agent.daemon import BUFFER_FILE
from twinwatch.monitors import Moment, Monitor, Options, Reading
from twinwatch.protocol.heartbeat import Delivery
from twinwatch.testing.fake_hub import FakeHub
from twinwatch.testing.fakes import VirtualClock
from twinwatch.testing.story import CountingMonitor, StagedAgent, until

HOUR = 3600.0
DAY_MILLISECONDS = 86_400_000


class CountingByTheMinute(CountingMonitor):
    """Days pass four times as fast with it."""

    interval_seconds: ClassVar[float] = 60.0


def by_the_minute(state_dir: Path, hub: FakeHub, clock: VirtualClock) -> StagedAgent:
    counting = CountingByTheMinute()
    agent = StagedAgent(state_dir, hub, clock, monitors=[counting])
    agent.monitor = counting
    return agent


def all_ticks(hub: FakeHub) -> int:
    return sum(len(frame.times) for batch in hub.server.batches for frame in batch.frames)


def assert_once_and_counted(hub: FakeHub, agent: StagedAgent, state_dir: Path, *, lost: bool = False) -> Delivery:
    """The agent has ended. Each tick is at the hub once; the agent's accounts and the hub's books agree."""
    arrived = hub.server.ticks("counting")
    assert len(arrived) == len(set(arrived))
    assert [sample for sample, count in hub.server.samples().items() if count > 1] == []
    if not lost:
        assert sorted(arrived) == sorted(agent.monitor.times)
    buffer = Buffer(state_dir / BUFFER_FILE, 0)
    delivery = buffer.delivery()
    buffer.close()
    assert delivery.collected == delivery.delivered + delivery.pending + delivery.dropped
    assert delivery.delivered == all_ticks(hub)
    return delivery


@pytest.fixture
async def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
async def hub(clock: VirtualClock) -> FakeHub:
    return FakeHub(clock)


@pytest.fixture
async def agent(tmp_path: Path, hub: FakeHub, clock: VirtualClock) -> StagedAgent:
    return StagedAgent(tmp_path, hub, clock)


async def test_a_hub_away_for_an_hour(hub: FakeHub, agent: StagedAgent, tmp_path: Path) -> None:
    await agent.start()
    await asyncio.sleep(300)
    agent.http.cut()
    await asyncio.sleep(HOUR)
    agent.http.mend()
    await asyncio.sleep(120)
    await agent.stop()
    assert assert_once_and_counted(hub, agent, tmp_path).dropped == 0
    told = hub.server.heartbeats[-1].delivery
    assert told is not None
    assert told.delivered + told.pending == told.collected


async def test_a_hub_away_for_thirty_hours_gets_the_last_24_and_the_count_of_the_rest(
    hub: FakeHub, clock: VirtualClock, tmp_path: Path
) -> None:
    agent = by_the_minute(tmp_path, hub, clock)
    await agent.start()
    await asyncio.sleep(300)
    agent.http.cut()
    away = agent.monitor.times[-1]
    await asyncio.sleep(30 * HOUR)
    agent.http.mend()
    beats = len(hub.server.heartbeats)
    await until(lambda: len(hub.server.heartbeats) > beats, 20)
    assert await until(lambda: agent.monitor.times[-1] in hub.server.ticks("counting"), 300) < 300
    await asyncio.sleep(300)
    await agent.stop()
    delivery = assert_once_and_counted(hub, agent, tmp_path, lost=True)
    missing = sorted(set(agent.monitor.times) - set(hub.server.ticks("counting")))
    assert delivery.pending == 0
    assert missing, "six hours were to be lost"
    assert missing[0] - away < 600_000
    assert missing[-1] - missing[0] == pytest.approx(6 * HOUR * 1000, abs=900_000)
    told = hub.server.heartbeats[-1].delivery
    assert told is not None
    assert told.dropped == delivery.dropped > len(missing)


@pytest.mark.parametrize("days", [1, -1])
async def test_a_clock_that_jumps_by_a_day_and_back(
    hub: FakeHub, clock: VirtualClock, tmp_path: Path, days: int
) -> None:
    agent = by_the_minute(tmp_path, hub, clock)
    hub._clock = VirtualClock()
    await agent.start()
    await asyncio.sleep(601.3)
    clock.wrong_by_ms = days * DAY_MILLISECONDS + 1_234
    before = len(agent.monitor.times)
    await asyncio.sleep(30 * 60)
    assert len(agent.monitor.times) - before == pytest.approx(30, abs=2), "runs are due by the other clock"
    clock.wrong_by_ms = 0
    await asyncio.sleep(600)
    right = [time for time in agent.monitor.times if abs(time - clock.now()) < 2 * HOUR * 1000]
    assert set(right[:-4]) <= set(hub.server.ticks("counting")), "what has the right time does not wait"
    if days > 0:  # until the hub's clock gets there, what is dated tomorrow waits
        await asyncio.sleep(25 * HOUR)
    await agent.stop()
    assert assert_once_and_counted(hub, agent, tmp_path, lost=days > 0).dropped == 0


async def test_answers_lost_and_connections_cut_in_turn(hub: FakeHub, agent: StagedAgent, tmp_path: Path) -> None:
    await agent.start()
    for round_number in range(40):
        agent.http.lose_answers(3)
        await asyncio.sleep(31 + round_number % 7)
        if round_number % 5 == 0:
            agent.http.cut()
            await asyncio.sleep(17)
            agent.http.mend()
        if round_number % 9 == 4:
            agent.http.lose_answers(1)
            await asyncio.sleep(20)
            await agent.kill()
            await agent.start()
    agent.http.lose_answers(0)
    await asyncio.sleep(120)
    await agent.stop()
    assert hub.server.duplicates > 0, "hardly an answer was lost: the story proves nothing"
    assert assert_once_and_counted(hub, agent, tmp_path).dropped == 0


def hanging(number: int) -> Monitor:
    """A monitor that never answers, and does not even let itself be cancelled at once."""

    class Hanging(CountingMonitor):
        name: ClassVar[str] = f"hanging{number}"
        metrics: ClassVar[Any] = ()
        charts: ClassVar[Any] = ()
        Options: ClassVar[type[Options]] = Options

        async def read(self, world: Any, moment: Moment) -> list[Reading]:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                await asyncio.sleep(HOUR)
                raise
            return []

    return Hanging()


async def test_ten_hanging_monitors_beside_a_busy_uplink(tmp_path: Path, hub: FakeHub, clock: VirtualClock) -> None:
    counting = CountingMonitor()
    agent = StagedAgent(tmp_path, hub, clock, monitors=[*(hanging(number) for number in range(10)), counting])
    agent.monitor = counting
    agent.http.cut()
    await agent.start()
    await asyncio.sleep(2 * HOUR)
    agent.http.mend()
    await until(lambda: hub.servers and len(hub.server.ticks("counting")) >= len(counting.times) - 3, 120)
    await asyncio.sleep(10 * 60)
    assert len(counting.times) == pytest.approx((2 * HOUR + 600) / 15, rel=0.03)
    beats = len(hub.server.heartbeats)
    await asyncio.sleep(600)
    assert len(hub.server.heartbeats) - beats >= 9
    await agent.stop()
    assert assert_once_and_counted(hub, agent, tmp_path).dropped == 0
