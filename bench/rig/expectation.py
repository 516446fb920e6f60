"""Which series an agent must yield on this machine: its own monitors are asked, beside it and without it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from twinwatch.agent.scheduler import SELF
from twinwatch.monitors import Absent, Moment, Unreadable
from twinwatch.monitors.discover import discover
from twinwatch.world.clock import SystemClock
from twinwatch.world.host import Host

Key = tuple[str, tuple[tuple[str, str], ...]]
"""Metric and labels."""

BETWEEN_SECONDS = 0.2


def key_of(metric: str, labels: Mapping[str, str]) -> Key:
    """What names a series."""
    return metric, tuple(sorted(labels.items()))


class Expectation:
    """Every monitor of this installation. What comes and goes (a mount, an interface) does so here too."""

    def __init__(self) -> None:
        self._monitors = [monitor() for monitor in discover().monitors.values()]
        self._host = Host()
        self._clock = SystemClock()

    async def series(self) -> set[Key]:
        """The series of a run now: of the second of two, since rates need a run before."""
        await self._run()
        await asyncio.sleep(BETWEEN_SECONDS)
        return await self._run()

    async def _run(self) -> set[Key]:
        found: set[Key] = set()
        moment = Moment(self._clock.now(), self._clock.monotonic())
        for monitor in self._monitors:
            found |= {key_of(metric.name, {"twinwatch.monitor.name": monitor.name}) for metric in SELF.metrics}
            with suppress(Absent, Unreadable):
                found |= {key_of(one.metric, one.labels) for one in await monitor.read(self._host, moment)}
        return found
