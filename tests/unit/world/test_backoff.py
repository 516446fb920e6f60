from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from twinwatch.world.backoff import delay, fraction


@given(
    st.integers(0, 10_000),
    st.one_of(st.integers(), st.text(st.characters(codec="utf-8"))),
    st.floats(0.01, 10),
    st.floats(0.01, 1_000),
)
def test_a_pause_stays_within_its_bounds_and_is_repeatable(
    attempt: int, seed: int | str, first: float, most: float
) -> None:
    pause = delay(attempt, seed, first_seconds=first, most_seconds=most)
    assert min(first / 2, most) <= pause <= most
    assert pause == delay(attempt, seed, first_seconds=first, most_seconds=most)


def test_pauses_grow_and_then_no_more() -> None:
    def mean(attempt: int) -> float:
        return sum(delay(attempt, seed) for seed in range(500)) / 500

    assert mean(0) < mean(2) < mean(4) < mean(6)
    assert 25 < mean(8) < 35
    assert 25 < mean(80) < 35


def test_a_thousand_agents_do_not_come_back_together() -> None:
    pauses = sorted(delay(5, seed) for seed in range(1_000))
    busiest = max(sum(begin <= pause < begin + 1 for pause in pauses) for begin in range(60))
    assert busiest < 60


@given(st.integers(), st.integers())
def test_a_fraction_is_one(seed: int, number: int) -> None:
    assert 0 <= fraction(seed, number) < 1
