"""Which alerts are told to whom, when the next in line is, and what holds a message back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from twinwatch.alerts.conditions import matcher
from twinwatch.alerts.hours import Zones, end_of
from twinwatch.protocol.policies import Policy, Selector, Silence
from twinwatch.protocol.rules import Severity

STEPS = 20
LEAST_REPEAT_SECONDS = 60


class About(NamedTuple):
    """What selectors look at."""

    server: str
    """Its uuid; empty for what is of no server."""
    tags: frozenset[str]
    rule: str
    severity: Severity


@dataclass(frozen=True, slots=True)
class Due:
    """Who is to be told now, and when to look again. ``step`` is how many steps have been taken by then."""

    channels: tuple[str, ...]
    repeats: bool
    step: int
    look_at: int | None


def admits(what: Selector, about: About) -> bool:
    """Whether the selector means this alert. Servers and tags add up, the rule narrows."""
    if what.rule and not matcher(what.rule)(about.rule):
        return False
    if not what.servers and not what.tags:
        return True
    return about.server in what.servers or not about.tags.isdisjoint(what.tags)


def policy_for(policies: Iterable[Policy], about: About) -> Policy | None:
    """The first policy that admits the alert."""
    for policy in policies:
        if (not policy.severities or about.severity in policy.severities) and admits(policy.what, about):
            return policy
    return None


def silenced_until(silences: Iterable[Silence], about: About, now: int, zones: Zones) -> int | None:
    """When the last of the silences that hold now ends, ms UTC; None if none holds; 0 if one has no end."""
    ends: list[int] = []
    for silence in silences:
        if silence.since > now or (silence.until and silence.until <= now) or not admits(silence.what, about):
            continue
        end = silence.until
        if silence.again is not None:
            hours_end = end_of(silence.again, now, zones)
            if hours_end is None:
                continue
            end = min(hours_end, end) if end else hours_end
        ends.append(end)
    if not ends:
        return None
    return 0 if 0 in ends else max(ends)


def quiet_until(policy: Policy, severity: Severity, now: int, zones: Zones) -> int | None:
    """When the quiet hours end in which this is to wait; None if it need not."""
    if policy.quiet is None or (severity == "down" and not policy.quiet_holds_down):
        return None
    return end_of(policy.quiet, now, zones)


def due(policy: Policy, opened_at: int, step: int, repeated_at: int, now: int) -> Due:
    """Of an open alert that nobody has acknowledged: the channels of the steps that have come since ``step`` of them
    were taken; else, when it is time to repeat, those of all taken. ``repeated_at`` is when somebody was last told."""
    steps = policy.steps[:STEPS]
    taken = step
    while taken < len(steps) and opened_at + steps[taken].after_seconds * 1000 <= now:
        taken += 1
    following = opened_at + steps[taken].after_seconds * 1000 if taken < len(steps) else None
    repeat = max(policy.repeat_seconds, LEAST_REPEAT_SECONDS) * 1000 if policy.repeat_seconds else None
    if taken > step:
        repeating = now + repeat if repeat is not None else None
        return Due(_channels(steps[step:taken]), False, taken, _earlier(following, repeating))
    if repeat is None or not taken:
        return Due((), False, taken, following)
    if repeated_at + repeat > now:
        return Due((), False, taken, _earlier(following, repeated_at + repeat))
    return Due(_channels(steps[:taken]), True, taken, _earlier(following, now + repeat))


def _channels(steps: Sequence[object]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(channel for step in steps for channel in getattr(step, "channels", ())))


def _earlier(one: int | None, other: int | None) -> int | None:
    return min((time for time in (one, other) if time is not None), default=None)
