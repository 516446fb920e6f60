"""Judges every sample and every outcome of a check by the rules in force, each thing for itself.

Invariants: a thing is judged by its own time; what is not newer than its state changes nothing; of a window, only what
samples cover. An alert whose rule changed or whose thing is gone ends, and says why. Memory is bounded: at most
``THINGS`` things, and of each what ``alerts.step`` keeps.

No I/O: what is to be kept is in ``touched``, what happened is the result of each call.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple

import msgspec

from twinwatch.agent.buffer import Tick
from twinwatch.alerts.conditions import Condition, condition_of
from twinwatch.alerts.episodes import bounded, series_thing
from twinwatch.alerts.step import Ended, Gone, Observation, Sample, Seen, State, Transition, due_at, step
from twinwatch.alerts.step import Tick as Passed
from twinwatch.alerts.window import Window, added
from twinwatch.protocol.checks import CheckStanding
from twinwatch.protocol.rules import Rule

THINGS = 10_000
OLD_MILLISECONDS = 10 * 60_000
"""A sample that is older when it comes is history: it is shown, not judged."""
AHEAD_MILLISECONDS = 60_000

Runs = Callable[[str], bool | None]
"""Whether the monitor of this name or type runs; None: there is none (any more)."""

_log = logging.getLogger(__name__)


class Remembered(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is kept of a thing: by which rule it was judged, whose it is, and its state without its window."""

    rule: Rule
    thing: str
    state: State
    monitor: str = ""
    metric: str = ""
    labels: dict[str, str] = {}


class Change(NamedTuple):
    """What happened to one thing, and what was known of it then."""

    rule: Rule
    thing: str
    labels: Mapping[str, str]
    metric: str
    state: State
    transition: Transition


class Thing:
    """One thing under one rule. ``metric`` is empty for a check."""

    __slots__ = ("condition", "labels", "metric", "monitor", "name", "state")

    def __init__(
        self, condition: Condition, name: str, monitor: str, metric: str, labels: Mapping[str, str], state: State
    ) -> None:
        self.condition = condition
        self.name = name
        self.monitor = monitor
        self.metric = metric
        self.labels = labels
        self.state = state

    @property
    def place(self) -> tuple[str, str]:
        """Rule and thing."""
        return self.condition.rule.name, self.name

    @property
    def remembered(self) -> Remembered | None:
        """What is to be kept of it; None: nothing that a fresh start would not find."""
        state = self.state
        bad = state.phase != "ok" or state.episode or "b" in state.outcomes
        if not bad and self.condition.kind != "no_data":
            return None
        kept = msgspec.structs.replace(state, window=())
        return Remembered(self.condition.rule, self.name, kept, self.monitor, self.metric, dict(self.labels))


