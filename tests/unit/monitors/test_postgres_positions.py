from __future__ import annotations

from math import inf

from hypothesis import given
from hypothesis import strategies as st

from twinwatch.monitors.postgres.positions import MARKS, Positions


def seen(*marks: tuple[float, float]) -> Positions:
    positions = Positions()
    for at, position in marks:
        positions.see(at, position)
    return positions


def test_who_has_everything_is_not_behind_however_long_nothing_was_written() -> None:
    positions = seen((0, 100), (30, 100), (3600, 100))
    assert positions.age(3600, 100) == (0, 0)


def test_what_came_after_an_idle_hour_is_no_hour_old() -> None:
    positions = seen((0, 100), (3600, 100), (3630, 200))
    assert positions.age(3630, 100) == (0, 30)
    assert positions.age(3660, 100) == (30, 60)


def test_of_what_was_there_before_the_first_look_only_the_least_is_known() -> None:
    assert seen((0, 100)).age(10, 50) == (10, inf)


def test_a_log_that_goes_back_begins_anew() -> None:
    assert seen((0, 1000), (30, 50)).age(30, 40) == (0, inf)


@given(st.lists(st.integers(0, 50), min_size=1, max_size=40), st.integers(0, 400))
def test_the_truth_lies_between_the_two(steps: list[int], position: int) -> None:
    """A log that is written once a second and looked at every tenth: when was what lies beyond the position written?"""
    written = [sum(steps[: second + 1]) for second in range(len(steps))]
    positions = Positions()
    now = 0
    for now in range(0, len(written), 10):
        positions.see(now, written[now])
    beyond = [second for second, end in enumerate(written[: now + 1]) if end > position]
    least, most = positions.age(now, position)
    assert least <= (now - beyond[0] if beyond else 0) <= most


def test_memory_is_bounded() -> None:
    positions = Positions()
    for second in range(3 * MARKS):
        positions.see(second, second + 1)
    assert len(positions._marks) <= MARKS
    assert positions.age(3 * MARKS, 3 * MARKS - 10)[0] >= 9
