"""Finds the monitors: the classes in this folder and those of the entry point group ``twinwatch.monitors``.

Nothing registers itself. A plug-in that cannot be had becomes a ``Flaw`` that says why, and the others are found all
the same. A plug-in cannot take a name that a built-in monitor has.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from twinwatch import monitors
from twinwatch.alerts.conditions import problems_of
from twinwatch.monitors import Monitor, Options
from twinwatch.protocol.limits import METRIC_NAME_CHARACTERS
from twinwatch.protocol.metrics import Chart, Headline, Metric
from twinwatch.protocol.rules import Rule
from twinwatch.world.plugins import Flaw, gather, is_name

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "twinwatch.monitors"
OWED = ("name", "title", "Options", "interval_seconds", "deadline_seconds", "metrics", "charts", "headlines", "read")


@dataclass(frozen=True, slots=True)
class Found:
    """The usable monitors by name, and what was wrong with the rest."""

    monitors: Mapping[str, type[Monitor]]
    flaws: tuple[Flaw, ...]
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Other names that the configuration takes for a monitor's."""


def discover(plugins: Iterable[EntryPoint] | None = None) -> Found:
    """Every monitor of this installation; ``plugins`` stands for the installed entry points.

    Cost: imports every monitor. A plug-in's import may do anything, so whatever it raises is caught here.
    """
    found, flaws = gather(monitors, GROUP, plugins, means_to_be_one=_means_to_be_one, flaw_of=flaw_of)
    return Found(found, flaws, aliases_of(found))


def aliases_of(monitors: Mapping[str, type[Monitor]]) -> dict[str, str]:
    """The monitor's name by each other name that it declares and no monitor has."""
    return {
        alias: name
        for name, kind in monitors.items()
        for alias in getattr(kind, "aliases", ())
        if alias not in monitors
    }


def flaw_of(candidate: object) -> str | None:
    """Why this is no lawful monitor, or None if it is one."""
    if not isinstance(candidate, type):
        return f"{type(candidate).__name__}: expected a class"
    missing = [name for name in OWED if not hasattr(candidate, name)]
    if missing:
        return f"{candidate.__qualname__} lacks {', '.join(missing)}; see twinwatch.monitors.Monitor"
    if not inspect.iscoroutinefunction(candidate.read):  # type: ignore[attr-defined]
        return f"{candidate.__qualname__}.read: expected 'async def read(self, world, moment)'"
    return _flaw_of_declaration(candidate)


def _means_to_be_one(member: type) -> bool:
    return hasattr(member, "read") and hasattr(member, "interval_seconds")


def _flaw_of_declaration(monitor: type[Monitor]) -> str | None:
    if not is_name(monitor.name):
        return f"name {monitor.name!r}: expected letters, digits, '-' and '_'"
    options: object = monitor.Options
    if not (isinstance(options, type) and issubclass(options, Options)):
        return f"Options {options!r}: expected a subclass of twinwatch.monitors.Options"
    for bound in ("interval_seconds", "deadline_seconds"):
        seconds = getattr(monitor, bound)
        if not isinstance(seconds, int | float) or not seconds > 0:
            return f"{bound} {seconds!r}: expected a number above 0"
    for name, kind in (("metrics", Metric), ("charts", Chart), ("headlines", Headline)):
        declared = getattr(monitor, name)
        if not isinstance(declared, tuple) or not all(isinstance(one, kind) for one in declared):
            return f"{name}: expected a tuple of {kind.__name__}"
    units = {metric.name: metric.unit for metric in monitor.metrics}
    if len(units) != len(monitor.metrics):
        return "metrics: a name is declared twice"
    if long := [metric for metric in units if not 0 < len(metric) <= METRIC_NAME_CHARACTERS]:
        return f"metrics: {long[0][:40]!r}: expected a name of 1 to {METRIC_NAME_CHARACTERS} characters"
    for chart in monitor.charts:
        if len({units.get(metric) for metric in chart.metrics}) != 1 or not units.keys() >= set(chart.metrics):
            return f"chart {chart.title!r}: expected declared metrics of one unit, not {', '.join(chart.metrics)}"
    for headline in monitor.headlines:
        if headline.metric not in units:
            return f"headline {headline.title!r}: {headline.metric} is not declared"
    return _flaw_of_rules(getattr(monitor, "rules", ()), units.keys())


def _flaw_of_rules(rules: object, metrics: Collection[str]) -> str | None:
    if not isinstance(rules, tuple) or not all(isinstance(one, Rule) for one in rules):
        return "rules: expected a tuple of Rule"
    if len({rule.name for rule in rules}) != len(rules):
        return "rules: a name stands there twice"
    for rule in rules:
        if problems := problems_of(rule):
            return f"rule {rule.name!r}: {problems[0]}"
        if rule.metric and rule.metric not in metrics:
            return f"rule {rule.name!r}: {rule.metric} is not declared"
        if rule.probe or rule.silent:
            return f"rule {rule.name!r}: probes and silence are the hub's to judge"
    return None
