"""Monitors on their grids: each its own run, deadline and failure."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from itertools import pairwise

import pytest

from twinwatch.agent.plan import Plan
from twinwatch.agent.scheduler import Scheduler
from twinwatch.monitors import Absent, Finding, Reading, Unreadable
from twinwatch.testing.fakes import VirtualClock
from twinwatch.testing.planning import plan_of

from .scripted import Kept, Scripted, Stage, fine, hangs


@pytest.fixture
def kept() -> Kept:
    return Kept()


async def run_for(seconds: float, kept: Kept, *monitors: Scripted, clock: VirtualClock | None = None) -> Scheduler:
    stage = Stage(kept, plan_of(*monitors), clock)
    await asyncio.sleep(seconds)
    await stage.end()
    return stage.scheduler


async def test_the_first_two_runs_come_quickly_and_the_rest_on_a_grid(kept: Kept) -> None:
    async def slow(run: int) -> list[Finding]:
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
    assert set(kept.ups("scripted")) == {0}
    assert set(kept.ups("scripted-2")) == {1}
    assert max(duration or 0 for duration in kept.durations()) == pytest.approx(10.0)


async def test_ten_monitors_that_hang_for_ever_leave_the_eleventh_alone(kept: Kept) -> None:
    answer = asyncio.Event()

    async def stubborn(run: int) -> list[Finding]:
        while not answer.is_set():
            try:
                await answer.wait()
            except asyncio.CancelledError:
                continue
        return []

    healthy = Scripted(fine)
    hanging = [Scripted(stubborn) for _ in range(10)]
    stage = Stage(kept, plan_of(healthy, *hanging))
    await asyncio.sleep(3600)
    assert [len(monitor.began) for monitor in hanging] == [1] * 10
    assert len(healthy.began) >= 240
    assert set(kept.ups("scripted")) == {1}
    assert {monitor.state for monitor in stage.standing.monitors} == {"ok", "failing"}
    answer.set()
    await asyncio.sleep(16)
    assert {monitor.state for monitor in stage.standing.monitors} == {"ok"}
    await stage.end()


async def test_a_run_that_does_not_end_when_cancelled_is_skipped_until_it_does(
    kept: Kept, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    answer = asyncio.Event()

    async def stubborn(run: int) -> list[Finding]:
        if run == 3:
            while not answer.is_set():
                try:
                    await answer.wait()
                except asyncio.CancelledError:
                    continue
        return [Reading("a", run)]

    monitor = Scripted(stubborn)
    stage = Stage(kept, plan_of(monitor))
    await asyncio.sleep(600)
    assert len(monitor.began) == 3
    answer.set()
    await asyncio.sleep(60)
    assert len(monitor.began) >= 6
    await stage.end()
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.INFO]
    assert said == [
        "monitor scripted: failing: cut off at its deadline of 10 s",
        "monitor scripted: ok again",
    ]


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        (Unreadable("permission\ndenied"), "monitor scripted: failing: permission denied"),
        (KeyError("x"), "monitor scripted: failing: KeyError: 'x'"),
        (Absent("no /proc"), "monitor scripted: nothing to watch: no /proc"),
    ],
)
async def test_a_change_of_state_is_logged_once(
    kept: Kept, caplog: pytest.LogCaptureFixture, trouble: Exception, said: str
) -> None:
    caplog.set_level(logging.INFO)

    async def troubled(run: int) -> list[Finding]:
        if 3 <= run <= 40:
            raise trouble
        return [Reading("a", run)]

    await run_for(1200, kept, Scripted(troubled))
    assert [record.getMessage() for record in caplog.records] == [said, "monitor scripted: ok again"]


@pytest.mark.parametrize("nonsense", [None, 7, ["text"], [Reading("a", "high")], [Reading("a", 1, {"n": 3})]])  # type: ignore[arg-type, dict-item]
async def test_readings_that_are_none_fail_this_monitor_only(kept: Kept, nonsense: list[Finding]) -> None:
    async def talks_nonsense(run: int) -> list[Finding]:
        return nonsense

    healthy = Scripted(fine)
    await run_for(100, kept, Scripted(talks_nonsense), healthy)
    assert len(healthy.began) > 6
    assert kept.ups().count(0) > 6


async def test_an_absent_monitor_is_neither_up_nor_down(kept: Kept) -> None:
    async def absent(run: int) -> list[Finding]:
        raise Absent("not here")

    await run_for(100, kept, Scripted(absent))
    assert set(kept.ups()) == {None}
    assert None not in kept.durations()


async def test_a_monitor_that_cannot_be_made_is_failing_and_is_tried_again(
    kept: Kept, caplog: pytest.LogCaptureFixture
) -> None:
    made: list[float] = []

    class Fragile(Scripted):
        def __init__(self, options: object) -> None:
            made.append(clock.monotonic())
            if len(made) < 4:
                raise ValueError("no such port")
            super().__init__(fine)

    clock = VirtualClock()
    (one,) = plan_of(Scripted(fine)).monitors
    fragile = replace(one, kind=Fragile, name="fragile")
    healthy = Scripted(fine)
    (other,) = plan_of(healthy).monitors
    stage = Stage(kept, Plan((fragile, other)), clock)
    await asyncio.sleep(10)
    (standing, _) = stage.standing.monitors
    assert (standing.state, standing.reason) == ("failing", "ValueError: no such port")
    await asyncio.sleep(60)
    assert stage.standing.monitors[0].state == "ok"
    assert len(healthy.began) >= 5
    await stage.end()


@pytest.mark.parametrize("wrong_by_ms", [86_400_000, -86_400_000])
async def test_a_jump_of_the_wall_clock_moves_no_run(kept: Kept, wrong_by_ms: int) -> None:
    clock = VirtualClock()

    async def jump(run: int) -> list[Finding]:
        if run == 20:
            clock.wrong_by_ms += wrong_by_ms
        return [Reading("a", run)]

    monitor = Scripted(jump)
    await run_for(600, kept, monitor, clock=clock)
    gaps = {round(later - earlier, 3) for earlier, later in zip(monitor.began[2:], monitor.began[3:], strict=False)}
    assert gaps == {15.0}
    times = kept.times("scripted")
    assert times[20] - times[19] == pytest.approx(15_000 + wrong_by_ms, abs=2)
    assert len(set(times)) == len(times)


async def test_a_small_step_back_of_the_wall_clock_leaves_times_ascending(kept: Kept) -> None:
    clock = VirtualClock()

    async def slewed(run: int) -> list[Finding]:
        clock.wrong_by_ms -= 4_500
        return [Reading("a", run)]

    monitor = Scripted(slewed)
    stage = Stage(kept, plan_of(monitor, interval_seconds=5.0), clock)
    await asyncio.sleep(300)
    await stage.end()
    times = kept.times("scripted")
    assert len(times) > 55
    assert all(later > earlier for earlier, later in pairwise(times))


async def test_a_clock_that_leaps_or_stands_still_costs_slots_and_no_storm(kept: Kept) -> None:
    class Suspended(VirtualClock):
        asleep = 0.0

        def monotonic(self) -> float:
            return super().monotonic() + self.asleep

    clock = Suspended()
    monitor = Scripted(fine)
    stage = Stage(kept, plan_of(monitor), clock)
    await asyncio.sleep(100)
    runs = len(monitor.began)
    clock.asleep += 7 * 3600 + 7
    await asyncio.sleep(100)
    assert 6 <= len(monitor.began) - runs <= 8
    phases = {round((began - monitor.began[2]) % 15, 3) % 15 for began in monitor.began[2:]}
    assert len(phases) <= 2
    assert len(kept.times("scripted")) == len(set(kept.times("scripted")))
    await stage.end()


async def test_ten_monitors_do_not_run_in_the_same_moment(kept: Kept) -> None:
    monitors = [Scripted(fine) for _ in range(10)]
    await run_for(600, kept, *monitors)
    assert len({round(monitor.began[5], 1) for monitor in monitors}) >= 8


@pytest.mark.parametrize("interval_seconds", [0.2, 5.0, 3600.0])
async def test_intervals_from_a_fraction_of_a_second_to_an_hour(kept: Kept, interval_seconds: float) -> None:
    monitor = Scripted(fine)
    stage = Stage(kept, plan_of(monitor, interval_seconds=interval_seconds))
    await asyncio.sleep(interval_seconds * 20 + 5)
    await stage.end()
    assert len(monitor.began) == pytest.approx(22 + 5 / interval_seconds, abs=5)


async def test_an_agent_without_monitors_is_warm_at_once(kept: Kept) -> None:
    scheduler = await run_for(0.1, kept)
    assert scheduler.warm.is_set()


async def test_a_defect_of_the_scheduler_itself_is_not_hidden(kept: Kept) -> None:
    async def keeps_nothing(ticks: object) -> None:
        raise AssertionError("a defect")

    stage = Stage(keeps_nothing, plan_of(Scripted(fine)))  # type: ignore[arg-type]
    with pytest.raises(AssertionError, match="a defect"):
        await asyncio.wait_for(stage.task, 60)
