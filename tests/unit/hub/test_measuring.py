"""How fast a counter rose, out of buckets of which only the highest is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinwatch.hub.measuring import beside, rated
from twinwatch.hub.stores import Points, Window
from twinwatch.hub.stores.joining import Pieces, Samples, points_of

SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000
NEVER = 1 << 50


def rates(times: range | list[int], values: list[float], window: Window, until: int = NEVER) -> list[float | None]:
    """Of samples of one series, as a chart has it."""
    pieces = [Pieces([Samples(np.array(times, dtype=np.int64), np.array(values, dtype=np.float64))])]
    points = points_of(pieces, window)
    around = [points_of(pieces, one) for one in beside(points, window, until)]
    (row,) = rated(points, around, until).values.tolist()
    return [None if value != value else round(value, 6) for value in row]  # noqa: PLR0124


def steady(since: int, to: int) -> tuple[range, list[float]]:
    """A counter that rises by 1 a second, read every 15 s."""
    times = range(since, to, 15 * SECOND)
    return times, [time / 1000 for time in times]


@pytest.mark.parametrize("points", [6, 12, 24])
def test_a_chart_does_not_fall_at_its_right_edge(points: int) -> None:
    now = 30 * HOUR + 40 * SECOND
    found = rates(*steady(0, now), Window(24 * HOUR, now, points, "max"), now)
    assert found == [1.0] * (len(found) - 1) + [None]


def test_a_window_of_the_past_has_all_its_points() -> None:
    assert rates(*steady(0, 9 * HOUR), Window(2 * HOUR, 8 * HOUR, 6, "max")) == [1.0] * 6


def test_a_series_that_ended_within_a_bucket_has_no_point_there() -> None:
    times, values = steady(0, 3 * HOUR + 40 * SECOND)
    assert rates(times, values, Window(HOUR, 7 * HOUR, 6, "max")) == [1.0, 1.0, None, None, None, None]


def test_after_a_silence_it_counts_from_the_last_bucket_that_was_whole() -> None:
    one, other = steady(0, 3 * HOUR + 40 * SECOND), steady(5 * HOUR + 10 * MINUTE, 9 * HOUR)
    found = rates([*one[0], *other[0]], one[1] + other[1], Window(HOUR, 7 * HOUR, 6, "max"))
    assert found == [1.0, 1.0, None, None, 1.0, 1.0]


def test_where_it_fell_there_is_no_point_and_behind_it_there_is_again() -> None:
    times, _ = steady(0, 9 * HOUR)
    begun_anew = 3 * HOUR + 10 * MINUTE
    values = [(time if time < begun_anew else time - begun_anew) / 1000 for time in times]
    assert rates(times, values, Window(HOUR, 7 * HOUR, 6, "max")) == [1.0, 1.0, None, None, 1.0, 1.0]


def test_a_fall_within_what_was_not_whole_is_seen() -> None:
    hours = [0, 1, 2, 3, 5, 6, 7]
    values = [0.0, 100.0, 200.0, 900.0, 300.0, 400.0, 500.0]
    found = rates([one * HOUR for one in hours], values, Window(HOUR, 7 * HOUR, 6, "max"))
    hundred = round(100 / 3600, 6)
    assert found == [hundred, hundred, None, None, None, hundred]


def test_sparse_samples_leave_buckets_empty_and_have_rates() -> None:
    times = range(0, 3 * HOUR, 10 * MINUTE)
    found = rates(times, [time / 1000 for time in times], Window(HOUR, 2 * HOUR, 12, "max"))
    assert found == [None, None] + [1.0, None] * 5


def test_of_samples_as_they_came_the_newest_has_a_rate_and_so_has_the_first() -> None:
    assert rates(*steady(0, HOUR), Window(50 * MINUTE, HOUR, 300, "max")) == [1.0] * 40


def test_where_nothing_is_there_is_no_rate() -> None:
    assert rates([], [], Window(HOUR, 2 * HOUR, 300, "max")) == []
    assert rates([], [], Window(0, 6 * HOUR, 6, "max")) == [None] * 6
    assert rates([HOUR], [1.0], Window(0, 6 * HOUR, 6, "max")) == [None] * 6


def test_a_bucket_that_ends_too_late_is_left_out() -> None:
    points = Points(np.arange(4) * HOUR, np.arange(4.0)[None] * 3600, HOUR)
    after = Points(np.array([4 * HOUR]), np.array([[4 * 3600.0]]), HOUR)
    assert np.isnan(rated(points, [after], 3 * HOUR).values).tolist() == [[True, False, False, True]]
    assert np.isnan(rated(points, [after], 4 * HOUR).values).tolist() == [[True, False, False, False]]


@given(
    st.lists(st.integers(0, 8 * HOUR), min_size=1, max_size=60, unique=True),
    st.integers(1, 40),
    st.integers(0, 6 * HOUR),
    st.integers(1, 6 * HOUR),
)
def test_no_counter_rises_backwards(times: list[int], points: int, since: int, length: int) -> None:
    ordered = sorted(times)
    found = rates(ordered, [float(one % 7) for one in ordered], Window(since, since + length, points, "max"))
    assert all(value is None or value >= 0 for value in found)
