"""Columns and roll-ups on the way to disk and back: nothing is lost, and what is alike takes nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twinwatch.hub.stores.columns import exponent_of, pack_times, pack_values, unpack_times, unpack_values
from twinwatch.hub.stores.joining import Samples, joined_samples, roll
from twinwatch.hub.stores.rollups import pack_axis, pack_rolled, slots_of, unpack_axis, unpack_rolled

ANY = st.one_of(
    st.floats(allow_nan=True, allow_infinity=False),
    st.integers(-(10**6), 10**6).map(float),
    st.integers(-(10**6), 10**6).map(lambda whole: whole / 10_000),
    st.sampled_from([0.0, -0.0, float("nan"), 1.0]),
)


@given(st.lists(ANY, min_size=1, max_size=300))
@settings(max_examples=200, deadline=None)
def test_a_column_comes_back_to_the_last_bit(values: list[float]) -> None:
    column = np.array(values)
    back = unpack_values(pack_values(column), len(column))
    there = ~np.isnan(column)
    np.testing.assert_array_equal(np.isnan(back), ~there)
    np.testing.assert_array_equal(back[there].view(np.int64), column[there].view(np.int64))


@given(st.lists(st.integers(0, 1 << 45), min_size=1, max_size=300, unique=True))
def test_times_come_back(times: list[int]) -> None:
    ascending = np.array(sorted(times), dtype=np.int64)
    np.testing.assert_array_equal(unpack_times(pack_times(ascending)), ascending)


@given(
    st.lists(ANY.filter(lambda value: not abs(value) > 1e300), min_size=1, max_size=200),
    st.sampled_from([7_000, 15_000, 299_999, 301_000]),
    st.sampled_from([300_000, 3_600_000]),
)
@settings(max_examples=200, deadline=None)
def test_a_roll_up_tells_what_the_samples_tell(values: list[float], interval: int, step: int) -> None:
    column = np.array(values)
    times = np.arange(len(column), dtype=np.int64) * interval + 123
    slots = slots_of(times, step)
    axis = unpack_axis(pack_axis(slots.axis))
    found = unpack_rolled(pack_rolled(column, slots), axis)
    expected = roll(joined_samples([Samples(times, column)]), step)
    np.testing.assert_array_equal(found.times, expected.times)
    np.testing.assert_array_equal(found.counts, expected.counts)
    np.testing.assert_allclose(found.sums, expected.sums, rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(found.mins, expected.mins)
    np.testing.assert_array_equal(found.maxs, expected.maxs)


def test_values_that_are_all_alike_take_nine_bytes_and_none_take_one() -> None:
    assert len(pack_values(np.full(5_760, 0.25))) == 9
    assert len(pack_values(np.full(5_760, np.nan))) == 1


@pytest.mark.parametrize(
    ("values", "exponent"),
    [([1.0, 2.0], 0), ([0.5, 1.25], 2), ([0.0001, 0.9999], 4), ([1 / 3], None), ([-0.0, 1.0], None), ([1e300], None)],
)
def test_a_column_of_decimals_is_known(values: list[float], exponent: int | None) -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        assert exponent_of(np.array(values)) == exponent


def test_shares_in_steps_of_a_ten_thousandth_take_two_bytes_at_most() -> None:
    chance = np.random.default_rng(1)
    assert len(pack_values(chance.integers(0, 10_001, 5_760) / 10_000)) < 2 * 5_760
