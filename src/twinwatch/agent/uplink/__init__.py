"""What the agent brings to its hub and hears from it, in loops that never wait for one another: heartbeats, pushes,
catalogues, reports, configurations, and the control connection.

Invariants: a change of the line's state is logged once, a state never; no key is ever in a message; retries live
here and nowhere else in the agent.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from twinwatch.agent.alerting.alerting import Alerting
from twinwatch.agent.buffer import Buffer
from twinwatch.agent.identity import FILE, Registration
from twinwatch.agent.uplink.alerts import Alerts
from twinwatch.agent.uplink.bundles import Bundles
from twinwatch.agent.uplink.catalogues import Catalogues
from twinwatch.agent.uplink.configurations import Configurations
from twinwatch.agent.uplink.control import Control
from twinwatch.agent.uplink.heartbeats import Heartbeats
from twinwatch.agent.uplink.line import Line, Refused
from twinwatch.agent.uplink.link import Link
from twinwatch.agent.uplink.pushes import BYTES_PER_SECOND, Pushes
from twinwatch.agent.uplink.reports import Reports
from twinwatch.agent.worker import Worker
from twinwatch.protocol.checks import Report
from twinwatch.protocol.configuration import Configuration
from twinwatch.protocol.life import Goodbye, Life
from twinwatch.protocol.metrics import Catalogue
from twinwatch.world.clock import Clock
from twinwatch.world.http import Unreachable

_log = logging.getLogger(__name__)


class Uplink:
    """The loops of a registered agent.

    ``report`` makes the report, ``version`` is the hub's configuration in force and ``take`` gets a newer one: without
    them nothing is reported or fetched; nor are alerts brought without ``alerting``. ``identity_file`` is what a
    message about a refused key names.
    """

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
        bytes_per_second: float = BYTES_PER_SECOND,
        report: Callable[[], Report] | None = None,
        version: int = 0,
        take: Callable[[Configuration], Awaitable[None]] | None = None,
        wants: Callable[[int], bool] | None = None,
        life: Callable[[], Life] | None = None,
        identity_file: Path = Path(FILE),
        alerting: Alerting | None = None,
    ) -> None:
        seed = registration.server_uuid
        key = registration.key
        self._line = line
        self._key = key
        self._link = link
        self._heartbeats = Heartbeats(
            line,
            registration,
            delivery=partial(worker.do, buffer.delivery),
            life=life,
            link=link,
            clock=clock,
            interval_seconds=heartbeat_seconds,
            seed=seed,
            identity_file=identity_file,
            **({"alerts": alerting.digest, "bundle": alerting.held} if alerting else {}),
        )
        self._alerts = Alerts(line, key, alerting, link=link, seed=seed) if alerting else None
        self._bundles = (
            Bundles(line, key, held=alerting.held, take=alerting.take, link=link, seed=seed) if alerting else None
        )
        self._catalogues = Catalogues(line, key, catalogue, link=link, seed=seed)
        self._pushes = Pushes(
            line,
            key,
            buffer=buffer,
            worker=worker,
            link=link,
            clock=clock,
            interval_seconds=push_seconds,
            seed=seed,
            bytes_per_second=bytes_per_second,
        )
        self._reports = Reports(line, key, report, link=link, clock=clock, seed=seed) if report else None
        self._configurations = (
            Configurations(line, key, version=version, take=take, wants=wants, link=link, seed=seed) if take else None
        )
        self._control = (
            Control(line, key, link.noticed, link=link, clock=clock, seed=seed) if take or alerting else None
        )

    async def run(self, warm: asyncio.Event) -> None:
        """Run the loops until cancelled. The first push waits, but not for long, for ``warm``."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._catalogues.run(), name="catalogues")
            group.create_task(self._heartbeats.run(), name="heartbeats")
            group.create_task(self._pushes.run(warm), name="pushes")
            for name, loop in (
                ("reports", self._reports),
                ("configurations", self._configurations),
                ("control", self._control),
                ("alerts", self._alerts),
                ("bundles", self._bundles),
            ):
                if loop is not None:
                    group.create_task(loop.run(), name=name)

    def report_changed(self) -> None:
        """Bring the report soon, if it is another one now."""
        if self._reports is not None:
            self._reports.changed()

    def configuration_changed(self) -> None:
        """Fetch the hub's configuration soon, if it is wanted now."""
        if self._configurations is not None:
            self._configurations.look()

    def catalogue_changed(self, catalogue: Catalogue) -> None:
        """Bring this catalogue soon."""
        self._catalogues.changed(catalogue)

    async def goodbye(self, message: Goodbye, timeout_seconds: float) -> None:
        """Say that the agent ends; once, and only to a hub that was there a moment ago."""
        if not self._link.up:
            return
        try:
            await self._line.goodbye(self._key, message, timeout_seconds=timeout_seconds)
        except (Unreachable, Refused) as err:
            _log.info("the hub did not hear the goodbye: %s", err)

    async def flush(self, timeout_seconds: float) -> None:
        """Bring what waits in one last round that is cut off at ``timeout_seconds``."""
        try:
            async with asyncio.timeout(timeout_seconds):
                if self._alerts is not None:
                    await self._alerts.flush()
                await self._pushes.flush()
        except TimeoutError:
            _log.info("the hub did not take the last ticks in time; they are kept and sent after the next start")
