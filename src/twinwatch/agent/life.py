"""One life of the agent, from the opened buffer to its last words: what runs, and who tells whom.

Invariants: nothing here waits for the hub but the uplink; a change of the plan, a check or the catalogue is passed on
within ``SETTLE_SECONDS``.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol

import msgspec

from twinwatch import __version__
from twinwatch.agent.alerting.addressing import FileAlerts
from twinwatch.agent.alerting.alerting import Alerting
from twinwatch.agent.alerting.channels import Telling
from twinwatch.agent.alerting.memory import Known, Memory
from twinwatch.agent.buffer import Buffer, Page, Place, Tick
from twinwatch.agent.catalogue import own_interval
from twinwatch.agent.configuration import Settings
from twinwatch.agent.declaring import Declaring
from twinwatch.agent.identity import FILE as IDENTITY_FILE
from twinwatch.agent.identity import Identity, Registration, keep_identity
from twinwatch.agent.leaving import leaving_of
from twinwatch.agent.lives import Lives
from twinwatch.agent.local.board import Board
from twinwatch.agent.local.custom import Custom
from twinwatch.agent.local.remembered import FILE as CUSTOM_FILE
from twinwatch.agent.own import Appetite
from twinwatch.agent.plan import Plan
from twinwatch.agent.scheduler import Scheduler
from twinwatch.agent.standing import Standing
from twinwatch.agent.status import BufferStatus, LinkStatus, Status
from twinwatch.agent.uplink import Uplink
from twinwatch.agent.uplink.enrolment import enrol
from twinwatch.agent.uplink.line import Line
from twinwatch.agent.uplink.link import Link
from twinwatch.agent.watchers import Watchers
from twinwatch.agent.worker import Worker
from twinwatch.monitors.system.facts import host_facts
from twinwatch.protocol.checks import ConfigurationStanding, Report
from twinwatch.protocol.configuration import Configuration
from twinwatch.protocol.heartbeat import HeartbeatAnswer
from twinwatch.protocol.hello import Register
from twinwatch.protocol.life import Goodbye
from twinwatch.protocol.metrics import MonitorKind
from twinwatch.protocol.rules import Rule
from twinwatch.world.doors import World
from twinwatch.world.http import Http
from twinwatch.world.supervisor import Supervisor

FLUSH_SECONDS = 3.0
GOODBYE_SECONDS = 2.0
TRIM_SECONDS = 600.0
SETTLE_SECONDS = 1.0
"""Changes of the catalogue and of the checks are gathered for so long before they are passed on."""
STATUS_SECONDS = 30.0
HISTORY_TICKS = 20_000
"""Most ticks that rules look back on after a start."""

_log = logging.getLogger(__name__)


class Configuring(Protocol):
    """What the agent is to do, and who says so when that changes."""

    @property
    def settings(self) -> Settings:
        """What does not change while the agent runs."""
        ...

    @property
    def plan(self) -> Plan:
        """What shall run now."""
        ...

    @property
    def standing(self) -> ConfigurationStanding:
        """What became of the configuration."""
        ...

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules of the file and of the hub's configuration."""
        ...

    @property
    def alerts(self) -> FileAlerts:
        """What the file says of telling people."""
        ...

    @property
    def version(self) -> int:
        """The hub's version in force; 0: none."""
        ...

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call back, on the event loop, when ``plan`` or ``standing`` is another."""
        ...

    async def reload(self) -> None:
        """Read the file again."""
        ...

    async def watch(self) -> None:
        """Notice a changed file, until cancelled."""
        ...

    def wants(self, version: int) -> bool:
        """Whether the hub's version is one to fetch."""
        ...

    async def take(self, configuration: Configuration) -> bool:
        """Take the hub's bundle; whether it could be taken is the result."""
        ...


