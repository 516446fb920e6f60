"""One step of one rule on one thing: what it was, what was seen, what it is now, and what that means.

Laws:
- ``step`` is total and deterministic; what is not newer than the state changes nothing; so the same observation twice
  changes nothing either, and a history replayed gives the state that was stored.
- ``fired`` and ``resolved`` alternate, and ``fired`` is first. Between them are at most ``settled``.
- *Not judged* (no data, ``unknown``, a window with a hole) is neither good nor bad: an open alert stays open, and one
  that was about to fire begins anew if the hole is long.
- Episode numbers of one thing rise; they are the ms of the firing.

A thing that keeps firing (``FLAPS`` times in ``FLAP_MILLISECONDS``) flaps: the episode that then begins lasts until it
has been well for ``SETTLE_MILLISECONDS``, so that people get one message, and a last one when it has come to rest.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from typing import Any, Literal, NamedTuple

import msgspec

from twinwatch.alerts.conditions import Condition
from twinwatch.alerts.window import GAP_INTERVALS, Window, added, aggregated, covered
from twinwatch.protocol.checks import CheckState

FLAPS = 3
FLAP_MILLISECONDS = 30 * 60_000
SETTLE_MILLISECONDS = 10 * 60_000
STALE_MILLISECONDS = 10 * 60_000
"""A series that has had no sample for so long, though its monitor runs, is gone …"""
STALE_INTERVALS = 5
"""… unless its samples are that far apart, in intervals."""

Phase = Literal["ok", "pending", "firing"]
Verdict = Literal["bad", "between", "well", ""]
"""``between``: neither beyond the bound nor within the one for clearing. Empty: not judged."""
Ended = Literal["recovered", "gone", "changed", "closed"]
"""Why an alert was resolved: well again; nothing to judge any more; its rule was changed or taken away; by hand."""


class Sample(NamedTuple):
    """A value of a series. ``interval`` is how far apart they are to be expected, ms."""

    time: int
    value: float
    interval: int = 0


class Seen(NamedTuple):
    """An outcome of a check or a probe."""

    time: int
    state: CheckState
    message: str = ""
    reason: str = ""
    interval: int = 0


class Tick(NamedTuple):
    """Time has passed and nothing else was seen. ``running``: whether who would have seen it was at work."""

    time: int
    running: bool = True


class Gone(NamedTuple):
    """There is nothing to judge any more."""

    time: int
    why: Ended = "gone"


Observation = Sample | Seen | Tick | Gone


class State(msgspec.Struct, frozen=True, omit_defaults=True):
    """All that is remembered of a rule on a thing. Times are ms, 0 for none."""

    time: int = 0
    phase: Phase = "ok"
    since: int = 0
    """When it became bad, by the first bad observation: the alert's true beginning."""
    episode: int = 0
    fired_at: int = 0
    judged_at: int = 0
    seen_at: int = 0
    """When there was last a sample or an outcome."""
    interval: int = 0
    well_since: int = 0
    flipped_at: int = 0
    """When good and bad last changed places."""
    value: float | None = None
    message: str = ""
    reason: str = ""
    blind: bool = False
    """Whether the last outcome could not be judged."""
    outcomes: str = ""
    """The last ones judged of a check or probe, oldest first: ``b`` or ``w``."""
    fires: tuple[int, ...] = ()
    flapping: bool = False
    window: Window = ()
    basis: str = ""

    @property
    def firing(self) -> bool:
        """Whether an alert is open."""
        return self.phase == "firing"


class Transition(NamedTuple):
    """What people may have to be told. ``value`` is what was judged, where that is a number."""

    kind: Literal["fired", "settled", "resolved"]
    time: int
    since: int
    episode: int
    flapping: bool = False
    why: Ended = "recovered"


