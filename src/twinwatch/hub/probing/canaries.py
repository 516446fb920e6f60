"""The operator's canaries: what the hub reaches as long as it is not itself cut off. They go through no guard, since it
is the operator who names them and not a user."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from twinwatch.hub.probing.kinds import HttpProbe, ProbeKind, TcpProbe, tried
from twinwatch.protocol.durations import Duration
from twinwatch.world.doors import World

log = logging.getLogger(__name__)

LOOK_SECONDS = 10.0
AGAIN_SECONDS = 2.0
TIMEOUT = Duration(5.0)
EXPECTED = "TWINWATCH_CANARIES: expected host:port or URLs, separated by commas, such as 1.1.1.1:443"


def canary_of(text: str) -> ProbeKind:
    """What is to be tried: any answer to a URL is one, and so is a connection.

    Raises: ValueError.
    """
    try:
        if text.startswith(("http://", "https://")):
            return HttpProbe(url=text, expected_status="100-599", follow_redirects=False, verify=False, timeout=TIMEOUT)
        host, _, port = text.rpartition(":")
        return TcpProbe(host=host.strip("[]"), port=int(port), timeout=TIMEOUT)
    except ValueError as err:
        raise ValueError(f"{EXPECTED}; {text[:100]!r} is none") from err


class Canaries:
    """Tries them every few seconds. ``world`` has no guard; ``pause`` waits so many seconds."""

    def __init__(
        self,
        targets: Sequence[ProbeKind],
        world: World,
        *,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._targets = targets
        self._world = world
        self._pause = pause
        self._fail = False
        self._looking = asyncio.Lock()
        self._looked_at = float("-inf")

    @property
    def there(self) -> bool:
        """Whether the operator named any."""
        return bool(self._targets)

    @property
    def fail(self) -> bool:
        """Whether none of them could be reached, twice in a row: the hub is cut off."""
        return self._fail

    async def run(self) -> None:
        """Tries until cancelled; returns at once if there are none."""
        while self._targets:
            await self.look()
            await self._pause(LOOK_SECONDS)

    async def fail_now(self) -> bool:
        """Whether they fail, by a look of this moment: what matters is not decided on an older one."""
        asked = self._world.clock.monotonic()
        async with self._looking:
            if self._targets and self._looked_at < asked:
                await self._look()
        return self._fail

    async def look(self) -> None:
        """One look: at all of them, and again if all fail."""
        async with self._looking:
            await self._look()

    async def _look(self) -> None:
        self._looked_at = self._world.clock.monotonic()
        fail = not await self._any_answers()
        if fail and not self._fail:
            await self._pause(AGAIN_SECONDS)
            fail = not await self._any_answers()
        if fail != self._fail:
            self._fail = fail
            if fail:
                log.error("none of the %d canaries can be reached: this hub is cut off", len(self._targets))
            else:
                log.info("canaries are reached again")

    async def _any_answers(self) -> bool:
        now = self._world.clock.now()
        outcomes = await asyncio.gather(*(tried(target, self._world, now) for target in self._targets))
        return any(outcome.state in ("up", "degraded") for outcome in outcomes)
