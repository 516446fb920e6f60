"""How long something was in which state, out of changes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from twinwatch.hub.history import spans_of

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


STATES = st.sampled_from(["up", "degraded", "down", "unknown", "gone"])


@given(st.lists(st.tuples(st.integers(0, 10_000), STATES), max_size=20), st.integers(0, 10_000), st.integers(1, 10_000))
def test_states_never_last_longer_than_the_window(changes: list[tuple[int, str]], since: int, length: int) -> None:
    found = spans_of("x", changes, since, since + length)
    assert sum(found.seconds.values()) <= length / 1000 + 1e-2
    assert found.ratio is None or 0 <= found.ratio <= 1
