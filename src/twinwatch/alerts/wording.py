"""An alert in words: title, sentence, figures. Said once, for agent and hub. Pure.

A rule's message may name ``{server}``, ``{value}``, ``{threshold}``, ``{check}``, ``{message}``, ``{for}`` and labels;
what it names and is not there stays as written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isfinite

from twinwatch.protocol.rules import BadState, Rule

TITLE_CHARACTERS = 300
MESSAGE_CHARACTERS = 2_000
_NAMED = re.compile(r"\{([A-Za-z_][\w.:/-]{0,127})\}")
_STATES: dict[BadState, str] = {"down": "is down", "degraded": "is degraded", "unknown": "cannot be judged"}


def title_of(rule: Rule, thing: str, labels: Mapping[str, str]) -> str:
    """What is wrong in a few words: ``disk almost full: /var``, ``unit failed: nginx.service``."""
    what = rule.name.partition(": ")[2] or rule.name
    which = thing.partition(":")[2] or thing if rule.check or rule.probe else ", ".join(labels.values())
    return _cut(f"{what}: {which}" if which else what, TITLE_CHARACTERS)


def message_of(
    rule: Rule, thing: str, labels: Mapping[str, str], *, server: str, value: float | None, unit: str, message: str
) -> str:
    """The whole sentence: as the rule has it, else what fits the condition. ``message`` is the check's own."""
    threshold = threshold_of(rule, unit)
    if rule.message:
        known = {
            **labels,
            "server": server,
            "value": "" if value is None else shown(value, _unit(rule, unit)),
            "threshold": threshold,
            "check": thing,
            "message": message,
            "for": rule.hold or rule.no_data,
        }
        return _cut(_NAMED.sub(lambda found: known.get(found[1], found[0]), rule.message), MESSAGE_CHARACTERS)
    if rule.check or rule.probe:
        states = " or ".join(_STATES[state] for state in rule.states)
        return _cut(message or f"{thing} {states}", MESSAGE_CHARACTERS)
    if rule.no_data:
        return _cut(f"{thing} has had no sample for {rule.no_data}", MESSAGE_CHARACTERS)
    said = "" if value is None else f" is {shown(value, _unit(rule, unit))}"
    held = f" for {rule.hold}" if rule.hold else ""
    return _cut(f"{thing}{said}, {threshold}{held}", MESSAGE_CHARACTERS)


def figures_of(rule: Rule, value: float | None, unit: str) -> list[tuple[str, str]]:
    """Names and values worth a line each: the value, the bounds, how long."""
    unit = _unit(rule, unit)
    found = []
    if value is not None and isfinite(value):
        found.append(("Value", shown(value, unit)))
    for bound, words in ((rule.above, "Alerts above"), (rule.below, "Alerts below")):
        if bound is not None:
            found.append((words, shown(bound, unit)))
    if rule.hold:
        found.append(("For at least", rule.hold))
    return found


def threshold_of(rule: Rule, unit: str) -> str:
    """``above 90 %``, ``below 1 GB``, both for a range; empty where there is none."""
    unit = _unit(rule, unit)
    bounds = ((rule.above, "above"), (rule.below, "below"))
    return " or ".join(f"{word} {shown(bound, unit)}" for bound, word in bounds if bound is not None)


def shown(value: float, unit: str) -> str:
    """A figure for people: ``93 %``, ``1.2 GB``, ``2 h 5 min``."""
    match unit:
        case "1":
            return f"{value * 100:.3g} %"
        case "s":
            return span(value)
        case "By" | "By/s":
            size, prefix = value, ""
            for prefix in ("", "k", "M", "G", "T", "P"):
                if abs(size) < 1000 or prefix == "P":
                    break
                size /= 1000
            return f"{size:.3g} {prefix}B{'/s' if unit == 'By/s' else ''}"
        case _:
            words = unit.strip("{}").replace("{", "").replace("}", "")
            return f"{value:.4g} {words}".rstrip()


def span(seconds: float) -> str:
    """A duration in its two greatest units: ``12 ms``, ``2 h 5 min``."""
    if abs(seconds) < 1:
        return f"{seconds * 1000:.3g} ms"
    left, parts = abs(round(seconds)), []
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        count, left = divmod(left, size)
        parts += [f"{count} {unit}"] if count else []
    return "-" * (seconds < 0) + " ".join(parts[:2])


def _unit(rule: Rule, unit: str) -> str:
    """The unit of what is judged: a forecast is seconds, a rate is per second."""
    if rule.aggregate == "forecast" or rule.no_data:
        return "s"
    if rule.aggregate == "rate":
        return "By/s" if unit == "By" else f"{unit}/s" if unit not in ("", "1") else unit
    return unit


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
