"""What the agent declares is what it runs, and what the hub takes."""

from __future__ import annotations

from math import inf
from typing import Annotated, Any, ClassVar

from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from twinwatch.agent.catalogue import METRICS, catalogue_of, first_sentence, kinds_of
from twinwatch.agent.plan import Plan
from twinwatch.hub.lawful import check_catalogue
from twinwatch.monitors import Declaration, Options
from twinwatch.monitors.discover import discover
from twinwatch.protocol.metrics import Chart, Metric, MonitorFacts
from twinwatch.testing.planning import plan_of

from .scripted import Scripted, fine


def test_a_type_is_declared_once_and_its_charts_tell_several_apart() -> None:
    alone = catalogue_of(plan_of(Scripted(fine)), [], host={}, kinds=())
    assert [(facts.name, facts.interval_seconds) for facts in alone.monitors] == [("scripted", 15), ("twinwatch", 15)]
    assert alone.monitors[0].charts[0].by == ()
    several = catalogue_of(plan_of(Scripted(fine), Scripted(fine), interval_seconds=30.0), [], host={}, kinds=())
    assert [facts.name for facts in several.monitors] == ["scripted", "twinwatch"]
    assert several.monitors[0].charts[0].by == ("twinwatch.monitor.name",)
    assert several.monitors[0].interval_seconds == 30


def test_what_was_learned_is_merged_and_what_does_not_fit_is_left_out() -> None:
    plan = plan_of(Scripted(fine), Scripted(fine))
    first = Declaration(
        (Metric("b", "By", "B"), Metric("a", "By", "another a")),
        (Chart("B", ("b",)), Chart("mixed", ("a", "b")), Chart("unknown", ("c",)), Chart("B", ("b",), top=inf)),
    )
    second = Declaration((Metric("b", "s", "later"), Metric("d", "s", "D")), (Chart("D", ("d",)),))
    learned = list(zip(plan.monitors, (first, second), strict=True))
    catalogue = catalogue_of(plan, learned, host={"os.type": "linux\n"}, kinds=())
    check_catalogue(catalogue)
    facts = catalogue.monitors[0]
    assert [(metric.name, metric.unit) for metric in facts.metrics] == [("a", "1"), ("b", "By"), ("d", "s")]
    assert [chart.title for chart in facts.charts] == ["A", "B", "D"]
    assert catalogue.host == {"os.type": "linux "}


def test_more_than_the_hub_takes_is_left_out() -> None:
    plan = plan_of(Scripted(fine))
    many = Declaration(tuple(Metric(f"m{number}", "1", "x" * 2000) for number in range(9000)), ())
    pushed = MonitorFacts("custom", "Custom", 60.0, tuple(Metric(f"c{number}", "1", "C") for number in range(600)))
    catalogue = catalogue_of(plan, [(plan.monitors[0], many)], host={}, kinds=(), more=[pushed])
    check_catalogue(catalogue)
    assert sum(len(facts.metrics) for facts in catalogue.monitors[:-1]) == METRICS
    check_catalogue(catalogue_of(Plan(), [], host={str(number): "" for number in range(999)}, kinds=()))


def test_every_installed_monitor_is_a_kind_with_its_form() -> None:
    found = discover()
    kinds = kinds_of(found.monitors.values())
    check_catalogue(catalogue_of(Plan(), [], host={}, kinds=kinds))
    assert [kind.type for kind in kinds] == sorted(found.monitors)
    by_type = {kind.type: kind for kind in kinds}
    assert by_type["system"].options["properties"]["metrics"]
    assert all(kind.help and "\n" not in kind.help for kind in kinds)


def test_a_plug_in_without_a_schema_is_a_kind_without_a_form() -> None:
    class Odd(Scripted):
        """Odd, e.g. this. And more.

        Not this.
        """

        class Options(Options, frozen=True, kw_only=True):
            thing: Annotated[complex, Meta(title="Thing")] = 0j

        name: ClassVar[str] = "odd"

    (kind,) = kinds_of([Odd])  # type: ignore[list-item]
    assert kind.options == {}
    assert first_sentence(Odd) == "Odd, e.g. this."


TEXTS = st.text(max_size=20)
METRIC = st.builds(Metric, TEXTS, TEXTS, TEXTS)
CHART = st.builds(Chart, TEXTS, st.lists(TEXTS, max_size=3).map(tuple), by=st.lists(TEXTS, max_size=2).map(tuple))


@given(st.lists(METRIC, max_size=5).map(tuple), st.lists(CHART, max_size=5).map(tuple))
def test_whatever_a_source_teaches_the_hub_takes(metrics: Any, charts: Any) -> None:
    plan = plan_of(Scripted(fine))
    check_catalogue(catalogue_of(plan, [(plan.monitors[0], Declaration(metrics, charts))], host={}, kinds=()))
