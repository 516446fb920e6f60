from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinwatch.monitors.digits import rate, ratio


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (1234567, 1235000),
        (999_999.6, 999_900),
        (1000, 1000),
        (123.456, 123.5),
        (12.3456, 12.35),
        (1.23456, 1.235),
        (0.066666, 0.0667),
        (0.00001, 0.0),
        (0, 0),
    ],
)
def test_a_rate_keeps_four_digits(value: float, kept: float) -> None:
    assert rate(value) == pytest.approx(kept, rel=1e-3)
    assert len(str(rate(value)).rstrip("0").replace(".", "").lstrip("0")) <= 4


@given(st.floats(0, 1e13))
def test_a_rate_is_off_by_a_thousandth_at_most(value: float) -> None:
    assert rate(value) == pytest.approx(value, rel=1e-3, abs=5e-5)


@given(st.floats(-1e9, 1e9))
def test_a_ratio_is_always_one(value: float) -> None:
    assert 0 <= ratio(value) <= 1


def test_a_ratio_keeps_hundredths_of_a_percent() -> None:
    assert ratio(0.123456) == 0.1235
