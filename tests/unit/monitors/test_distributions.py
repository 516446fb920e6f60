"""Buckets: quantiles, differences and the exact merging of exponential ones."""

from __future__ import annotations

from math import isfinite

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinwatch.monitors.distributions import Distribution, Exponential

_buckets = st.dictionaries(st.integers(-3000, 3000), st.integers(0, 1000).map(float), max_size=20)
_exponentials = st.builds(
    Exponential,
    scale=st.integers(-10, 20),
    positive=_buckets,
    negative=_buckets,
    zero=st.integers(0, 9).map(float),
    sum=st.none() | st.floats(allow_nan=False, allow_infinity=False),
)


def test_a_quantile_is_spread_evenly_in_its_bucket() -> None:
    found = Distribution((1.0, 2.0, 4.0), (10, 10, 20, 0), 90.0)
    assert found.quantile(0.25) == 1.0
    assert found.quantile(0.5) == 2.0
    assert found.quantile(0.75) == 3.0
    assert found.mean == 90.0 / 40


def test_above_the_last_bound_it_is_that_bound() -> None:
    assert Distribution((1.0,), (0, 5), None).quantile(0.99) == 1.0


def test_of_nothing_there_is_no_quantile_and_no_mean() -> None:
    assert Distribution((1.0,), (0, 0), 0.0).quantile(0.5) is None
    assert Distribution((1.0,), (0, 0), 0.0).mean is None
    assert Distribution((), (7,), 1.0).quantile(0.5) is None


def test_what_fell_was_reset() -> None:
    before, now = Distribution((1.0,), (5, 5), 3.0), Distribution((1.0,), (6, 4), 4.0)
    assert now.since(before) is None
    assert now.since(Distribution((2.0,), (0, 0), 0.0)) is None
    grown = Distribution((1.0,), (6, 7), 4.0).since(before)
    assert grown == Distribution((1.0,), (1, 2), 1.0)


def test_the_next_lower_scale_merges_two_buckets_into_one() -> None:
    fine = Exponential(1, {0: 1, 1: 2, 2: 4, -1: 8})
    assert fine.coarser(0).positive == {0: 3, 1: 4, -1: 8}


def test_a_histogram_that_changed_its_scale_is_the_same_histogram() -> None:
    before = Exponential(1, {0: 1, 1: 2}, sum=4.0)
    now = Exponential(0, {0: 5, 3: 1}, sum=20.0)
    assert now.since(before) == Exponential(0, {0: 2, 3: 1}, sum=16.0)


def test_exponential_buckets_give_close_quantiles() -> None:
    """Values 1 to 1000 at scale 5: the relative error is that of a bucket, about 2 %."""
    from math import floor, log2

    buckets: dict[int, float] = {}
    for value in range(1, 1001):
        index = floor(log2(value) * 2**5 - 1e-9)
        buckets[index] = buckets.get(index, 0) + 1
    found = Exponential(5, buckets).explicit()
    assert found.quantile(0.5) == pytest.approx(500, rel=0.03)
    assert found.quantile(0.99) == pytest.approx(990, rel=0.03)


@given(_exponentials, _exponentials)
def test_the_sum_less_one_is_the_other(one: Exponential, two: Exponential) -> None:
    both = one.plus(two)
    rest = both.since(one)
    assert rest is not None
    other = two.coarser(both.scale)
    assert {key: count for key, count in rest.positive.items() if count} == {
        key: count for key, count in other.positive.items() if count
    }
    assert rest.zero == two.zero


@given(_exponentials, st.floats(0, 1))
def test_a_quantile_is_finite_and_within_the_bounds(one: Exponential, share: float) -> None:
    found = one.explicit()
    value = found.quantile(share)
    if value is not None:
        assert isfinite(value)
        assert min(0.0, found.bounds[0]) <= value <= found.bounds[-1]
