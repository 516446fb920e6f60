"""The live picture: how every planned monitor and every check of this server stands.

Invariants:
- A check stays for as long as its monitor yields it. While the monitor fails or is cut off, its checks are ``unknown``
  and say why: they neither vanish nor stay up. They vanish when the monitor runs without yielding them, when it has
  nothing to watch, and when it is no longer planned.
- ``since`` is when the check took on its state and reason, across restarts of its monitor and of the agent.
- Names are unique: of two checks with one name the worse one stands. Texts and counts are within the hub's bounds.
- A change of a check's state is logged once, a state never.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from heapq import nsmallest
from typing import get_args

import msgspec

from twinwatch.agent.plain import plain
from twinwatch.agent.plan import Planned
from twinwatch.monitors import Check
from twinwatch.protocol import limits
from twinwatch.protocol.checks import (
    CheckStanding,
    CheckState,
    ConfigurationStanding,
    MonitorStanding,
    MonitorState,
    Report,
)
from twinwatch.world.clock import Clock

FAILING = "monitor-failing"
"""Reason of a check whose monitor could not judge it."""
REASON_CHARACTERS = 128
OWN = ("twinwatch", "custom")
"""What is the agent's own: of itself, and what others push to it."""
PROBLEMS = 50
_SAYINGS = 20
"""Changes of checks that one run may log."""

_BADNESS: dict[str, int] = {"down": 0, "degraded": 1, "unknown": 2, "up": 3}
_STATES = frozenset(get_args(CheckState))
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Part:
    """One planned part of a monitor. ``names`` are the published names of its checks."""

    planned: Planned
    state: MonitorState
    since: int
    reason: str = ""
    names: dict[str, None] = field(default_factory=dict)


@dataclass(slots=True)
class _Claim:
    """What one part says of a check. ``stale``: it does not say so now, but did before."""

    check: CheckStanding
    stale: bool


