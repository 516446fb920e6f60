"""A monitor that does what the test says, and the place where ticks go."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ClassVar

from twinwatch.agent.buffer import Tick
from twinwatch.agent.own import CHECK_UP, DURATION, UP
from twinwatch.agent.plan import Plan
from twinwatch.agent.scheduler import Scheduler
from twinwatch.agent.standing import Standing
from twinwatch.monitors import Finding, Moment, Options, Reading
from twinwatch.protocol.metrics import Chart, Headline, Metric
from twinwatch.testing.fakes import VirtualClock
from twinwatch.testing.paper import paper_world
from twinwatch.world.doors import World

Act = Callable[[int], Awaitable[list[Finding]]]


class Scripted:
    """``act`` is given the number of the run. ``began`` remembers when runs began, in monotonic seconds."""

    name: ClassVar[str] = "scripted"
    title: ClassVar[str] = "Scripted"
    Options: ClassVar[type[Options]] = Options
    interval_seconds: ClassVar[float] = 15.0
    deadline_seconds: ClassVar[float] = 10.0
    metrics: ClassVar[tuple[Metric, ...]] = (Metric("a", "1", "A"),)
    charts: ClassVar[tuple[Chart, ...]] = (Chart("A", ("a",)),)
    headlines: ClassVar[tuple[Headline, ...]] = ()

    def __init__(self, act: Act) -> None:
        self.act = act
        self.began: list[float] = []
        self.running = 0

    async def read(self, world: World, moment: Moment) -> list[Finding]:
        self.began.append(moment.monotonic_seconds)
        self.running += 1
        assert self.running == 1, "two runs at once"
        try:
            return await self.act(len(self.began))
        finally:
            self.running -= 1


class Watched(Scripted):
    """One that is watched: ``changed`` is what its watch was given."""

    name: ClassVar[str] = "watched"

    def __init__(self, act: Act) -> None:
        super().__init__(act)
        self.changed: Callable[[], None] = lambda: None
        self.watches: list[float] = []
        self.trouble: Exception | None = None

    async def watch(self, world: World, changed: Callable[[], None]) -> None:
        self.watches.append(world.clock.monotonic())
        self.changed = changed
        if self.trouble is not None:
            raise self.trouble
        await asyncio.Event().wait()


async def fine(run: int) -> list[Finding]:
    return [Reading("a", run)]


async def hangs(run: int) -> list[Finding]:
    await asyncio.sleep(10_000)
    return []


class Kept:
    """Where ticks go."""

    def __init__(self) -> None:
        self.ticks: list[Tick] = []

    async def __call__(self, ticks: Sequence[Tick]) -> None:
        self.ticks += ticks

    def ups(self, monitor: str | None = None) -> list[float | None]:
        return self.values(UP.name, "twinwatch.monitor.name", monitor)

    def durations(self) -> list[float | None]:
        return self.values(DURATION.name)

    def check(self, name: str) -> list[float | None]:
        return self.values(CHECK_UP.name, "twinwatch.check.name", name)

    def values(self, metric: str, label: str = "", value: str | None = None) -> list[float | None]:
        return [
            tick.values[place]
            for tick in self.ticks
            for place, series in enumerate(tick.shape.series)
            if series.metric == metric and (value is None or series.labels[label] == value)
        ]

    def times(self, monitor: str) -> list[int]:
        return [tick.time for tick in self.ticks if tick.shape.monitor == monitor]


class Stage:
    """A scheduler that runs."""

    def __init__(self, kept: Kept, plan: Plan, clock: VirtualClock | None = None, **doors: Any) -> None:
        self.clock = clock or VirtualClock()
        self.standing = Standing(self.clock)
        self.scheduler = Scheduler(paper_world(clock=self.clock, **doors), kept, "seed", self.standing)
        self.scheduler.apply(plan)
        self.task = asyncio.create_task(self.scheduler.run())

    async def end(self) -> None:
        self.task.cancel()
        await asyncio.wait({self.task})
        assert self.task.cancelled(), self.task.exception()
