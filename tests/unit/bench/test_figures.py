"""What figures are made of: the numbers themselves are never asserted, only the arithmetic."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.__main__ import benches
from bench.figures import Figure, Peer, line, percentile, rounded

NUMBERS = st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=200)


def test_a_percentile_is_the_nearest_rank() -> None:
    values = [15.0, 20.0, 35.0, 40.0, 50.0]
    assert [percentile(values, share) for share in (0.05, 0.3, 0.4, 0.5, 1.0)] == [15.0, 20.0, 20.0, 35.0, 50.0]


def test_the_order_of_the_values_is_of_no_matter() -> None:
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0


@given(NUMBERS, st.floats(0, 1))
def test_a_percentile_was_measured_and_so_many_are_not_above_it(values: list[float], share: float) -> None:
    found = percentile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values) - 1e-9
    assert sum(value < found for value in values) <= share * len(values) + 1e-9


@pytest.mark.parametrize(("values", "share"), [([], 0.5), ([1.0], 1.1), ([1.0], -0.1)])
def test_a_percentile_of_nothing_is_refused(values: list[float], share: float) -> None:
    with pytest.raises(ValueError, match="percentile"):
        percentile(values, share)


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0123456789, 0.0123457), (42_123_456, 42_123_456), (135329.04, 135329.0), (0.0, 0.0), (-1.23456789, -1.23457)],
)
def test_a_figure_bears_six_digits(value: float, shown: float) -> None:
    assert rounded(value) == shown


def test_a_line_has_exactly_the_promised_fields() -> None:
    shown = json.loads(line(Figure("agent", "cpu", 0.00123456789, "1", 0.005, Peer("other", 0.00456789123))))
    assert shown == {
        "bench": "agent",
        "figure": "cpu",
        "value": 0.00123457,
        "unit": "1",
        "budget": 0.005,
        "peer": {"name": "other", "value": 0.00456789},
    }


def test_a_missing_peer_is_null_and_so_is_a_missing_budget() -> None:
    shown = json.loads(line(Figure("agent", "pss", 1, "By")))
    assert shown["peer"] is None
    assert shown["budget"] is None


def test_benches_are_found_by_scanning_and_the_frame_is_none() -> None:
    assert benches().keys() >= {"agent", "ingest"}
    assert not benches().keys() & {"smoke", "figures", "rig", "__main__"}
