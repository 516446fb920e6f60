"""The laws of ``step``, and what each kind of rule means by them."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.alerts.observations import CONDITIONS, MINUTE, START, observations, run, samples
from twinwatch.alerts.conditions import condition_of
from twinwatch.alerts.step import (
    FLAPS,
    SETTLE_MILLISECONDS,
    STALE_MILLISECONDS,
    Gone,
    Observation,
    Sample,
    Seen,
    State,
    Tick,
    due_at,
    step,
)
from twinwatch.protocol.rules import Rule

CONDITION = st.sampled_from(CONDITIONS)


@given(CONDITION, observations())
def test_fires_and_resolves_alternate_and_a_fire_is_first(condition, seen) -> None:  # type: ignore[no-untyped-def]
    state, told = run(condition, seen)
    order = [one.kind for one in told if one.kind != "settled"]
    assert order == [("fired", "resolved")[place % 2] for place in range(len(order))]
    assert state.firing == (bool(order) and order[-1] == "fired")
    for one in told:
        if one.kind == "settled":
            before = [other for other in told[: told.index(one)] if other.kind != "settled"]
            assert before[-1].kind == "fired"


@given(CONDITION, observations(), observations(10))
def test_what_is_not_newer_changes_nothing(condition, seen, more) -> None:  # type: ignore[no-untyped-def]
    state, _ = run(condition, seen)
    older = [one for one in (*seen, *more) if one.time <= state.time]
    assert run(condition, older, state) == (state, [])


@given(CONDITION, observations(), st.integers(0, 60))
def test_a_state_that_was_stored_goes_on_as_if_nothing_had_been(condition, seen, place) -> None:  # type: ignore[no-untyped-def]
    first, told = run(condition, seen[:place])
    stored = msgspec.msgpack.decode(msgspec.msgpack.encode(first), type=State)
    assert stored == first
    second, more = run(condition, seen[place:], stored)
    assert (second, told + more) == run(condition, seen)


@given(CONDITION, observations())
def test_times_never_go_back_and_episodes_rise(condition, seen) -> None:  # type: ignore[no-untyped-def]
    _, told = run(condition, seen)
    assert all(one.time <= two.time for one, two in pairwise(told))
    episodes = [one.episode for one in told if one.kind == "fired"]
    assert all(one < two for one, two in pairwise(episodes))
    assert all(one.since <= one.time for one in told)
    for fired, ended in pairwise(one for one in told if one.kind != "settled"):
        if fired.kind == "fired":
            assert ended.episode == fired.episode


@given(CONDITION, observations())
def test_a_tick_is_due_only_while_something_waits_for_it(condition, seen) -> None:  # type: ignore[no-untyped-def]
    state, _ = run(condition, seen)
    due = due_at(condition, state)
    if state.phase == "ok" and condition.kind != "no_data":
        assert due is None


def fired_at(rule: Rule, seen: list[Observation]) -> list[tuple[str, float]]:
    """Transitions with the minutes since the start."""
    _, told = run(condition_of(rule), seen)
    return [(one.kind, (one.time - START) / MINUTE) for one in told]


def test_above_fires_at_once_and_clears_at_its_own_bound() -> None:
    rule = Rule("r", metric="m", above=0.9, above_clear=0.8)
    assert fired_at(rule, samples([0.5, 0.9, 0.91, 0.85, 0.95, 0.81, 0.8])) == [("fired", 0.5), ("resolved", 1.5)]


def test_below_and_outside() -> None:
    assert fired_at(Rule("r", metric="m", below=5), samples([6, 4, 5])) == [("fired", 0.25), ("resolved", 0.5)]
    outside = Rule("r", metric="m", above=60, below=5, above_clear=55, below_clear=8)
    assert fired_at(outside, samples([30, 61, 57, 55, 4, 6, 8])) == [
        ("fired", 0.25),
        ("resolved", 0.75),
        ("fired", 1.0),
        ("resolved", 1.5),
    ]


def test_a_hold_has_to_be_bad_all_the_time() -> None:
    rule = Rule("r", metric="m", above=0.9, hold="1m")
    state, told = run(condition_of(rule), samples([0.95, 0.95, 0.5, 0.95, 0.95, 0.95, 0.95, 0.95]))
    assert [(one.time, one.since) for one in told] == [(START + 7 * 15_000, START + 3 * 15_000)]
    assert state.firing


def test_a_hold_with_a_hole_begins_anew() -> None:
    rule = Rule("r", metric="m", above=0.9, hold="1m")
    seen = [*samples([0.95, 0.95]), *samples([0.95] * 5, start=START + 5 * MINUTE)]
    assert fired_at(rule, seen) == [("fired", 6.0)]


def test_an_alert_stays_open_while_nothing_is_known() -> None:
    rule = Rule("r", metric="m", above=0.9)
    silent = [Tick(START + minute * MINUTE, running=False) for minute in range(1, 600)]
    state, told = run(condition_of(rule), [*samples([0.95]), *silent])
    assert state.firing
    assert len(told) == 1


def test_an_alert_about_a_series_that_is_gone_ends() -> None:
    rule = Rule("r", metric="m", above=0.9)
    gone = [Tick(START + second * 1000) for second in range(1, STALE_MILLISECONDS // 1000 + 5)]
    _, told = run(condition_of(rule), [*samples([0.95]), *gone])
    assert [(one.kind, one.why) for one in told] == [("fired", "recovered"), ("resolved", "gone")]
    assert told[1].time - START == STALE_MILLISECONDS


def test_a_window_is_not_judged_until_it_is_covered() -> None:
    rule = Rule("r", metric="m", aggregate="mean", window="2m", above=0.5)
    assert fired_at(rule, samples([0.9] * 9)) == [("fired", 2.0)]
    assert fired_at(rule, samples([0.9] * 8)) == []
    holed = samples([0.9, 0.9, None, None, None, None, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9])
    # The hole from half a minute on leaves the window when it is 2 min and a stretch old.
    assert fired_at(rule, holed) == [("fired", 3.5)]


@pytest.mark.parametrize(
    ("aggregate", "bound", "fires"),
    [
        ("mean", 0.44, True),
        ("mean", 0.451, False),
        ("min", 0.09, True),
        ("min", 0.11, False),
        ("max", 0.79, True),
        ("sum", 3.5, True),
        ("change", 0.79, True),
        ("rate", 0.0066, True),
        ("rate", 0.0067, False),
    ],
)
def test_windows_come_to_what_they_say(aggregate: str, bound: float, fires: bool) -> None:
    rule = msgspec.convert({"name": "r", "metric": "m", "aggregate": aggregate, "window": "2m", "above": bound}, Rule)
    rising = [place / 10 for place in range(9)]
    assert bool(fired_at(rule, samples(rising))) is fires


def test_a_forecast_says_how_long_until_the_value_is_there() -> None:
    rule = Rule("r", metric="m", aggregate="forecast", window="10m", target=1.0, below=3600)
    filling = samples([0.5 + place * 0.001 for place in range(60)])  # 0.004 a minute
    state, told = run(condition_of(rule), filling)
    assert told == []
    assert state.value == pytest.approx((1 - 0.559) / 0.004 * 60, rel=0.01)
    faster = samples([0.56 + place * 0.004 for place in range(60)], start=START + 15 * MINUTE)
    state, told = run(condition_of(rule), faster, state)
    assert [one.kind for one in told] == ["fired"]
    falling = samples([0.8 - place * 0.001 for place in range(60)], start=START + 30 * MINUTE)
    state, told = run(condition_of(rule), falling, state)
    assert [one.kind for one in told] == ["resolved"]
    assert state.value is None, "it never gets there"


def test_no_data_counts_from_the_last_sample_or_from_when_one_began_to_wait() -> None:
    rule = Rule("r", metric="m", no_data="5m")
    ticks: list[Observation] = [Tick(START + second * 1000) for second in range(0, 400, 10)]
    ((kind, minutes),) = fired_at(rule, ticks)
    assert (kind, round(minutes * 60)) == ("fired", 310)
    seen = sorted([*ticks, *samples([1.0] * 10)], key=lambda one: one.time)
    assert fired_at(rule, seen) == []
    later: list[Observation] = [Tick(START + second * 1000) for second in range(0, 900, 10)]
    _, told = run(condition_of(rule), [*samples([1.0] * 10), *later, Sample(START + 20 * MINUTE, 1.0)])
    assert [(one.kind, one.since) for one in told] == [
        ("fired", START + 9 * 15_000),
        ("resolved", START + 9 * 15_000),
    ]


def test_no_data_waits_for_the_monitor_to_run() -> None:
    rule = Rule("r", metric="m", no_data="5m")
    down: list[Observation] = [Tick(START + second * 1000, running=False) for second in range(10, 3600, 10)]
    assert fired_at(rule, [*samples([1.0]), *down]) == []


def check(*states: str, apart: int = MINUTE) -> list[Observation]:
    return [Seen(START + place * apart, state, f"is {state}") for place, state in enumerate(states)]  # type: ignore[arg-type]


def test_a_check_fires_in_its_states_and_unknown_is_no_recovery() -> None:
    rule = Rule("r", check="c")
    assert fired_at(rule, check("up", "down", "unknown", "degraded")) == [("fired", 1.0), ("resolved", 3.0)]
    also = Rule("r", check="c", states=("down", "unknown"))
    assert fired_at(also, check("up", "unknown", "down", "up")) == [("fired", 1.0), ("resolved", 3.0)]


def test_a_held_check_fires_by_time_alone() -> None:
    rule = Rule("r", check="c", hold="90s")
    condition = condition_of(rule)
    state, _ = run(condition, check("up", "down"))
    assert due_at(condition, state) == START + MINUTE + 90_000
    state, told = step(condition, state, Tick(START + MINUTE + 90_000))
    assert [(one.kind, one.since) for one in told] == [("fired", START + MINUTE)]


def test_n_of_m_and_recovery_in_a_row() -> None:
    rule = Rule("r", check="c", times=3, of=5, recover=2)
    states = ["down", "up", "down", "up", "down", "up", "up", "up", "up"]
    # The third bad one of five is the fifth outcome; three of five are bad until the window has moved on.
    assert fired_at(rule, check(*states)) == [("fired", 4.0), ("resolved", 6.0)]
    in_a_row = Rule("r", check="c", times=3)
    assert fired_at(in_a_row, check("down", "down", "up", "down", "down", "down", "up")) == [
        ("fired", 5.0),
        ("resolved", 6.0),
    ]


def test_what_keeps_firing_is_one_flapping_alert_with_one_end() -> None:
    rule = Rule("r", check="c")
    states = ["down", "up"] * 12 + ["up"] * 20
    state, told = run(condition_of(rule), check(*states))
    assert len(told) == 2 * FLAPS
    assert [one.flapping for one in told] == [False] * 4 + [True, True]
    assert told[-1].kind == "resolved"
    assert told[-1].time - START == 23 * MINUTE + SETTLE_MILLISECONDS
    assert not state.flapping


def test_flapping_that_ends_badly_says_so_and_then_resolves_as_usual() -> None:
    rule = Rule("r", check="c")
    states = ["down", "up"] * 4 + ["down"] * 15 + ["up"]
    _, told = run(condition_of(rule), check(*states))
    assert [one.kind for one in told[4:]] == ["fired", "settled", "resolved"]
    assert told[-1].time == START + (8 + 15) * MINUTE


def test_a_rule_that_changed_keeps_its_alert_and_judges_anew() -> None:
    strict = condition_of(Rule("r", metric="m", above=0.5))
    state, told = run(strict, samples([0.6]))
    assert len(told) == 1
    lax = condition_of(Rule("r", metric="m", above=0.7))
    _, told = run(lax, samples([0.6], start=START + MINUTE), state)
    assert [one.kind for one in told] == ["resolved"]


def test_an_end_by_hand_says_so() -> None:
    condition = condition_of(Rule("r", check="c"))
    state, _ = run(condition, check("down"))
    state, told = step(condition, state, Gone(START + 5, "closed"))
    assert [(one.kind, one.why) for one in told] == [("resolved", "closed")]
    assert not state.firing
