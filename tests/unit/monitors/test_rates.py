from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from twinwatch.monitors.rates import LEAP_PER_SECOND, Rates

counters = st.integers(0, 2**64 - 1)
steps = st.lists(st.tuples(st.floats(0.001, 3600), st.lists(counters, min_size=3, max_size=3)), min_size=1, max_size=20)


def test_the_first_run_yields_nothing() -> None:
    rates = Rates()
    rates.begin(100.0)
    assert rates.seconds == 0
    assert rates.growth("a", (5, 6)) is None


def test_a_second_run_yields_what_was_added() -> None:
    rates = Rates()
    rates.begin(100.0)
    rates.growth("a", (5, 6))
    rates.begin(115.0)
    assert rates.growth("a", (5, 36)) == (0, 30)
    assert rates.seconds == 15.0


def test_a_reset_yields_nothing_for_its_whole_series_and_then_goes_on() -> None:
    rates = Rates()
    for at, pair in ((0.0, (1000, 10)), (15.0, (3, 20))):
        rates.begin(at)
        assert rates.growth("a", pair) is None
    rates.begin(30.0)
    assert rates.growth("a", (9, 21)) == (6, 1)


def test_one_series_does_not_disturb_another() -> None:
    rates = Rates()
    rates.begin(0.0)
    rates.growth("a", (1000,))
    rates.growth("b", (1000,))
    rates.begin(15.0)
    assert rates.growth("a", (1,)) is None
    assert rates.growth("b", (1001,)) == (1,)


def test_a_series_that_returns_starts_fresh() -> None:
    rates = Rates()
    rates.begin(0.0)
    rates.growth("usb", (10,))
    rates.begin(15.0)
    rates.begin(30.0)
    assert rates.growth("usb", (5000,)) is None
    rates.begin(45.0)
    assert rates.growth("usb", (5001,)) == (1,)


def test_a_counter_may_step_back_within_its_slack() -> None:
    rates = Rates()
    for at, pair in ((0.0, (1000, 500)), (15.0, (1010, 498))):
        rates.begin(at)
        grown = rates.growth("cpu0", pair, 3)
    assert grown == (10, 0)


def test_minus_one_in_64_bits_is_no_growth() -> None:
    rates = Rates()
    rates.begin(0.0)
    rates.growth("eth0", (100,))
    rates.begin(15.0)
    assert rates.growth("eth0", (2**64 - 1,)) is None


@given(steps)
def test_growth_is_never_negative_nor_absurd(runs: list[tuple[float, list[int]]]) -> None:
    rates = Rates()
    now = 0.0
    for seconds, numbers in runs:
        now += seconds
        rates.begin(now)
        grown = rates.growth("a", tuple(numbers))
        assert grown is None or all(0 <= amount <= LEAP_PER_SECOND * rates.seconds for amount in grown)


@given(st.lists(st.integers(0, 10**12), min_size=2, max_size=30), st.integers(0, 10**12))
def test_nothing_is_lost_or_invented_while_counters_only_rise(amounts: list[int], start: int) -> None:
    rates = Rates()
    total, added = start, 0
    for run, amount in enumerate(amounts):
        rates.begin(run * 15.0)
        total += amount
        grown = rates.growth("a", (total,))
        added += grown[0] if grown else 0
    assert added == total - start - amounts[0]


@given(st.lists(st.tuples(st.floats(-1000, 1000), counters), min_size=2))
def test_a_clock_that_does_not_advance_yields_nothing(runs: list[tuple[float, int]]) -> None:
    rates = Rates()
    for at, number in runs:
        rates.begin(at)
        if rates.growth("a", (number,)) is not None:
            assert rates.seconds > 0
