"""The agent as a whole: monitors into the buffer, the buffer to the hub, until it is told to stop.

Invariants: ticks are collected and kept from the first moment, whether a hub is configured, is there, knows this
server, or not; whatever way the agent ends, a later one on the same state directory continues where it was.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from twinwatch.agent.alerting.channels import Telling
from twinwatch.agent.alerting.memory import FILE as MEMORY_FILE
from twinwatch.agent.alerting.memory import Memory
from twinwatch.agent.buffer import Buffer
from twinwatch.agent.configuration import Misconfigured
from twinwatch.agent.identity import known_identity
from twinwatch.agent.life import Configuring, Life
from twinwatch.agent.lives import Gaps, Lives
from twinwatch.agent.standing import Standing
from twinwatch.agent.status import Status
from twinwatch.agent.worker import Worker
from twinwatch.protocol.metrics import MonitorKind
from twinwatch.world.doors import Outside, World
from twinwatch.world.http import Http
from twinwatch.world.late import late
from twinwatch.world.supervisor import Supervisor

BUFFER_FILE = "buffer.sqlite3"


class Agent:
    """One agent. ``started`` is called once all of it runs; ``kinds`` is what could run, for the catalogue.

    ``to_hub`` is the door to the hub where that is not the monitors': theirs may be full of targets that hang.
    ``telling`` is how it speaks to people. ``inline`` keeps SQLite on the event loop, for virtual time; ``local`` false
    leaves out the local server.
    """

    def __init__(
        self,
        configurator: Configuring,
        world: World,
        *,
        to_hub: Http | None = None,
        kinds: tuple[MonitorKind, ...] = (),
        supervisor: Supervisor | None = None,
        started: Callable[[], None] = lambda: None,
        inline: bool = False,
        local: bool = True,
        telling: Telling | None = None,
    ) -> None:
        self._configurator = configurator
        self._world = world
        self._to_hub = to_hub or world.http
        self._kinds = kinds
        self._supervisor = supervisor or Supervisor({})
        self._started = started
        self._telling = telling or Telling(Outside(world.http, late("mail", "SmtpMail")))
        self._inline = inline
        self._local = local
        self._reload = asyncio.Event()
        self.life: Life | None = None
        """What runs now; None before the start and after the end."""

    async def run(self, stop: asyncio.Event) -> None:
        """Run until ``stop`` is set; then bring the last ticks to the hub and close. Cancelled, close at once.

        Raises: Misconfigured if a key is needed and there is none; IdentityUnusable; BufferUnusable; EnrolmentRefused.
        """
        settings = self._configurator.settings
        identity = known_identity(settings.state_dir, self._world.host, may_enrol=settings.enrolment_key is not None)
        if settings.hub and identity.registration is None and settings.enrolment_key is None:
            raise Misconfigured(
                "no enrolment key, and this server is not registered yet: make a key in the dashboard under "
                "Add a server, and give it in TWINWATCH_ENROLMENT_KEY or with --enrolment-key-file"
            )
        worker, clock = Worker(inline=self._inline), self._world.clock
        try:
            opening = partial(Buffer, most_bytes=settings.buffer.most_bytes)
            buffer = await worker.do(opening, settings.state_dir / BUFFER_FILE, clock.now())
            memory = await worker.do(Memory, settings.state_dir / MEMORY_FILE, clock.now())
            try:
                self.life = life = Life(
                    self._configurator,
                    self._world,
                    to_hub=self._to_hub,
                    identity=identity,
                    buffer=buffer,
                    worker=worker,
                    lives=await worker.do(Lives, settings.state_dir, self._world.host, clock, Gaps(clock)),
                    kinds=self._kinds,
                    supervisor=self._supervisor,
                    standing=Standing(clock, await worker.do(buffer.checks)),
                    memory=memory,
                    known=await worker.do(memory.known),
                    telling=self._telling,
                )
                await life.live(stop, self._started, self._reload, local=self._local)
            finally:
                await worker.do(memory.close)
                await worker.do(buffer.close)
        finally:
            worker.close()

    def reload(self) -> None:
        """Read the configuration again, soon."""
        self._reload.set()

    async def status(self) -> Status:
        """How it stands now. It must have been started."""
        if self.life is None:
            raise AssertionError("the agent has not been started")
        return await self.life.status()
