"""The network door with a guard before it, for a hub that probes what its users name."""

from __future__ import annotations

from twinwatch.world.guard import Guard, NotAllowed
from twinwatch.world.net.steps import Family, Net, NetFailed, Step, Stream, TlsWanted


class GuardedNet:
    """Names lead to judged addresses only, and no address is touched that was not judged: ``NetFailed`` with the reason
    ``not-permitted`` else, told as a fault of ours."""

    def __init__(self, net: Net, guard: Guard) -> None:
        self._net = net
        self._guard = guard

    async def resolve(self, host: str, *, family: Family = "any", timeout_seconds: float) -> tuple[str, ...]:
        """See ``Net``."""
        found = await self._net.resolve(host, family=family, timeout_seconds=timeout_seconds)
        allowed = tuple(address for address in found if not self._guard.refusal(address))
        if not allowed:
            self._check("resolve", found[0])
        return allowed

    async def prepare(self, wanted: TlsWanted) -> None:
        """See ``Net``."""
        await self._net.prepare(wanted)

    async def connect(self, address: str, port: int, *, timeout_seconds: float) -> Stream:
        """See ``Net``."""
        self._check("connect", address)
        return await self._net.connect(address, port, timeout_seconds=timeout_seconds)

    async def query(self, address: str, port: int, content: bytes, *, timeout_seconds: float) -> bytes:
        """See ``Net``."""
        self._check("query", address)
        return await self._net.query(address, port, content, timeout_seconds=timeout_seconds)

    async def ping(self, address: str, sequence: int, *, timeout_seconds: float) -> float | None:
        """See ``Net``."""
        self._check("ping", address)
        return await self._net.ping(address, sequence, timeout_seconds=timeout_seconds)

    def _check(self, step: Step, address: str) -> None:
        try:
            self._guard.check(address)
        except NotAllowed as err:
            raise NetFailed(step, "not-permitted", str(err), ours=True) from err
