"""Who is told when; silences, hours of any time zone, and what holds a message back."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinwatch.alerts.group import arranged
from twinwatch.alerts.hours import end_of, problems_of
from twinwatch.alerts.policy import About, admits, due, policy_for, quiet_until, silenced_until
from twinwatch.notify import Subject
from twinwatch.protocol.policies import Policy, Recurring, Selector, Silence, Step

T = 1_767_225_600_000
MINUTE = 60_000
HOUR = 60 * MINUTE


def ms(text: str, zone: str = "UTC") -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def shown(at: int | None, zone: str = "UTC") -> str | None:
    return None if at is None else datetime.fromtimestamp(at / 1000, UTC).astimezone(ZoneInfo(zone)).isoformat()


ABOUT = About("s1", frozenset({"web", "prod"}), "system: disk nearly full", "warning")


@pytest.mark.parametrize(
    ("what", "admitted"),
    [
        (Selector(), True),
        (Selector(servers=("s1",)), True),
        (Selector(servers=("s2",)), False),
        (Selector(servers=("s2",), tags=("prod",)), True),
        (Selector(tags=("db",)), False),
        (Selector(rule="system:*"), True),
        (Selector(tags=("web",), rule="systemd:*"), False),
    ],
)
def test_a_selector_adds_servers_and_tags_up_and_narrows_by_rule(what: Selector, admitted: bool) -> None:
    assert admits(what, ABOUT) is admitted


def test_the_first_policy_that_admits_has_the_alert() -> None:
    policies = [
        Policy("1", severities=("critical",)),
        Policy("2", what=Selector(tags=("web",))),
        Policy("3"),
    ]
    assert policy_for(policies, ABOUT).id == "2"  # type: ignore[union-attr]
    assert policy_for(policies, ABOUT._replace(tags=frozenset())).id == "3"  # type: ignore[union-attr]
    assert policy_for(policies[:1], ABOUT) is None


LADDER = Policy("p", steps=(Step(0, ("a",)), Step(300, ("b", "a")), Step(900, ("c",))), repeat_seconds=120)


def told(policy: Policy, until: int) -> list[tuple[float, tuple[str, ...], bool]]:
    """What is told, when (minutes), by looking whenever it says to look."""
    found, now, step, repeated = [], T, 0, T
    while now <= T + until:
        one = due(policy, T, step, repeated, now)
        if one.channels:
            found.append(((now - T) / MINUTE, one.channels, one.repeats))
            repeated = now
        step = one.step
        if one.look_at is None:
            break
        assert one.look_at > now
        now = one.look_at
    return found


def test_steps_follow_one_another_and_those_told_are_told_again() -> None:
    assert told(LADDER, 10 * MINUTE) == [
        (0, ("a",), False),
        (2, ("a",), True),
        (4, ("a",), True),
        (5, ("b", "a"), False),
        (7, ("a", "b"), True),
        (9, ("a", "b"), True),
    ]
    once = Policy("p", steps=LADDER.steps)
    assert told(once, 60 * MINUTE) == [(0, ("a",), False), (5, ("b", "a"), False), (15, ("c",), False)]


def test_a_look_that_comes_late_takes_all_steps_that_have_come() -> None:
    one = due(LADDER, T, 0, T, T + 16 * MINUTE)
    assert (one.channels, one.step, one.repeats) == (("a", "b", "c"), 3, False)
    assert due(Policy("p"), T, 0, T, T).channels == ()


@given(st.integers(0, 3), st.integers(0, 40), st.integers(0, 40))
def test_a_look_never_takes_a_step_back_and_always_looks_ahead(step: int, repeated: int, minutes: int) -> None:
    now = T + minutes * MINUTE
    one = due(LADDER, T, step, T + min(repeated, minutes) * MINUTE, now)
    assert one.step >= step
    assert one.look_at is None or one.look_at > now


NIGHT = Recurring("Europe/Zurich", "22:00", "06:00")


@pytest.mark.parametrize(
    ("at", "end"),
    [
        ("2026-01-10T21:59:59", None),
        ("2026-01-10T22:00:00", "2026-01-11T06:00:00+01:00"),
        ("2026-01-11T05:59:59", "2026-01-11T06:00:00+01:00"),
        ("2026-01-11T06:00:00", None),
        # Clocks skip an hour before 29 March and repeat one before 25 October: it ends at six all the same.
        ("2026-03-28T23:00:00", "2026-03-29T06:00:00+02:00"),
        ("2026-10-24T23:00:00", "2026-10-25T06:00:00+01:00"),
    ],
)
def test_hours_are_those_of_the_clock_on_the_wall(at: str, end: str | None) -> None:
    assert shown(end_of(NIGHT, ms(at, "Europe/Zurich"), ZoneInfo), "Europe/Zurich") == end


def test_a_time_that_comes_twice_ends_the_second_time_and_one_that_is_skipped_is_an_hour_on() -> None:
    short = Recurring("Europe/Zurich", "01:00", "02:30", days=(6,))
    autumn = ms("2026-10-25T01:00:00", "Europe/Zurich")
    assert end_of(short, autumn, ZoneInfo) == autumn + 150 * MINUTE
    spring = ms("2026-03-29T01:00:00", "Europe/Zurich")
    assert end_of(short, spring, ZoneInfo) == spring + 90 * MINUTE


def test_days_are_those_on_which_it_starts() -> None:
    weekend = Recurring("UTC", "22:00", "06:00", days=(5,))
    assert end_of(weekend, ms("2026-01-11T03:00:00"), ZoneInfo) == ms("2026-01-11T06:00:00")
    assert end_of(weekend, ms("2026-01-10T03:00:00"), ZoneInfo) is None


@pytest.mark.parametrize(
    ("hours", "problem"),
    [
        (Recurring("Mars/Base", "22:00", "06:00"), "zone"),
        (Recurring("../etc/passwd", "22:00", "06:00"), "zone"),
        (Recurring("UTC", "24:00", "06:00"), "start"),
        (Recurring("UTC", "22:00", "6"), "end"),
        (Recurring("UTC", "22:00", "06:00", days=()), "days"),
    ],
)
def test_hours_that_cannot_be_are_told(hours: Recurring, problem: str) -> None:
    assert [one.partition(":")[0] for one in problems_of(hours, ZoneInfo)] == [problem]


def test_silences_once_and_again() -> None:
    once = Silence("1", since=T, until=T + HOUR)
    ever = Silence("2", what=Selector(rule="system:*"), since=T)
    nightly = Silence("3", since=T, again=Recurring("UTC", "01:00", "03:00"))
    other = Silence("4", what=Selector(servers=("s2",)))
    assert silenced_until([once, other], ABOUT, T, ZoneInfo) == T + HOUR
    assert silenced_until([once], ABOUT, T + HOUR, ZoneInfo) is None
    assert silenced_until([once], ABOUT, T - 1, ZoneInfo) is None
    assert silenced_until([once, ever], ABOUT, T, ZoneInfo) == 0
    assert silenced_until([nightly], ABOUT, T, ZoneInfo) is None
    assert silenced_until([nightly], ABOUT, T + 2 * HOUR, ZoneInfo) == T + 3 * HOUR
    assert silenced_until([nightly, once], ABOUT, T, ZoneInfo) == T + HOUR


def test_quiet_hours_never_hold_back_down_unless_asked() -> None:
    policy = Policy("p", quiet=Recurring("UTC", "22:00", "06:00"))
    assert quiet_until(policy, "critical", T, ZoneInfo) == T + 6 * HOUR
    assert quiet_until(policy, "down", T, ZoneInfo) is None
    asked = Policy("p", quiet=policy.quiet, quiet_holds_down=True)
    assert quiet_until(asked, "down", T, ZoneInfo) == T + 6 * HOUR
    assert quiet_until(Policy("p"), "critical", T, ZoneInfo) is None


def test_the_first_cause_is_on_top() -> None:
    def subject(title: str, severity: str, since: int) -> Subject:
        return Subject("k", "web-1", title, "", severity, since)  # type: ignore[arg-type]

    alerts = [
        subject("503", "critical", T + 3),
        subject("disk full", "warning", T),
        subject("postgres failed", "critical", T + 1),
        subject("down", "down", T + 9),
    ]
    assert [one.title for one in arranged(alerts)] == ["down", "disk full", "postgres failed", "503"]
