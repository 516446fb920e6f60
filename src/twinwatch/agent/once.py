"""``twinwatch agent run --once``: every planned monitor runs twice, and what would be sent is printed instead.

Neither the buffer nor the hub is touched. Exit codes: 0 all is well; 1 a monitor fails, or a check is down or degraded;
2 a setting that cannot be.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from collections.abc import Iterable, Sequence

import msgspec

from twinwatch.agent import own
from twinwatch.agent.buffer import Tick
from twinwatch.agent.configuration import Configurator, Misconfigured, Sources
from twinwatch.agent.plan import Plan
from twinwatch.agent.runner import Runner
from twinwatch.agent.standing import Standing
from twinwatch.agent.tables import in_columns
from twinwatch.monitors.discover import Found
from twinwatch.protocol.checks import CheckStanding, MonitorStanding
from twinwatch.world.clock import SystemClock
from twinwatch.world.doors import World
from twinwatch.world.host import Host
from twinwatch.world.http import AiohttpHttp
from twinwatch.world.shelf import FOLDER, FolderShelf

PAUSE_SECONDS = 2.0
"""Between the two runs, so that counters become rates."""

_log = logging.getLogger("twinwatch.agent")


class Sample(msgspec.Struct, frozen=True):
    """One value that would be sent."""

    monitor: str
    metric: str
    labels: dict[str, str]
    value: float
    unit: str
    time: int


class Glance(msgspec.Struct, frozen=True):
    """What one look at everything has yielded."""

    monitors: tuple[MonitorStanding, ...]
    checks: tuple[CheckStanding, ...]
    series: tuple[Sample, ...]

    @property
    def well(self) -> bool:
        """Whether no monitor fails and no check is down or degraded."""
        return all(one.state != "failing" for one in self.monitors) and all(
            one.state in ("up", "unknown") for one in self.checks
        )


async def glance(plan: Plan, world: World, *, pause_seconds: float = PAUSE_SECONDS) -> Glance:
    """Run everything twice; the second run's values are the result."""
    standing = Standing(world.clock)
    standing.plan(plan.monitors)
    runners = [
        Runner(one, world=world, keep=_nowhere, standing=standing, seed="", learned=_not, late=lambda _: None)
        for one in plan.monitors
    ]
    try:
        await asyncio.gather(*(runner.once() for runner in runners))
        await asyncio.sleep(pause_seconds)
        found = await asyncio.gather(*(runner.once() for runner in runners))
    finally:
        await asyncio.gather(*(runner.end() for runner in runners))
    units = {metric.name: metric.unit for metric in own.SELF.metrics}
    for runner in runners:
        declared = runner.declaration.metrics if runner.declaration else ()
        units.update((metric.name, metric.unit) for metric in (*runner.planned.kind.metrics, *declared))
    samples = [sample for ticks in found for sample in _samples(ticks, units)]
    samples.sort(key=lambda one: (one.monitor, one.metric, sorted(one.labels.items())))
    return Glance(standing.monitors, standing.checks, tuple(samples))


def described(seen: Glance) -> list[str]:
    """The glance as lines for people."""
    rows = [(_spelled(one.value), one.unit, _series(one)) for one in seen.series]
    lines = in_columns(("VALUE", "UNIT", "SERIES"), rows)
    lines += ["", *in_columns(("CHECK", "STATE", ""), [(one.name, one.state, one.message) for one in seen.checks])]
    lines += ["", *in_columns(("MONITOR", "STATE", ""), [(one.name, one.state, one.reason) for one in seen.monitors])]
    return lines


async def run_once(args: argparse.Namespace, found: Found) -> int:
    """The command. The result is the exit code."""
    try:
        configurator = Configurator(Sources(args), found, read_only=True)
    except Misconfigured as err:
        _log.error("%s", err)
        return 2
    # What the running agent keeps is obeyed: a login that a device has refused is not tried once more from here.
    shelf = FolderShelf(configurator.settings.state_dir / FOLDER)
    world = World(clock=SystemClock(), http=AiohttpHttp(sockets=True), host=Host(), shelf=shelf)
    try:
        seen = await glance(configurator.plan, world)
    finally:
        await world.close()
    sys.stdout.write(msgspec.json.encode(seen).decode() if args.json else "\n".join(described(seen)))
    sys.stdout.write("\n")
    return 0 if seen.well else 1


def _samples(ticks: Iterable[Tick], units: dict[str, str]) -> Iterable[Sample]:
    for tick in ticks:
        for series, value in zip(tick.shape.series, tick.values, strict=True):
            if value is not None:
                unit = units.get(series.metric, "")
                yield Sample(tick.shape.monitor, series.metric, dict(series.labels), value, unit, tick.time)


def _spelled(value: float) -> str:
    return f"{value:.6g}" if value % 1 else f"{value:.0f}"


def _series(one: Sample) -> str:
    labels = ", ".join(f"{name}={value}" for name, value in sorted(one.labels.items()))
    return f"{one.metric}{{{labels}}}" if labels else one.metric


async def _nowhere(ticks: Sequence[Tick]) -> None:
    """These ticks are printed, not kept."""


def _not() -> None:
    """Nobody waits for what is learned."""
