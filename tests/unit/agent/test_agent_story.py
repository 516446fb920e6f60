"""What an agent lives through, told against a fake hub in virtual time."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import msgspec
import pytest

from twinwatch.agent.buffer import Buffer
from twinwatch.agent.configuration import Misconfigured
from twinwatch.agent.daemon import BUFFER_FILE
from twinwatch.agent.uplink.enrolment import EnrolmentRefused
from twinwatch.protocol.problem import PROBLEM_PREFIX, Problem
from twinwatch.testing.fake_hub import FakeHub
from twinwatch.testing.fakes import VirtualClock
from twinwatch.testing.story import CountingMonitor, StagedAgent, until

HOUR = 3600


def assert_each_once(hub: FakeHub, monitor: CountingMonitor) -> None:
    assert sorted(hub.server.ticks("counting")) == monitor.times
    twice = [sample for sample, count in hub.server.samples().items() if count > 1]
    assert twice == []


async def everything_arrives(hub: FakeHub, agent: StagedAgent) -> float:
    return await until(lambda: hub.servers and len(hub.server.ticks("counting")) == len(agent.monitor.times), 120)


async def test_a_new_agent_registers_and_its_first_rates_arrive_within_seconds(
    hub: FakeHub, agent: StagedAgent
) -> None:
    await agent.start()
    await until(lambda: hub.servers and len(hub.server.ticks("counting")) >= 2, 6)
    assert hub.server.name == "web-1"
    assert hub.server.catalogue is not None
    assert [monitor.name for monitor in hub.server.catalogue.monitors] == ["counting", "twinwatch"]
    await agent.stop()


async def test_heartbeats_come_every_minute_and_batches_every_half(hub: FakeHub, agent: StagedAgent) -> None:
    await agent.start()
    await asyncio.sleep(HOUR)
    await agent.stop()
    assert 59 <= len(hub.server.heartbeats) <= 61
    assert 119 <= len(hub.server.batches) <= 123
    assert_each_once(hub, agent.monitor)
    assert len(agent.monitor.times) == pytest.approx(HOUR / 15, abs=3)


async def test_each_run_also_yields_up_and_duration(hub: FakeHub, agent: StagedAgent) -> None:
    await agent.start()
    await asyncio.sleep(120)
    await agent.stop()
    names = {(metric, labels) for metric, labels, _ in hub.server.samples()}
    label = (("twinwatch.monitor.name", "counting"),)
    assert ("twinwatch.monitor.up", label) in names
    assert ("twinwatch.monitor.duration", label) in names


async def test_a_hub_away_for_hours_gets_every_tick_once(
    hub: FakeHub, agent: StagedAgent, caplog: pytest.LogCaptureFixture
) -> None:
    await agent.start()
    await asyncio.sleep(300)
    agent.http.cut()
    caplog.clear()
    await asyncio.sleep(11 * HOUR)
    away = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(away) == 1, [record.getMessage() for record in away]
    heartbeats = len(hub.server.heartbeats)
    agent.http.mend()
    assert await until(lambda: len(hub.server.heartbeats) > heartbeats, 15) < 15
    assert await everything_arrives(hub, agent) < 30
    assert_each_once(hub, agent.monitor)
    await agent.stop()


async def test_ticks_collected_before_the_hub_was_ever_there_arrive(hub: FakeHub, agent: StagedAgent) -> None:
    agent.http.cut()
    await agent.start()
    await asyncio.sleep(2 * HOUR)
    assert not hub.servers
    agent.http.mend()
    await until(lambda: hub.servers, 20)
    await everything_arrives(hub, agent)
    assert_each_once(hub, agent.monitor)
    await agent.stop()


async def test_a_lost_answer_makes_no_tick_arrive_twice(hub: FakeHub, agent: StagedAgent) -> None:
    await agent.start()
    await asyncio.sleep(100)
    for _ in range(5):
        agent.http.lose_answers(2)
        await asyncio.sleep(150)
    await agent.stop()
    assert hub.server.duplicates > 0
    assert_each_once(hub, agent.monitor)


async def test_a_lost_answer_to_the_registration_makes_no_second_server(hub: FakeHub, agent: StagedAgent) -> None:
    agent.http.lose_answers(2)
    await agent.start()
    await until(lambda: hub.servers and hub.server.batches, 30)
    assert len(hub.servers) == 1
    await agent.stop()


async def test_an_agent_killed_again_and_again_loses_nothing_and_repeats_nothing(
    hub: FakeHub, agent: StagedAgent
) -> None:
    for number in range(12):
        await agent.start()
        if number % 3 == 1:
            agent.http.lose_answers(1)
        await asyncio.sleep(7 + 13 * number)
        await agent.kill()
        await asyncio.sleep(10)
    await agent.start()
    await asyncio.sleep(60)
    await agent.stop()
    assert_each_once(hub, agent.monitor)
    assert len(hub.servers) == 1


async def test_stopping_brings_the_last_ticks(hub: FakeHub, agent: StagedAgent) -> None:
    await agent.start()
    await asyncio.sleep(110)
    await agent.stop()
    assert_each_once(hub, agent.monitor)


async def test_stopping_while_the_hub_hangs_takes_seconds_only(hub: FakeHub, agent: StagedAgent) -> None:
    await agent.start()
    await asyncio.sleep(60)
    agent.http.delay_seconds = 1_000
    began = asyncio.get_running_loop().time()
    await agent.stop()
    assert asyncio.get_running_loop().time() - began < 5


async def test_a_wrong_enrolment_key_ends_the_agent_with_a_plain_message(
    tmp_path: Path, hub: FakeHub, clock: VirtualClock
) -> None:
    agent = StagedAgent(tmp_path, hub, clock, enrolment_key="twe_wrong_and_secret")
    await agent.start()
    with pytest.raises(EnrolmentRefused, match="refuses the enrolment key") as caught:
        await agent.ended()
    assert "twe_wrong" not in str(caught.value)


async def test_without_any_key_it_says_where_to_get_one(tmp_path: Path, hub: FakeHub, clock: VirtualClock) -> None:
    keyless = StagedAgent(tmp_path, hub, clock, enrolment_key=None)
    with pytest.raises(Misconfigured, match="Add a server"):
        await keyless.start()


async def test_a_revoked_server_key_is_said_once_and_tried_slowly(
    hub: FakeHub, agent: StagedAgent, caplog: pytest.LogCaptureFixture
) -> None:
    await agent.start()
    await asyncio.sleep(60)
    key, hub.server.key = hub.server.key, "tws_other"
    before = len(agent.http.exchanges)
    caplog.clear()
    await asyncio.sleep(6 * HOUR)
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(said) == 1
    assert "refuses this server's key" in said[0]
    assert key not in caplog.text
    assert len(agent.http.exchanges) - before < 6 * HOUR / 60
    hub.server.key = key
    await everything_arrives_slowly(hub, agent)
    assert_each_once(hub, agent.monitor)
    await agent.stop()


async def everything_arrives_slowly(hub: FakeHub, agent: StagedAgent) -> None:
    await until(lambda: len(hub.server.ticks("counting")) == len(agent.monitor.times), 400)


async def test_a_hub_that_forgot_the_shapes_asks_and_gets_them(hub: FakeHub, agent: StagedAgent) -> None:
    await agent.start()
    await asyncio.sleep(100)
    shapes, hub.server.shapes = hub.server.shapes, {}
    await asyncio.sleep(60)
    assert hub.server.shapes == shapes
    assert 409 in [exchange.status for exchange in agent.http.exchanges]
    await agent.stop()
    assert_each_once(hub, agent.monitor)


async def test_a_batch_too_large_is_divided(hub: FakeHub, agent: StagedAgent) -> None:
    await agent.start()
    await asyncio.sleep(60)
    agent.http.cut()
    await asyncio.sleep(2 * HOUR)
    hub.batch_ticks = 7
    agent.http.mend()
    await until(lambda: len(hub.server.ticks("counting")) == len(agent.monitor.times), 600)
    assert_each_once(hub, agent.monitor)
    await agent.stop()


async def test_a_poison_tick_is_set_aside_and_the_others_arrive(
    tmp_path: Path, hub: FakeHub, agent: StagedAgent, caplog: pytest.LogCaptureFixture
) -> None:
    await agent.start()
    await asyncio.sleep(60)
    agent.http.cut()
    await asyncio.sleep(HOUR)
    poison = agent.monitor.times[100]
    hub.refuses = lambda frame: poison in frame.times and frame.columns[0][frame.times.index(poison)] == 101
    agent.http.mend()
    await until(lambda: len(hub.server.ticks("counting")) == len(agent.monitor.times) - 1, 300)
    await agent.stop()
    assert poison not in hub.server.ticks("counting")
    assert len([record for record in caplog.records if "set aside" in record.getMessage()]) == 1
    buffer = Buffer(tmp_path / BUFFER_FILE, 0)
    assert buffer.figures().set_aside == 1
    assert buffer.figures().waiting == 0
    assert poison in [tick.time for tick in buffer.window(0, 2**60)]
    buffer.close()


async def test_a_hub_that_refuses_everything_takes_nothing_away(
    tmp_path: Path, hub: FakeHub, agent: StagedAgent
) -> None:
    await agent.start()
    await asyncio.sleep(60)
    hub.refuses = lambda frame: True
    await asyncio.sleep(3 * HOUR)
    await agent.stop()
    buffer = Buffer(tmp_path / BUFFER_FILE, 0)
    figures = buffer.figures()
    buffer.close()
    assert figures.dropped == 0
    assert figures.set_aside < 100
    assert figures.waiting > 1000


async def test_a_clock_far_ahead_holds_its_ticks_until_it_is_right(
    hub: FakeHub, agent: StagedAgent, clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    hub_clock = VirtualClock()
    hub._clock = hub_clock
    clock.wrong_by_ms = HOUR * 1000
    await agent.start()
    await asyncio.sleep(600)
    assert hub.server.batches == []
    said = [record.getMessage() for record in caplog.records if "clock" in record.getMessage()]
    assert said == [
        "this machine's clock is 1 h 0 min ahead of the hub's: its ticks are held back until it is right. "
        "Set the clock, for example with: timedatectl set-ntp true"
    ]
    clock.wrong_by_ms = 0
    await asyncio.sleep(120)
    right = [time for time in agent.monitor.times if time <= clock.now()]
    assert len(right) >= 7
    assert set(hub.server.ticks("counting")) >= set(right[:-3])
    await asyncio.sleep(HOUR)
    await everything_arrives(hub, agent)
    assert_each_once_in_any_order(hub, agent)
    await agent.stop()


def assert_each_once_in_any_order(hub: FakeHub, agent: StagedAgent) -> None:
    assert sorted(hub.server.ticks("counting")) == sorted(agent.monitor.times)


async def test_a_clock_set_a_day_ahead_and_back_ages_nothing(
    tmp_path: Path, hub: FakeHub, agent: StagedAgent, clock: VirtualClock
) -> None:
    hub._clock = VirtualClock()
    await agent.start()
    await asyncio.sleep(300)
    agent.http.cut()
    await asyncio.sleep(HOUR)
    clock.wrong_by_ms = 30 * HOUR * 1000
    await asyncio.sleep(HOUR)
    clock.wrong_by_ms = 0
    await asyncio.sleep(60)
    agent.http.mend()
    await asyncio.sleep(120)
    await agent.stop()
    buffer = Buffer(tmp_path / BUFFER_FILE, 0)
    assert buffer.figures().dropped == 0
    buffer.close()


async def test_retry_after_is_obeyed(hub: FakeHub, agent: StagedAgent) -> None:
    await agent.start()
    await asyncio.sleep(65)
    agent.http.refuse(429, headers={"retry-after": "100"}, route="samples")
    seen = len(agent.http.exchanges)
    await asyncio.sleep(300)
    samples = [exchange for exchange in agent.http.exchanges[seen:] if exchange.path.endswith("samples")]
    (refused,) = [exchange.at_seconds for exchange in samples if exchange.status == 429]
    after = [exchange.at_seconds for exchange in samples if exchange.at_seconds > refused]
    assert after[0] - refused == pytest.approx(100, abs=1)
    heartbeats = [exchange for exchange in agent.http.exchanges[seen:] if exchange.path.endswith("heartbeat")]
    assert len(heartbeats) == 5
    await agent.stop()
    assert_each_once(hub, agent.monitor)


async def test_the_catalogue_is_sent_when_the_hub_holds_another(hub: FakeHub, agent: StagedAgent) -> None:
    await agent.start()
    await asyncio.sleep(300)
    catalogue = hub.server.catalogue
    assert catalogue is not None
    sent = [exchange for exchange in agent.http.exchanges if exchange.path.endswith("catalogue")]
    assert len(sent) == 1
    hub.server.catalogue = msgspec.structs.replace(catalogue, agent_version="0.0.1", digest="")
    await asyncio.sleep(65)
    assert hub.server.catalogue == catalogue
    await agent.stop()


async def test_a_page_of_a_proxy_is_not_taken_for_an_answer(
    hub: FakeHub, agent: StagedAgent, caplog: pytest.LogCaptureFixture
) -> None:
    await agent.start()
    await asyncio.sleep(65)
    agent.http.refuse(
        200, times=40, body=b"<html>sign in to the hotel network</html>", headers={"content-type": "text/html"}
    )
    await asyncio.sleep(120)
    assert "not as a twinwatch hub does" in caplog.text
    await asyncio.sleep(600)
    await everything_arrives(hub, agent)
    assert_each_once(hub, agent.monitor)
    await agent.stop()


async def test_a_problem_that_is_no_problem_document_is_survived(hub: FakeHub, agent: StagedAgent) -> None:
    await agent.start()
    await asyncio.sleep(65)
    agent.http.refuse(502, times=5, body=b"\xff\xfe Bad Gateway")
    agent.http.refuse(409, times=5, body=msgspec.json.encode(Problem(PROBLEM_PREFIX + "new-kind", "?", 409, "?")))
    await asyncio.sleep(900)
    await everything_arrives(hub, agent)
    assert_each_once(hub, agent.monitor)
    await agent.stop()


async def test_another_hub_with_a_key_means_another_registration(
    tmp_path: Path, hub: FakeHub, agent: StagedAgent, clock: VirtualClock
) -> None:
    await agent.start()
    await asyncio.sleep(60)
    await agent.stop()
    second = FakeHub(clock)
    moved = StagedAgent(tmp_path, second, clock, hub="http://second.example")
    await moved.start()
    await until(lambda: second.servers and second.server.batches, 30)
    await moved.stop()
    assert second.servers.keys() == hub.servers.keys()


async def test_numbers_go_on_above_a_mark_that_this_buffer_never_gave(
    tmp_path: Path, hub: FakeHub, agent: StagedAgent
) -> None:
    await agent.start()
    await asyncio.sleep(60)
    await agent.kill()
    (tmp_path / BUFFER_FILE).unlink()
    agent.monitor.times.clear()
    hub.server.mark += 10 * HOUR * 1000
    held = len(hub.server.ticks("counting"))
    await agent.start()
    await until(lambda: len(hub.server.ticks("counting")) > held, 60)
    await agent.stop()
    assert hub.server.ticks("counting")[held:] == agent.monitor.times