class Standing:
    """The picture. ``remembered`` are the checks of the agent's last life: they stand until their monitor has run."""

    def __init__(self, clock: Clock, remembered: Iterable[CheckStanding] = ()) -> None:
        self._clock = clock
        self._remembered = list(remembered)
        self._parts: dict[str, _Part] = {}
        self._claims: dict[str, dict[str, _Claim]] = {}
        self._published: dict[str, CheckStanding] = {}
        self._callbacks: list[Callable[[], None]] = []
        self._saw: Callable[[Sequence[CheckStanding]], None] = _nobody
        self._gone: Callable[[Sequence[str]], None] = _nobody
        self._changed = False
        self._said = 0

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call back whenever a state or a reason of a check, a state of a monitor, or the set of either changes.

        A message alone changes silently.
        """
        self._callbacks.append(callback)

    def listen(self, saw: Callable[[Sequence[CheckStanding]], None], gone: Callable[[Sequence[str]], None]) -> None:
        """Call ``saw`` with the checks of each run, as they stand after it, and ``gone`` with names that vanish."""
        self._saw, self._gone = saw, gone

    @property
    def checks(self) -> tuple[CheckStanding, ...]:
        """All checks by name; the worst ones, if there are more than a server may have."""
        found: Iterable[CheckStanding] = self._published.values()
        if len(self._published) > limits.CHECKS_PER_SERVER:
            found = nsmallest(limits.CHECKS_PER_SERVER, found, key=lambda check: (_BADNESS[check.state], check.name))
        return tuple(sorted(found, key=lambda check: check.name))

    @property
    def monitors(self) -> tuple[MonitorStanding, ...]:
        """All monitors by name; one of several parts is failing if one of them is, and ok if one of them is."""
        several: dict[str, list[_Part]] = {}
        for part in self._parts.values():
            several.setdefault(part.planned.name, []).append(part)
        whole = [_whole(name, parts) for name, parts in sorted(several.items())]
        return tuple(whole[: limits.MONITORS_PER_SERVER])

    def runs(self, monitor: str) -> bool | None:
        """Whether the monitor of this name or type is at work; None: there is none, or nothing for it to watch."""
        if monitor in OWN:
            return True
        states = {one.state for one in self.monitors if monitor in (one.name, one.type)}
        return "ok" in states if states - {"absent"} else None

    def report(self, configuration: ConfigurationStanding) -> Report:
        """The whole truth for the hub, its digest included."""
        problems = tuple(
            plain(problem, limits.MESSAGE_CHARACTERS) for problem in configuration.problems[:PROBLEMS] if problem
        )
        report = Report(
            self.monitors, self.checks, msgspec.structs.replace(configuration, problems=problems), digest=""
        )
        return msgspec.structs.replace(report, digest=report.fingerprint())

    def plan(self, monitors: Sequence[Planned]) -> None:
        """These monitors, and no others, are to run. One that was replaced keeps its checks until it has run."""
        now = self._clock.now()
        planned = {one.label: one for one in monitors}
        for label in self._parts.keys() - planned.keys():
            self._vanish(label)
            del self._parts[label]
            self._changed = True
        for label, one in planned.items():
            part = self._parts.get(label)
            if part is None:
                self._parts[label] = part = _Part(one, "new", now)
                self._remember(part, now)
                self._changed = True
            elif part.planned != one:
                part.planned, part.state, part.reason, part.since = one, "new", "", now
                for name in part.names:
                    self._claims[name][label].stale = True
                self._changed = True
        self._remembered.clear()
        self._tell()

    def took(self, label: str, checks: Sequence[Check]) -> list[CheckStanding]:
        """A run of this part succeeded and yielded these checks; the result is how they stand.

        Raises: TypeError, ValueError if one of them is none; then nothing has changed.
        """
        part = self._parts.get(label)
        if part is None:
            return []
        fresh: dict[str, CheckStanding] = {}
        if len(checks) > limits.CHECKS_PER_SERVER:
            checks = nsmallest(limits.CHECKS_PER_SERVER, checks, key=lambda check: _BADNESS.get(check.state, 0))
        for check in checks:
            one = _lawful(part.planned.name, check)
            known = fresh.get(one.name)
            if known is None or _BADNESS[one.state] < _BADNESS[known.state]:
                fresh[one.name] = one
        for name in part.names.keys() - fresh.keys():
            self._drop(name, label)
        part.names = dict.fromkeys(fresh)
        for name, one in fresh.items():
            self._claims.setdefault(name, {})[label] = _Claim(one, stale=False)
            self._publish(name)
        self._become(part, "ok", "")
        self._tell()
        published = [self._published[name] for name in fresh]
        self._saw(published)
        return published

    def failed(self, label: str, reason: str) -> None:
        """A run of this part failed, was cut off or was skipped: its checks cannot be judged."""
        part = self._parts.get(label)
        if part is None:
            return
        self._become(part, "failing", reason)
        message = plain(f"cannot be judged: monitor {label} fails: {reason}", limits.MESSAGE_CHARACTERS)
        for name in part.names:
            one = CheckStanding(name, part.planned.name, "unknown", message, FAILING)
            self._claims[name][label] = _Claim(one, stale=True)
            self._publish(name)
        self._tell()
        self._saw([self._published[name] for name in part.names])

    def absent(self, label: str, reason: str) -> None:
        """This part has nothing to watch."""
        part = self._parts.get(label)
        if part is None:
            return
        self._vanish(label)
        self._become(part, "absent", reason)
        self._tell()

    def _remember(self, part: _Part, now: int) -> None:
        for check in self._remembered:
            if check.monitor == part.planned.name:
                part.names[check.name] = None
                self._claims.setdefault(check.name, {})[part.planned.label] = _Claim(check, stale=True)
                self._published.setdefault(check.name, msgspec.structs.replace(check, since=min(check.since, now)))

    def _become(self, part: _Part, state: MonitorState, reason: str) -> None:
        part.reason = plain(reason, limits.MESSAGE_CHARACTERS)
        if state != part.state:
            part.state, part.since = state, self._clock.now()
            self._changed = True

    def _vanish(self, label: str) -> None:
        part = self._parts[label]
        for name in part.names:
            self._drop(name, label)
        part.names = {}

    def _drop(self, name: str, label: str) -> None:
        claims = self._claims[name]
        gone = claims.pop(label)
        if not gone.stale and all(claim.stale for claim in claims.values()):
            # Who knew it best says that it is gone; what others said of it is older.
            for other in claims:
                self._parts[other].names.pop(name, None)
            claims.clear()
        if claims:
            self._publish(name)
        else:
            del self._claims[name]
            if self._published.pop(name, None) is not None:
                self._changed = True
                self._gone([name])

    def _publish(self, name: str) -> None:
        claims = self._claims[name].values()
        # What a part said before its plan changed says more than that another part fails.
        told = (
            [claim for claim in claims if not claim.stale]
            or [claim for claim in claims if claim.check.reason != FAILING]
            or claims
        )
        check = min((claim.check for claim in told), key=lambda check: _BADNESS[check.state])
        before = self._published.get(name)
        if before is not None and (before.state, before.reason) == (check.state, check.reason):
            if before.message != check.message or before.monitor != check.monitor:
                self._published[name] = msgspec.structs.replace(check, since=before.since)
            return
        self._published[name] = msgspec.structs.replace(check, since=self._clock.now())
        self._changed = True
        if _worth_a_line(before, check):
            self._say(check)

    def _say(self, check: CheckStanding) -> None:
        self._said += 1
        if self._said > _SAYINGS:
            return
        level = logging.WARNING if check.state in ("down", "degraded") else logging.INFO
        _log.log(level, "check %s: %s%s", check.name, check.state, f": {check.message}" if check.message else "")

    def _tell(self) -> None:
        if self._said > _SAYINGS:
            _log.warning("%d more checks have changed", self._said - _SAYINGS)
        self._said = 0
        if self._changed:
            self._changed = False
            for callback in self._callbacks:
                callback()


def _nobody(_: Sequence[object]) -> None:
    """Nobody judges."""


def _worth_a_line(before: CheckStanding | None, check: CheckStanding) -> bool:
    """A monitor that fails or recovers says so itself, once; its hundred checks need not."""
    if check.reason == FAILING:
        return False
    if before is None or before.reason == FAILING:
        return check.state in ("down", "degraded")
    return check.state != before.state


def _lawful(monitor: str, check: Check) -> CheckStanding:
    if check.state not in _STATES:
        raise ValueError(f"check {check.name!r}: state {check.state!r}; expected {', '.join(sorted(_STATES))}")
    return CheckStanding(
        plain(f"{monitor}:{plain(check.name, limits.CHECK_NAME_CHARACTERS)}", limits.CHECK_NAME_CHARACTERS),
        monitor,
        check.state,
        plain(check.message, limits.MESSAGE_CHARACTERS),
        plain(check.reason, REASON_CHARACTERS),
    )


def _whole(name: str, parts: Sequence[_Part]) -> MonitorStanding:
    states = {part.state for part in parts}
    order: tuple[MonitorState, ...] = ("failing", "ok", "new", "absent")
    state = next(state for state in order if state in states)
    such = [part for part in parts if part.state == state]
    first = such[0]
    reason = first.reason
    if len(parts) > 1 and reason:
        more = f" (and {len(such) - 1} more of {len(parts)} parts)" if len(such) > 1 else ""
        reason = plain(f"{first.planned.part}: {reason}{more}", limits.MESSAGE_CHARACTERS)
    return MonitorStanding(
        name=name,
        type=first.planned.kind.name,
        origin=first.planned.origin,
        state=state,
        reason=reason,
        interval_seconds=first.planned.interval_seconds,
        since=min(part.since for part in such) if state == "failing" else max(part.since for part in such),
    )
