"""Something small that the hub shall have, or the agent fetch, sooner or later: done when wanted, tried again when not.

Invariants: nothing is asked of a hub that is away or refuses the key; ``Retry-After`` is obeyed; a hub that does not
know the route is asked again in minutes only, and nobody is told; a failure is logged once, until it has succeeded.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

from twinwatch.agent.uplink.line import Refused
from twinwatch.agent.uplink.link import Link
from twinwatch.world import backoff
from twinwatch.world.http import Unreachable

FIRST_PAUSE_SECONDS = 2.0
LONGEST_PAUSE_SECONDS = 300.0
UNKNOWN_ROUTE_SECONDS = 600.0

_log = logging.getLogger("twinwatch.agent.uplink")


class Errand:
    """One kind of errand. ``do`` runs while ``wanted()``; ``wake`` says that this may have changed.

    Raised by ``do``: Unreachable, Refused.
    """

    def __init__(
        self, what: str, *, do: Callable[[], Awaitable[None]], wanted: Callable[[], bool], link: Link, seed: str
    ) -> None:
        self._what = what
        self._do = do
        self._wanted = wanted
        self._link = link
        self._seed = f"{seed}:{what}"
        self._woken = asyncio.Event()
        self._returned = asyncio.Event()
        self._failures = 0
        self._said = False
        link.on_return(self._returned.set)

    def wake(self) -> None:
        """Look whether there is something to do."""
        self._woken.set()

    async def run(self) -> None:
        """Do what is wanted until cancelled."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            while self._wanted():
                self._returned.clear()
                if not self._link.up:
                    await self._returned.wait()
                    continue
                await self._attempt()

    async def _attempt(self) -> None:
        try:
            await self._do()
        except Unreachable as err:
            self._say(err)
            await self._pause(0.0)
        except Refused as err:
            if err.status in (404, 405, 501):
                await self._wait(UNKNOWN_ROUTE_SECONDS)
            elif err.retry_after_seconds is not None:
                await asyncio.sleep(err.retry_after_seconds)
            else:
                self._say(err)
                # What is refused for what it is will be refused again: that is for the next version of it.
                await self._pause(FIRST_PAUSE_SECONDS * 8 if err.status in (400, 413, 422) else 0.0)
        else:
            self._failures = 0
            self._said = False

    async def _pause(self, least_seconds: float) -> None:
        pause = backoff.delay(
            self._failures, self._seed, first_seconds=FIRST_PAUSE_SECONDS, most_seconds=LONGEST_PAUSE_SECONDS
        )
        self._failures += 1
        await self._wait(max(pause, least_seconds))

    async def _wait(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._returned.wait()

    def _say(self, err: Exception) -> None:
        if self._link.up and not self._said:
            _log.warning("%s: %s; trying on", self._what, err)
            self._said = True
