"""Which series an agent must yield on this machine: its own monitors are asked, beside it and without it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from twinwatch.agent.own import DURATION, UP
from twinwatch.monitors import Absent, Moment, Reading, Unreadable
from twinwatch.monitors.system import System
from twinwatch.monitors.system.options import SystemOptions
from twinwatch.world.clock import SystemClock
from twinwatch.world.doors import World
from twinwatch.world.host import Host
from twinwatch.world.http import AiohttpHttp

Key = tuple[str, tuple[tuple[str, str], ...]]
"""Metric and labels."""

BETWEEN_SECONDS = 0.2


def key_of(metric: str, labels: Mapping[str, str]) -> Key:
    """What names a series."""
    return metric, tuple(sorted(labels.items()))


class Expectation:
    """The monitors that run where nobody has configured any.

    What comes and goes (a mount, an interface) does so here too.
    """

    def __init__(self) -> None:
        self._monitors = [System(SystemOptions())]
        self._clock = SystemClock()
        self._world = World(clock=self._clock, http=AiohttpHttp(), host=Host())

    async def series(self) -> set[Key]:
        """The series of a run now: of the second of two, since rates need a run before."""
        await self._run()
        await asyncio.sleep(BETWEEN_SECONDS)
        return await self._run()

    async def _run(self) -> set[Key]:
        found: set[Key] = set()
        moment = Moment(self._clock.now(), self._clock.monotonic())
        for monitor in self._monitors:
            found |= {key_of(metric.name, {"twinwatch.monitor.name": monitor.name}) for metric in (UP, DURATION)}
            with suppress(Absent, Unreadable):
                findings = await monitor.read(self._world, moment)
                found |= {key_of(one.metric, one.labels) for one in findings if isinstance(one, Reading)}
        return found
