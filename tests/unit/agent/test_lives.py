"""What an agent knows of its lives, and what the hub makes of it: told against a fake hub in virtual time."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from twinwatch.agent.leaving import judged
from twinwatch.agent.lives import BEAT_SECONDS, FILE, Gaps, Lives
from twinwatch.alerts.forensics import cause_of
from twinwatch.protocol.life import Life, PreviousLife
from twinwatch.testing.fake_hub import FakeHub
from twinwatch.testing.fakes import VirtualClock
from twinwatch.testing.paper import PaperHost
from twinwatch.testing.paper_bus import PaperBus
from twinwatch.testing.story import StagedAgent, until

BOOT = "/proc/sys/kernel/random/boot_id"
SYSTEMD = "/run/systemd/system/is-there"
JOBS = "bus /org/freedesktop/systemd1 ListJobs"
MINUTE = 60


def jobs(*units: str) -> str:
    """The manager's answer while the start jobs of these units wait."""
    return json.dumps([[[7, unit, "start", "waiting", "/j/7", "/u/7"] for unit in units]])


class Cast:
    """An agent whose host can be rebooted, and the silence that the hub hears."""

    def __init__(self, folder: Path, hub: FakeHub, clock: VirtualClock) -> None:
        self.hub = hub
        self.clock = clock
        self.host = PaperHost({BOOT: "b1\n", "/proc/stat": "cpu 1\nbtime 1767220000\n", SYSTEMD: ""})
        self.bus = PaperBus({JOBS: jobs()})
        self.agent = StagedAgent(folder, hub, clock, host=self.host, bus=self.bus)
        self._heard = 0

    async def live(self, seconds: float = 10 * MINUTE) -> None:
        """Start, and be heard for so long."""
        await self.agent.start()
        await asyncio.sleep(seconds)

    def boot(self) -> None:
        """Another boot of the host."""
        self.host.files[BOOT] = "b2\n"
        self.host.files["/proc/stat"] = f"cpu 1\nbtime {self.clock.now() // 1000}\n"
        self.bus.sources[JOBS] = jobs()

    def silent(self) -> None:
        """What follows is the return."""
        self._heard = len(self.hub.server.heartbeats)

    async def cause(self) -> str:
        """What the hub makes of the first heartbeat since ``silent``."""
        await until(lambda: len(self.hub.server.heartbeats) > self._heard, 30)
        before, back = self.hub.server.heartbeats[self._heard - 1 : self._heard + 1]
        return cause_of(back.life, before.timestamp, back.timestamp)


@pytest.fixture
async def cast(tmp_path: Path, hub: FakeHub, clock: VirtualClock) -> Cast:
    return Cast(tmp_path, hub, clock)


async def test_an_agent_that_was_killed_says_so_on_its_return(cast: Cast) -> None:
    await cast.live(10 * MINUTE + 50)
    await cast.agent.kill()
    cast.silent()
    assert cast.hub.server.goodbyes == []
    await asyncio.sleep(5 * MINUTE)
    await cast.agent.start()
    assert await cast.cause() == "agent-crashed"
    await cast.agent.stop()


async def test_an_agent_that_was_stopped_says_goodbye_and_knows_it_on_its_return(cast: Cast) -> None:
    await cast.live(10 * MINUTE + 50)
    await cast.agent.stop()
    cast.silent()
    (said,) = cast.hub.server.goodbyes
    assert (said.leaving, said.back_within_seconds) == ("stop", 0.0)
    await asyncio.sleep(5 * MINUTE)
    await cast.agent.start()
    assert await cast.cause() == "agent-restarted"
    await cast.agent.stop()


async def test_a_planned_reboot_is_announced_and_the_next_one_by_how_long_it_took(cast: Cast) -> None:
    await cast.live()
    for expected in (300.0, 1000.0):
        cast.bus.sources[JOBS] = jobs("reboot.target", "shutdown.target")
        await cast.agent.stop()
        cast.silent()
        said = cast.hub.server.goodbyes[-1]
        assert said.leaving == "reboot"
        assert said.back_within_seconds == pytest.approx(expected, abs=10)
        await asyncio.sleep(500)
        cast.boot()
        cast.host.files[BOOT] = f"b{expected}\n"
        await cast.agent.start()
        assert await cast.cause() == "planned-reboot"
    await cast.agent.stop()


async def test_a_host_that_goes_down_for_good_says_so(cast: Cast) -> None:
    await cast.live()
    cast.bus.sources[JOBS] = jobs("poweroff.target", "shutdown.target")
    await cast.agent.stop()
    (said,) = cast.hub.server.goodbyes
    assert (said.leaving, said.back_within_seconds) == ("shutdown", 0.0)


async def test_power_that_is_lost_leaves_another_boot_and_no_clean_end(cast: Cast) -> None:
    await cast.live()
    await cast.agent.kill()
    cast.silent()
    await asyncio.sleep(5 * MINUTE)
    cast.boot()
    await cast.agent.start()
    assert await cast.cause() == "unclean-reboot"
    await cast.agent.stop()


async def test_an_agent_that_ran_on_unheard_says_that_the_network_was_lost(cast: Cast) -> None:
    await cast.live()
    cast.agent.http.cut()
    cast.silent()
    await asyncio.sleep(5 * MINUTE)
    cast.agent.http.mend()
    assert await cast.cause() == "network-lost"
    await cast.agent.stop()


