"""Whether the internet works from here, by whether any of several places takes a connection; and where it ends if not.

Cost: a connection to each target per look; looks are made while the hub is away, and every few hours besides.
Source: proc(5) (``/proc/net/route``, ``/proc/net/ipv6_route``), RFC 4443 and RFC 792 for the gateway.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address

from twinwatch.agent.watching.judgement import Internet
from twinwatch.agent.watching.settings import place_of
from twinwatch.world.doors import World
from twinwatch.world.host import Missing, Refused
from twinwatch.world.net import NetFailed

CONNECT_SECONDS = 5.0
GATEWAY_SECONDS = 2.0
_UP_AND_GATEWAY = 0x0003


class InternetSight:
    """``targets`` are ``host:port``. What was reached once is remembered: targets that never were say nothing."""

    def __init__(self, world: World, targets: Sequence[str]) -> None:
        self._world = world
        self._targets = tuple(targets)
        self._reached_ever = False
        self._unreached_with_hub = False
        self.reached: tuple[str, ...] = ()
        """The targets that took a connection at the last look."""

    async def look(self, *, hub: bool) -> Internet:
        """One look. ``hub``: whether the hub answers at this time, so that something is known to work."""
        outcomes = await asyncio.gather(*(self._reaches(target) for target in self._targets))
        self.reached = tuple(target for target, reached in zip(self._targets, outcomes, strict=True) if reached)
        if self.reached:
            self._reached_ever = True
            return "works"
        if hub and not self._reached_ever:
            self._unreached_with_hub = True
        return "unknown" if not self._targets or self._unreached_with_hub else "down"

    async def evidence(self) -> str:
        """Where the way ends, for people, as far as it can be told."""
        gateway = _gateway(self._world)
        if gateway is None:
            return "this server has no default route"
        try:
            took = await self._world.net.ping(gateway, 1, timeout_seconds=GATEWAY_SECONDS)
        except NetFailed:
            return f"its gateway is {gateway}"
        if took is None:
            return f"its gateway {gateway} does not answer"
        return f"its gateway {gateway} answers, so the fault is beyond it"

    async def _reaches(self, target: str) -> bool:
        host, port = place_of(target)
        net = self._world.net
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                addresses = await net.resolve(host, timeout_seconds=CONNECT_SECONDS)
                (await net.connect(addresses[0], port, timeout_seconds=CONNECT_SECONDS)).close()
        except (NetFailed, TimeoutError):
            return False
        return True


def _gateway(world: World) -> str | None:
    """The default gateway's address; None if there is no default route."""
    for line in _lines(world, "/proc/net/route")[1:]:
        fields = line.split()
        if len(fields) > 7 and fields[1] == "00000000" and fields[7] == "00000000":
            try:
                if int(fields[3], 16) & _UP_AND_GATEWAY == _UP_AND_GATEWAY:
                    # As the kernel holds it: in the order of the network, printed as one number of the machine's.
                    return str(IPv4Address(int(fields[2], 16).to_bytes(4, sys.byteorder)))
            except (ValueError, OverflowError):
                continue
    for line in _lines(world, "/proc/net/ipv6_route"):
        fields = line.split()
        if len(fields) > 9 and fields[0] == "0" * 32 and fields[1] == "00" and fields[4] != "0" * 32:
            try:
                address = IPv6Address(bytes.fromhex(fields[4]))
            except ValueError:
                continue
            return f"{address}%{fields[9]}" if address.is_link_local else str(address)
    return None


def _lines(world: World, path: str) -> list[str]:
    try:
        return world.host.read_text(path).splitlines()
    except (Missing, Refused):
        return []
