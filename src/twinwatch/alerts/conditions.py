"""A rule made ready to be judged, and what can be wrong with one."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from math import isfinite
from typing import Literal

import msgspec

from twinwatch.protocol import limits
from twinwatch.protocol.durations import duration
from twinwatch.protocol.rules import Rule

Kind = Literal["sample", "no_data", "check", "probe", "silent"]

NAME_CHARACTERS = 200
MESSAGE_CHARACTERS = 500
HOLD_SECONDS = (1.0, 7 * 86_400.0)
WINDOW_SECONDS = (10.0, 7 * 86_400.0)
SILENT_SECONDS = (15.0, 7 * 86_400.0)
OUTCOMES = 100

_DURATIONS = {
    "hold": HOLD_SECONDS,
    "clear_hold": HOLD_SECONDS,
    "window": WINDOW_SECONDS,
    "no_data": HOLD_SECONDS,
    "silent": SILENT_SECONDS,
}
_OF_SAMPLES = ("labels", "above", "below", "above_clear", "below_clear", "window", "target", "no_data")
_OF_OUTCOMES = ("times", "of", "recover")


@dataclass(frozen=True, slots=True)
class Condition:
    """A lawful rule with its durations in ms. ``basis`` changes when what is looked back on is of no use any more."""

    rule: Rule
    kind: Kind
    hold: int
    clear_hold: int
    window: int
    no_data: int
    silent: int
    of: int
    basis: str
    admits: Callable[[Mapping[str, str]], bool] = field(compare=False)
    """Whether a series' labels are those of the rule."""
    names: Callable[[str], bool] = field(compare=False)
    """Whether a check or a probe of this name is one of the rule's."""


def condition_of(rule: Rule) -> Condition:
    """The rule, ready to be judged.

    Raises: ValueError with the first of its ``problems_of``.
    """
    if problems := problems_of(rule):
        raise ValueError(problems[0])
    held = (rule.metric, rule.check, rule.probe, rule.aggregate, rule.window, rule.no_data, rule.of or rule.times)
    return Condition(
        rule=rule,
        kind=_kind(rule),
        hold=_milliseconds(rule.hold),
        clear_hold=_milliseconds(rule.clear_hold),
        window=_milliseconds(rule.window),
        no_data=_milliseconds(rule.no_data),
        silent=_milliseconds(rule.silent),
        of=rule.of or rule.times,
        basis=blake2b(repr(held).encode(errors="replace"), digest_size=4).hexdigest(),
        admits=_selector(rule.labels),
        names=matcher(rule.check or rule.probe),
    )


def problems_of(rule: Rule) -> list[str]:
    """What is wrong with it, for people: field, what was expected. Empty: nothing."""
    found: list[str] = []
    if not 0 < len(rule.name) <= NAME_CHARACTERS or not rule.name.isprintable():
        found.append(f"name: expected 1 to {NAME_CHARACTERS} printable characters")
    for name, (least, most) in _DURATIONS.items():
        if text := getattr(rule, name):
            found += [f"{name}: {problem}" for problem in _duration_problem(text, least, most)]
    conditions = [name for name in ("metric", "check", "probe", "silent") if getattr(rule, name)]
    if len(conditions) != 1:
        found.append("expected either metric, check, probe or silent")
        return found
    (what,) = conditions
    if what == "metric":
        found += _sample_problems(rule)
    else:
        found += _strangers(rule, _OF_SAMPLES, f"are for metrics, this is a {what}")
        if rule.aggregate != "last":
            found.append(f"aggregate: is for metrics, this is a {what}")
    if what in ("check", "probe"):
        found += _outcome_problems(rule)
    else:
        found += _strangers(rule, _OF_OUTCOMES, "are for checks and probes")
    if (rule.severity == "down") != (what == "silent") and what != "silent":
        found.append("severity: down is for servers that are silent; expected critical or warning")
    if len(rule.message) > MESSAGE_CHARACTERS:
        found.append(f"message: expected at most {MESSAGE_CHARACTERS} characters")
    return found


