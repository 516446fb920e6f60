"""Agents on a stage: a whole agent in this process, in virtual time, that can be started, stopped and killed.

A story test reads as what happens::

    agent = StagedAgent(tmp_path, hub_app, VirtualClock(), enrolment_key=key)
    await agent.start()
    await asyncio.sleep(600)
    agent.http.cut()
    await asyncio.sleep(3 * 3600)
    agent.http.mend()
    await until(lambda: hub.holds(agent.monitor.times), 60)

``hub_app`` is any ASGI application: ``FakeHub``, or the real hub's. One stage has one clock for all who are on it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from twinwatch.agent.alerting.alerting import Alerting
from twinwatch.agent.alerting.channels import Telling
from twinwatch.agent.configuration import Settings
from twinwatch.agent.daemon import Agent
from twinwatch.agent.watching.settings import HubWatchSettings
from twinwatch.monitors import Moment, Monitor, Options, Reading
from twinwatch.protocol.metrics import Chart, Headline, Metric
from twinwatch.testing.fakes import AsgiApp, AsgiHttp, VirtualClock
from twinwatch.testing.paper import PaperHttp
from twinwatch.testing.paper_bus import PaperBus
from twinwatch.testing.paper_net import PaperNet
from twinwatch.testing.planning import FixedConfiguration, plan_of
from twinwatch.testing.post_office import NoMail, PostOffice
from twinwatch.world.bus import Bus
from twinwatch.world.doors import Outside, World
from twinwatch.world.host import Host
from twinwatch.world.net import Net
from twinwatch.world.plugins import Flaw
from twinwatch.world.secret import Secret
from twinwatch.world.supervisor import Supervisor

HUB = "http://hub.example"


class CountingMonitor:
    """A monitor that yields the number of its run, and remembers when it ran. ``trouble`` is raised by later runs."""

    name: ClassVar[str] = "counting"
    title: ClassVar[str] = "Counting"
    Options: ClassVar[type[Options]] = Options
    interval_seconds: ClassVar[float] = 15.0
    deadline_seconds: ClassVar[float] = 10.0
    metrics: ClassVar[tuple[Metric, ...]] = (Metric("test.runs", "{run}", "How often the monitor has run"),)
    charts: ClassVar[tuple[Chart, ...]] = (Chart("Runs", ("test.runs",)),)
    headlines: ClassVar[tuple[Headline, ...]] = ()

    def __init__(self, options: Any = None) -> None:
        self.times: list[int] = []
        self.trouble: Exception | None = None

    async def read(self, world: World, moment: Moment) -> list[Reading]:
        """One run."""
        if self.trouble is not None:
            raise self.trouble
        self.times.append(moment.time)
        return [Reading("test.runs", len(self.times))]


class StagedAgent:
    """One agent with its own state directory and its own network (``http``). ``monitor`` counts what it collected; what
    it says to people arrives in ``post_office``."""

    def __init__(
        self,
        state_dir: Path,
        app: AsgiApp,
        clock: VirtualClock,
        *,
        enrolment_key: str | None = "twe_test",
        monitors: Sequence[Monitor] | None = None,
        host: Host | None = None,
        bus: Bus | None = None,
        net: Net | None = None,
        post_office: PostOffice | None = None,
        ip: str = "127.0.0.1",
        **settings: Any,
    ) -> None:
        self.clock = clock
        self.monitor = CountingMonitor()
        self.http = AsgiHttp(app, client=ip)
        self.settings = Settings(
            **{
                "hub": HUB,
                "state_dir": state_dir,
                "server_name": "web-1",
                "enrolment_key": Secret(enrolment_key) if enrolment_key else None,
                "hub_watch": HubWatchSettings(enabled=False),
                **settings,
            }
        )
        # Its monitors have a network of their own, as in a real agent: what they do cannot hold up the hub's.
        self._world = World(
            clock=clock,
            http=PaperHttp({}),
            host=host or Host(),
            bus=bus or PaperBus({}),
            net=net or PaperNet({}),
        )
        self.configuration = FixedConfiguration(
            self.settings, plan_of(*([self.monitor] if monitors is None else monitors))
        )
        """What it runs; ``become`` changes that while it does."""
        kinds = post_office.kinds() if post_office else {}
        self._telling = Telling(
            Outside(PaperHttp({}), NoMail()), lambda name: kinds.get(name) or Flaw(name, "there is none on this stage")
        )
        self.supervisor = Supervisor({})
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start it; a new process on the same state directory, if it has run before."""
        self._stop = asyncio.Event()
        started = asyncio.Event()
        self.agent = Agent(
            self.configuration,
            self._world,
            to_hub=self.http,
            supervisor=self.supervisor,
            started=started.set,
            inline=True,
            local=False,
            telling=self._telling,
        )
        self._task = asyncio.create_task(self.agent.run(self._stop))
        starting = asyncio.create_task(started.wait())
        await asyncio.wait({self._task, starting}, return_when=asyncio.FIRST_COMPLETED)
        starting.cancel()
        if self._task.done():
            self._task.result()

    @property
    def alerting(self) -> Alerting:
        """What tells people. It has to run."""
        life = self.agent.life
        assert life is not None
        return life.alerting

    async def stop(self) -> None:
        """Stop it as SIGTERM does: the last ticks are brought to the hub."""
        self._stop.set()
        await self.ended()

    async def kill(self) -> None:
        """End it without a last word. (For a real ``kill -9`` a real process is needed.)"""
        assert self._task is not None
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def ended(self) -> None:
        """Wait until it has ended, and raise what it ended with."""
        assert self._task is not None
        await self._task


async def until(claim: Callable[[], object], within_seconds: float, *, every_seconds: float = 0.1) -> float:
    """Wait until the claim is true; the result is how long that took, in the loop's seconds.

    Raises: AssertionError if it is still false after ``within_seconds``.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    while not claim():
        if loop.time() - began > within_seconds:
            raise AssertionError(f"still not so after {within_seconds:g} s: {claim}")
        await asyncio.sleep(every_seconds)
    return loop.time() - began
