"""What the uplink brings and fetches besides samples, told against a fake hub in virtual time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest

from twinwatch.agent.buffer import Buffer, Tick
from twinwatch.agent.identity import Registration
from twinwatch.agent.uplink import Uplink
from twinwatch.agent.uplink.line import Line
from twinwatch.agent.uplink.link import Link
from twinwatch.agent.worker import Worker
from twinwatch.protocol.checks import CheckStanding, Report
from twinwatch.protocol.configuration import Configuration, MonitorEntry
from twinwatch.protocol.hello import Register
from twinwatch.protocol.metrics import Catalogue
from twinwatch.protocol.samples import SeriesKey, shape_of
from twinwatch.testing.fake_hub import FakeHub
from twinwatch.testing.fakes import AsgiHttp, VirtualClock
from twinwatch.testing.story import until
from twinwatch.world.secret import Secret

HOUR = 3600.0
SHAPE = shape_of("test", tuple(SeriesKey("test.value", {"n": str(n)}) for n in range(200)))


class Bench:
    """An uplink, its hub and what it may report and take."""

    def __init__(self, state_dir: Path, hub: FakeHub, clock: VirtualClock) -> None:
        self.hub = hub
        self.clock = clock
        self.http = AsgiHttp(hub)
        self.link = Link(clock)
        self.buffer = Buffer(state_dir / "buffer.sqlite3", clock.now())
        self.report = Report()
        self.taken: list[Configuration] = []
        self.identity_file = state_dir / "identity.json"
        self.bytes_per_second = 1 << 20
        self.version = 0
        self.configured: Configuration | None = None
        self.catalogue = Catalogue("1.0", ())
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> Uplink:
        line = Line(self.http, "http://hub.example")
        known = await line.register(Secret("twe_test"), Register("one", "web-1", "1.0"))
        if self.configured is not None:
            self.hub.configure(self.configured)
        registration = Registration("http://hub.example", known.server_uuid, known.server_key)
        self.uplink = Uplink(
            line,
            registration,
            link=self.link,
            buffer=self.buffer,
            worker=Worker(inline=True),
            catalogue=self.catalogue,
            clock=self.clock,
            heartbeat_seconds=60.0,
            push_seconds=30.0,
            bytes_per_second=self.bytes_per_second,
            report=lambda: self.report,
            version=self.version,
            take=self._take,
            wants=self.wants,
            identity_file=self.identity_file,
        )
        warm = asyncio.Event()
        warm.set()
        self._task = asyncio.create_task(self.uplink.run(warm))
        await until(lambda: self.link.up, 5)
        return self.uplink

    def wants(self, version: int) -> bool:
        newest = self.taken[-1].version if self.taken else self.version
        return version != newest

    async def _take(self, configuration: Configuration) -> None:
        self.taken.append(configuration)

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        self.buffer.close()

    def asked(self, route: str) -> list[float]:
        return [exchange.at_seconds for exchange in self.http.exchanges if exchange.path.endswith(route)]


@pytest.fixture
async def bench(tmp_path: Path, hub: FakeHub, clock: VirtualClock) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path, hub, clock)
    yield bench
    await bench.stop()


def standing(state: str, number: int = 0) -> Report:
    return Report(checks=(CheckStanding("a:b", "a", state, since=number),))  # type: ignore[arg-type]


async def test_a_changed_report_arrives_at_once_and_a_flapping_one_once_a_second(bench: Bench) -> None:
    uplink = await bench.start()
    await asyncio.sleep(10)
    assert len(bench.hub.server.reports) == 1
    bench.report = standing("down")
    uplink.report_changed()
    assert await until(lambda: bench.hub.server.reports[-1].checks, 1, every_seconds=0.01) < 0.3
    before = len(bench.hub.server.reports)
    for number in range(100):
        bench.report = standing("up", number)
        uplink.report_changed()
        await asyncio.sleep(0.1)
    assert 9 <= len(bench.hub.server.reports) - before <= 11
    await until(lambda: bench.hub.server.reports[-1].checks == bench.report.checks, 2)


async def test_a_report_that_did_not_change_is_not_sent_but_one_that_the_hub_lost_is(bench: Bench) -> None:
    bench.report = standing("up")
    uplink = await bench.start()
    await asyncio.sleep(HOUR)
    uplink.report_changed()
    await asyncio.sleep(5)
    assert len(bench.hub.server.reports) == 1
    bench.hub.server.reports.clear()
    await until(lambda: bench.hub.server.reports, 61)
    assert bench.hub.server.reports[-1].checks == bench.report.checks


async def test_a_report_whose_answer_was_lost_is_brought_again(bench: Bench) -> None:
    uplink = await bench.start()
    await asyncio.sleep(10)
    bench.http.refuse(503, route="report", headers={"retry-after": "30"})
    bench.report = standing("down")
    uplink.report_changed()
    took = await until(lambda: bench.hub.server.reports[-1].checks, 60)
    assert 29 < took < 35


async def test_the_accounts_go_with_every_heartbeat_and_balance(bench: Bench) -> None:
    await bench.start()
    for _ in range(10):
        bench.buffer.keep([Tick(SHAPE, bench.clock.now(), [1.0] * 200)])
        await asyncio.sleep(60)
    deliveries = [beat.delivery for beat in bench.hub.server.heartbeats]
    assert all(delivery is not None for delivery in deliveries)
    last = deliveries[-1]
    assert last is not None
    assert last.collected >= 9
    assert last.delivered >= 8
    assert last.buffer_bytes > 0


async def test_a_catalogue_that_changes_while_it_runs_follows(bench: Bench) -> None:
    uplink = await bench.start()
    await until(lambda: bench.hub.server.catalogue, 5)
    uplink.catalogue_changed(Catalogue("2.0", ()))
    await until(lambda: bench.hub.server.catalogue and bench.hub.server.catalogue.agent_version == "2.0", 2)
    await asyncio.sleep(HOUR)
    assert len(bench.asked("catalogue")) == 2


async def test_a_new_configuration_is_heard_of_within_a_second(bench: Bench) -> None:
    await bench.start()
    await until(lambda: bench.link.control, 5)
    await asyncio.sleep(300)
    assert bench.asked("configuration") == []
    wanted = Configuration(3, (MonitorEntry("system"),))
    bench.hub.configure(wanted)
    assert await until(lambda: bench.taken, 2, every_seconds=0.05) < 1
    assert bench.taken == [wanted]
    await asyncio.sleep(HOUR)
    assert len(bench.asked("configuration")) == 1


async def test_where_websockets_are_blocked_the_heartbeat_brings_it_and_one_line_says_so(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.http.websockets_blocked = True
    with caplog.at_level(logging.INFO):
        await bench.start()
        await asyncio.sleep(HOUR)
        bench.hub.configure(Configuration(1))
        await until(lambda: bench.taken, 61)
        await asyncio.sleep(6 * HOUR)
    said = [record.getMessage() for record in caplog.records if "control" in record.getMessage()]
    assert len(said) == 1
    assert "heartbeats instead" in said[0]
    assert len(bench.asked("control")) < 7 * 12 * 2 + 45
    bench.http.websockets_blocked = False
    await until(lambda: bench.link.control, 301)


async def test_a_configuration_that_is_wanted_after_all_is_fetched_again_at_once(bench: Bench) -> None:
    uplink = await bench.start()
    bench.hub.configure(Configuration(3, (MonitorEntry("system"),)))
    await until(lambda: len(bench.taken) == 1, 5)
    bench.taken.clear()  # the owner forbade the hub to configure, and allows it again
    uplink.configuration_changed()
    await until(lambda: len(bench.taken) == 1, 1)
    await asyncio.sleep(120)
    assert len(bench.asked("configuration")) == 2


async def test_a_configuration_already_in_force_is_not_fetched(bench: Bench) -> None:
    bench.version = 5
    bench.configured = Configuration(5)
    await bench.start()
    await asyncio.sleep(HOUR)
    assert bench.asked("configuration") == []


async def test_one_that_was_refused_is_not_fetched_again_and_again(bench: Bench) -> None:
    await bench.start()
    bench.hub.configure(Configuration(2))
    await asyncio.sleep(HOUR)
    assert len(bench.taken) == 1
    bench.hub.configure(Configuration(3))
    await until(lambda: len(bench.taken) == 2, 2)


async def test_a_failed_fetch_is_tried_again(bench: Bench) -> None:
    await bench.start()
    await until(lambda: bench.link.control, 5)
    bench.http.refuse(502, times=3, route="configuration")
    bench.hub.configure(Configuration(2))
    await until(lambda: bench.taken, 60)


async def test_an_older_hub_is_asked_rarely_and_nothing_is_said(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.hub.older = True
    bench.version = 4
    with caplog.at_level(logging.INFO):
        await bench.start()
        await asyncio.sleep(HOUR)
    assert len(bench.hub.server.heartbeats) >= 60
    for route in ("report", "configuration", "control"):
        assert 1 <= len(bench.asked(route)) <= 8
    assert [record.getMessage() for record in caplog.records] == ["connected to http://hub.example"]
    bench.hub.older = False
    await until(lambda: bench.hub.server.reports and bench.link.control, 700)


@pytest.mark.parametrize(
    "frame",
    ["", "{", "[]", '{"kind":"configuration"}', '{"kind":"probe","id":7}', '{"kind":"configuration","version":-1}'],
)
async def test_a_frame_that_is_no_notice_is_ignored(bench: Bench, frame: str) -> None:
    await bench.start()
    await until(lambda: bench.link.control, 5)
    bench.hub.say(frame)
    await asyncio.sleep(5)
    assert bench.link.control
    assert bench.taken == []


async def test_a_silent_control_connection_is_dialled_anew(bench: Bench) -> None:
    await bench.start()
    await until(lambda: bench.link.control, 5)
    await asyncio.sleep(120)
    bench.http.cut()
    await asyncio.sleep(5 * 60)
    assert not bench.link.control
    bench.http.mend()
    await until(lambda: bench.link.control, 30)


async def test_a_worthless_key_is_said_with_the_whole_path_and_tried_slowly(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    await bench.start()
    await until(lambda: bench.link.control, 5)
    bench.hub.revoke()
    before = len(bench.http.exchanges)
    await asyncio.sleep(6 * HOUR)
    errors = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(errors) == 1
    assert str(bench.identity_file) in errors[0]
    assert bench.link.state == "refused"
    assert "refuses" in bench.link.error
    assert len(bench.http.exchanges) - before < 6 * HOUR / 100


async def test_another_agent_with_the_same_key_is_told_of_and_not_driven_out(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    await bench.start()
    await until(lambda: bench.link.control, 5)
    key = bench.hub.server.key
    other = AsgiHttp(bench.hub)
    for _ in range(3):
        await other.websocket(
            "http://hub.example/api/v1/agent/control", headers={"Authorization": f"Bearer {key}"}, timeout_seconds=5
        )
        await until(lambda: not bench.link.control, 5)
        await asyncio.sleep(60)
        assert not bench.link.control
        await until(lambda: bench.link.control, 300)
    assert "has the state directory been copied" in caplog.text


async def test_a_backlog_leaves_at_its_rate_and_no_heartbeat_waits_for_it(bench: Bench) -> None:
    bench.bytes_per_second = 2_000
    now = bench.clock.now()
    for n in range(3_000):
        values = [float((n * 7919 + place * 104_729) % 1_000_003) / 7 for place in range(200)]
        bench.buffer.keep([Tick(SHAPE, now - 3_000_000 + n * 1_000, values)])
    await bench.start()
    took = await until(lambda: bench.buffer.delivery().pending == 0, 12 * HOUR)
    assert took > 300
    beats = bench.asked("heartbeat")
    assert len(beats) == pytest.approx(took / 60, abs=3)
    gaps = [later - earlier for earlier, later in pairwise(beats)]
    assert max(gaps) < 61
    assert len(bench.hub.server.ticks("test")) == 3_000


async def test_retry_after_holds_whatever_returns_meanwhile(bench: Bench) -> None:
    await bench.start()
    await asyncio.sleep(40)
    bench.buffer.keep([Tick(SHAPE, bench.clock.now(), [1.0] * 200)])
    bench.http.refuse(429, route="samples", headers={"retry-after": "200"})
    await until(lambda: bench.asked("samples"), 60)
    began = bench.asked("samples")[-1]
    bench.http.cut()
    await asyncio.sleep(70)
    bench.http.mend()
    await asyncio.sleep(250)
    assert bench.asked("samples")[1] - began >= 200
    bench.http.refuse(429, route="heartbeat", headers={"retry-after": "170"})
    seen = len(bench.asked("heartbeat"))
    await asyncio.sleep(400)
    beats = bench.asked("heartbeat")
    assert max(later - earlier for earlier, later in pairwise(beats[seen:])) >= 170
