"""The rules of a configuration, judged: from the file and from the hub alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from twinwatch.agent.configuration.problems import Misconfigured, Path, Problems, Where, instead
from twinwatch.agent.configuration.settings import seconds_between
from twinwatch.protocol import limits
from twinwatch.protocol.configuration import Rule

KEYS = frozenset(field.name for field in msgspec.structs.fields(Rule)) | {"for"}


def rules_of(given: Sequence[Any], where: Where, problems: Problems) -> tuple[Rule, ...]:
    """The rules that these values mean; what is wrong with the others is told to ``problems``. ``for`` is ``hold``."""
    found: list[Rule] = []
    if len(given) > limits.RULES_PER_SERVER:
        problems.add(where(()), f"{len(given)} rules; expected at most {limits.RULES_PER_SERVER}")
        return ()
    for number, each in enumerate(given):
        if not isinstance(each, Mapping):
            problems.add(where((number,)), "expected a mapping with the keys of a rule")
            continue
        value = {("hold" if key == "for" and "hold" not in each else key): child for key, child in each.items()}
        unknown = [key for key in value if key not in KEYS]
        for key in unknown:
            problems.add(where((number, key)), f"unknown key {key[:60]}: {instead(key, KEYS)}")
            del value[key]
        try:
            rule = msgspec.convert(value, Rule)
        except msgspec.ValidationError as err:
            problems.add(where((number,)), str(err).replace("`", ""))
            continue
        if not unknown:
            found += _judged(rule, where, number, problems)
    for number, rule in enumerate(found):
        if any(other.name == rule.name for other in found[:number]):
            problems.add(where(()), f"two rules are named {rule.name[:60]!r}; give each a name of its own")
    return tuple(found)


def merged(first: Iterable[Rule], second: Iterable[Rule]) -> tuple[Rule, ...]:
    """Both, by name; of two of one name, the first."""
    names: dict[str, Rule] = {}
    for rule in (*first, *second):
        names.setdefault(rule.name, rule)
    return tuple(names.values())


def _judged(rule: Rule, where: Where, number: int, problems: Problems) -> list[Rule]:
    path: Path = (number,)
    if not 0 < len(rule.name) <= 200:
        problems.add(where((*path, "name")), "name: expected 1 to 200 characters")
    elif bool(rule.metric) == bool(rule.check):
        problems.add(where(path), f"rule {rule.name!r}: expected either metric or check")
    elif rule.metric and rule.above is None and rule.below is None:
        problems.add(where(path), f"rule {rule.name!r}: expected above or below")
    else:
        try:
            if rule.hold:
                seconds_between(rule.hold, "1s", "1d")
        except Misconfigured as err:
            problems.add(where((*path, "hold")), f"hold: {err}")
        else:
            return [rule]
    return []
