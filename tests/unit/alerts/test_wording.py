"""An alert in words, the same from agent and hub."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinwatch.alerts.wording import figures_of, message_of, shown, span, threshold_of, title_of
from twinwatch.protocol.rules import Rule

DISK = Rule("system: disk full", metric="system.filesystem.utilization", above=0.9, hold="5m")
LABELS = {"system.filesystem.mountpoint": "/var"}


def said(rule: Rule, *, thing: str = "m{a=b}", value: float | None = 0.97, unit: str = "1", message: str = "") -> str:
    return message_of(rule, thing, LABELS, server="web-1", value=value, unit=unit, message=message)


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (0.931, "1", "93.1 %"),
        (1_234_000_000, "By", "1.23 GB"),
        (2_500, "By/s", "2.5 kB/s"),
        (7_500, "s", "2 h 5 min"),
        (0.012, "s", "12 ms"),
        (42, "{process}", "42 process"),
        (3.14159, "", "3.142"),
    ],
)
def test_figures_are_for_people(value: float, unit: str, words: str) -> None:
    assert shown(value, unit) == words


def test_a_title_says_what_is_wrong_and_where() -> None:
    assert title_of(DISK, "m{…}", LABELS) == "disk full: /var"
    assert title_of(Rule("systemd: unit failed", check="systemd:*"), "systemd:nginx.service", {}) == (
        "unit failed: nginx.service"
    )
    assert title_of(Rule("load", metric="m", above=1.0), "m", {}) == "load"


def test_a_message_is_the_rules_own_or_says_what_fits_its_condition() -> None:
    own = Rule("r", metric="m", above=0.9, message="{system.filesystem.mountpoint} is {value} on {server}, {nothing}")
    assert said(own) == "/var is 97 % on web-1, {nothing}"
    assert said(DISK) == "m{a=b} is 97 %, above 90 % for 5m"
    assert said(Rule("r", check="c"), thing="c", message="exit code 1") == "exit code 1"
    assert said(Rule("r", check="c", states=("down", "degraded")), thing="c") == "c is down or is degraded"
    assert said(Rule("r", metric="m", no_data="10m"), value=None) == "m{a=b} has had no sample for 10m"


def test_a_threshold_names_both_ends_of_a_range_in_the_unit_of_what_is_judged() -> None:
    assert threshold_of(Rule("r", metric="m", above=30.0, below=10.0), "Cel") == "above 30 Cel or below 10 Cel"
    forecast = Rule("r", metric="m", aggregate="forecast", window="1h", target=1.0, below=3600.0)
    assert threshold_of(forecast, "1") == "below 1 h"
    rate = Rule("r", metric="m", aggregate="rate", window="5m", above=1000.0)
    assert threshold_of(rate, "By") == "above 1 kB/s"
    assert figures_of(DISK, 0.97, "1") == [
        ("Value", "97 %"), ("Alerts above", "90 %"), ("For at least", "5m")
    ]  # fmt: skip
    assert figures_of(DISK, float("inf"), "1")[0] == ("Alerts above", "90 %")


@given(st.text(max_size=600), st.text(max_size=600), st.dictionaries(st.text(max_size=70), st.text(max_size=300)))
def test_whatever_stands_in_it_a_message_is_bounded_and_nothing_of_others_is_looked_up(
    template: str, thing: str, labels: dict[str, str]
) -> None:
    rule = Rule("r", metric="m", above=1.0, message=template)
    found = message_of(rule, thing, {**labels, "a": "{server}"}, server="web-1", value=1.5, unit="", message="{value}")
    assert len(found) <= 2_000
    if "{a}" in template:
        assert "{server}" in found or len(found) == 2_000
    assert len(title_of(rule, thing, labels)) <= 300


def test_spans_have_a_sign() -> None:
    assert (span(-90), span(0), span(59.6)) == ("-1 min 30 s", "0 ms", "1 min")
