"""Whether it is the hub that does not see, rather than the targets that do not answer.

Judged by networks (/24, /48) and not by names: one machine that goes down takes all of its sites with it, and that is
no blindness. Only trouble that is new counts; what has been down for long says nothing about the hub.
"""

from __future__ import annotations

from twinwatch.world.net import Family, Net, Stream, TlsWanted

WINDOW_SECONDS = 90.0
"""Tries are a minute apart: targets that are cut off at the same moment fail within so long."""
LEAST_NETWORKS = 3
SHARE = 0.5
LONGEST_SECONDS = 600.0
"""So long a blindness is an outage: everybody is told of their own."""
REMEMBERED = 10_000


class NotingNet:
    """The network door, for one try: it notes the first address that was gone to."""

    def __init__(self, net: Net) -> None:
        self._net = net
        self.address = ""

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
        return await self._net.connect(address, port, timeout_seconds=timeout_seconds)

    async def query(self, address: str, port: int, content: bytes, *, timeout_seconds: float) -> bytes:
        """See ``Net``."""
        return await self._net.query(address, port, content, timeout_seconds=timeout_seconds)

    async def ping(self, address: str, sequence: int, *, timeout_seconds: float) -> float | None:
        """See ``Net``."""
        return await self._net.ping(address, sequence, timeout_seconds=timeout_seconds)


class Sight:
    """What this process has lately seen of the networks that were well before. Times are seconds that never jump."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[float, float]] = {}
        self._doubtful_since: float | None = None

    def note(self, network: str, now: float, *, failed: bool) -> None:
        """A try of what was not known to be down. An empty network says nothing."""
        if not network:
            return
        good, bad = self._seen.pop(network, (float("-inf"), float("-inf")))
        self._seen[network] = (good, now) if failed else (now, bad)
        while len(self._seen) > REMEMBERED:
            del self._seen[next(iter(self._seen))]

    def is_doubtful(self, now: float) -> bool:
        """Whether most networks have lately failed at once."""
        lately = [(good, bad) for good, bad in self._seen.values() if max(good, bad) >= now - WINDOW_SECONDS]
        # One that has answered since its failure does answer.
        failed = sum(bad > good for good, bad in lately)
        if failed < LEAST_NETWORKS or failed <= SHARE * len(lately):
            self._doubtful_since = None
            return False
        if self._doubtful_since is None:
            self._doubtful_since = now
        return now - self._doubtful_since <= LONGEST_SECONDS
