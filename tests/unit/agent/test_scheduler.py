from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import ClassVar

import pytest

from twinwatch.agent.buffer import BufferUnusable, Tick
from twinwatch.agent.scheduler import DURATION, UP, Scheduler, facts_of
from twinwatch.monitors import Absent, Moment, Options, Reading, Unreadable
from twinwatch.protocol.metrics import Chart, Headline, Metric
from twinwatch.testing.fakes import VirtualClock
from twinwatch.testing.paper import paper_world
from twinwatch.world.doors import World

Act = Callable[[int], Awaitable[list[Reading]]]


class Scripted:
    """A monitor that does what the test says, and remembers when its runs began."""

    name: ClassVar[str] = "scripted"
    title: ClassVar[str] = "Scripted"
    Options: ClassVar[type[Options]] = Options
    interval_seconds: ClassVar[float] = 15.0
    deadline_seconds: ClassVar[float] = 10.0
    metrics: ClassVar[tuple[Metric, ...]] = ()
    charts: ClassVar[tuple[Chart, ...]] = ()
    headlines: ClassVar[tuple[Headline, ...]] = ()

    def __init__(self, act: Act) -> None:
        self.act = act
        self.began: list[float] = []
        self.running = 0

    async def read(self, world: World, moment: Moment) -> list[Reading]:
        self.began.append(moment.monotonic_seconds)
        self.running += 1
        assert self.running == 1, "two runs at once"
        try:
            return await self.act(len(self.began))
        finally:
            self.running -= 1


async def fine(run: int) -> list[Reading]:
    return [Reading("a", run)]


async def hangs(run: int) -> list[Reading]:
    await asyncio.sleep(10_000)
    return []


class Kept:
    """Where ticks go."""

    def __init__(self) -> None:
        self.ticks: list[Tick] = []
        self.full = False

    async def __call__(self, ticks: Sequence[Tick]) -> None:
        if self.full:
            raise BufferUnusable("database or disk is full")
        self.ticks += ticks

    def ups(self) -> list[float | None]:
        return [tick.values[self._place(tick, UP.name)] for tick in self.ticks if tick.shape.monitor == "twinwatch"]

    def durations(self) -> list[float | None]:
        return [
            tick.values[self._place(tick, DURATION.name)] for tick in self.ticks if tick.shape.monitor == "twinwatch"
        ]

    def _place(self, tick: Tick, metric: str) -> int:
        return [series.metric for series in tick.shape.series].index(metric)


@pytest.fixture
def kept() -> Kept:
    return Kept()


async def run_for(seconds: float, kept: Kept, *monitors: Scripted, clock: VirtualClock | None = None) -> Scheduler:
    scheduler = Scheduler(
        monitors, world=paper_world(clock=clock or VirtualClock()), keep=kept, seed="seed", interval_seconds=None
    )
    task = asyncio.create_task(scheduler.run())
    await asyncio.sleep(seconds)
    task.cancel()
    await asyncio.wait({task})
    return scheduler


async def test_the_first_two_runs_come_quickly_and_the_rest_on_a_grid(kept: Kept) -> None:
    async def slow(run: int) -> list[Reading]:
        await asyncio.sleep(run % 7)
        return []

    monitor = Scripted(slow)
    scheduler = await run_for(3600, kept, monitor)
    first, second, *rest = monitor.began
    assert second - first < 4
    assert scheduler.warm.is_set()
    phases = {round((began - rest[0]) % 15, 6) % 15 for began in rest}
    assert phases == {0.0}
    assert len(rest) in (239, 240)


async def test_a_hanging_monitor_is_cut_off_at_its_deadline_and_hurts_no_other(kept: Kept) -> None:
    stuck, healthy = Scripted(hangs), Scripted(fine)
    await run_for(600, kept, stuck, healthy)
    assert len(healthy.began) >= 40
    assert len(stuck.began) >= 39
    assert set(kept.ups()) == {0, 1}
    assert max(duration or 0 for duration in kept.durations()) == pytest.approx(10.0)


