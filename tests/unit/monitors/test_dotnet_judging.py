"""What is judged over time."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from twinwatch.monitors import Check
from twinwatch.monitors.dotnet.judging import Exceptions, Heap, Pauses, ThreadPool

MB = 1_000_000


def test_a_queue_that_grows_though_threads_are_added_is_starvation() -> None:
    judge = ThreadPool()
    states = [judge.judge(15.0 * run, 2.0 + run * 3, 8 + run).state for run in range(6)]
    assert states == ["up"] * 4 + ["degraded"] * 2
    assert judge.judge(90.0, 40.0, 14).state == "degraded"
    assert judge.judge(105.0, 0.0, 14).state == "up"


def test_a_busy_pool_that_keeps_up_does_not_starve() -> None:
    judge = ThreadPool()
    assert {judge.judge(15.0 * run, 5.0, 8 + run).state for run in range(40)} == {"up"}
    judge = ThreadPool()
    assert {judge.judge(15.0 * run, run * 2.0 if run % 3 else 0.0, 8 + run).state for run in range(40)} == {"up"}


def test_pauses_are_judged_over_a_minute_with_slack() -> None:
    judge = Pauses(0.10)
    assert judge.judge(0.0, 0.9).state == "up", "one bad moment is none"
    for run in range(1, 5):
        check = judge.judge(15.0 * run, 0.3)
    assert (check.state, check.reason) == ("degraded", "long-pauses")
    assert judge.judge(75.0, 0.08).state == "degraded"
    for run in range(6, 12):
        check = judge.judge(15.0 * run, 0.01)
    assert check.state == "up"


def _heap(sizes: Iterable[float]) -> list[Check | None]:
    judge = Heap()
    return [judge.judge(1800.0 * run, size, collected=True) for run, size in enumerate(sizes)]


def test_a_heap_that_grows_for_six_hours_is_told() -> None:
    found = _heap(200 * MB + run * 20 * MB for run in range(16))
    assert [one.state for one in found if one is not None][:12] == ["up"] * 12
    assert found[-1] is not None
    assert (found[-1].state, found[-1].reason) == ("degraded", "growing")


def test_a_heap_that_breathes_or_grows_a_little_is_well() -> None:
    assert {one.state for one in _heap(200 * MB + (run % 5) * 90 * MB for run in range(60)) if one} == {"up"}
    assert {one.state for one in _heap(200 * MB + run * 10_000 for run in range(60)) if one} == {"up"}
    assert Heap().judge(0.0, 5.0, collected=False) is None


def test_five_times_as_many_exceptions_as_usual_are_told_until_they_are_few() -> None:
    judge = Exceptions(5.0)
    now = 0.0
    for _ in range(200):
        now += 15
        assert judge.judge(now, 2.0).state == "up"
    states = []
    for _ in range(20):
        now += 15
        states.append(judge.judge(now, 60.0).state)
    assert states[-1] == "degraded"
    for _ in range(30):
        now += 15
        check = judge.judge(now, 2.0)
    assert check.state == "up"


def test_a_few_exceptions_after_none_and_many_at_the_start_are_nothing() -> None:
    judge = Exceptions(5.0)
    assert {judge.judge(15.0 * run, 0.0 if run < 200 else 0.4).state for run in range(300)} == {"up"}
    judge = Exceptions(5.0)
    assert judge.judge(0.0, 500.0).state == "up"


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e12), st.floats(0, 1e12)), max_size=30))
def test_whatever_is_told_every_judge_answers(runs: list[tuple[float, float, float]]) -> None:
    pool, pauses, heap, exceptions = ThreadPool(), Pauses(0.1), Heap(), Exceptions(5.0)
    for now, one, two in runs:
        states = {
            pool.judge(now, one, two).state,
            pauses.judge(now, min(one, 1.0)).state,
            exceptions.judge(now, one).state,
            getattr(heap.judge(now, one, collected=two > 1), "state", "up"),
        }
        assert states <= {"up", "degraded"}
