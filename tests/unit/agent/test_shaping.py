from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinwatch.agent.shaping import Shaper, lawful
from twinwatch.monitors import Reading
from twinwatch.protocol import limits


def test_the_same_series_give_the_same_shape_in_any_order() -> None:
    readings = [Reading("b", 1), Reading("a", 2, {"x": "1"}), Reading("a", 3, {"x": "2"})]
    ((one, values),) = Shaper("m").shape(readings)
    ((other, values_backwards),) = Shaper("m").shape(readings[::-1])
    assert one == other
    assert values == values_backwards == [2, 3, 1]


def test_a_steady_monitor_gives_the_very_same_shape() -> None:
    shaper = Shaper("m")
    ((first, _),) = shaper.shape([Reading("a", 1, {"x": "1"})])
    ((second, values),) = shaper.shape([Reading("a", 2, {"x": "1"})])
    assert second is first
    assert values == [2]


def test_a_series_more_or_less_is_another_shape_and_back() -> None:
    shaper = Shaper("m")
    ((both, _),) = shaper.shape([Reading("a", 1), Reading("b", 2)])
    ((one, _),) = shaper.shape([Reading("a", 1)])
    ((again, values),) = shaper.shape([Reading("a", 5), Reading("b", 6)])
    assert one != both
    assert again == both
    assert values == [5, 6]


def test_more_series_than_a_shape_may_have_become_several() -> None:
    readings = [Reading("a", n, {"n": str(n)}) for n in range(limits.SERIES_PER_SHAPE + 5)]
    shaped = Shaper("m").shape(readings)
    assert [len(shape.series) for shape, _ in shaped] == [limits.SERIES_PER_SHAPE, 5]
    assert {value for _, values in shaped for value in values} == set(range(limits.SERIES_PER_SHAPE + 5))


@pytest.mark.parametrize(
    "bad",
    [
        Reading("x" * 129, 1),
        Reading("", 1),
        Reading("a", 1, {str(n): "" for n in range(17)}),
        Reading("a", 1, {"n" * 65: ""}),
        Reading("a", 1, {"": "v"}),
        Reading("a", 1, {"n": "v" * 257}),
        Reading("a", 1, {"n": "line\nbreak"}),
        Reading("a", 1, {"n": "\ud800"}),
        Reading("good", 2),
    ],
)
def test_a_series_that_the_hub_would_refuse_is_left_out_and_said_once(
    bad: Reading, caplog: pytest.LogCaptureFixture
) -> None:
    shaper = Shaper("m")
    for _ in range(3):
        ((shape, values),) = shaper.shape([Reading("good", 1), bad])
        assert [series.metric for series in shape.series] == ["good"]
        assert values == [1]
        shaper.shape([])
        shaper.shape([Reading("good", 1), bad])
    assert len(caplog.records) == 1


@given(st.one_of(st.floats(), st.integers(), st.booleans()))
def test_every_value_becomes_a_finite_number_or_no_sample(value: float) -> None:
    becomes = lawful(value)
    assert becomes is None or (math.isfinite(becomes) and type(becomes) in (int, float))


@pytest.mark.parametrize(
    ("value", "becomes"),
    [(3, 3), (2.5, 2.5), (math.nan, None), (math.inf, None), (10**400, None), (2**60, float(2**60)), (True, 1.0)],
)
def test_ints_stay_ints_while_a_float_could_tell_them_apart(value: float, becomes: float | None) -> None:
    assert lawful(value) == becomes
    assert type(lawful(value)) is type(becomes)
