from __future__ import annotations

from importlib.metadata import EntryPoint
from typing import ClassVar

import pytest

from twinwatch.monitors import Moment, Options, Reading
from twinwatch.monitors.discover import GROUP, discover, flaw_of
from twinwatch.monitors.system import System
from twinwatch.protocol.metrics import Chart, Headline, Metric
from twinwatch.world.doors import World


class Tea:
    """A lawful monitor of somebody else's."""

    name: ClassVar[str] = "tea"
    title: ClassVar[str] = "Tea"
    Options: ClassVar[type[Options]] = Options
    interval_seconds: ClassVar[float] = 60.0
    deadline_seconds: ClassVar[float] = 5.0
    metrics: ClassVar[tuple[Metric, ...]] = (Metric("tea.warmth", "Cel", "How warm."), Metric("tea.left", "1", "Left."))
    charts: ClassVar[tuple[Chart, ...]] = (Chart("Tea", ("tea.warmth",)),)
    headlines: ClassVar[tuple[Headline, ...]] = ()

    def __init__(self, options: object) -> None: ...

    async def read(self, world: World, moment: Moment) -> list[Reading]:
        return []


class Impostor(Tea):
    name: ClassVar[str] = "system"


class Mute(Tea):
    read = None  # type: ignore[assignment]


class Mixed(Tea):
    charts: ClassVar[tuple[Chart, ...]] = (Chart("Tea", ("tea.warmth", "tea.left")),)


class Undeclared(Tea):
    headlines: ClassVar[tuple[Headline, ...]] = (Headline("Tea", "tea.gone"),)


class Restless(Tea):
    interval_seconds: ClassVar[float] = 0.0


class Nameless(Tea):
    name: ClassVar[str] = "a b"


class Twice(Tea):
    metrics: ClassVar[tuple[Metric, ...]] = Tea.metrics * 2


def plugin(name: str, value: str) -> EntryPoint:
    return EntryPoint(name, value, GROUP)


def test_the_folder_is_searched() -> None:
    found = discover([])
    assert found.monitors["system"] is System
    assert found.flaws == ()


def test_plugins_are_found_beside_the_built_in_ones() -> None:
    found = discover([plugin("tea", f"{__name__}:Tea")])
    assert found.monitors.keys() == {*discover([]).monitors, "tea"}
    assert found.monitors["tea"].title == "Tea"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("no_such_module:Tea", "cannot be loaded: ModuleNotFoundError"),
        (f"{__name__}:NoSuchClass", "cannot be loaded: AttributeError"),
        (f"{__name__}:plugin", "function: expected a class"),
        (f"{__name__}:plugin.__name__", "expected a class"),
        ("builtins:int", "int lacks name, title, Options, interval_seconds"),
        (f"{__name__}:Impostor", "the name 'system' is taken by twinwatch.monitors.system.System"),
        (f"{__name__}:Mute", "expected 'async def read"),
    ],
)
def test_a_plugin_that_is_of_no_use_says_why_and_hinders_nobody(value: str, reason: str) -> None:
    found = discover([plugin("bad", value), plugin("tea", f"{__name__}:Tea")])
    assert found.monitors.keys() == {*discover([]).monitors, "tea"}
    (flaw,) = found.flaws
    assert reason in flaw.reason
    assert flaw.source == f"entry point bad = {value}"


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (Mixed, "chart 'Tea': expected declared metrics of one unit"),
        (Undeclared, "headline 'Tea': tea.gone is not declared"),
        (Restless, "interval_seconds 0.0: expected a number above 0"),
        (Nameless, "name 'a b'"),
        (Twice, "declared twice"),
    ],
)
def test_an_unlawful_declaration_is_told(kind: type[Tea], reason: str) -> None:
    assert reason in (flaw_of(kind) or "")


def test_a_lawful_declaration_has_no_flaw() -> None:
    assert flaw_of(Tea) is None
