"""From a silence to how grave it is, with everything else that is known of the server at the time.

Time in which the hub itself was blind does not count: a server cannot be heard by who does not listen. What else is
known (a closed connection, a failed probe) never alerts by itself; it shortens the wait where that is wanted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from twinwatch.protocol.life import Leaving
from twinwatch.protocol.rules import Severity

FAST_SILENCE_MILLISECONDS = 12_000
"""In fast mode, with evidence: two heartbeats missed and a little."""
FAST_HEARTBEAT_SECONDS = 5.0
REBOOT_MILLISECONDS = 10 * 60_000
"""What a server that said it reboots gets at least."""


class Threshold(NamedTuple):
    """So long a silence is so grave, by this rule."""

    seconds: float
    severity: Severity
    rule: str


Ladder = tuple[Threshold, ...]
"""Ascending by seconds; severities only rise."""
Span = tuple[int, int]
"""From, to: ms UTC. The last ``RECOVERY_MILLISECONDS`` are the time in which everybody can be heard again."""
RECOVERY_MILLISECONDS = 15_000
"""After the hub was blind, a server gets so long to be heard: an agent that missed the hub tries every few seconds."""

LATE, DOWN = "Server late", "Server down"
"""Names of the rules that come along; rules of an organization by these names stand in their place."""


class Signs(NamedTuple):
    """What is known of one server. Times are ms UTC, 0 for never."""

    last_sign_at: int
    leaving: Leaving | None = None
    """What it said when it left, if it has not been heard since."""
    left_at: int = 0
    back_by: int = 0
    control_lost_at: int = 0
    """When its control connection was closed, if it has not come back."""
    failed_from_outside: bool = False
    """Whether a probe or a witness found it unreachable since."""
    fast: bool = False


def ladder_of(thresholds: Sequence[Threshold]) -> Ladder:
    """The thresholds as a ladder: what is no graver than a shorter silence is left out."""
    order = {"warning": 0, "critical": 1, "down": 2}
    found: list[Threshold] = []
    for one in sorted(thresholds, key=lambda one: (one.seconds, order[one.severity])):
        if not found or order[one.severity] > order[found[-1].severity]:
            found.append(one)
    return tuple(found)


def silence(last_sign_at: int, now: int, blind: Sequence[Span]) -> int:
    """How long it could have been heard and was not, ms. Who was heard since the hub hears again needs no time."""
    lost = sum(
        max(0, min(to, now) - max(since, last_sign_at))
        for since, to in blind
        if last_sign_at < to - RECOVERY_MILLISECONDS
    )
    return max(0, now - last_sign_at - lost)


def level_of(signs: Signs, ladder: Ladder, now: int, blind: Sequence[Span] = ()) -> int:
    """How many thresholds the silence has passed: 0 is well."""
    if not signs.last_sign_at or _is_expected_away(signs, now):
        return 0
    silent = silence(signs.last_sign_at, now, blind)
    level = sum(silent > threshold.seconds * 1000 for threshold in ladder)
    if signs.fast and silent > FAST_SILENCE_MILLISECONDS and _has_evidence(signs):
        return len(ladder)
    return level


def _is_expected_away(signs: Signs, now: int) -> bool:
    return signs.leaving == "reboot" and now < max(signs.back_by, signs.left_at + REBOOT_MILLISECONDS)


def _has_evidence(signs: Signs) -> bool:
    return signs.failed_from_outside or signs.control_lost_at >= signs.last_sign_at > 0
