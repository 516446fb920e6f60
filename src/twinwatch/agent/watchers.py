"""What an agent does besides its monitors: it watches its hub, looks at what others cannot reach, holds drills, and
collects what was true when a critical alert fires.

Invariants: none of it waits for the hub, and none of it can end the agent: what the hub does not take is logged and let
go of.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING

from twinwatch.agent import own
from twinwatch.agent.alerting.alerting import Alerting
from twinwatch.agent.alerting.judge import Change
from twinwatch.agent.buffer import Tick
from twinwatch.agent.configuration import Settings
from twinwatch.agent.drilling import Drilled, Drills
from twinwatch.agent.uplink.line import Line, Refused
from twinwatch.agent.uplink.link import Link
from twinwatch.agent.watching.hub import HubWatch
from twinwatch.agent.watching.settings import WitnessSettings
from twinwatch.agent.watching.witness import Witness
from twinwatch.protocol.alerts import Evidence
from twinwatch.protocol.control import DrillAsked, DrillResult, Notice, WitnessAnswer, WitnessAsked
from twinwatch.world.doors import World
from twinwatch.world.http import Unreachable
from twinwatch.world.secret import Secret

if TYPE_CHECKING:
    from twinwatch.agent.evidence.gathering import Gatherer

_log = logging.getLogger(__name__)


class Watchers:
    """``settings`` are those in force, ``recent`` reads what the buffer kept of a metric."""

    def __init__(
        self,
        world: World,
        link: Link,
        line: Line,
        alerting: Alerting,
        *,
        settings: Callable[[], Settings],
        recent: Callable[[int, int, set[str]], Awaitable[Iterable[Tick]]],
    ) -> None:
        self._line = line
        self._alerting = alerting
        self._settings = settings
        self._key: Secret | None = None
        said = settings()
        self._world = world
        self._recent = recent
        self._gatherer: Gatherer | None = None
        self._witness = Witness(world, self._may_look, self._has_looked)
        self._drills = Drills(
            world.clock,
            said.server_name,
            channels=lambda: alerting.status().channels,
            say=alerting.say,
            report=self._has_drilled,
        )
        self._hub_watch = HubWatch(
            world,
            said.hub_watch,
            link,
            hub=said.hub,
            rank=lambda: alerting.bundle.rank,
            see=alerting.see,
        )
        alerting.collect = self._collect
        alerting.route(f"{own.NAME}: {own.HUB_AWAY.name}", lambda: alerting.bundle.hub_watch)
        alerting.route(f"{own.NAME}: {own.OFFLINE.name}", lambda: ())
        link.on_notice(self._heard)

    async def run(self) -> None:
        """What needs no hub, until cancelled."""
        try:
            await self._drills.run()
        finally:
            if self._gatherer is not None:
                self._gatherer.close()

    async def run_with_hub(self, key: Secret) -> None:
        """What needs one, until cancelled. ``key`` is this server's."""
        self._key = key
        async with asyncio.TaskGroup() as group:
            group.create_task(self._witness.run(), name="witness")
            if self._settings().hub_watch.enabled:
                group.create_task(self._hub_watch.run(), name="hub watch")

    async def drill(self) -> Drilled:
        """One drill on every channel, for a person on this server.

        Raises: TooOften.
        """
        return await self._drills.hold()

    def _heard(self, notice: Notice) -> None:
        if isinstance(notice, WitnessAsked):
            self._witness.ask(notice)
        elif isinstance(notice, DrillAsked):
            self._drills.ask(notice)

    def _may_look(self) -> WitnessSettings:
        settings = self._settings()
        return settings.witness or WitnessSettings(enabled=settings.remote.taken)

    async def _has_looked(self, seen: WitnessAnswer) -> None:
        if self._key is not None:
            try:
                await self._line.witness(self._key, seen)
            except (Unreachable, Refused) as err:
                _log.debug("the hub did not take what was seen for it: %s", err)

    async def _has_drilled(self, result: DrillResult) -> bool:
        if self._key is None:
            return False
        try:
            await self._line.drill(self._key, result)
        except (Unreachable, Refused) as err:
            _log.info("the hub did not take what came of a drill: %s", err)
            return False
        return True

    async def _collect(self, change: Change) -> Evidence:
        # An agent that has never seen a critical alert does without.
        from twinwatch.agent.evidence.gathering import About, Gatherer  # noqa: PLC0415

        if self._gatherer is None:
            recent = self._recent
            self._gatherer = Gatherer(self._world, lambda metric, since, until: recent(since, until, {metric}))
        about = About(change.rule, change.thing, change.labels, change.metric, change.state.value)
        return await self._gatherer.collect(about, lambda whole: self._alerting.attach(change, whole))
