"""Watches the hub and the internet from here, and has both judged like any check of the agent's own.

Invariants: it says what it saw and tells nobody; after a start it says nothing of either until it knows, so that what
was told before stays told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from twinwatch.agent.tables import span
from twinwatch.agent.uplink.link import Link
from twinwatch.agent.watching.internet import InternetSight
from twinwatch.agent.watching.judgement import Internet, Sight, Watch, looked
from twinwatch.agent.watching.settings import HubWatchSettings
from twinwatch.monitors import Check
from twinwatch.protocol.alerts import THE_WAY
from twinwatch.world.doors import World

LOOK_SECONDS = 10.0
CALM_SECONDS = 6 * 3600.0
"""Between two looks at the internet while the hub is there."""
HUB, INTERNET = (thing.partition(":")[2] for thing in THE_WAY)
"""The names of the checks."""


class HubWatch:
    """The loop. ``rank`` is this agent's among those of its organization; ``see`` gets the checks."""

    def __init__(
        self,
        world: World,
        settings: HubWatchSettings,
        link: Link,
        *,
        hub: str,
        rank: Callable[[], int],
        see: Callable[[Check], None],
    ) -> None:
        self._clock = world.clock
        self._settings = settings
        self._link = link
        self._hub = hub
        self._rank = rank
        self._see = see
        self._sight = InternetSight(world, settings.internet)
        self._watch = Watch()
        self._offline = ""
        link.on_return(self._is_back)

    async def run(self) -> None:
        """Look until cancelled."""
        self._say("")
        at = self._clock.monotonic()
        calm_until = at
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            hub = self._hub_answers()
            internet: Internet = "unknown"
            if hub is False:
                internet = await self._sight.look(hub=False)
            elif hub and self._clock.monotonic() >= calm_until:
                await self._sight.look(hub=True)
                calm_until = self._clock.monotonic() + CALM_SECONDS
            now = self._clock.monotonic()
            before, rank = self._watch, self._rank()
            # The hub may have answered while the targets were looked at: then there is nothing to say.
            sight = Sight(self._hub_answers() if hub is False else hub, internet)
            self._watch = looked(before, sight, now - at, after_seconds=self._settings.after_seconds, rank=rank)
            at = now
            if self._watch.internet == "down" and before.internet != "down":
                nobody = f"None of {', '.join(self._settings.internet)} takes a connection"
                self._offline = f"{nobody}; {await self._sight.evidence()}."
            self._say(self._words(internet))

    def _is_back(self) -> None:
        """The hub answers again: what was said of it is over before it is brought there."""
        self._watch = Watch(hub="up", internet="up")
        self._say("")

    def _hub_answers(self) -> bool | None:
        return {"up": True, "away": False}.get(self._link.state)

    def _words(self, internet: Internet) -> str:
        away = span((self._clock.now() - self._link.since) / 1000)
        if internet == "works":
            around = f"The internet works from here: {', '.join(self._sight.reached)} can be reached."
        else:
            around = "Whether the internet works from here cannot be told."
        return f"{self._link.error or self._hub}. It has not answered for {away}. {around}"

    def _say(self, away: str) -> None:
        hub, internet = self._watch.hub, self._watch.internet
        self._see(Check(HUB, hub, *((away, "away") if hub == "down" else ())))
        self._see(Check(INTERNET, internet, *((self._offline, "offline") if internet == "down" else ())))
