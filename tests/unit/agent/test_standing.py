"""The laws of the live picture, whatever monitors do."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twinwatch.agent.plan import Planned
from twinwatch.agent.standing import FAILING, Standing
from twinwatch.hub.lawful import check_report
from twinwatch.monitors import Check, Options
from twinwatch.protocol import limits
from twinwatch.protocol.checks import CheckStanding, ConfigurationStanding
from twinwatch.testing.paper import PaperClock

from .scripted import Scripted


def labelled(label: str, interval_seconds: float = 15.0) -> Planned:
    name, _, part = label.partition("/")
    return planned(name, part, interval_seconds)


def planned(name: str, part: str = "", interval_seconds: float = 15.0) -> Planned:
    return Planned(name, part, Scripted, Options(), interval_seconds, 10.0, "file")


@pytest.fixture
def clock() -> PaperClock:
    return PaperClock()


def states(standing: Standing) -> dict[str, str]:
    return {check.name: check.state for check in standing.checks}


def test_a_check_is_named_after_its_monitor_and_since_is_when_it_changed(clock: PaperClock) -> None:
    standing = Standing(clock)
    standing.plan([planned("m")])
    standing.took("m", [Check("a", "up")])
    born = clock.time
    clock.time += 1000
    standing.took("m", [Check("a", "up", "a message changes nothing")])
    assert standing.checks == (CheckStanding("m:a", "m", "up", "a message changes nothing", "", born),)
    standing.took("m", [Check("a", "down", "it is gone", "gone")])
    assert standing.checks[0].since == clock.time
    clock.time += 1000
    standing.took("m", [Check("a", "down", "it is gone", "refused")])
    assert standing.checks[0].since == clock.time


def test_while_its_monitor_fails_a_check_is_unknown_and_comes_back(clock: PaperClock) -> None:
    standing = Standing(clock)
    standing.plan([planned("m")])
    standing.took("m", [Check("a", "up"), Check("b", "down")])
    standing.failed("m", "no\nbus")
    assert states(standing) == {"m:a": "unknown", "m:b": "unknown"}
    assert standing.checks[0].message == "cannot be judged: monitor m fails: no bus"
    assert standing.checks[0].reason == FAILING
    (monitor,) = standing.monitors
    assert (monitor.state, monitor.reason) == ("failing", "no bus")
    standing.took("m", [Check("a", "up")])
    assert states(standing) == {"m:a": "up"}
    standing.absent("m", "")
    assert states(standing) == {}


def test_checks_of_the_last_life_stand_until_their_monitor_has_run(clock: PaperClock) -> None:
    remembered = [
        CheckStanding("m:a", "m", "down", "x", "y", 5),
        CheckStanding("m:gone", "m", "up", since=6),
        CheckStanding("off:a", "off", "up", since=7),
        CheckStanding("n:a", "n", "up", since=2**60),
    ]
    standing = Standing(clock, remembered)
    standing.plan([planned("m"), planned("n")])
    assert states(standing) == {"m:a": "down", "m:gone": "up", "n:a": "up"}
    standing.took("m", [Check("a", "down", "x", "y")])
    standing.failed("n", "hangs")
    assert states(standing) == {"m:a": "down", "n:a": "unknown"}
    assert standing.checks[0].since == 5
    assert standing.checks[1].since <= clock.time


def test_of_two_with_one_name_the_worse_stands(clock: PaperClock) -> None:
    standing = Standing(clock)
    standing.plan([planned("m", "one"), planned("m", "two")])
    standing.took("m/one", [Check("a", "up"), Check("a", "degraded"), Check("a", "up")])
    standing.took("m/two", [Check("a", "up")])
    assert states(standing) == {"m:a": "degraded"}
    standing.failed("m/one", "x")
    assert states(standing) == {"m:a": "up"}
    (monitor,) = standing.monitors
    assert (monitor.state, monitor.reason) == ("failing", "one: x")


def test_parts_of_one_monitor_inherit_no_check_twice(clock: PaperClock) -> None:
    standing = Standing(clock, [CheckStanding("m:a", "m", "up", since=1), CheckStanding("m:b", "m", "up", since=1)])
    standing.plan([planned("m", "a"), planned("m", "b")])
    standing.failed("m/a", "hangs")
    standing.took("m/b", [Check("b", "up")])
    assert states(standing) == {"m:a": "unknown", "m:b": "up"}
    assert standing.checks[1].since == 1
    standing.took("m/b", [])
    assert states(standing) == {"m:a": "unknown"}


def test_changes_are_called_back_and_logged_once(clock: PaperClock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    calls: list[int] = []
    standing = Standing(clock)
    standing.on_change(lambda: calls.append(1))
    standing.plan([planned("m")])
    for state, message in (("up", ""), ("up", "still"), ("down", "gone"), ("down", "still gone"), ("up", "")):
        standing.took("m", [Check("a", state, message)])  # type: ignore[arg-type]
    assert len(calls) == 4
    assert [record.getMessage() for record in caplog.records] == ["check m:a: down: gone", "check m:a: up"]
    standing.failed("m", "x")
    standing.took("m", [Check("a", "up")])
    assert len(caplog.records) == 2
    standing.took("m", [Check(f"b{number}", "down") for number in range(500)])
    assert len(caplog.records) == 23


def test_nonsense_changes_nothing(clock: PaperClock) -> None:
    standing = Standing(clock)
    standing.plan([planned("m")])
    standing.took("m", [Check("a", "up")])
    nonsense: list[Any] = [Check("a", "sideways"), Check("a", None), Check(7, "up"), Check("a", "up", b"x")]  # type: ignore[arg-type]
    for check in nonsense:
        with pytest.raises((TypeError, ValueError)):
            standing.took("m", [Check("b", "down"), check])
    assert states(standing) == {"m:a": "up"}


def test_what_no_longer_runs_is_not_heard(clock: PaperClock) -> None:
    standing = Standing(clock)
    standing.plan([planned("m")])
    standing.plan([])
    assert standing.took("m", [Check("a", "up")]) == []
    standing.failed("m", "x")
    standing.absent("m", "x")
    assert standing.report(ConfigurationStanding()) == Standing(clock).report(ConfigurationStanding())


def test_a_report_is_within_the_hubs_bounds(clock: PaperClock) -> None:
    standing = Standing(clock)
    names = [f"m{number}" for number in range(limits.MONITORS_PER_SERVER + 5)]
    standing.plan([planned(name) for name in names])
    for name in names[:5]:
        standing.took(name, [Check(f"{number}" + "x" * 300, "up", "y" * 900, "z" * 900) for number in range(900)])
    standing.took("m7", [Check("bad", "down")])
    problems = tuple("p" * 900 for _ in range(300))
    report = standing.report(ConfigurationStanding(problems=problems))
    check_report(report)
    assert len(report.checks) == limits.CHECKS_PER_SERVER
    assert "m7:bad" in {check.name for check in report.checks}
    assert report.digest == report.fingerprint()


NAMES = st.sampled_from(["a", "b", "c", "m:a"])
CHECKS = st.lists(
    st.builds(
        Check,
        NAMES | st.text(max_size=300),
        st.sampled_from(["up", "down", "degraded", "unknown"]),
        st.text(max_size=600),
        st.text(max_size=200),
    ),
    max_size=6,
)
LABELS = st.sampled_from(["m", "n/1", "n/2"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("took"), LABELS, CHECKS),
        st.tuples(st.just("failed"), LABELS, st.text(max_size=600)),
        st.tuples(st.just("absent"), LABELS, st.text(max_size=600)),
        st.tuples(st.just("plan"), st.sets(LABELS), st.sampled_from([15.0, 30.0])),
    ),
    max_size=25,
)


@settings(deadline=None)
@given(STEPS)
def test_the_laws_hold_whatever_happens(steps: list[Any]) -> None:
    clock = PaperClock()
    standing = Standing(clock)
    calls: list[int] = []
    standing.on_change(lambda: calls.append(1))
    alive = {"m", "n/1", "n/2"}
    standing.plan([labelled(label) for label in sorted(alive)])
    outcome: dict[str, str] = {}
    for verb, which, what in steps:
        clock.time += 1000
        before = {check.name: check for check in standing.checks}
        told = len(calls)
        if verb == "plan":
            standing.plan([labelled(label, what) for label in sorted(which)])
            alive = set(which)
        else:
            getattr(standing, verb)(which, what)
            if which in alive:
                outcome[which] = verb
        after = {check.name: check for check in standing.checks}
        check_report(standing.report(ConfigurationStanding()))
        for name, check in after.items():
            same = name in before and (before[name].state, before[name].reason) == (check.state, check.reason)
            assert check.since == (before[name].since if same else clock.time)
        if {(name, check.state, check.reason) for name, check in before.items()} != {
            (name, check.state, check.reason) for name, check in after.items()
        }:
            assert len(calls) == told + 1
        if verb == "failed" and which == "m" and "m" in alive:
            assert {check.state for check in after.values() if check.monitor == "m"} <= {"unknown"}
            assert {name for name, check in before.items() if check.monitor == "m"} <= after.keys()
        if verb == "absent" and which == "m":
            assert not [check for check in after.values() if check.monitor == "m"] or "m" not in alive
        assert {check.monitor for check in after.values()} <= {label.split("/")[0] for label in alive}
        assert {monitor.name for monitor in standing.monitors} == {label.split("/")[0] for label in alive}