def matcher(pattern: str) -> Callable[[str], bool]:
    """Whether a text is what a pattern says, in which ``*`` stands for any number of any characters."""
    if "*" not in pattern:
        return pattern.__eq__
    if set(pattern) == {"*"}:
        return lambda text: True
    return _compiled(pattern)


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> Callable[[str], bool]:
    # Each piece is looked for once, from left to right: no pattern costs more than text times pieces.
    first, *middle, last = re.split(r"\*+", pattern)

    def admits(text: str) -> bool:
        if len(text) < len(first) + len(last) or not text.startswith(first) or not text.endswith(last):
            return False
        at, end = len(first), len(text) - len(last)
        for piece in middle:
            found = text.find(piece, at, end)
            if found < 0:
                return False
            at = found + len(piece)
        return True

    return admits


def _selector(labels: Mapping[str, str]) -> Callable[[Mapping[str, str]], bool]:
    wanted = [
        (name, matcher(pattern.removeprefix("!")), not pattern.startswith("!")) for name, pattern in labels.items()
    ]
    return lambda found: all(matches(found.get(name, "")) is wants for name, matches, wants in wanted)


def _kind(rule: Rule) -> Kind:
    if rule.metric:
        return "no_data" if rule.no_data else "sample"
    return "check" if rule.check else "probe" if rule.probe else "silent"


def _sample_problems(rule: Rule) -> list[str]:
    found: list[str] = []
    bounds = {name: getattr(rule, name) for name in ("above", "below", "above_clear", "below_clear", "target")}
    found += [f"{name}: expected a finite number" for name, value in bounds.items() if not isfinite(value or 0.0)]
    bounded = rule.above is not None or rule.below is not None
    if rule.no_data:
        if bounded or rule.window or rule.aggregate != "last":
            found.append(
                "no_data: stands alone, without above, below, aggregate and window; make that a rule of its own"
            )
        return found
    if not bounded:
        found.append("expected above, below or no_data")
    if rule.above is not None and rule.below is not None and rule.below >= rule.above:
        found.append("below: expected less than above: the range between them is where all is well")
    for bound, clear, sign in (("above", rule.above_clear, 1), ("below", rule.below_clear, -1)):
        value = getattr(rule, bound)
        if clear is not None and (value is None or (clear - value) * sign > 0):
            relation = "at most" if sign > 0 else "at least"
            found.append(f"{bound}_clear: expected {relation} {bound}, which has to be given")
    if (rule.aggregate == "last") == bool(rule.window):
        found.append("window: expected together with aggregate, and only then")
    if (rule.aggregate == "forecast") != (rule.target is not None):
        found.append("target: expected for a forecast, and only then")
    if len(rule.metric) > limits.METRIC_NAME_CHARACTERS:
        found.append(f"metric: expected at most {limits.METRIC_NAME_CHARACTERS} characters")
    if len(rule.labels) > limits.LABELS_PER_SERIES:
        found.append(f"labels: expected at most {limits.LABELS_PER_SERIES}")
    for name, pattern in rule.labels.items():
        if len(name) > limits.LABEL_NAME_CHARACTERS or len(pattern) > limits.LABEL_VALUE_CHARACTERS:
            found.append("labels: expected names and values no longer than those of series")
    return found


def _outcome_problems(rule: Rule) -> list[str]:
    found: list[str] = []
    if not rule.states or len(set(rule.states)) != len(rule.states):
        found.append("states: expected at least one, each once")
    if not (1 <= rule.times <= OUTCOMES and 1 <= rule.recover <= OUTCOMES and 0 <= rule.of <= OUTCOMES):
        found.append(f"times, of, recover: expected 1 to {OUTCOMES}")
    elif rule.of and rule.of < rule.times:
        found.append("of: expected at least times")
    if len(rule.check or rule.probe) > limits.CHECK_NAME_CHARACTERS:
        found.append(f"expected a name or pattern of at most {limits.CHECK_NAME_CHARACTERS} characters")
    return found


def _strangers(rule: Rule, names: tuple[str, ...], said: str) -> list[str]:
    default = {field.name: field.default for field in msgspec.structs.fields(Rule)}
    given = [name for name in names if getattr(rule, name) not in (default[name], {}, "", None)]
    return [f"{', '.join(given)}: {said}"] if given else []


def _duration_problem(text: str, least: float, most: float) -> list[str]:
    try:
        seconds = duration(text)
    except ValueError as err:
        return [str(err)]
    return [] if least <= seconds <= most else [f"{text!r}: expected {least:g} s to {most:g} s"]


def _milliseconds(text: str) -> int:
    return round(duration(text) * 1000) if text else 0
