"""What one try of a probe means: its rules stepped, how it stands now, and what people may have to be told. Pure.

Invariants: a try that could not be judged is neither good nor bad; a rule that is no more ends what it fired.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import msgspec

from twinwatch.alerts.conditions import Condition, condition_of, problems_of
from twinwatch.alerts.step import Gone, Observation, Sample, Seen, State, Tick, Transition, step
from twinwatch.hub.probing.kinds import Outcome
from twinwatch.monitors.reach import EXPIRES_IN
from twinwatch.protocol.checks import CheckState
from twinwatch.protocol.rules import Rule, Severity

DURATION = "probe.duration"
"""The metric of a probe's time, for rules on it."""
METRICS = (DURATION, EXPIRES_IN.name)
RECHECK_SECONDS = 10
"""After a try that may change how a probe stands the next one comes this soon: certainty is not waited for."""

DEFAULTS = (
    Rule("Probe down", severity="critical", probe="*", times=2, of=3, recover=2),
    Rule("Certificate expires soon", severity="warning", metric=EXPIRES_IN.name, below=14 * 86_400.0),
    Rule("Certificate expires in days", severity="critical", metric=EXPIRES_IN.name, below=3 * 86_400.0),
)
"""What counts for each probe unless the organization has a rule of that name."""

Memory = dict[str, State]
"""What each rule remembers, by its name."""


class Try(NamedTuple):
    """One try of one probe: of this name, at this time (ms UTC), expected every so often (ms)."""

    name: str
    host: str
    time: int
    interval: int
    outcome: Outcome


class Happened(NamedTuple):
    """Something that people may have to be told, by which rule. ``title`` and ``message`` are of a firing."""

    rule: Rule
    transition: Transition
    severity: Severity
    title: str
    message: str
    value: float | None
    unit: str
    of_outcome: bool
    """Whether the outcome was judged, rather than a number that came with it."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """How it stands after the try. ``recheck``: whether to look again soon."""

    state: CheckState
    reason: str
    message: str
    memory: Memory
    happened: tuple[Happened, ...]
    recheck: bool
    rules: Mapping[str, Rule]
    """Those that counted, by name."""


def rules_for(own: Iterable[Rule]) -> tuple[Rule, ...]:
    """The rules that count for a probe: those of the organization's on probes and their metrics, and the defaults that
    none of them replaces."""
    named = {rule.name: rule for rule in DEFAULTS}
    for rule in own:
        if rule.name in named or rule.probe or rule.metric in METRICS:
            named[rule.name] = rule
    return tuple(
        rule
        for rule in named.values()
        if rule.enabled and (rule.probe or (rule.metric in METRICS and not rule.no_data)) and not problems_of(rule)
    )


def judged(memory: Memory, rules: Sequence[Rule], seen: Try) -> Judgement:
    """Steps every rule that counts for the probe of this name with what a try came to."""
    after: Memory = {}
    happened: list[Happened] = []
    recheck = False
    down = False
    conditions = {rule.name: condition for rule in rules if (condition := _met(rule, seen)) is not None}
    for name in {**conditions, **memory}:
        before = memory.get(name, State())
        condition = conditions.get(name)
        if condition is None:
            state, transitions = step(_NOTHING, before, Gone(seen.time, "changed"))
        else:
            state, transitions = _stepped(condition, before, seen)
            after[name] = state
            if condition.kind == "probe":
                down = down or (state.firing and "down" in condition.rule.states)
                bad = seen.outcome.state in condition.rule.states
                recheck = recheck or (seen.outcome.state != "unknown" and bad != state.firing and not state.flapping)
        rule = _NOTHING.rule if condition is None else condition.rule
        happened += [_happened(msgspec.structs.replace(rule, name=name), state, one, seen) for one in transitions]
    met = {name: condition.rule for name, condition in conditions.items()}
    return Judgement(*_standing(seen.outcome, down=down), after, tuple(happened), recheck, met)


def _standing(outcome: Outcome, *, down: bool) -> tuple[CheckState, str, str]:
    """What people see: down once that is certain, until it is certainly not."""
    if outcome.state == "down" and not down:
        return "degraded", outcome.reason, outcome.message
    if outcome.state in ("up", "degraded") and down:
        return "degraded", "recovering", "it answers again; looked at once more before it counts as up"
    return outcome.state, outcome.reason, outcome.message


def _met(rule: Rule, seen: Try) -> Condition | None:
    condition = _condition(rule)
    if rule.probe:
        return condition if condition.names(seen.name) else None
    return condition if condition.admits({"probe": seen.name, "server.address": seen.host}) else None


def _stepped(condition: Condition, state: State, seen: Try) -> tuple[State, tuple[Transition, ...]]:
    outcome = seen.outcome
    what: Observation
    if condition.kind == "probe":
        what = Seen(seen.time, outcome.state, outcome.message, outcome.reason, seen.interval)
    elif condition.rule.metric == DURATION:
        if outcome.seconds is None or outcome.state == "down":
            what = Tick(seen.time, running=False)
        else:
            what = Sample(seen.time, outcome.seconds, seen.interval)
    elif outcome.expires_at is None or (outcome.state == "down" and outcome.reason == "tls-expired"):
        # That it is over is told as the probe being down; days left are of no interest any more.
        what = Tick(seen.time, running=False)
    else:
        what = Sample(seen.time, (outcome.expires_at - seen.time) / 1000, seen.interval)
    return step(condition, state, what)


def _happened(rule: Rule, state: State, transition: Transition, seen: Try) -> Happened:
    of_outcome = bool(rule.probe)
    value = None if of_outcome else state.value
    title, message = _words(rule, state, seen)
    if rule.message:
        message = _filled(rule.message, state, seen)
    unit = "" if of_outcome else "s"
    return Happened(rule, transition, rule.severity, title, message, value, unit, of_outcome)


def _words(rule: Rule, state: State, seen: Try) -> tuple[str, str]:
    if rule.metric == EXPIRES_IN.name:
        days = (state.value or 0.0) / 86_400
        if days <= 0:
            return "Certificate has expired", f"The certificate that {seen.host} shows has expired: renew it."
        left = f"{days:.0f} days" if days >= 2 else f"{days * 24:.0f} hours"
        return f"Certificate expires in {left}", f"The certificate that {seen.host} shows expires in {left}: renew it."
    if rule.metric:
        took = state.value or 0.0
        return f"Slow: {took:.2f} s", f"The answer of {seen.host} takes {took:.2f} s."
    word = {"down": "Down", "degraded": "Degraded", "unknown": "Cannot be judged"}.get(seen.outcome.state, "Fails")
    said = seen.outcome.message or seen.outcome.reason
    of = max(rule.of, rule.times)
    how = f"{rule.times} of {of} tries" if of > 1 else "the last try"
    return f"{word}: {said}"[:300], f"{said} ({how} from the hub)."


def _filled(template: str, state: State, seen: Try) -> str:
    """A message in a person's own words; what is not known of a probe stays as it stands."""
    known = {
        "server": seen.name,
        "check": seen.name,
        "message": seen.outcome.message,
        "value": "" if state.value is None else f"{state.value:g}",
    }
    return re.sub(r"\{(\w+)\}", lambda found: known.get(found[1], found[0]), template)


@lru_cache(maxsize=4096)
def _compiled(encoded: bytes) -> Condition:
    return condition_of(msgspec.msgpack.decode(encoded, type=Rule))


def _condition(rule: Rule) -> Condition:
    # Rules hold maps and cannot be keys themselves.
    return _compiled(msgspec.msgpack.encode(rule))


_NOTHING = condition_of(Rule("gone", probe="*"))
