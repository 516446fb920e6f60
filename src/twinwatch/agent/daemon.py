"""The agent as a whole: monitors into the buffer, the buffer to the hub, until it is told to stop.

Invariants: ticks are collected and kept from the first moment, whether the hub is there, knows this server, or not;
whatever way the agent ends, a later one on the same state directory continues where it was.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

import msgspec

from twinwatch import __version__
from twinwatch.agent.buffer import Buffer, BufferUnusable, Tick
from twinwatch.agent.configuration import Misconfigured, Settings
from twinwatch.agent.identity import Identity, Registration, keep_identity, load_identity
from twinwatch.agent.scheduler import Scheduler, facts_of
from twinwatch.agent.uplink import Uplink
from twinwatch.agent.uplink.enrolment import enrol
from twinwatch.agent.uplink.line import Line
from twinwatch.agent.uplink.link import Link
from twinwatch.agent.worker import Worker
from twinwatch.monitors import Monitor
from twinwatch.monitors.system.facts import host_facts
from twinwatch.protocol.hello import Register
from twinwatch.protocol.metrics import Catalogue
from twinwatch.world.doors import World

BUFFER_FILE = "buffer.sqlite3"
FLUSH_SECONDS = 3.0
TRIM_SECONDS = 600.0

_log = logging.getLogger(__name__)


class Agent:
    """One agent. ``monitors`` are its own instances; ``started`` is called once all of it runs.

    ``inline`` keeps SQLite on the event loop: for virtual time.
    """

    def __init__(
        self,
        settings: Settings,
        world: World,
        monitors: Sequence[Monitor],
        *,
        started: Callable[[], None] = lambda: None,
        inline: bool = False,
    ) -> None:
        self._inline = inline
        self._settings = settings
        self._world = world
        self._monitors = monitors
        self._started = started

    async def run(self, stop: asyncio.Event) -> None:
        """Run until ``stop`` is set; then bring the last ticks to the hub and close. Cancelled, close at once.

        Raises: Misconfigured if a key is needed and there is none; IdentityUnusable; BufferUnusable; EnrolmentRefused.
        """
        identity = load_identity(self._settings.state_dir)
        if identity.registration is None and self._settings.enrolment_key is None:
            raise Misconfigured(
                "no enrolment key, and this server is not registered yet: make a key in the dashboard under "
                "Add a server, and give it in TWINWATCH_ENROLMENT_KEY or with --enrolment-key-file"
            )
        worker = Worker(inline=self._inline)
        try:
            buffer = await worker.do(Buffer, self._settings.state_dir / BUFFER_FILE, self._world.clock.now())
            try:
                life = _Life(
                    self._settings, self._world, self._monitors, identity=identity, buffer=buffer, worker=worker
                )
                await life.live(stop, self._started)
            finally:
                await worker.do(buffer.close)
        finally:
            worker.close()


class _Life:
    """What runs between opening the buffer and closing it."""

    def __init__(
        self,
        settings: Settings,
        world: World,
        monitors: Sequence[Monitor],
        *,
        identity: Identity,
        buffer: Buffer,
        worker: Worker,
    ) -> None:
        self._settings = settings
        self._clock = world.clock
        self._identity = identity
        self._buffer = buffer
        self._worker = worker
        self._link = Link(world.clock)
        self._line = Line(world.http, settings.hub)
        self._uplink: Uplink | None = None
        self._scheduler = Scheduler(
            monitors,
            world=world,
            keep=self._keep,
            seed=identity.install_id,
            interval_seconds=settings.monitor_seconds,
        )
        self._catalogue = Catalogue(
            agent_version=__version__,
            monitors=facts_of(monitors, settings.monitor_seconds),
            host=host_facts(world.host),
        )
        self._trouble = False

    async def live(self, stop: asyncio.Event, started: Callable[[], None]) -> None:
        running = asyncio.create_task(self._run(started), name="agent")
        stopping = asyncio.create_task(stop.wait(), name="stop")
        try:
            await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            running.cancel()
            stopping.cancel()
            await asyncio.wait({running, stopping})
        if not running.cancelled():
            running.result()
        if self._uplink is not None:
            await self._uplink.flush(FLUSH_SECONDS)
        figures = await self._worker.do(self._buffer.figures)
        _log.info("stopped; %d ticks wait for the hub", figures.waiting + figures.in_flight)

    async def _run(self, started: Callable[[], None]) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._scheduler.run(), name="scheduler")
                group.create_task(self._trim(), name="trim")
                group.create_task(self._bring(), name="uplink")
                started()
        except BaseExceptionGroup as several:
            raise _first_of(several) from several

    async def _keep(self, ticks: Sequence[Tick]) -> None:
        await self._worker.do(self._buffer.keep, ticks)

    async def _bring(self) -> None:
        registration = await self._registration()
        await self._worker.do(self._buffer.raise_sequence, registration.sequence_mark)
        self._uplink = Uplink(
            self._line,
            registration,
            link=self._link,
            buffer=self._buffer,
            worker=self._worker,
            catalogue=self._catalogue,
            clock=self._clock,
            heartbeat_seconds=self._settings.heartbeat_seconds,
            push_seconds=self._settings.push_seconds,
        )
        await self._uplink.run(self._scheduler.warm)

    async def _registration(self) -> Registration:
        settings, known = self._settings, self._identity.registration
        if known is not None and (known.hub == settings.hub or settings.enrolment_key is None):
            return msgspec.structs.replace(known, hub=settings.hub)
        if settings.enrolment_key is None:
            raise AssertionError("run() has seen to a key")
        hello = Register(self._identity.install_id, settings.server_name, __version__)
        fresh = await enrol(self._line, settings.enrolment_key, hello, hub=settings.hub, link=self._link)
        keep_identity(settings.state_dir, Identity(self._identity.install_id, fresh))
        return fresh

    async def _trim(self) -> None:
        began, monotonic = self._clock.now(), self._clock.monotonic()
        while True:
            passed = round((self._clock.monotonic() - monotonic) * 1000)
            # A clock that was set far ahead must not age everything: the earlier of two clocks counts.
            now = min(self._clock.now(), self._link.hub_now() or began + passed)
            try:
                trimmed = await self._worker.do(self._buffer.trim, now)
            except BufferUnusable as err:
                if not self._trouble:
                    _log.error("old ticks cannot be deleted: %s", err)
                self._trouble = True
            else:
                self._trouble = False
                if trimmed.dropped:
                    _log.warning("%d ticks became 24 hours old before the hub took them: dropped", trimmed.dropped)
            await asyncio.sleep(TRIM_SECONDS)


def _first_of(several: BaseExceptionGroup[BaseException]) -> BaseException:
    first = several.exceptions[0]
    return _first_of(first) if isinstance(first, BaseExceptionGroup) else first
