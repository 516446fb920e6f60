"""The guard as aiohttp asks for it: where names lead, and once more before each socket.

A host that is an address passes aiohttp's resolver by, and what looks like one may be read in another way by the
system (``127.1``). So each socket is made here, for an address that is judged at that moment and connected to next.
"""

from __future__ import annotations

import socket
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

from twinwatch.world.guard import Guard, NotAllowed
from twinwatch.world.net.steps import Family, NetFailed

RESOLVE_SECONDS = 60.0
"""Longer than any request may take, which has its own deadline."""
FAMILIES: dict[int, Family] = {socket.AF_INET: "ipv4", socket.AF_INET6: "ipv6"}


class Blocked(OSError):
    """What the gate says to aiohttp, which passes nothing else on."""


class Gate(AbstractResolver):
    """For one session."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The judged addresses of the host.

        Raises: Blocked if there is none; OSError if it has none at all.
        """
        try:
            addresses = await self._guard.resolve(
                host, family=FAMILIES.get(family, "any"), timeout_seconds=RESOLVE_SECONDS
            )
        except NotAllowed as err:
            raise Blocked(str(err)) from err
        except NetFailed as err:
            raise OSError(str(err)) from err
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        """Nothing is held."""

    def opened(self, info: tuple[Any, ...]) -> socket.socket:
        """A socket for this address.

        Raises: Blocked.
        """
        family, kind, protocol, _, place = info
        try:
            self._guard.check(str(place[0]))
        except NotAllowed as err:
            raise Blocked(str(err)) from err
        return socket.socket(family=family, type=kind, proto=protocol)
