"""New plans while monitors run, and monitors that are watched."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from twinwatch.agent.plan import Plan
from twinwatch.agent.runner import STORM_WAKES
from twinwatch.monitors import Check, Declaration, Finding, Reading
from twinwatch.protocol.checks import ConfigurationStanding
from twinwatch.protocol.metrics import Metric
from twinwatch.testing.planning import plan_of, planned
from twinwatch.testing.story import until

from .scripted import Kept, Scripted, Stage, Watched, fine, hangs


@pytest.fixture
def kept() -> Kept:
    return Kept()


async def checked(run: int) -> list[Finding]:
    return [Reading("a", run), Check("door", "up"), Check("window", "down", "open", "ajar")]


async def test_what_is_planned_as_before_runs_on_untouched(kept: Kept) -> None:
    stays, goes, comes = Scripted(fine), Scripted(fine), Scripted(fine)
    one, other, new = planned(stays, name="stays"), planned(goes, name="goes"), planned(comes, name="comes")
    stage = Stage(kept, Plan((one, other)))
    await asyncio.sleep(100)
    before = len(goes.began)
    stage.scheduler.apply(Plan((new, one)))
    await asyncio.sleep(100)
    assert len(goes.began) == before
    assert 5 <= len(comes.began) <= 10
    gaps = {round(later - earlier, 3) for earlier, later in zip(stays.began[2:], stays.began[3:], strict=False)}
    assert gaps == {15.0}
    assert [monitor.name for monitor in stage.standing.monitors] == ["comes", "stays"]
    assert stage.scheduler.plan == Plan((new, one))
    await stage.end()


async def test_what_has_changed_starts_anew_and_keeps_its_checks_meanwhile(kept: Kept) -> None:
    (one,) = plan_of(Scripted(checked)).monitors
    stage = Stage(kept, Plan((one,)))
    await asyncio.sleep(20)
    since = {check.name: check.since for check in stage.standing.checks}
    assert since.keys() == {"scripted:door", "scripted:window"}
    again = Scripted(checked)
    (other,) = plan_of(again).monitors
    await asyncio.sleep(500)
    stage.scheduler.apply(Plan((replace(other, interval_seconds=30.0),)))
    assert stage.standing.monitors[0].state == "new"
    assert len(stage.standing.checks) == 2
    await asyncio.sleep(70)
    assert len(again.began) in (4, 5)
    assert {check.name: check.since for check in stage.standing.checks} == since
    await stage.end()


async def test_checks_of_what_is_no_longer_planned_vanish(kept: Kept) -> None:
    stage = Stage(kept, plan_of(Scripted(checked), Scripted(fine)))
    await asyncio.sleep(20)
    assert len(stage.standing.checks) == 2
    stage.scheduler.apply(Plan())
    assert not stage.standing.report(ConfigurationStanding()).checks
    assert not stage.standing.report(ConfigurationStanding()).monitors
    await asyncio.sleep(100)
    await stage.end()


async def test_one_that_hangs_can_be_replaced(kept: Kept) -> None:
    async def deaf(run: int) -> list[Finding]:
        while True:
            try:
                await asyncio.sleep(100_000)
            except asyncio.CancelledError:
                continue

    stage = Stage(kept, plan_of(Scripted(deaf), Scripted(hangs)))
    await asyncio.sleep(40)
    better = Scripted(fine), Scripted(fine)
    stage.scheduler.apply(plan_of(*better))
    await until(lambda: all(len(monitor.began) > 2 for monitor in better), 40)
    assert {monitor.state for monitor in stage.standing.monitors} == {"ok"}
    await stage.end()
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.get_coro().close()


async def test_a_plan_before_the_run_and_many_in_a_row_are_all_right(kept: Kept) -> None:
    stage = Stage(kept, Plan())
    last = Scripted(fine)
    for _ in range(20):
        stage.scheduler.apply(plan_of(Scripted(fine)))
    stage.scheduler.apply(plan_of(last))
    await asyncio.sleep(60)
    assert len(last.began) >= 5
    assert set(kept.ups()) == {1}
    await stage.end()


async def test_checks_are_samples_too_and_unknown_is_none(kept: Kept) -> None:
    async def all_sorts(run: int) -> list[Finding]:
        return [Check("a", "up"), Check("b", "degraded"), Check("c", "down"), Check("d", "unknown")]

    stage = Stage(kept, plan_of(Scripted(all_sorts)))
    await asyncio.sleep(20)
    await stage.end()
    values = [set(kept.check(f"scripted:{name}")) for name in "abcd"]
    assert values == [{1.0}, {0.5}, {0.0}, {None}]


async def test_a_monitor_with_a_name_of_its_own_bears_it_on_every_series(kept: Kept) -> None:
    stage = Stage(kept, plan_of(Scripted(fine), Scripted(fine)))
    await asyncio.sleep(20)
    await stage.end()
    labels = {
        tuple(series.labels.items()) for tick in kept.ticks for series in tick.shape.series if series.metric == "a"
    }
    assert labels == {(), (("twinwatch.monitor.name", "scripted-2"),)}
    assert {tick.shape.monitor for tick in kept.ticks} == {"scripted", "twinwatch"}


async def test_a_watch_wakes_its_monitor_at_once_and_leaves_the_grid_alone(kept: Kept) -> None:
    monitor = Watched(fine)
    stage = Stage(kept, plan_of(monitor))
    await asyncio.sleep(100)
    grid = monitor.began[-1] % 15
    for pause in (3.0, 4.0, 30.0, 1.0):
        runs = len(monitor.began)
        monitor.changed()
        assert await until(lambda runs=runs: len(monitor.began) > runs, 1, every_seconds=0.01) < 0.3  # type: ignore[misc]
        await asyncio.sleep(pause)
    await asyncio.sleep(30)
    assert monitor.began[-1] % 15 == pytest.approx(grid)
    assert monitor.began[-2] % 15 == pytest.approx(grid)
    await stage.end()


async def test_many_wakes_are_few_runs(kept: Kept) -> None:
    monitor = Watched(fine)
    stage = Stage(kept, plan_of(monitor, interval_seconds=60.0))
    await asyncio.sleep(100)
    before = len(monitor.began)
    for _ in range(3000):
        monitor.changed()
        await asyncio.sleep(0.01)
    assert len(monitor.began) - before <= 2 * STORM_WAKES + 32  # a slot of the grid lies within
    quick = [later - earlier for earlier, later in zip(monitor.began[2:], monitor.began[3:], strict=False)]
    assert min(quick) >= 0.19
    await stage.end()


async def test_a_watch_that_fails_is_started_again_ever_more_seldom(
    kept: Kept, caplog: pytest.LogCaptureFixture
) -> None:
    monitor = Watched(fine)
    monitor.trouble = OSError("no bus")
    stage = Stage(kept, plan_of(monitor))
    await asyncio.sleep(3600)
    assert 60 < len(monitor.watches) < 240
    assert len(monitor.began) >= 240
    assert [record.getMessage() for record in caplog.records] == [
        "monitor watched: no longer watched, only read by interval: OSError: no bus"
    ]
    monitor.trouble = None
    watches = len(monitor.watches)
    await until(lambda: len(monitor.watches) > watches, 61)
    await asyncio.sleep(61)
    runs = len(monitor.began)
    monitor.changed()
    await until(lambda: len(monitor.began) > runs, 0.3, every_seconds=0.01)
    await stage.end()


async def test_what_a_monitor_learns_is_told(kept: Kept) -> None:
    monitor = Scripted(fine)
    stage = Stage(kept, plan_of(monitor))
    stage.scheduler.facts_changed.clear()
    await asyncio.sleep(20)
    assert not stage.scheduler.facts_changed.is_set()
    monitor.learned = Declaration((Metric("b", "1", "B"),))  # type: ignore[attr-defined]
    await asyncio.sleep(20)
    assert stage.scheduler.facts_changed.is_set()
    ((_, declaration),) = stage.scheduler.learned()
    assert declaration.metrics[0].name == "b"
    await stage.end()