class Judge:
    """The things and their states. ``interval_of`` says how far apart samples of a monitor's type are, ms."""

    def __init__(self, interval_of: Callable[[str], int], remembered: Iterable[Remembered] = (), now: int = 0) -> None:
        self._interval_of = interval_of
        self._conditions: tuple[Condition, ...] = ()
        self._by_metric: dict[str, list[Condition]] = {}
        self._of_checks: list[Condition] = []
        self._things: dict[tuple[str, str], Thing] = {}
        self._shapes: dict[str, list[tuple[int, Thing]]] = {}
        self._checks: dict[str, list[Thing]] = {}
        self._waiting: dict[tuple[str, str], Thing] = {}
        self._full = False
        self.touched: dict[tuple[str, str], Thing] = {}
        """What is another than when it was last kept; whoever keeps it empties this."""
        self.urgent = False
        """Whether something of it must not wait."""
        for one in remembered:
            try:
                condition = condition_of(one.rule)
            except ValueError:
                continue
            thing = Thing(condition, one.thing, one.monitor, one.metric, one.labels, one.state)
            self._things[thing.place] = thing
            self._wait(thing)
        newest = max((thing.state.time for thing in self._things.values()), default=0)
        if now and newest > now:
            self.shift(now - newest)

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """The rules in force."""
        return self._conditions

    def become(self, conditions: tuple[Condition, ...], now: int) -> list[Change]:
        """Judge by these rules from now on. What a rule that changed or is gone has fired is over."""
        self._conditions = conditions
        self._by_metric, self._of_checks = {}, []
        for condition in conditions:
            if condition.rule.metric:
                self._by_metric.setdefault(condition.rule.metric, []).append(condition)
            else:
                self._of_checks.append(condition)
        self._shapes.clear()
        self._checks.clear()
        changes: list[Change] = []
        for thing in list(self._things.values()):
            found = self._condition_for(thing)
            if found is None or _is_another(thing.condition, found):
                changes += self._end(thing, now, "changed")
            else:
                if found.rule != thing.condition.rule:
                    # What was counted by the old rule says nothing of the new one.
                    thing.state = msgspec.structs.replace(thing.state, basis="")
                    self._touch(thing)
                thing.condition = found
        for condition in conditions:
            if condition.kind == "no_data" and not any(
                thing.condition.rule.name == condition.rule.name for thing in self._things.values()
            ):
                # Nobody has ever seen a sample of it: the wait for one begins.
                self._add(condition, condition.rule.metric, "", condition.rule.metric, {})
        return changes

    def warm(self, ticks: Iterable[Tick]) -> None:
        """Fill the windows with what was seen before this start, by ascending time."""
        for tick in ticks:
            for place, thing in self._of_shape(tick):
                value, condition = tick.values[place], thing.condition
                if value is None or not condition.window:
                    continue
                before: Window = thing.state.window if thing.state.basis == condition.basis else ()
                window = added(before, tick.time, float(value), condition.window)
                thing.state = msgspec.structs.replace(thing.state, window=window, basis=condition.basis)

    def windows(self) -> tuple[set[str], int]:
        """The metrics that are looked back on, and how far at most, ms."""
        looking = [condition for condition in self._conditions if condition.window]
        return {one.rule.metric for one in looking}, max((one.window for one in looking), default=0)

    def took(self, ticks: Iterable[Tick], now: int) -> list[Change]:
        """Samples of a run, or pushed ones."""
        changes: list[Change] = []
        for tick in ticks:
            if not now - OLD_MILLISECONDS < tick.time <= now + AHEAD_MILLISECONDS:
                continue
            found = self._of_shape(tick)
            if not found:
                continue
            interval = self._interval_of(tick.shape.monitor)
            for place, thing in found:
                value = tick.values[place]
                if value is not None:
                    changes += self._step(thing, Sample(tick.time, float(value), interval))
        return changes

    def saw(self, checks: Iterable[CheckStanding], now: int, interval_of: Callable[[str], int]) -> list[Change]:
        """Outcomes of checks. ``interval_of`` says how far apart those of a monitor are, by its name, ms."""
        changes: list[Change] = []
        for check in checks:
            for thing in self._of_check(check):
                seen = Seen(now, check.state, check.message, check.reason, interval_of(check.monitor))
                changes += self._step(thing, seen)
        return changes

    def gone(self, checks: Iterable[str], now: int) -> list[Change]:
        """These checks are no more."""
        changes: list[Change] = []
        for name in checks:
            self._checks.pop(name, None)
            ended = [thing for thing in self._things.values() if not thing.metric and thing.name == bounded(name)]
            for thing in ended:
                changes += self._end(thing, now, "gone")
        return changes

    def end(self, place: tuple[str, str], now: int, why: Ended) -> list[Change]:
        """This is over."""
        thing = self._things.get(place)
        return self._end(thing, now, why) if thing is not None else []

    def look(self, now: int, runs: Runs, checks: Collection[str], *, settled: bool) -> list[Change]:
        """Time has passed. ``checks`` are those that there are; ``settled``: all that runs has had time to run."""
        changes: list[Change] = []
        known = {bounded(name) for name in checks}
        for thing in list(self._waiting.values()):
            state, is_open = thing.state, thing.state.phase != "ok"
            running = runs(thing.monitor) if thing.monitor else True
            lost = settled and is_open and not thing.metric and running and thing.name not in known
            if (running is None and settled and (is_open or state.seen_at)) or lost:
                changes += self._end(thing, now, "gone")
                continue
            due = due_at(thing.condition, state)
            if due is not None and due <= now:
                changes += self._step(thing, Passed(now, bool(running)))
        return changes

    def next_look(self) -> int | None:
        """When the next ``look`` may change something, ms."""
        times = [due_at(thing.condition, thing.state) for thing in self._waiting.values()]
        return min((time for time in times if time is not None), default=None)

    def shift(self, milliseconds: int) -> None:
        """The wall clock was set, or the machine slept: what was, was so much later by the clock of now."""
        for thing in self._things.values():
            thing.state = _shifted(thing.state, milliseconds)
            self._touch(thing)

    def _condition_for(self, thing: Thing) -> Condition | None:
        if thing.metric:
            among = self._by_metric.get(thing.metric, ())
            fitting = (one for one in among if one.admits(thing.labels) or not thing.monitor)
        else:
            fitting = (one for one in self._of_checks if one.names(thing.name))
        return next((one for one in fitting if one.rule.name == thing.condition.rule.name), None)

    def _of_shape(self, tick: Tick) -> list[tuple[int, Thing]]:
        found = self._shapes.get(tick.shape.id)
        if found is None:
            found = []
            for place, series in enumerate(tick.shape.series):
                for condition in self._by_metric.get(series.metric, ()):
                    if condition.admits(series.labels):
                        name = series_thing(series.metric, series.labels)
                        thing = self._add(condition, name, tick.shape.monitor, series.metric, series.labels)
                        if thing is not None:
                            found.append((place, thing))
            if len(self._shapes) >= THINGS:
                self._shapes.clear()
            self._shapes[tick.shape.id] = found
        return found

    def _of_check(self, check: CheckStanding) -> list[Thing]:
        found = self._checks.get(check.name)
        if found is None:
            name = bounded(check.name)
            meant: dict[str, Condition] = {}
            for condition in self._of_checks:
                if condition.names(check.name):
                    meant.setdefault(condition.rule.name, condition)
            things = [self._add(condition, name, check.monitor, "", {}) for condition in meant.values()]
            found = self._checks[check.name] = [thing for thing in things if thing is not None]
        for thing in found:
            thing.monitor = check.monitor
        return found

    def _add(
        self, condition: Condition, name: str, monitor: str, metric: str, labels: Mapping[str, str]
    ) -> Thing | None:
        place = (condition.rule.name, name)
        thing = self._things.get(place)
        if thing is None:
            if len(self._things) >= THINGS:
                if not self._full:
                    _log.warning("more than %d things are to be judged; the others are not", THINGS)
                self._full = True
                return None
            thing = self._things[place] = Thing(condition, name, monitor, metric, labels, State())
        elif monitor:
            thing.monitor, thing.labels = monitor, labels
        if condition.kind == "no_data":
            self._wait(thing)
            if labels:  # the wait for any of them is over
                self._forget((condition.rule.name, condition.rule.metric))
        return thing

    def _forget(self, place: tuple[str, str]) -> None:
        thing = self._things.get(place)
        if thing is not None and not thing.state.firing:
            del self._things[place]
            self._waiting.pop(place, None)
            self.touched[place] = thing
            thing.state = State()

    def _step(self, thing: Thing, seen: Observation) -> list[Change]:
        before = thing.state
        thing.state, transitions = step(thing.condition, before, seen)
        if thing.state is before:
            return []
        self._wait(thing)
        if transitions or _turned(before, thing.state):
            self._touch(thing)
            self.urgent = True
        elif thing.state.phase != "ok" or thing.condition.kind == "no_data":
            self._touch(thing)
        return [self._change(thing, transition) for transition in transitions]

    def _end(self, thing: Thing, now: int, why: Ended) -> list[Change]:
        now = max(now, thing.state.time + 1)
        changes = self._step(thing, Gone(now, why))
        if why != "closed":
            self._things.pop(thing.place, None)
            self._waiting.pop(thing.place, None)
            self._shapes.clear()
            self._checks.pop(thing.name, None)
            # Its last episode is remembered, so that the next one gets a higher number.
            self._touch(thing)
        return changes

    @staticmethod
    def _change(thing: Thing, transition: Transition) -> Change:
        return Change(
            thing.condition.rule, thing.name, thing.labels, thing.metric, thing.state, transition
        )  # fmt: skip

    def _wait(self, thing: Thing) -> None:
        if due_at(thing.condition, thing.state) is not None or thing.state.phase != "ok":
            self._waiting[thing.place] = thing
        else:
            self._waiting.pop(thing.place, None)

    def _touch(self, thing: Thing) -> None:
        self.touched[thing.place] = thing


