"""What can be wrong with a rule, which series and checks it is about, and that a pattern costs next to nothing."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.alerts.observations import RULES
from twinwatch.alerts.conditions import condition_of, matcher, problems_of
from twinwatch.protocol.rules import Rule


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_lawful_rule_has_no_problem(rule: Rule) -> None:
    assert problems_of(rule) == []


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({}, "expected either metric, check, probe or silent"),
        ({"metric": "m", "check": "c"}, "expected either"),
        ({"metric": "m"}, "expected above, below or no_data"),
        ({"metric": "m", "above": 1.0, "below": 2.0}, "below: expected less than above"),
        ({"metric": "m", "above": 1.0, "above_clear": 2.0}, "above_clear: expected at most above"),
        ({"metric": "m", "below": 1.0, "below_clear": 0.5}, "below_clear: expected at least below"),
        ({"metric": "m", "above": 1.0, "below_clear": 0.5}, "below_clear: expected at least below, which has"),
        ({"metric": "m", "above": float("nan")}, "above: expected a finite number"),
        ({"metric": "m", "above": 1.0, "window": "5m"}, "window: expected together with aggregate"),
        ({"metric": "m", "above": 1.0, "aggregate": "mean"}, "window: expected together with aggregate"),
        ({"metric": "m", "below": 1.0, "aggregate": "forecast", "window": "1h"}, "target: expected for a forecast"),
        ({"metric": "m", "no_data": "5m", "above": 1.0}, "no_data: stands alone"),
        ({"metric": "m", "above": 1.0, "times": 3}, "times: are for checks and probes"),
        ({"metric": "m", "above": 1.0, "hold": "soon"}, "hold: 'soon': expected a duration"),
        ({"metric": "m", "above": 1.0, "hold": "30d"}, "hold: '30d': expected 1 s to 604800 s"),
        ({"check": "c", "above": 1.0}, "above: are for metrics, this is a check"),
        ({"check": "c", "states": ()}, "states: expected at least one"),
        ({"check": "c", "times": 3, "of": 2}, "of: expected at least times"),
        ({"check": "c", "times": 0}, "times, of, recover: expected 1 to 100"),
        ({"check": "c", "severity": "down"}, "severity: down is for servers that are silent"),
        ({"silent": "1s"}, "silent: '1s': expected 15 s"),
        ({"name": "a\nb", "check": "c"}, "name: expected 1 to 200 printable characters"),
        ({"check": "c", "message": "x" * 501}, "message: expected at most 500"),
    ],
)
def test_what_is_wrong_is_told_with_what_was_expected(fields: dict[str, Any], problem: str) -> None:
    rule = Rule(**{"name": "r", **fields})
    assert any(problem in one for one in problems_of(rule)), problems_of(rule)
    with pytest.raises(ValueError, match=r"expected|stands|are for|is for"):
        condition_of(rule)


def test_labels_select_series() -> None:
    condition = condition_of(
        Rule("r", metric="m", above=1, labels={"mount": "/var*", "type": "!tmpfs", "host": ""}),
    )
    assert condition.admits({"mount": "/var/lib", "type": "ext4"})
    assert not condition.admits({"mount": "/", "type": "ext4"})
    assert not condition.admits({"mount": "/var", "type": "tmpfs"})
    assert not condition.admits({"mount": "/var", "type": "ext4", "host": "other"})


@given(st.text(alphabet="ab*", max_size=8), st.text(alphabet="ab", max_size=12))
def test_a_pattern_says_what_its_regular_expression_would(pattern: str, text: str) -> None:
    expected = re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text) is not None
    assert matcher(pattern)(text) is expected


def test_no_pattern_explodes() -> None:
    assert not matcher("*a" * 100 + "*")("a" * 99)
    assert matcher("*a" * 100 + "*")("a" * 100)