def step(condition: Condition, state: State, seen: Observation) -> tuple[State, tuple[Transition, ...]]:
    """The state after an observation, and what came of it."""
    if seen.time <= state.time:
        return state, ()
    if isinstance(seen, Gone):
        return _ended(state, seen)
    if state.basis != condition.basis:
        state = _with(state, window=(), outcomes="", basis=condition.basis)
    state, verdict = _JUDGES[condition.kind](condition, state, seen)
    state = _with(state, time=seen.time)
    return _moved(condition, state, verdict)


def due_at(condition: Condition, state: State) -> int | None:
    """When a ``Tick`` may change something, ms; None: not before something is seen."""
    times = []
    if state.phase == "pending" and condition.kind == "check":
        times.append(state.since + condition.hold)
    if state.firing and state.well_since and condition.kind != "sample":
        times.append(state.well_since + _clear_hold(condition, state))
    if state.firing and state.flapping:
        times.append(state.flipped_at + SETTLE_MILLISECONDS)
    if state.firing and condition.kind == "sample":
        times.append(state.seen_at + _stale(state))
    if condition.kind == "no_data" and not state.firing:
        times.append((state.seen_at or state.time) + condition.no_data + 1)
    return min(times, default=None)


def _judge_sample(condition: Condition, state: State, seen: Observation) -> tuple[State, Verdict]:
    rule = condition.rule
    if not isinstance(seen, Sample):
        if isinstance(seen, Tick) and seen.running and state.firing and seen.time - state.seen_at >= _stale(state):
            return state, "well"
        return state, ""
    if not isfinite(seen.value):
        return state, ""
    interval = seen.interval or state.interval
    state = _with(state, seen_at=seen.time, interval=interval)
    value = seen.value
    if condition.window:
        window = added(state.window, seen.time, value, condition.window)
        state = _with(state, window=window)
        if not covered(window, seen.time, condition.window, interval):
            return state, ""
        value = aggregated(window, rule.aggregate, condition.window, rule.target)
    state = _with(state, value=value if isfinite(value) else None)
    if (rule.above is not None and value > rule.above) or (rule.below is not None and value < rule.below):
        return state, "bad"
    above = rule.above if rule.above_clear is None else rule.above_clear
    below = rule.below if rule.below_clear is None else rule.below_clear
    cleared = (above is None or value <= above) and (below is None or value >= below)
    return state, "well" if cleared else "between"


def _judge_no_data(condition: Condition, state: State, seen: Observation) -> tuple[State, Verdict]:
    if isinstance(seen, Sample):
        return _with(state, seen_at=seen.time, interval=seen.interval or state.interval, value=None), "well"
    if not isinstance(seen, Tick):
        return state, ""
    if not state.seen_at:
        # Nothing has ever come: the time counts from when somebody began to wait.
        return _with(state, seen_at=seen.time), ""
    if not seen.running:
        # Its monitor does not run, which is another alert's matter; the wait begins anew when it does.
        return (state if state.firing else _with(state, seen_at=seen.time)), ""
    if seen.time - state.seen_at > condition.no_data:
        return _with(state, value=(seen.time - state.seen_at) / 1000), "bad"
    return state, ""


def _judge_outcome(condition: Condition, state: State, seen: Observation) -> tuple[State, Verdict]:
    rule = condition.rule
    if isinstance(seen, Tick):
        # A check stands as it was last seen, for as long as somebody looks.
        if not seen.running or state.blind or not state.outcomes:
            return state, ""
        return state, _of_outcomes(condition, state.outcomes)
    if not isinstance(seen, Seen):
        return state, ""
    state = _with(state, seen_at=seen.time, interval=seen.interval or state.interval)
    if seen.state == "unknown" and "unknown" not in rule.states:
        return _with(state, blind=True), ""
    is_bad = seen.state in rule.states
    outcomes = (state.outcomes + ("b" if is_bad else "w"))[-max(condition.of, rule.recover) :]
    state = _with(state, outcomes=outcomes)
    if is_bad or not state.firing:
        state = _with(state, message=seen.message, reason=seen.reason)
    return state, _of_outcomes(condition, outcomes)