def _is_another(before: Condition, after: Condition) -> bool:
    """Whether what the one fired is no matter of the other's."""
    return (
        before.kind != after.kind
        or before.rule.severity != after.rule.severity
        or before.rule.metric != after.rule.metric
        or (before.window, before.rule.aggregate) != (after.window, after.rule.aggregate)
    )


def _turned(before: State, after: State) -> bool:
    """Whether more has changed than times and values."""
    return (
        before.phase,
        before.since,
        before.well_since,
        before.episode,
        before.flapping,
        before.fires,
    ) != (after.phase, after.since, after.well_since, after.episode, after.flapping, after.fires) or (
        before.outcomes != after.outcomes and "b" in before.outcomes + after.outcomes
    )


def _shifted(state: State, by: int) -> State:
    def moved(time: int) -> int:
        return max(time + by, 1) if time else 0

    window = tuple(
        msgspec.structs.replace(one, first_at=moved(one.first_at), last_at=moved(one.last_at)) for one in state.window
    )
    return msgspec.structs.replace(
        state,
        time=moved(state.time),
        since=moved(state.since),
        fired_at=moved(state.fired_at),
        judged_at=moved(state.judged_at),
        seen_at=moved(state.seen_at),
        well_since=moved(state.well_since),
        flipped_at=moved(state.flipped_at),
        fires=tuple(moved(time) for time in state.fires),
        window=window,
    )
