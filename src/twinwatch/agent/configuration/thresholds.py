"""The rules of a configuration, judged: from the file and from the hub alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from twinwatch.agent.configuration.problems import Problems, Where, instead
from twinwatch.alerts.conditions import problems_of
from twinwatch.protocol import limits
from twinwatch.protocol.rules import Rule

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
    found = problems_of(rule)
    for problem in found:
        field = problem.partition(":")[0]
        if field in KEYS and field != "name":
            problems.add(where((number, field)), problem)
        else:
            problems.add(where((number,)), f"rule {rule.name[:60]!r}: {problem}")
    if not found and (rule.probe or rule.silent):
        found = ["hub"]
        problems.add(where((number,)), f"rule {rule.name!r}: probes and silence are the hub's to judge: make it there")
    return [] if found else [rule]
