"""What custom metrics are called, measured in and told apart by: learned from pushes, told to the hub.

Invariants: a metric has one kind and one unit for as long as it is pushed, and for an hour after; what was not pushed
for ``FORGOTTEN_SECONDS`` is forgotten; at most ``METRICS`` are known, the longest unheard making room.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from twinwatch.agent.local.pushed import HELP_CHARACTERS, Pushed
from twinwatch.agent.local.remembered import Remembered
from twinwatch.monitors import Declaration
from twinwatch.monitors.distributions import QUANTILES
from twinwatch.protocol import limits
from twinwatch.protocol.metrics import Chart, Metric

FACETS = (".count", ".sum", ".mean", *(f".{ending}" for ending, _ in QUANTILES))
"""What a histogram's series are called, after its own name."""
SETTLED_SECONDS = 3600.0
FORGOTTEN_SECONDS = 7 * 86_400.0
METRICS = 1_000
KINDS = ("gauge", "counter", "histogram")
VALUE = "{value}"
COUNT = "{count}"


class Clash(Exception):
    """A metric was pushed as one thing before and as another now; the message says which."""


@dataclass(slots=True)
class _Facts:
    kind: str
    unit: str
    help: str
    heard: float
    labels: set[str] = field(default_factory=set)


class Learned:
    """The metrics by name, and the declaration made of them."""

    def __init__(self) -> None:
        self.declaration = Declaration()
        self._facts: dict[str, _Facts] = {}
        self._facets: dict[str, str] = {}
        self._news = False

    def learn(self, pushed: Pushed, monotonic: float) -> None:
        """Remember what this says of its metric.

        Raises: Clash.
        """
        kind = _kind(pushed)
        facts = self._facts.get(pushed.name)
        if (
            facts is not None
            and monotonic - facts.heard > SETTLED_SECONDS
            and (facts.kind, facts.unit)
            != (
                kind,
                pushed.unit or facts.unit,
            )
        ):
            self._forget(pushed.name)
            facts = None
        if facts is None:
            facts = self._begin(pushed, kind, monotonic)
        if facts.kind != kind:
            raise Clash(f"{pushed.name}: was pushed as a {facts.kind} before, now as a {kind}; expected the same")
        if pushed.unit and facts.unit != pushed.unit:
            if facts.unit:
                raise Clash(
                    f"{pushed.name}: was pushed in {facts.unit!r} before, now in {pushed.unit!r}; expected the same"
                )
            facts.unit, self._news = pushed.unit, True
        if pushed.help and not facts.help:
            facts.help, self._news = _line(pushed.help), True
        if not facts.labels >= pushed.labels.keys() and len(facts.labels) < limits.LABELS_PER_SERIES:
            facts.labels |= pushed.labels.keys()
            self._news = True
        facts.heard = monotonic

    def recall(self, remembered: Iterable[Remembered], now: int, monotonic: float) -> None:
        """Know these as well; they may be pushed as something else at once. ``now`` is ms UTC."""
        for each in list(remembered)[:METRICS]:
            age = max((now - each.heard) / 1000, SETTLED_SECONDS + 1)
            if each.kind in KINDS and age < FORGOTTEN_SECONDS and each.name not in self._facts:
                like = Pushed(each.name, "gauge", 0.0, {}, each.unit, each.help)
                try:
                    facts = self._begin(like, each.kind, monotonic - age)
                except Clash:
                    continue
                facts.labels |= set(each.labels[: limits.LABELS_PER_SERIES])
        self.settle(monotonic)

    def remembered(self, now: int, monotonic: float) -> list[Remembered]:
        """All that is known, for ``recall``."""
        return [
            Remembered(
                name,
                facts.kind,
                now - round((monotonic - facts.heard) * 1000),
                facts.unit,
                facts.help,
                sorted(facts.labels),
            )
            for name, facts in self._facts.items()
        ]

    def settle(self, monotonic: float) -> bool:
        """Forget what is past and make the declaration anew if anything changed; whether it did."""
        for name in [name for name, facts in self._facts.items() if monotonic - facts.heard > FORGOTTEN_SECONDS]:
            self._forget(name)
        if not self._news:
            return False
        self._news = False
        self.declaration = self._declare()
        return True

    def _begin(self, pushed: Pushed, kind: str, monotonic: float) -> _Facts:
        name = pushed.name
        owner = self._facets.get(name)
        if owner is not None:
            raise Clash(f"{name}: the histogram {owner} has a series of this name; choose another")
        facets = [name + ending for ending in FACETS] if kind == "histogram" else []
        taken = next((facet for facet in facets if facet in self._facts), None)
        if taken is not None:
            raise Clash(f"{name}: as a histogram it would have a series {taken}, which was pushed by that name before")
        if len(self._facts) >= METRICS:
            self._forget(min(self._facts, key=lambda each: self._facts[each].heard))
        self._facts[name] = facts = _Facts(kind, pushed.unit, _line(pushed.help), monotonic)
        self._facets.update(dict.fromkeys(facets, name))
        self._news = True
        return facts

    def _forget(self, name: str) -> None:
        del self._facts[name]
        for ending in FACETS:
            if self._facets.get(name + ending) == name:
                del self._facets[name + ending]
        self._news = True

    def _declare(self) -> Declaration:
        metrics: list[Metric] = []
        charts: list[Chart] = []
        for name, facts in sorted(self._facts.items()):
            by = tuple(sorted(facts.labels))
            if facts.kind == "histogram":
                metrics += _of_histogram(name, facts)
                middle = tuple(name + ending for ending in FACETS[2:])
                charts += [Chart(name, middle, by=by), Chart(f"{name}: how often", (f"{name}.count",), by=by)]
            else:
                unit = facts.unit or VALUE
                if facts.kind == "counter":
                    unit = f"{facts.unit or COUNT}/s"
                metrics.append(Metric(name, unit, facts.help or f"{name}, pushed to the agent"))
                charts.append(Chart(name, (name,), by=by))
        return Declaration(tuple(metrics), tuple(charts))


def _of_histogram(name: str, facts: _Facts) -> list[Metric]:
    unit, said = facts.unit or VALUE, facts.help or name
    return [
        Metric(f"{name}.count", f"{COUNT}/s", f"How often it was recorded: {said}"),
        Metric(f"{name}.sum", f"{unit}/s", f"Sum of what was recorded, per second: {said}"),
        Metric(f"{name}.mean", unit, f"Mean of what was recorded: {said}"),
        *(
            Metric(f"{name}.{ending}", unit, f"What {share:.0%} of the recorded values stay below, estimated: {said}")
            for ending, share in QUANTILES
        ),
    ]


def _kind(pushed: Pushed) -> str:
    if not isinstance(pushed.value, float | int):
        return "histogram"
    return "gauge" if pushed.way == "gauge" else "counter"


def _line(text: str) -> str:
    """One line that the hub's catalogue takes."""
    words = " ".join("".join(letter if letter.isprintable() else " " for letter in text[: 2 * HELP_CHARACTERS]).split())
    return words[:HELP_CHARACTERS].rstrip(".")
