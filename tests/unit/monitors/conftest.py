"""Machines for the parts of the system monitor."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

import pytest

from twinwatch.monitors import Check, Finding, Moment, Reading
from twinwatch.monitors.system.part import Part
from twinwatch.testing.captures import captures
from twinwatch.testing.paper import PaperHost

CAPTURES = {capture.name: capture for capture in captures(Path(__file__).parents[2] / "captures")}

Values = dict[tuple[str, ...], float]
Measure = Callable[[type[Part], str], Awaitable[Values]]
Run = Callable[[Part, dict[str, str], float], Awaitable[Values]]


def values(findings: Iterable[Finding]) -> Values:
    """Readings as values by metric and label values, in the labels' order."""
    return {(one.metric, *one.labels.values()): one.value for one in findings if isinstance(one, Reading)}


def checks(findings: Iterable[Finding]) -> dict[str, tuple[str, str]]:
    """State and reason of each check by its name."""
    return {one.name: (one.state, one.reason) for one in findings if isinstance(one, Check)}


@pytest.fixture
def measure() -> Measure:
    """What a part reads on the second moment of a capture."""

    async def on(part: type[Part], machine: str) -> Values:
        capture = CAPTURES[machine]
        instance = part()
        for host, moment in zip(capture.hosts(), capture.moments(), strict=True):
            readings = await instance.read(host, moment)
        return values(readings)

    return on


@pytest.fixture
def run() -> Run:
    """One run of a part on a host made of these files, at this monotonic second."""

    async def once(part: Part, files: dict[str, str], seconds: float) -> Values:
        return values(await part.read(PaperHost(files), Moment(0, seconds)))

    return once
