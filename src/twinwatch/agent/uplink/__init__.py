"""What the agent brings to its hub, in three loops that never wait for one another: heartbeats, pushes, catalogues.

Invariants: a change of the line's state is logged once, a state never; no key is ever in a message; retries live
here and nowhere else in the agent.
"""

from __future__ import annotations

import asyncio
import logging

from twinwatch.agent.buffer import Buffer
from twinwatch.agent.identity import Registration
from twinwatch.agent.uplink.catalogues import Catalogues
from twinwatch.agent.uplink.heartbeats import Heartbeats
from twinwatch.agent.uplink.line import Line
from twinwatch.agent.uplink.link import Link
from twinwatch.agent.uplink.pushes import Pushes
from twinwatch.agent.worker import Worker
from twinwatch.protocol.metrics import Catalogue
from twinwatch.world.clock import Clock

_log = logging.getLogger(__name__)


class Uplink:
    """The three loops of a registered agent."""

    def __init__(
        self,
        line: Line,
        registration: Registration,
        *,
        link: Link,
        buffer: Buffer,
        worker: Worker,
        catalogue: Catalogue,
        clock: Clock,
        heartbeat_seconds: float,
        push_seconds: float,
    ) -> None:
        seed = registration.server_uuid
        key = registration.key
        self._heartbeats = Heartbeats(
            line, registration, link=link, clock=clock, interval_seconds=heartbeat_seconds, seed=seed
        )
        self._catalogues = Catalogues(line, key, catalogue, heartbeats=self._heartbeats, link=link)
        self._pushes = Pushes(
            line,
            key,
            buffer=buffer,
            worker=worker,
            link=link,
            clock=clock,
            interval_seconds=push_seconds,
            seed=seed,
        )

    async def run(self, warm: asyncio.Event) -> None:
        """Run the loops until cancelled. The first push waits, but not for long, for ``warm``."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._catalogues.run(), name="catalogues")
            group.create_task(self._heartbeats.run(), name="heartbeats")
            group.create_task(self._pushes.run(warm), name="pushes")

    async def flush(self, timeout_seconds: float) -> None:
        """Bring what waits in one last round that is cut off at ``timeout_seconds``."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._pushes.flush()
        except TimeoutError:
            _log.info("the hub did not take the last ticks in time; they are kept and sent after the next start")