class Life:
    """What runs between opening the buffer and closing it."""

    def __init__(
        self,
        configurator: Configuring,
        world: World,
        *,
        to_hub: Http,
        identity: Identity,
        buffer: Buffer,
        worker: Worker,
        lives: Lives,
        kinds: tuple[MonitorKind, ...],
        supervisor: Supervisor,
        standing: Standing,
        memory: Memory,
        known: Known,
        telling: Telling,
    ) -> None:
        settings = configurator.settings
        board = Board(world.clock)
        world = replace(world, pushed=board)
        self._configurator = configurator
        self._settings = settings
        self._world = world
        self._clock = world.clock
        self._began = world.clock.monotonic()
        self._identity = identity
        self._buffer = buffer
        self._worker = worker
        self._lives = lives
        self._supervisor = supervisor
        self._standing = standing
        self._link = Link(world.clock)
        self._heard = asyncio.Event()
        self._link.on_answer(self._has_answered)
        self._line = Line(to_hub, settings.hub)
        self._uplink: Uplink | None = None
        self._checks_changed = asyncio.Event()
        self._scheduler = Scheduler(world, self._keep, identity.install_id, standing)
        self._custom = Custom(
            world.clock,
            self._keep,
            taken=self._owner_of,
            changed=self._scheduler.facts_changed.set,
            heard=board.note,
            max_series=settings.local.max_series,
            memory=settings.state_dir / CUSTOM_FILE,
        )
        self._appetite = Appetite(
            clock=world.clock,
            host=world.host,
            keep=self._keep,
            delivery=partial(worker.do, buffer.delivery),
            lag=self._scheduler.lag_seconds,
            interval_seconds=lambda: own_interval(self._scheduler.plan),
        )
        self._scheduler.apply(configurator.plan)
        self._declaring = Declaring(self._scheduler, self._custom, host=host_facts(world.host), kinds=kinds)
        self.alerting = Alerting(
            clock=world.clock,
            worker=worker,
            memory=memory,
            known=known,
            server=settings.server_name,
            owner=self._owner,
            hub=bool(settings.hub),
            state_dir=settings.state_dir,
            outside=telling.outside,
            kind_named=telling.kind_named,
            runs=standing.runs,
            checks=lambda: (check.name for check in standing.checks),
            check_interval=self._check_interval,
            hub_ahead=lambda: self._link.ahead_seconds,
        )
        if identity.registration is not None and settings.hub:
            self.alerting.registered(identity.registration.server_key)
        self._watchers = Watchers(
            world,
            self._link,
            self._line,
            self.alerting,
            settings=lambda: self._configurator.settings,
            recent=self._history,
        )
        self._judge_by()
        standing.listen(self.alerting.saw, self.alerting.gone)
        standing.on_change(self._checks_have_changed)
        configurator.on_change(self._configuration_has_changed)

    async def live(
        self, stop: asyncio.Event, started: Callable[[], None], reload: asyncio.Event, *, local: bool
    ) -> None:
        """Run until ``stop`` is set, then bring what waits to the hub."""
        running = asyncio.create_task(self._run(started, reload, local=local), name="agent")
        stopping = asyncio.create_task(stop.wait(), name="stop")
        try:
            await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
            await self.alerting.drain(FLUSH_SECONDS)
        finally:
            self._supervisor.stopping()
            running.cancel()
            stopping.cancel()
            await asyncio.wait({running, stopping})
        if not running.cancelled():
            running.result()
        await self._custom.flush()
        await self._worker.do(self._buffer.keep_checks, list(self._standing.checks))
        await self.alerting.finish(FLUSH_SECONDS)
        leaving = await leaving_of(self._world.host, self._world.bus)
        await self._worker.do(self._lives.ended, leaving)
        if self._uplink is not None:
            back = self._lives.back_within_seconds if leaving == "reboot" else 0.0
            goodbye = Goodbye(leaving, self._clock.now(), back)
            await asyncio.gather(self._uplink.goodbye(goodbye, GOODBYE_SECONDS), self._uplink.flush(FLUSH_SECONDS))
        delivery = await self._worker.do(self._buffer.delivery)
        _log.info("stopped; %d ticks wait for the hub", delivery.pending)

    async def _run(self, started: Callable[[], None], reload: asyncio.Event, *, local: bool) -> None:
        await self.alerting.warm(self._history)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.alerting.run(), name="alerting")
                group.create_task(self._scheduler.run(), name="scheduler")
                group.create_task(self._appetite.run(), name="appetite")
                group.create_task(self._custom.run(), name="custom")
                group.create_task(self._trim(), name="trim")
                group.create_task(self._watchers.run(), name="watchers")
                group.create_task(self._lives.run(), name="life")
                group.create_task(self._remember_being_heard(), name="heard")
                group.create_task(self._declaring.run(self._catalogue_has_changed), name="catalogue")
                group.create_task(self._remember_checks(), name="checks")
                group.create_task(self._configurator.watch(), name="configuration")
                group.create_task(self._reload_on(reload), name="reload")
                if local:
                    group.create_task(self._serve(), name="local")
                if self._settings.hub:
                    group.create_task(self._bring(), name="uplink")
                else:
                    _log.info("no hub is configured: this agent keeps and shows what it sees to itself")
                started()
                self._supervisor.ready(self._in_a_line())
                alive = partial(self._worker.do, _nothing)
                group.create_task(pulse(self._supervisor, alive, self._in_a_line), name="pulse")
        except BaseExceptionGroup as several:
            raise _first_of(several) from several

    async def status(self) -> Status:
        """How the agent stands now."""
        settings, registration = self._settings, self._identity.registration
        return Status(
            version=__version__,
            server_name=settings.server_name,
            time=self._clock.now(),
            uptime_seconds=self._clock.monotonic() - self._began,
            pid=os.getpid(),
            server_uuid=registration.server_uuid if registration else "",
            link=link_status(self._link, settings.hub),
            delivery=await self._worker.do(self._buffer.delivery),
            buffer=BufferStatus(
                path=str(self._buffer.path),
                size_bytes=await self._worker.do(self._buffer.size_bytes),
                most_bytes=settings.buffer.most_bytes,
                trouble=self._buffer.trouble,
            ),
            monitors=self._standing.monitors,
            checks=self._standing.checks,
            configuration=self._configurator.standing,
            alerting=self.alerting.status(),
        )

    def report(self) -> Report:
        """What the hub is told of monitors, checks and configuration."""
        return self._standing.report(self._configurator.standing)

    def _owner_of(self, metric: str) -> str | None:
        return self._declaring.owner_of(metric)

    async def _keep(self, ticks: Sequence[Tick]) -> None:
        await self._worker.do(self._buffer.keep, ticks)
        await self.alerting.took(ticks)

    async def _history(self, since: int, until: int, metrics: Collection[str]) -> list[Tick]:
        """What the buffer kept of these, as far as there is memory for it."""
        found: list[Tick] = []
        place: Place | None = (-1, -1)
        while place is not None and len(found) < HISTORY_TICKS:
            page = await self._page(since, until, metrics=metrics, after=place, ticks=1_000)
            found += page.ticks
            place = page.after
        return found

    def _owner(self) -> str:
        """Whose alerts these are: the server's uuid at its hub, before there is one this installation's."""
        registration = self._identity.registration
        return registration.server_uuid if registration else self._identity.install_id

    def _check_interval(self, monitor: str) -> int:
        interval = next((one.interval_seconds for one in self._scheduler.plan.monitors if one.name == monitor), 0.0)
        return round(interval * 1000)

    def _judge_by(self) -> None:
        instances: dict[str, list[str]] = {}
        for one in self._scheduler.plan.monitors:
            names = instances.setdefault(one.kind.name, [])
            if one.name not in names:
                names.append(one.name)
        self.alerting.become(self._declaring.catalogue, instances, self._configurator.rules, self._configurator.alerts)

    def _has_answered(self, _: HeartbeatAnswer) -> None:
        if self._lives.answered():
            self._heard.set()

    async def _remember_being_heard(self) -> None:
        await self._heard.wait()
        await self._worker.do(self._lives.keep)

    def _checks_have_changed(self) -> None:
        self._checks_changed.set()
        if self._uplink is not None:
            self._uplink.report_changed()

    def _configuration_has_changed(self) -> None:
        self._scheduler.apply(self._configurator.plan)
        self._judge_by()
        if self._uplink is not None:
            self._uplink.report_changed()
            self._uplink.configuration_changed()

    def _catalogue_has_changed(self) -> None:
        self._judge_by()
        if self._uplink is not None:
            self._uplink.catalogue_changed(self._declaring.catalogue)

    async def _remember_checks(self) -> None:
        while True:
            await self._checks_changed.wait()
            self._checks_changed.clear()
            await self._worker.do(self._buffer.keep_checks, list(self._standing.checks))
            await asyncio.sleep(SETTLE_SECONDS)

    async def _reload_on(self, reload: asyncio.Event) -> None:
        while True:
            await reload.wait()
            reload.clear()
            self._supervisor.reloading()
            await self._configurator.reload()
            self._supervisor.ready(self._in_a_line())

    def _in_a_line(self) -> str:
        monitors, checks = self._standing.monitors, self._standing.checks
        failing = sum(monitor.state == "failing" for monitor in monitors)
        down = sum(check.state in ("down", "degraded") for check in checks)
        hub = link_status(self._link, self._settings.hub).state
        return f"{len(monitors)} monitors, {failing} failing; {len(checks)} checks, {down} not up; hub: {hub}"

    async def _serve(self) -> None:
        # aiohttp.web comes with it: some megabytes that an agent without a local server does not need.
        from twinwatch.agent.local.server import LocalServer  # noqa: PLC0415

        await LocalServer(
            self._settings.local,
            state_dir=self._settings.state_dir,
            status=self.status,
            catalogue=lambda: self._declaring.catalogue,
            read=self._page,
            custom=self._custom,
            clock=self._clock,
            drill=self._watchers.drill,
        ).run()

    async def _page(self, since: int, until: int, *, metrics: Collection[str], after: Place, ticks: int) -> Page:
        return await self._worker.do(self._buffer.page, since, until, metrics=metrics, after=after, ticks=ticks)

    async def _bring(self) -> None:
        registration = await self._registration()
        await self._worker.do(self._buffer.raise_sequence, registration.sequence_mark)
        self.alerting.registered(registration.server_key)
        self._uplink = Uplink(
            self._line,
            registration,
            link=self._link,
            buffer=self._buffer,
            worker=self._worker,
            catalogue=self._declaring.catalogue,
            clock=self._clock,
            heartbeat_seconds=self._settings.heartbeat_seconds,
            push_seconds=self._settings.push_seconds,
            bytes_per_second=self._settings.uplink.bytes_per_second,
            report=self.report,
            version=self._configurator.version,
            take=self._take,
            wants=self._configurator.wants,
            life=self._lives.told,
            identity_file=self._settings.state_dir / IDENTITY_FILE,
            alerting=self.alerting,
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(self._uplink.run(self._scheduler.warm), name="loops to the hub")
            group.create_task(self._watchers.run_with_hub(registration.key), name="watchers of the hub")

    async def _take(self, configuration: Configuration) -> None:
        await self._configurator.take(configuration)

    async def _registration(self) -> Registration:
        settings, known = self._settings, self._identity.registration
        if known is not None and (known.hub == settings.hub or settings.enrolment_key is None):
            return msgspec.structs.replace(known, hub=settings.hub)
        if settings.enrolment_key is None:
            raise AssertionError("run() has seen to a key")
        hello = Register(self._identity.install_id, settings.server_name, __version__)
        fresh = await enrol(self._line, settings.enrolment_key, hello, hub=settings.hub, link=self._link)
        self._identity = msgspec.structs.replace(self._identity, registration=fresh)
        keep_identity(settings.state_dir, self._identity)
        return fresh

    async def _trim(self) -> None:
        began, monotonic = self._clock.now(), self._clock.monotonic()
        while True:
            passed = round((self._clock.monotonic() - monotonic) * 1000)
            # A clock that was set far ahead must not age everything: the earlier of two clocks counts.
            now = min(self._clock.now(), self._link.hub_now() or began + passed)
            trimmed = await self._worker.do(self._buffer.trim, now)
            if trimmed.dropped and self._settings.hub:
                _log.warning("%d ticks became 24 hours old before the hub took them: dropped", trimmed.dropped)
            await asyncio.sleep(TRIM_SECONDS)


async def pulse(supervisor: Supervisor, alive: Callable[[], Awaitable[None]], status: Callable[[], str]) -> None:
    """Give signs of life for as long as the event loop and ``alive`` (the buffer's thread) do: both, or none."""
    if not supervisor.there:
        return
    watchdog = supervisor.watchdog_seconds
    while True:
        await alive()
        supervisor.alive(status())
        await asyncio.sleep(min(STATUS_SECONDS, watchdog / 2) if watchdog else STATUS_SECONDS)


def link_status(link: Link, hub: str) -> LinkStatus:
    """The line to the hub as the status says it."""
    if not hub:
        return LinkStatus()
    return LinkStatus(link.state, hub, link.since, link.error, link.ahead_seconds, link.control)


def _nothing() -> None:
    """What a thread that is alive can do at once."""


def _first_of(several: BaseExceptionGroup[BaseException]) -> BaseException:
    first = several.exceptions[0]
    return _first_of(first) if isinstance(first, BaseExceptionGroup) else first
