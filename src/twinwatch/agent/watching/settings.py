"""What the owner of a server says about watching the hub, and about looking at targets on its behalf."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

INTERNET = ("1.1.1.1:443", "8.8.8.8:443", "9.9.9.9:443", "[2606:4700:4700::1111]:443", "[2620:fe::fe]:443")
"""Public name servers of three operators: addresses, so that a broken name service does not look like no internet."""
MOST_TARGETS = 10
AFTER_SECONDS = 120.0
FORBIDDEN = 100


@dataclass(frozen=True, slots=True)
class HubWatchSettings:
    """When people are told that the hub is away, and what shows that the internet works."""

    enabled: bool = True
    after_seconds: float = AFTER_SECONDS
    internet: tuple[str, ...] = INTERNET
    """``host:port``: that one of them takes a connection shows that the internet works."""


@dataclass(frozen=True, slots=True)
class WitnessSettings:
    """Whether this agent looks at what the hub names, and at what it never does: addresses, networks (``10.0.0.0/8``)
    and host names with ``*``."""

    enabled: bool = True
    forbid: tuple[str, ...] = ()

    def forbids_name(self, host: str) -> bool:
        """Whether the host, as it was named, is forbidden."""
        host = host.lower().rstrip(".")
        return any(fnmatchcase(host, one) for one in self.forbid if network_of(one) is None)

    def forbids_address(self, address: str) -> bool:
        """Whether an address is."""
        try:
            found = ip_address(address)
        except ValueError:
            return False
        networks = [network for one in self.forbid if (network := network_of(one)) is not None]
        return any(found in network for network in networks if network.version == found.version)


def network_of(text: str) -> IPv4Network | IPv6Network | None:
    """The network or address that a text means; None if it means a name."""
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


def place_of(text: str) -> tuple[str, int]:
    """Host and port of ``host:port`` or ``[v6]:port``.

    Raises: ValueError.
    """
    parts = urlsplit(f"//{text}")
    if parts.hostname is None or not parts.port or parts.path or parts.query or parts.username is not None:
        raise ValueError(f"{text!r}: expected host:port, such as 1.1.1.1:443")
    return parts.hostname, parts.port
