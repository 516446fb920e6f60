"""The catalogue: what the running monitors declare, what they have learned, and what could run.

Invariant: whatever a plug-in declares or a source teaches, the catalogue stays within the hub's bounds; what is beyond
them is left out, the same each time.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping, Sequence
from math import isfinite

import msgspec

from twinwatch import __version__
from twinwatch.agent import own
from twinwatch.agent.plain import plain
from twinwatch.agent.plan import Plan, Planned
from twinwatch.monitors import Declaration, Monitor
from twinwatch.monitors.options import schema_of
from twinwatch.protocol.limits import METRIC_NAME_CHARACTERS as NAME_CHARACTERS
from twinwatch.protocol.metrics import Catalogue, Chart, Headline, Metric, MonitorFacts, MonitorKind

MONITORS = 200
METRICS = 4_800
"""Of the hub's 5,000: what others (the agent, custom metrics) declare needs some as well."""
KINDS = 200
KINDS_BYTES = 500 << 10
HOST_FACTS = 100
TEXT_CHARACTERS = 1_000
LONGEST_GAP_SECONDS = 60.0
"""Charts of the agent's own figures take a longer silence for a gap, however seldom the other monitors run."""

_SENTENCE_END = re.compile(r"(?<=[.!?])\s(?=[A-Z])")


def catalogue_of(
    plan: Plan,
    learned: Iterable[tuple[Planned, Declaration]],
    *,
    host: Mapping[str, str],
    kinds: tuple[MonitorKind, ...],
    more: Sequence[MonitorFacts] = (),
) -> Catalogue:
    """The catalogue of what runs. ``more`` are facts that no monitor declares: those of custom metrics."""
    several: dict[str, list[Planned]] = {}
    for one in plan.monitors:
        several.setdefault(one.kind.name, []).append(one)
    taught: dict[str, list[Declaration]] = {}
    for one, declaration in learned:
        taught.setdefault(one.kind.name, []).append(declaration)
    room = METRICS
    monitors: list[MonitorFacts] = []
    # What stands for the server in the overview comes first on its page as well.
    for name, instances in sorted(several.items(), key=lambda item: (not item[1][0].kind.headlines, item[0])):
        facts = _facts(instances, taught.get(name, ()), room)
        room -= len(facts.metrics)
        monitors.append(facts)
    for facts in more:
        kept = _facts_within(facts, room)
        room -= len(kept.metrics)
        monitors.append(kept)
    return Catalogue(
        agent_version=__version__,
        monitors=(*monitors[: MONITORS - 1], msgspec.structs.replace(own.SELF, interval_seconds=own_interval(plan))),
        host={_text(key): _text(value) for key, value in list(host.items())[:HOST_FACTS]},
        kinds=kinds,
    )


def own_interval(plan: Plan) -> float:
    """How often the agent says something of itself."""
    return min(max((one.interval_seconds for one in plan.monitors), default=own.INTERVAL_SECONDS), LONGEST_GAP_SECONDS)


def kinds_of(monitors: Iterable[type[Monitor]]) -> tuple[MonitorKind, ...]:
    """What every installed type says of itself, for forms. One whose options have no schema has none to fill in."""
    found: list[MonitorKind] = []
    size = 2
    for kind in sorted(monitors, key=lambda kind: kind.name)[:KINDS]:
        try:
            schema = schema_of(kind)
        except (TypeError, NotImplementedError, ValueError):
            schema = {}
        one = MonitorKind(
            type=kind.name,
            title=_text(kind.title),
            help=_text(first_sentence(kind)),
            interval_seconds=float(kind.interval_seconds),
            options=schema,
        )
        size += len(msgspec.json.encode(one)) + 1
        if size > KINDS_BYTES:
            break
        found.append(one)
    return tuple(found)


def first_sentence(kind: type) -> str:
    """The first sentence of the class's docstring, on one line."""
    text = " ".join((inspect.getdoc(kind) or "").partition("\n\n")[0].split())
    return _SENTENCE_END.split(text, maxsplit=1)[0]


def _facts(instances: Sequence[Planned], taught: Sequence[Declaration], room: int) -> MonitorFacts:
    kind = instances[0].kind
    metrics = list(kind.metrics)
    charts = list(kind.charts)
    for declaration in taught:
        metrics += declaration.metrics
        charts += declaration.charts
    facts = MonitorFacts(
        name=kind.name,
        title=kind.title,
        # The longest: a chart takes two intervals without a sample for a gap.
        interval_seconds=max(one.interval_seconds for one in instances),
        metrics=tuple(metrics),
        charts=tuple(charts),
        headlines=kind.headlines,
        rules=getattr(kind, "rules", ()),
    )
    facts = _facts_within(facts, room)
    if any(one.own_name for one in instances):
        named = tuple(
            chart if own.NAME_LABEL in chart.by else msgspec.structs.replace(chart, by=(own.NAME_LABEL, *chart.by))
            for chart in facts.charts
        )
        facts = msgspec.structs.replace(facts, charts=named)
    return facts


def _facts_within(facts: MonitorFacts, room: int) -> MonitorFacts:
    """The facts with lawful texts, each metric and chart once, and at most ``room`` metrics."""
    metrics: dict[str, Metric] = {}
    for metric in facts.metrics:
        lawful = metric.name and metric.name == plain(metric.name, NAME_CHARACTERS)
        if lawful and metric.name not in metrics and len(metrics) < room:
            metrics[metric.name] = Metric(metric.name, _text(metric.unit), _text(metric.help), metric.good)
    charts: dict[tuple[str, tuple[str, ...]], Chart] = {}
    for chart in facts.charts:
        drawn = [metrics.get(name) for name in chart.metrics]
        if len({metric.unit if metric else None for metric in drawn}) == 1 and None not in drawn:
            charts.setdefault((chart.title, chart.metrics), _chart(chart))
    return MonitorFacts(
        name=facts.name,
        title=_text(facts.title),
        interval_seconds=facts.interval_seconds,
        metrics=tuple(metrics.values()),
        charts=tuple(charts.values()),
        headlines=tuple(
            Headline(_text(headline.title), headline.metric)
            for headline in facts.headlines
            if headline.metric in metrics
        ),
        rules=tuple(rule for rule in facts.rules if not rule.metric or rule.metric in metrics),
    )


def _chart(chart: Chart) -> Chart:
    return msgspec.structs.replace(
        chart,
        title=_text(chart.title),
        by=tuple(_text(label) for label in chart.by),
        mirror=tuple(_text(value) for value in chart.mirror),
        top=chart.top if chart.top is not None and isfinite(chart.top) else None,
    )


def _text(text: str) -> str:
    return plain(text, TEXT_CHARACTERS)