def _of_outcomes(condition: Condition, outcomes: str) -> Verdict:
    rule = condition.rule
    if outcomes[-condition.of :].count("b") >= rule.times:
        return "bad"
    return "well" if "b" not in outcomes[-rule.recover :] and len(outcomes) >= rule.recover else "between"


def _judge_nothing(condition: Condition, state: State, seen: Observation) -> tuple[State, Verdict]:
    return state, ""


_Judge = Callable[[Condition, State, Observation], tuple[State, Verdict]]
_JUDGES: dict[str, _Judge] = {
    "sample": _judge_sample,
    "no_data": _judge_no_data,
    "check": _judge_outcome,
    "probe": _judge_outcome,
    # Silence is judged by ``liveness``, which knows what else keeps a server from being heard.
    "silent": _judge_nothing,
}


def _moved(condition: Condition, state: State, verdict: Verdict) -> tuple[State, tuple[Transition, ...]]:
    now = state.time
    if not verdict:
        return state, ()
    hole = now - state.judged_at > max(round(state.interval * GAP_INTERVALS), condition.hold // 2, 60_000)
    hole = hole and (condition.kind != "check" or state.blind)  # of checks it is told when they change
    stale = condition.kind == "sample" and state.firing and now - state.seen_at >= _stale(state)
    state = _with(state, judged_at=now, blind=False)
    if state.phase == "pending" and (verdict != "bad" or hole):
        state = _with(state, phase="ok", since=0)
    if state.phase == "ok" and verdict == "bad":
        since = state.seen_at if condition.kind == "no_data" else now
        state = _with(state, phase="pending", since=since, flipped_at=now)
        # What has waited for its data has waited long enough.
        if condition.hold and condition.kind != "no_data":
            return state, ()
    if state.phase == "pending":
        return _fired(state) if now - state.since >= condition.hold else (state, ())
    if state.phase == "ok":
        return state, ()
    if stale:
        return _ended(state, Gone(now))
    if verdict == "well":
        if not state.well_since:
            state = _with(state, well_since=now, flipped_at=now)
        if now - state.well_since >= _clear_hold(condition, state):
            return _resolved(state, "recovered")
        return state, ()
    if state.well_since and verdict == "bad":
        state = _with(state, well_since=0, flipped_at=now)
    if state.flapping and not state.well_since and now - state.flipped_at >= SETTLE_MILLISECONDS:
        state = _with(state, flapping=False)
        return state, (Transition("settled", now, state.since, state.episode),)
    return state, ()


def _fired(state: State) -> tuple[State, tuple[Transition, ...]]:
    now = state.time
    fires = (*(at for at in state.fires if now - at < FLAP_MILLISECONDS), now)[-FLAPS:]
    flapping = len(fires) >= FLAPS
    episode = max(state.episode + 1, now)
    state = _with(
        state,
        phase="firing",
        episode=episode,
        fired_at=now,
        well_since=0,
        flipped_at=now,
        fires=fires,
        flapping=flapping,
    )
    return state, (Transition("fired", now, state.since, episode, flapping),)


def _resolved(state: State, why: Ended) -> tuple[State, tuple[Transition, ...]]:
    told = Transition("resolved", state.time, state.since, state.episode, state.flapping, why)
    return _with(state, phase="ok", since=0, well_since=0, flapping=False), (told,)


def _ended(state: State, gone: Gone) -> tuple[State, tuple[Transition, ...]]:
    firing = state.firing
    state = _with(state, time=gone.time, window=(), outcomes="", seen_at=0, judged_at=0, blind=False)
    if firing:
        return _resolved(state, gone.why)
    return _with(state, phase="ok", since=0), ()


def _clear_hold(condition: Condition, state: State) -> int:
    return max(condition.clear_hold, SETTLE_MILLISECONDS) if state.flapping else condition.clear_hold


def _stale(state: State) -> int:
    return max(STALE_MILLISECONDS, STALE_INTERVALS * state.interval)


def _with(state: State, **fields: Any) -> State:
    return msgspec.structs.replace(state, **fields)
