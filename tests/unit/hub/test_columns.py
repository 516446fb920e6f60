"""Columns and roll-ups on the way to disk and back: nothing is lost, and what is alike takes nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twinwatch.hub.stores.columns import PAGE, exponent_of, pack_times, pack_values, unpack_times, unpack_values
from twinwatch.hub.stores.joining import Samples, joined_samples, roll
from twinwatch.hub.stores.rollups import pack_axis, pack_rolled, slots_of, unpack_axis, unpack_rolled

ANY = st.one_of(
    st.floats(allow_nan=True, allow_infinity=False),
    st.integers(-(10**6), 10**6).map(float),
    st.integers(-(10**6), 10**6).map(lambda whole: whole / 10_000),
    st.integers(-(1 << 53), 1 << 53).map(float),
    st.sampled_from([-32_769.0, -32_768.0, 32_767.0, 32_768.0, -2_147_483_649.0, -2_147_483_648.0, 2_147_483_648.0]),
    st.sampled_from([0.0, -0.0, float("nan"), 1.0]),
)

# As the first version packed what the test below expects.
FORMER_TIMES = "70636f210300820104010405000000100018000000000000009c000000c0d4414c1db827e93dc93a670200"
FORMER_DECIMALS = (
    "820a00000028b52ffd2001090000b40370636f2103000201040104030000002200b00f000000000000300140787d0100"
    "000020006af4b90b0000"
)
FORMER_FLOATS = (
    "0370636f2103008201040106050000003300c8ffffffffffffff1f809a9999999999b9bf3770d60120f290dff80300b4"
    "07c0eeeeeeeeeeee6677777777777705000000000000303333333333d30200"
)
FORMER_AXIS = (
    "2000000070636f2103008104010401000000100000000000000000009c000000009f240070636f210300810401040100"
    "00001000100000000000000014000200"
)
FORMER_ROLLED = (
    "8205010000001c0000002200000022000000220000000370636f21030081040104010000001000080000000000000014"
    "00020070636f21030081040104010000001000581b000000000000dc00000000a8ecae2f0070636f2103008104010401"
    "0000001000e803000000000000dc000000001804af2f0070636f21030081040104010000001000a00f000000000000dc"
    "0000000060f8ae2f00"
)
FORMER_ROLLED_ALIKE = "0101080000000000000000000440"


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


def test_more_than_a_page_of_values_comes_back() -> None:
    column = np.random.default_rng(1).integers(0, 1_000, PAGE + 1) / 10
    times = np.arange(PAGE + 1, dtype=np.int64)
    np.testing.assert_array_equal(unpack_values(pack_values(column), len(column)), column)
    np.testing.assert_array_equal(unpack_times(pack_times(times)), times)


def test_what_was_written_before_numbers_were_narrowed_is_read() -> None:
    times = unpack_times(bytes.fromhex(FORMER_TIMES))
    np.testing.assert_array_equal(times, [3, 15_003, 30_004, 299_999, 300_001, 315_000])
    decimals = np.array([0.25, np.nan, 0.5, 0.125, np.nan, 100_000.0])
    np.testing.assert_array_equal(unpack_values(bytes.fromhex(FORMER_DECIMALS), 6), decimals)
    floats = np.array([1 / 3, 2 / 3, 0.1, 1e300, 5.0, -0.0])
    np.testing.assert_array_equal(unpack_values(bytes.fromhex(FORMER_FLOATS), 6), floats)
    axis = unpack_axis(bytes.fromhex(FORMER_AXIS))
    np.testing.assert_array_equal(axis.starts, [0, 300_000])
    np.testing.assert_array_equal(axis.counts, [4, 2])
    for packed, values in ((FORMER_ROLLED, decimals), (FORMER_ROLLED_ALIKE, np.full(6, 2.5))):
        found = unpack_rolled(bytes.fromhex(packed), axis)
        expected = roll(joined_samples([Samples(times, values)]), 300_000)
        for measure in ("times", "counts", "sums", "mins", "maxs"):
            np.testing.assert_array_equal(getattr(found, measure), getattr(expected, measure))


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


def test_a_few_small_integers_take_little_beside_themselves() -> None:
    packed = pack_values(np.random.default_rng(1).integers(0, 1_024, 24).astype(np.float64))
    assert len(packed) <= 24 * 10 / 8 + 20


def test_shares_in_steps_of_a_ten_thousandth_take_two_bytes_at_most() -> None:
    chance = np.random.default_rng(1)
    assert len(pack_values(chance.integers(0, 10_001, 5_760) / 10_000)) < 2 * 5_760
