"""Whether it is the hub that does not see, rather than the targets that do not answer.

Before a failure is told, a few targets of other networks (/24, /48) that lately answered are connected to: if none of
them does any more, the hub is likely cut off. By networks and not by names: one machine that goes down takes all of its
sites with it, and that is no blindness.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from twinwatch.world.clock import Clock
from twinwatch.world.net import Family, Net, NetFailed, Stream, TlsWanted

OTHERS = 2
"""Fewer other networks tell nothing."""
ASKED = 6
ANSWERED_SECONDS = 7200.0
"""What answered longer ago says nothing when it fails."""
CONNECT_SECONDS = 3.0
FRESH_SECONDS = 5.0
"""So long one look stands for all that fail meanwhile."""
LONGEST_SECONDS = 600.0
"""So long a blindness is an outage: everybody is told of their own."""
REMEMBERED = 1_000

Place = tuple[str, int]
"""Address and port."""


class NotingNet:
    """The network door, for one try: it notes the first place that was gone to."""

    def __init__(self, net: Net) -> None:
        self._net = net
        self.address = ""
        self.port = 0

    async def resolve(self, host: str, *, family: Family = "any", timeout_seconds: float) -> tuple[str, ...]:
        """See ``Net``."""
        found = await self._net.resolve(host, family=family, timeout_seconds=timeout_seconds)
        self.address = self.address or found[0]
        return found

    async def prepare(self, wanted: TlsWanted) -> None:
        """See ``Net``."""
        await self._net.prepare(wanted)

    async def connect(self, address: str, port: int, *, timeout_seconds: float) -> Stream:
        """See ``Net``."""
        if not self.port:
            self.address, self.port = address, port
        return await self._net.connect(address, port, timeout_seconds=timeout_seconds)

    async def query(self, address: str, port: int, content: bytes, *, timeout_seconds: float) -> bytes:
        """See ``Net``."""
        return await self._net.query(address, port, content, timeout_seconds=timeout_seconds)

    async def ping(self, address: str, sequence: int, *, timeout_seconds: float) -> float | None:
        """See ``Net``."""
        return await self._net.ping(address, sequence, timeout_seconds=timeout_seconds)


class Sight:
    """What this process has lately reached. ``net`` is guarded; the clock is this machine's."""

    def __init__(self, clock: Clock, net: Net) -> None:
        self._clock = clock
        self._net = net
        self._answered: OrderedDict[str, tuple[float, Place]] = OrderedDict()
        self._looking = asyncio.Lock()
        self._looked_at = float("-inf")
        self._none_answers = False
        self._since: float | None = None

    def reached(self, network: str, place: Place) -> None:
        """A place of this network answered; without a network or a port it says nothing."""
        if network and place[1]:
            self._answered[network] = (self._clock.monotonic(), place)
            self._answered.move_to_end(network)
            while len(self._answered) > REMEMBERED:
                self._answered.popitem(last=False)

    def lost(self, network: str) -> None:
        """What is there is down for certain: its failures say nothing about the hub any more."""
        self._answered.pop(network, None)

    async def is_doubtful(self, besides: str = "") -> bool:
        """Whether nothing answers of what lately did, this network left out: by a look of this moment or nearly so."""
        async with self._looking:
            if self._clock.monotonic() - self._looked_at >= FRESH_SECONDS:
                self._none_answers = await self._look(besides)
                self._looked_at = self._clock.monotonic()
                if not self._none_answers:
                    self._since = None
                elif self._since is None:
                    self._since = self._looked_at
            return self._since is not None and self._clock.monotonic() - self._since <= LONGEST_SECONDS

    async def _look(self, besides: str) -> bool:
        oldest = self._clock.monotonic() - ANSWERED_SECONDS
        lately = [
            place for network, (at, place) in self._answered.items() if network != besides and at >= oldest
        ]  # fmt: skip
        if len(lately) < OTHERS:
            return False
        return not any(await asyncio.gather(*(self._answers(place) for place in lately[-ASKED:])))

    async def _answers(self, place: Place) -> bool:
        try:
            (await self._net.connect(*place, timeout_seconds=CONNECT_SECONDS)).close()
        except NetFailed as err:
            # One that refuses is there to do so.
            return err.reason == "connection-refused"
        return True