async def test_a_restart_while_the_network_is_lost_does_not_hide_that(cast: Cast) -> None:
    await cast.live()
    cast.agent.http.cut()
    cast.silent()
    await asyncio.sleep(5 * MINUTE)
    await cast.agent.stop()
    await cast.agent.start()
    await asyncio.sleep(5 * MINUTE)
    cast.agent.http.mend()
    assert await cast.cause() == "network-lost"
    await cast.agent.stop()


async def test_a_life_that_nobody_heard_does_not_hide_the_one_before_it(cast: Cast) -> None:
    await cast.live()
    await cast.agent.kill()
    cast.silent()
    cast.boot()
    cast.agent.http.cut()
    for _ in range(3):
        await cast.agent.start()
        await asyncio.sleep(MINUTE)
        await cast.agent.stop()
    cast.agent.http.mend()
    await cast.agent.start()
    assert await cast.cause() == "unclean-reboot"
    await cast.agent.stop()


async def test_a_host_that_slept_says_so(cast: Cast) -> None:
    await cast.live()
    cast.agent.http.cut()  # what its wall clock jumps by is the sleep
    cast.silent()
    cast.clock.wrong_by_ms += 20 * MINUTE * 1000
    await asyncio.sleep(11)
    cast.agent.http.mend()
    assert await cast.cause() == "host-frozen"
    await asyncio.sleep(2 * MINUTE)
    last = cast.hub.server.heartbeats[-1].life
    assert last is not None
    assert last.longest_gap_seconds == 0
    await cast.agent.stop()


async def test_a_clock_that_is_set_while_the_hub_listens_is_no_sleep(cast: Cast) -> None:
    await cast.live()
    cast.clock.wrong_by_ms -= 3600 * 1000
    await asyncio.sleep(2 * MINUTE)
    life = cast.hub.server.heartbeats[-1].life
    assert life is not None
    assert life.longest_gap_seconds == 0
    await cast.agent.stop()


async def test_a_process_that_stood_still_sees_it_by_the_clock_that_only_runs(clock: VirtualClock) -> None:
    gaps = Gaps(clock)
    await asyncio.sleep(BEAT_SECONDS)
    gaps.beat()
    assert gaps.tell() == 0
    await asyncio.sleep(100)
    assert gaps.tell() == pytest.approx(100)
    assert gaps.tell() == pytest.approx(100), "the hub has not answered yet"
    gaps.answered()
    assert gaps.tell() == 0


async def test_a_damaged_or_unwritable_record_makes_the_answer_weaker_and_hurts_nobody(
    tmp_path: Path, clock: VirtualClock
) -> None:
    (tmp_path / FILE).write_text("{ this is no")
    lives = Lives(tmp_path, PaperHost({}), clock, Gaps(clock))
    assert lives.told() == Life(started_at=clock.now())
    gone = tmp_path / "gone"
    Lives(gone, PaperHost({}), clock, Gaps(clock)).ended("stop")
    assert not gone.exists()


async def test_the_record_is_for_the_agent_alone_and_bears_its_last_beat(tmp_path: Path, clock: VirtualClock) -> None:
    host = PaperHost({BOOT: "b1"})
    lives = Lives(tmp_path, host, clock, Gaps(clock))
    began = clock.now()
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    assert lives.answered()
    assert not lives.answered()
    lives.keep()
    await asyncio.sleep(100)
    lives.beat()
    await asyncio.sleep(50)
    previous = Lives(tmp_path, host, clock, Gaps(clock)).told().previous
    assert previous == PreviousLife("b1", began, began + 100_000)


@pytest.mark.parametrize(
    ("jobs", "leaving"),
    [
        ([[1, "nginx.service", "stop", "running", "/", "/"]], "stop"),
        ([[1, "shutdown.target", "start", "waiting", "/", "/"]], "shutdown"),
        ([[1, "halt.target", "start", "waiting", "/", "/"]], "shutdown"),
        ([[1, "kexec.target", "start", "waiting", "/", "/"], [2, "shutdown.target", "start", "", "/", "/"]], "reboot"),
        ([[1, "reboot.target", "stop", "waiting", "/", "/"]], "stop"),
        ([], "stop"),
        ([[]], "stop"),
    ],
)
def test_the_jobs_of_the_manager_say_what_goes_down(jobs: list[list[object]], leaving: str) -> None:
    assert judged(jobs) == leaving


async def test_a_bus_that_hangs_delays_the_end_by_a_second_only(cast: Cast) -> None:
    await cast.live()
    cast.bus.hangs = True
    began = asyncio.get_running_loop().time()
    await cast.agent.stop()
    assert asyncio.get_running_loop().time() - began < 2
    assert [said.leaving for said in cast.hub.server.goodbyes] == ["stop"]


async def test_a_hub_that_does_not_hear_the_goodbye_delays_the_end_by_seconds_only(cast: Cast) -> None:
    await cast.live()
    cast.agent.http.delay_seconds = 60
    began = asyncio.get_running_loop().time()
    await cast.agent.stop()
    assert asyncio.get_running_loop().time() - began < 5


async def test_the_hub_may_want_heartbeats_sooner(cast: Cast) -> None:
    await cast.live(90)
    cast.hub.interval_seconds = 5.0
    await asyncio.sleep(MINUTE)
    heard = len(cast.hub.server.heartbeats)
    await asyncio.sleep(MINUTE)
    assert len(cast.hub.server.heartbeats) - heard == pytest.approx(12, abs=1)
    cast.hub.interval_seconds = 0.0
    await asyncio.sleep(10)
    heard = len(cast.hub.server.heartbeats)
    await asyncio.sleep(10 * MINUTE)
    assert len(cast.hub.server.heartbeats) - heard == pytest.approx(10, abs=1)
    await cast.agent.stop()
