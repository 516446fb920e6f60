"""The rules in force: what monitors bring along, then the file's and the configuration's, then those of the bundle.

Of one name the latest stands; ``enabled: false`` switches it off. What monitors bring along is called
``<type>: <name>``, and means the checks of each monitor of that type, whatever it is called here; so does a rule that
takes its place.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping

import msgspec

from twinwatch.alerts.conditions import Condition, condition_of
from twinwatch.protocol import limits
from twinwatch.protocol.metrics import MonitorFacts
from twinwatch.protocol.rules import Rule

RULES = limits.RULES_PER_SERVER * 2

_log = logging.getLogger(__name__)


def conditions_of(
    monitors: Iterable[MonitorFacts], instances: Mapping[str, Collection[str]], *layers: Iterable[Rule]
) -> tuple[Condition, ...]:
    """The conditions in force, at most ``RULES``. ``instances`` has the names of the monitors of each type; each layer
    stands before those before it. Two conditions of one rule mean different checks."""
    named: dict[str, list[Rule]] = {}
    types: dict[str, str] = {}
    for facts in monitors:
        for rule in facts.rules:
            name = f"{facts.name}: {rule.name}"
            check = f"{facts.name}:{rule.check}" if rule.check else ""
            types[name] = facts.name
            named[name] = _spread(msgspec.structs.replace(rule, name=name, check=check), facts.name, instances)
    for layer in layers:
        for rule in layer:
            named[rule.name] = _spread(rule, types[rule.name], instances) if rule.name in types else [rule]
    found: list[Condition] = []
    for rule in (rule for rules in named.values() for rule in rules):
        if not rule.enabled or rule.probe or rule.silent:
            continue  # probes and silence are the hub's to judge
        try:
            found.append(condition_of(rule))
        except ValueError as err:
            _log.warning("rule %s is left out: %s", rule.name, err)
    if len(found) > RULES:
        _log.warning("%d rules are in force; the last %d are left out", len(found), len(found) - RULES)
    return tuple(found[:RULES])


def _spread(rule: Rule, kind: str, instances: Mapping[str, Collection[str]]) -> list[Rule]:
    """The rule for each monitor of its type."""
    own = rule.check.removeprefix(f"{kind}:")
    names = instances.get(kind, ())
    if not rule.check or own == rule.check or not names:
        return [rule]
    return [msgspec.structs.replace(rule, check=f"{name}:{own}") for name in sorted(names)]