async def test_a_run_that_does_not_end_when_cancelled_is_skipped_until_it_does(
    kept: Kept, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    answer = asyncio.Event()

    async def stubborn(run: int) -> list[Reading]:
        if run == 3:
            while not answer.is_set():
                try:
                    await answer.wait()
                except asyncio.CancelledError:
                    continue
        return [Reading("a", run)]

    monitor = Scripted(stubborn)
    scheduler = Scheduler([monitor], world=paper_world(clock=VirtualClock()), keep=kept, seed="s")
    task = asyncio.create_task(scheduler.run())
    await asyncio.sleep(600)
    assert len(monitor.began) == 3
    answer.set()
    await asyncio.sleep(60)
    assert len(monitor.began) >= 6
    task.cancel()
    await asyncio.wait({task})
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.INFO]
    assert said == [
        "monitor scripted: failing: cut off at its deadline of 10 s",
        "monitor scripted: ok again",
    ]


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        (Unreadable("permission denied"), "monitor scripted: failing: permission denied"),
        (KeyError("x"), "monitor scripted: failing: KeyError: 'x'"),
        (Absent("no /proc"), "monitor scripted: nothing to watch: no /proc"),
    ],
)
async def test_a_change_of_state_is_logged_once(
    kept: Kept, caplog: pytest.LogCaptureFixture, trouble: Exception, said: str
) -> None:
    caplog.set_level(logging.INFO)

    async def troubled(run: int) -> list[Reading]:
        if 3 <= run <= 40:
            raise trouble
        return [Reading("a", run)]

    await run_for(1200, kept, Scripted(troubled))
    assert [record.getMessage() for record in caplog.records] == [said, "monitor scripted: ok again"]


@pytest.mark.parametrize("nonsense", [None, 7, ["text"], [Reading("a", "high")], [Reading("a", 1, {"n": 3})]])  # type: ignore[arg-type, dict-item]
async def test_readings_that_are_none_fail_this_monitor_only(kept: Kept, nonsense: list[Reading]) -> None:
    async def talks_nonsense(run: int) -> list[Reading]:
        return nonsense

    healthy = Scripted(fine)
    await run_for(100, kept, Scripted(talks_nonsense), healthy)
    assert len(healthy.began) > 6
    assert kept.ups().count(0) > 6


async def test_an_absent_monitor_is_neither_up_nor_down(kept: Kept) -> None:
    async def absent(run: int) -> list[Reading]:
        raise Absent("not here")

    await run_for(100, kept, Scripted(absent))
    assert set(kept.ups()) == {None}
    assert None not in kept.durations()


async def test_a_jump_of_the_wall_clock_moves_no_run(kept: Kept) -> None:
    clock = VirtualClock()

    async def jump(run: int) -> list[Reading]:
        clock.wrong_by_ms += 86_400_000 * (-1) ** run
        return []

    monitor = Scripted(jump)
    await run_for(600, kept, monitor, clock=clock)
    gaps = {round(later - earlier, 3) for earlier, later in zip(monitor.began[2:], monitor.began[3:], strict=False)}
    assert gaps == {15.0}


async def test_a_full_disk_is_said_once_and_the_monitor_goes_on(kept: Kept, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    monitor = Scripted(fine)
    kept.full = True
    scheduler = Scheduler([monitor], world=paper_world(clock=VirtualClock()), keep=kept, seed="s")
    task = asyncio.create_task(scheduler.run())
    await asyncio.sleep(100)
    kept.full = False
    await asyncio.sleep(100)
    task.cancel()
    await asyncio.wait({task})
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]
    assert "disk is full" in caplog.text


async def test_ten_monitors_do_not_run_in_the_same_moment(kept: Kept) -> None:
    monitors = [Scripted(fine) for _ in range(10)]
    await run_for(600, kept, *monitors)
    assert len({round(monitor.began[5], 1) for monitor in monitors}) >= 8


async def test_the_interval_can_be_set_for_all(kept: Kept) -> None:
    monitor = Scripted(fine)
    scheduler = Scheduler([monitor], world=paper_world(clock=VirtualClock()), keep=kept, seed="s", interval_seconds=1.0)
    task = asyncio.create_task(scheduler.run())
    await asyncio.sleep(60)
    task.cancel()
    await asyncio.wait({task})
    assert len(monitor.began) >= 58
    facts = facts_of([monitor], 1.0)
    assert [(fact.name, fact.interval_seconds) for fact in facts] == [("scripted", 1.0), ("twinwatch", 1.0)]


async def test_an_agent_without_monitors_is_warm_at_once(kept: Kept) -> None:
    scheduler = await run_for(0.1, kept)
    assert scheduler.warm.is_set()
