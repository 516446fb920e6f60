"""A monitor and a simulated device on a clock of their own, for the tests of ``hikvision``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twinwatch.monitors import Check, Finding, Moment, Reading
from twinwatch.monitors.hikvision import Hikvision
from twinwatch.monitors.options import options_of
from twinwatch.testing.hikvision import PASSWORD, PERSONALITIES, USER, Device, DeviceHttp
from twinwatch.testing.paper import PaperClock, paper_world
from twinwatch.world.shelf import MemoryShelf

URL = "http://192.0.2.64"


class Stage:
    """``device`` is what is watched, ``shelf`` what outlives the agent, ``monitor`` what does not."""

    def __init__(self, personality: str = "nvr-new", **options: Any) -> None:
        self.clock = PaperClock()
        self.device = Device(PERSONALITIES[personality], self.clock.now)
        self.shelf = MemoryShelf()
        self.http = DeviceHttp({URL: self.device})
        self.world = paper_world(clock=self.clock, http=self.http, unverified_http=self.http, shelf=self.shelf)
        self.options = {"url": URL, "username": USER, "password": PASSWORD, **options}
        self.restart()

    def restart(self, **options: Any) -> None:
        """A new life of the agent, maybe with other options."""
        self.options |= options
        self.monitor = Hikvision(options_of(Hikvision, self.options))

    def passes(self, seconds: float) -> None:
        """Time does."""
        self.clock.time += round(seconds * 1000)
        self.clock.monotonic_seconds += seconds

    async def poll(self, seconds: float = 60.0) -> list[Finding]:
        """A run, after so long."""
        self.passes(seconds)
        return list(await self.monitor.read(self.world, Moment(self.clock.time, self.clock.monotonic_seconds)))

    async def checks(self, seconds: float = 60.0) -> dict[str, Check]:
        """A run's checks by name."""
        return checks_of(await self.poll(seconds))


def checks_of(found: Sequence[Finding]) -> dict[str, Check]:
    """The checks by name."""
    return {one.name: one for one in found if isinstance(one, Check)}


def values_of(found: Sequence[Finding]) -> dict[str, float]:
    """The readings by metric and label values."""
    return {"|".join([one.metric, *one.labels.values()]): one.value for one in found if isinstance(one, Reading)}
