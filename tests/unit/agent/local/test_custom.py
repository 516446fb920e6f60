"""Pushes become ticks of one shape; counters become rates; what is too much is told."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twinwatch.agent.buffer import Tick
from twinwatch.agent.local.custom import Custom
from twinwatch.agent.local.pushed import POINTS, Pushed
from twinwatch.monitors.distributions import Distribution, Exponential

NOW = 1_800_000_000_000


class HandClock:
    """Set by hand."""

    def __init__(self) -> None:
        self.seconds = 5_000.0

    def now(self) -> int:
        return NOW + round((self.seconds - 5_000.0) * 1000)

    def monotonic(self) -> float:
        return self.seconds


class Stage:
    """Custom metrics with a memory for a buffer."""

    def __init__(self, **options: object) -> None:
        self.clock = HandClock()
        self.ticks: list[Tick] = []
        self.changes = 0
        self.custom = Custom(self.clock, self._keep, changed=self._changed, **options)  # type: ignore[arg-type]

    async def _keep(self, ticks: Sequence[Tick]) -> None:
        self.ticks += ticks

    def _changed(self) -> None:
        self.changes += 1

    async def after(self, seconds: float, *pushed: Pushed) -> list[str]:
        """Time passes, these are pushed, and what waits is written."""
        self.clock.seconds += seconds
        faults = self.custom.take(pushed)
        await self.custom.flush()
        return faults

    def values(self) -> list[dict[str, float]]:
        """Of each tick, what it has a value for."""
        return [
            {
                key.metric + "".join(f"|{label}" for label in key.labels.values()): value
                for key, value in zip(tick.shape.series, tick.values, strict=True)
                if value is not None
            }
            for tick in self.ticks
        ]


def gauge(name: str, value: float, *, time: int | None = None, unit: str = "", **labels: str) -> Pushed:
    return Pushed(name, "gauge", value, labels, unit, time=time)


def counter(name: str, value: float, *, time: int | None = None, **labels: str) -> Pushed:
    return Pushed(name, "counter", value, labels, time=time)


async def test_a_push_is_a_tick_of_the_monitor_custom() -> None:
    stage = Stage()
    assert await stage.after(0, gauge("orders.open", 12, shop="a")) == []
    (tick,) = stage.ticks
    assert (tick.shape.monitor, tick.time, list(tick.values)) == ("custom", NOW, [12])
    assert tick.shape.series[0].labels == {"shop": "a"}


async def test_all_series_are_in_one_shape_that_changes_for_a_new_one_only() -> None:
    stage = Stage()
    await stage.after(0, gauge("b", 1), gauge("a", 2))
    await stage.after(15, gauge("b", 3))
    await stage.after(15, gauge("c", 4))
    first, second, third = stage.ticks
    assert first.shape is second.shape
    assert [key.metric for key in third.shape.series] == ["a", "b", "c"]
    assert list(second.values) == [None, 3]


async def test_a_series_leaves_an_hour_after_its_last_push() -> None:
    stage = Stage()
    await stage.after(0, gauge("a", 1), gauge("b", 1))
    for _ in range(80):
        await stage.after(60, gauge("b", 1))
    assert [key.metric for key in stage.ticks[-1].shape.series] == ["b"]
    assert stage.custom.series == 1
    assert [metric.name for metric in stage.custom.declaration.metrics] == ["a", "b"]


async def test_a_counter_becomes_a_rate_and_a_reset_is_no_sample() -> None:
    stage = Stage()
    for value in (100, 160, 5, 65):
        await stage.after(15, counter("jobs", value))
    assert stage.values() == [{"jobs": 4.0}, {"jobs": 4.0}]
    assert stage.custom.declaration.metrics[0].unit == "{count}/s"


async def test_counters_of_their_own_time_are_rated_by_it() -> None:
    stage = Stage()
    await stage.after(60, counter("jobs", 0, time=NOW), counter("jobs", 50, time=NOW + 50_000))
    assert stage.values() == [{"jobs": 1.0}]
    assert stage.ticks[0].time == NOW + 50_000


async def test_counters_of_the_past_that_come_late_change_nothing() -> None:
    stage = Stage()
    await stage.after(60, counter("jobs", 10, time=NOW), counter("jobs", 5, time=NOW - 10_000))
    await stage.after(10, counter("jobs", 20, time=NOW + 10_000))
    assert stage.values() == [{"jobs": 1.0}]


async def test_a_clock_that_jumps_does_not_bend_a_rate() -> None:
    stage = Stage()
    await stage.after(0, counter("jobs", 0))
    real = stage.clock.now
    stage.clock.now = lambda: real() + 86_400_000  # type: ignore[method-assign]
    await stage.after(10, counter("jobs", 10))
    assert stage.values() == [{"jobs": 1.0}]


async def test_several_pushes_of_a_stretch_are_one_sample() -> None:
    stage = Stage()
    stage.custom.take([gauge("a", 1, time=NOW), gauge("a", 2, time=NOW + 1), gauge("a", 1, time=NOW - 1)])
    await stage.custom.flush()
    assert [tick.values for tick in stage.ticks][-1] == [2]


async def test_samples_of_the_past_are_kept_at_their_own_time() -> None:
    stage = Stage()
    await stage.after(0, gauge("a", 1, time=NOW - 3_600_000), gauge("a", 2, time=NOW - 60_000), gauge("a", 3))
    assert [(tick.time, list(tick.values)) for tick in stage.ticks] == [
        (NOW - 3_600_000, [1]),
        (NOW - 60_000, [2]),
        (NOW, [3]),
    ]


@pytest.mark.parametrize("time", [NOW - 90_000_000, NOW + 400_000, 1_800_000_000])
async def test_a_time_out_of_bounds_is_told(time: int) -> None:
    (fault,) = await Stage().after(0, gauge("a", 1, time=time))
    assert "milliseconds since 1970, at most 24 h ago and 5 min ahead" in fault


async def test_one_series_too_many_is_told_with_the_limit_and_an_example() -> None:
    stage = Stage(max_series=2)
    faults = await stage.after(
        0, gauge("a", 1, n="1"), gauge("a", 1, n="2"), gauge("a", 1, n="3"), gauge("a", 2, n="1")
    )
    assert len(faults) == 1
    assert "a {'n': '3'}: more than 2 series" in faults[0]
    assert stage.custom.series == 2


async def test_a_name_that_a_monitor_has_is_refused() -> None:
    stage = Stage(taken={"system.cpu.utilization": "system"}.get)
    assert (
        "the monitor 'system' has a metric of this name"
        in (await stage.after(0, gauge("system.cpu.utilization", 1)))[0]
    )
    assert "the agent's own" in (await stage.after(0, gauge("twinwatch.monitor.up", 1)))[0]


@pytest.mark.parametrize(
    ("pushed", "words"),
    [
        (gauge("", 1), "expected 1 to 128"),
        (gauge("1a", 1), "expected a letter"),
        (gauge("a b", 1), "expected a letter"),
        (gauge("a" * 129, 1), "129 characters"),
        (gauge("a", float("nan")), "expected a finite number"),
        (gauge("a", 10**400), "expected a finite number"),
        (gauge("a", 1, unit="x" * 33), "at most 32 characters"),
        (Pushed("a", "gauge", 1, {"": "x"}), "label ''"),
        (gauge("a", 1, b="x" * 257), "257 characters; at most 256"),
        (gauge("a", 1, b="x\n"), "cannot be printed"),
        (Pushed("a", "gauge", 1, {f"l{n}": "x" for n in range(17)}), "17 labels; at most 16"),
    ],
)
async def test_what_the_hub_would_refuse_is_refused_here(pushed: Pushed, words: str) -> None:
    stage = Stage()
    (fault,) = await stage.after(0, pushed)
    assert words in fault
    assert stage.ticks == []
    assert stage.custom.declaration.metrics == ()


async def test_a_metric_stays_what_it_was_for_an_hour() -> None:
    stage = Stage()
    await stage.after(0, gauge("a", 1, unit="s"))
    assert "was pushed as a gauge before" in (await stage.after(1, counter("a", 1)))[0]
    assert "was pushed in 's' before" in (await stage.after(1, gauge("a", 1, unit="By")))[0]
    assert await stage.after(1, gauge("a", 2)) == []
    assert await stage.after(4000, counter("a", 1)) == []


async def test_a_histogram_becomes_six_series() -> None:
    stage = Stage()
    bounds = (1.0, 2.0)
    await stage.after(0, Pushed("t", "counter", Distribution(bounds, (0, 0, 0), 0.0), {}, "s"))
    await stage.after(10, Pushed("t", "counter", Distribution(bounds, (10, 10, 0), 30.0), {}, "s"))
    await stage.after(10, Pushed("t", "counter", Distribution(bounds, (10, 10, 0), 30.0), {}, "s"))
    first, second = stage.values()
    assert first == {"t.count": 2.0, "t.sum": 3.0, "t.mean": 1.5, "t.p50": 1.0, "t.p95": 1.9, "t.p99": 1.98}
    assert second == {"t.count": 0.0, "t.sum": 0.0}
    assert {metric.name: metric.unit for metric in stage.custom.declaration.metrics} == {
        "t.count": "{count}/s", "t.sum": "s/s", "t.mean": "s", "t.p50": "s", "t.p95": "s", "t.p99": "s",
    }  # fmt: skip
    assert [chart.metrics for chart in stage.custom.declaration.charts] == [
        ("t.mean", "t.p50", "t.p95", "t.p99"),
        ("t.count",),
    ]


async def test_deltas_are_added_up_within_a_stretch() -> None:
    stage = Stage()
    one = Pushed("t", "delta", Exponential(3, {0: 2}, sum=4.0), {}, seconds=2.0)
    await stage.after(0, one, one, Pushed("n", "delta", 10, {}, seconds=5.0), Pushed("n", "delta", 20, {}, seconds=5.0))
    (values,) = stage.values()
    assert values["n"] == 3.0
    assert values["t.count"] == 1.0
    assert values["t.mean"] == 2.0


async def test_the_catalogue_follows_once_per_writing() -> None:
    stage = Stage()
    await stage.after(0, gauge("a", 1), gauge("b", 1, x="1"))
    await stage.after(10, gauge("a", 1), gauge("b", 1, x="2"))
    assert stage.changes == 1
    assert [(chart.title, chart.by) for chart in stage.custom.declaration.charts] == [("a", ()), ("b", ("x",))]


async def test_a_restart_forgets_no_metric_that_was_pushed_of_late(tmp_path: Path) -> None:
    memory = tmp_path / "custom-metrics.json"
    before = Stage(memory=memory)
    histogram = Pushed("t", "counter", Distribution((1.0,), (0, 0), 0.0), {"route": "/"}, "s", "How long it took")
    await before.after(0, gauge("a", 1, unit="By", n="1"), histogram)
    assert stat.S_IMODE(memory.stat().st_mode) == 0o600
    after = Stage(memory=memory)
    assert after.custom.declaration == before.custom.declaration
    assert after.custom.series == 0
    assert await after.after(0, counter("a", 1)) == []


@pytest.mark.parametrize("content", [b"", b"[", b"[1]", b'[{"name":"a","kind":"x","heard":0}]', b"\xff" * 100])
async def test_a_damaged_memory_is_none(tmp_path: Path, content: bytes) -> None:
    memory = tmp_path / "custom-metrics.json"
    memory.write_bytes(content)
    assert Stage(memory=memory).custom.declaration.metrics == ()


async def test_what_was_not_pushed_for_a_week_is_forgotten(tmp_path: Path) -> None:
    memory = tmp_path / "custom-metrics.json"
    await Stage(memory=memory).after(0, gauge("a", 1))
    memory.write_bytes(memory.read_bytes().replace(str(NOW).encode(), str(NOW - 8 * 86_400_000).encode()))
    assert Stage(memory=memory).custom.declaration.metrics == ()


async def test_more_series_than_a_shape_may_have_are_several_shapes() -> None:
    stage = Stage(max_series=5_000)
    await stage.after(0, *(gauge("a", number, n=f"{number:04}") for number in range(5_000)))
    assert [len(tick.shape.series) for tick in stage.ticks] == [4_096, 904]
    assert [value for tick in stage.ticks for value in tick.values] == list(range(5_000))


async def test_a_flood_of_past_times_is_bounded() -> None:
    stage = Stage()
    faults = [
        fault
        for batch in range(3)
        for fault in stage.custom.take(
            gauge(f"a{number % 4}", 1, time=NOW - (batch * POINTS + number) // 4 * 10_000 % 80_000_000)
            for number in range(POINTS)
        )
    ]
    assert faults
    assert "wait to be written" in faults[0]
    await stage.custom.flush()
    assert len(stage.ticks) <= 8_001


_values = st.one_of(
    st.floats(),
    st.integers(),
    st.builds(
        Distribution,
        bounds=st.just((1.0, 2.0)),
        counts=st.tuples(*[st.floats(0, 1e300)] * 3),
        sum=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    ),
)
_pushed = st.builds(
    Pushed,
    name=st.sampled_from(["a", "b", "a.count", "", "é"]),
    way=st.sampled_from(["gauge", "counter", "delta"]),
    value=_values,
    labels=st.dictionaries(st.sampled_from(["x", "y"]), st.text(max_size=3), max_size=2),
    time=st.none() | st.integers(NOW - 100_000, NOW + 100_000),
    seconds=st.floats(0, 1e9),
)


@settings(max_examples=200)
@given(st.lists(_pushed.filter(lambda each: each.way != "gauge" or isinstance(each.value, float | int)), max_size=30))
async def test_whatever_is_pushed_ticks_are_lawful(pushed: list[Pushed]) -> None:
    stage = Stage(max_series=20)
    for each in pushed:
        await stage.after(3, each)
    for tick in stage.ticks:
        assert len(tick.values) == len(tick.shape.series) <= 20
        assert all(value is None or abs(value) < float("inf") for value in tick.values)
