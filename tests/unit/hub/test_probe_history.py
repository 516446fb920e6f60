"""How tries are kept and summed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinwatch.hub.probing.history import HOUR, Result, hour_of, packed, points_of, spoken_for, summed, unpacked

HOURS = 1_700_000_000_000 // HOUR * HOUR


@given(
    st.lists(
        st.tuples(
            st.integers(0, HOUR - 1),
            st.sampled_from(["up", "degraded", "down", "unknown"]),
            st.none() | st.floats(0, 60, width=32),
        ),
        max_size=50,
    )
)
def test_what_is_packed_is_unpacked_to_a_tenth_of_a_second(tries: list[tuple[int, str, float | None]]) -> None:
    results = [Result(HOURS + at, state, seconds) for at, state, seconds in tries]  # type: ignore[arg-type]
    found = unpacked(HOURS, b"".join(packed(one) for one in results))
    assert [one.state for one in found] == [one.state for one in results]
    for one, other in zip(found, results, strict=True):
        assert 0 <= other.time - one.time < 100
        assert hour_of(one.time) == HOURS
        assert (one.seconds is None) == (other.seconds is None)
        if one.seconds is not None:
            assert one.seconds == pytest.approx(other.seconds, abs=1e-5)


def test_what_was_cut_off_within_a_try_loses_that_try_alone() -> None:
    content = packed(Result(HOURS, "up", 1.0)) * 2
    assert len(unpacked(HOURS, content[:-3])) == 1


def test_a_try_speaks_for_the_time_since_the_one_before_it() -> None:
    assert spoken_for(10_000, None, 60_000) == 60
    assert spoken_for(70_000, 60_000, 60_000) == 10, "looking again soon makes no outage longer"
    assert spoken_for(600_000, 0, 60_000) == 120, "time that nobody looked at is not judged"


def test_uptime_is_by_time_and_what_was_not_judged_is_in_neither() -> None:
    tries = [Result(HOURS + at * 1000, state, None) for at, state in ((0, "up"), (60, "down"), (70, "up"))]  # type: ignore[arg-type]
    tries.append(Result(HOURS + 130_000, "unknown", None))
    (point,) = summed(points_of(tries, 60_000), HOURS, HOUR)
    assert point.totals.tries == 4
    assert point.totals.uptime == pytest.approx(70 / 130)


def test_spans_without_tries_are_left_out() -> None:
    tries = [Result(HOURS, "up", 1.0), Result(HOURS + 10 * 60_000, "up", 3.0), Result(HOURS + 11 * 60_000, "up", 5.0)]
    found = summed(points_of(tries, 60_000), HOURS, 5 * 60_000)
    assert [(one.time - HOURS, one.mean, one.shortest, one.longest) for one in found] == [
        (0, 1.0, 1.0, 1.0),
        (600_000, 4.0, 3.0, 5.0),
    ]
