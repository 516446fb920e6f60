"""How long something was in which state, out of changes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from twinwatch.hub.history import Silence, spans_of

SECOND = 1_000


def test_a_state_holds_until_the_next_within_the_window() -> None:
    changes = [(0, "up"), (100 * SECOND, "down"), (130 * SECOND, "up")]
    found = spans_of("http:shop", changes, 50 * SECOND, 250 * SECOND)
    assert found.seconds == {"up": 170.0, "down": 30.0}
    assert (found.ratio, found.downs) == (0.85, 1)


def test_a_change_before_the_window_holds_at_its_beginning() -> None:
    found = spans_of("x", [(0, "down")], 10 * SECOND, 20 * SECOND)
    assert (found.seconds, found.ratio, found.downs) == ({"down": 10.0}, 0.0, 0)


def test_what_is_not_known_counts_neither_for_nor_against() -> None:
    found = spans_of("x", [(0, "unknown"), (50 * SECOND, "up"), (60 * SECOND, "down")], 0, 70 * SECOND)
    assert found.ratio == 0.5
    assert spans_of("x", [], 0, 70 * SECOND).ratio is None
    assert spans_of("x", [(0, "gone")], 0, 70 * SECOND).ratio is None


def test_degraded_and_late_are_not_down() -> None:
    assert spans_of("x", [(0, "degraded"), (5 * SECOND, "late")], 0, 10 * SECOND).ratio == 1.0


def test_a_check_is_unknown_while_its_server_is_silent() -> None:
    silence = Silence(
        [(0, "up"), (100 * SECOND, "down"), (150 * SECOND, "up"), (160 * SECOND, "late"), (180 * SECOND, "up")]
    )
    found = spans_of("x", [(0, "up"), (120 * SECOND, "down"), (180 * SECOND, "up")], 0, 200 * SECOND, silence)
    assert found.seconds == {"up": 120.0, "unknown": 70.0, "down": 10.0}
    assert (found.ratio, found.downs) == (round(120 / 130, 6), 1)


def test_a_silence_that_lasts_reaches_to_the_end_of_the_window() -> None:
    silence = Silence([(0, "up"), (100 * SECOND, "late"), (110 * SECOND, "down")])
    assert spans_of("x", [(0, "up")], 50 * SECOND, 200 * SECOND, silence).seconds == {"up": 50.0, "unknown": 100.0}
    assert spans_of("x", [(0, "up")], 120 * SECOND, 200 * SECOND, silence).ratio is None


def test_what_was_gone_before_a_silence_stays_gone() -> None:
    silence = Silence([(0, "down")])
    assert spans_of("x", [(0, "gone"), (10 * SECOND, "unknown")], 0, 30 * SECOND, silence).seconds == {
        "gone": 10.0,
        "unknown": 20.0,
    }


STATES = st.sampled_from(["up", "degraded", "down", "unknown", "gone"])
LEVELS = st.lists(st.tuples(st.integers(0, 10_000), st.sampled_from(["up", "late", "down"])), max_size=20)


@given(st.lists(st.tuples(st.integers(0, 10_000), STATES), max_size=20), st.integers(0, 10_000), st.integers(1, 10_000))
def test_states_never_last_longer_than_the_window(changes: list[tuple[int, str]], since: int, length: int) -> None:
    found = spans_of("x", changes, since, since + length)
    assert sum(found.seconds.values()) <= length / 1000 + 1e-2
    assert found.ratio is None or 0 <= found.ratio <= 1


@given(st.lists(st.tuples(st.integers(0, 10_000), STATES), max_size=20), LEVELS, st.integers(0, 10_000))
def test_a_silence_takes_from_what_was_judged_and_adds_it_to_what_is_unknown(
    changes: list[tuple[int, str]], levels: list[tuple[int, str]], since: int
) -> None:
    end = since + 5_000
    plain, found = spans_of("x", changes, since, end), spans_of("x", changes, since, end, Silence(levels))
    assert abs(sum(plain.seconds.values()) - sum(found.seconds.values())) < 1e-2
    assert plain.seconds.get("gone", 0.0) == found.seconds.get("gone", 0.0)
    added = found.seconds.get("unknown", 0.0) - plain.seconds.get("unknown", 0.0)
    level = spans_of("", levels, since, end).seconds
    assert 0 <= added <= level.get("down", 0.0) + level.get("late", 0.0) + 1e-2
