"""What may be connected to on behalf of who merely typed an address in: the internet, and nothing of our own house.

A hub opens connections to probes, webhooks and mail servers that its users name. The guard stands before each of them.

Invariants: a host is looked up once, and the connection goes to the very address that was judged, so that a name which
changes its answer gains nothing; metadata services are refused whatever is allowed; an address that wraps another
(mapped, 6to4, NAT64) is judged by what it wraps; what is not known to be public is not public.
Source: the IANA IPv4 and IPv6 Special-Purpose Address Registries; RFC 4291 2.5.5.2 (mapped), RFC 3056 (6to4),
RFC 6052 and RFC 8215 (NAT64), RFC 4380 (Teredo); the metadata addresses are those of AWS, Google, Azure, Oracle and
Alibaba.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Collection
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Literal

from twinwatch.world.net.naming import Names
from twinwatch.world.net.steps import Family

Kind = Literal[
    "public", "private", "loopback", "link-local", "multicast", "unspecified", "metadata", "reserved", "none"
]

METADATA = frozenset(
    ip_address(text)
    for text in (
        "169.254.169.254",
        "169.254.170.2",
        "169.254.170.23",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "fd00:ec2::254",
        "fd00:ec2::23",
        "fd20:ce::254",
    )
)
_V4 = tuple(
    (ip_network(text), kind)
    for text, kind in (
        ("0.0.0.0/8", "unspecified"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "private"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "private"),
        ("192.88.99.0/24", "reserved"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "private"),
        ("198.51.100.0/24", "private"),
        ("203.0.113.0/24", "private"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
    )
)
_V6 = tuple(
    (ip_network(text), kind)
    for text, kind in (
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "private"),
        ("ff00::/8", "multicast"),
        ("2001:db8::/32", "private"),
        ("3fff::/20", "private"),
        ("2001::/23", "reserved"),
    )
)
_GLOBAL = ip_network("2000::/3")
_MAPPED = ip_network("::ffff:0:0/96")
_NAT64 = ip_network("64:ff9b::/96")
_SIX_TO_FOUR = ip_network("2002::/16")

WORDS: dict[Kind, str] = {
    "private": "a private address",
    "loopback": "this machine itself",
    "link-local": "a link-local address",
    "multicast": "a multicast address",
    "unspecified": "no address of one machine",
    "metadata": "the metadata service of a cloud",
    "reserved": "a reserved address",
    "none": "no plain address",
}
WITH_PRIVATE: frozenset[Kind] = frozenset({"public", "private", "loopback", "link-local"})
THREADS = 64
"""Of names to look up at a time: some of them belong to people who let them hang."""
NOBODYS = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}
"""Addresses for documentation: no machine has them."""


class NotAllowed(Exception):
    """The host may not be connected to. The message says which address it has, what that is and the remedy."""


def kind_of(address: str) -> Kind:
    """What an address is. Pure. ``none`` of what is no address, such as a name, or bears a zone (``fe80::1%eth0``)."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return "none"
    if isinstance(parsed, IPv6Address):
        if parsed.scope_id is not None:
            return "none"
        inner = _wrapped(parsed)
        if inner is not None:
            return _kind(inner)
    return _kind(parsed)


def is_public(address: str) -> bool:
    """Whether it is an address of one machine on the internet. Pure."""
    return kind_of(address) == "public"


def is_own(address: str) -> bool:
    """Whether this machine has the address: it can be bound to. Where anything can be bound to, nothing is known."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return _binds(family, address) and not _binds(family, NOBODYS[family])


class Guard:
    """Judges addresses. ``private``: the operator allows private networks, this machine included. ``own``: addresses
    of ours that no interface of this machine has, such as the public one behind which it stands."""

    def __init__(
        self,
        *,
        private: bool = False,
        own: Collection[str] = (),
        names: Names | None = None,
        is_own: Callable[[str], bool] = is_own,
    ) -> None:
        self.private = private
        self.own = frozenset(own)
        self._names = names or Names(threads=THREADS)
        self._is_own = is_own

    def refusal(self, address: str) -> str:
        """Why this address may not be connected to; empty if it may."""
        kind = kind_of(address)
        if self.private:
            return "" if kind in WITH_PRIVATE else WORDS[kind]
        if kind != "public":
            return WORDS[kind]
        return "an address of ours" if address in self.own or self._is_own(address) else ""

    def check(self, address: str) -> None:
        """Raises: NotAllowed if this address may not be connected to."""
        if why := self.refusal(address):
            raise NotAllowed(f"{address[:100]} is {why}: {self._remedy(address)}")

    async def resolve(self, host: str, *, family: Family = "any", timeout_seconds: float) -> tuple[str, ...]:
        """The addresses of the host that may be connected to, at least one. Connect to these, not to the name.

        Raises: NotAllowed if there is none; NetFailed if the name has no address, or nobody could tell.
        """
        found = await self._names.resolve(host, family, timeout_seconds)
        allowed = tuple(address for address in found if not self.refusal(address))
        if not allowed:
            place = host if host == found[0] else f"{host} has the address {found[0]}, which"
            raise NotAllowed(f"{place} is {self.refusal(found[0])}: {self._remedy(found[0])}")
        return allowed

    def _remedy(self, address: str) -> str:
        if not self.private and kind_of(address) in WITH_PRIVATE:
            return "the hub does not connect to private networks unless its operator allows it"
        return "the hub does not connect to it"


def _wrapped(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that stands in it, where a packet would go to that."""
    number = int(address)
    if address in _MAPPED or address in _NAT64:
        return IPv4Address(number & 0xFFFF_FFFF)
    if address in _SIX_TO_FOUR:
        return IPv4Address(number >> 80 & 0xFFFF_FFFF)
    return None


def _kind(address: IPv4Address | IPv6Address) -> Kind:
    if address in METADATA:
        return "metadata"
    for network, kind in _V4 if address.version == 4 else _V6:
        if address in network:
            return kind  # type: ignore[return-value]
    if address.version == 6 and address not in _GLOBAL:
        return "reserved"
    return "public"


def _binds(family: socket.AddressFamily, address: str) -> bool:
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True
