"""Names to addresses as the host resolves them, in threads that may hang without holding anybody up.

Invariants: a name is asked for once at a time, whoever waits; only so many questions are under way.
Source: getaddrinfo(3).
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from twinwatch.world.net.steps import Family, NetFailed

THREADS = 8
FAMILIES = {"any": socket.AF_UNSPEC, "ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}
NO_SUCH_NAME = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME), socket.EAI_FAMILY}

Ask = Callable[..., list[Any]]


class Names:
    """The resolver. ``ask`` stands for ``socket.getaddrinfo`` and may block for ever; ``threads``: most questions at a
    time, for who asks about many names of others."""

    def __init__(self, ask: Ask = socket.getaddrinfo, *, threads: int = THREADS) -> None:
        self._ask = ask
        self._threads = threads
        self._asked: dict[tuple[str, Family], Future[tuple[str, ...]]] = {}

    async def resolve(self, host: str, family: Family, timeout_seconds: float) -> tuple[str, ...]:
        """As ``Net.resolve`` says."""
        if addresses := literal(host, family):
            return addresses
        key = (host, family)
        asked = self._asked.get(key)
        if asked is None:
            if len(self._asked) >= self._threads:
                waiting = f"{self._threads} questions are waiting"
                message = f"{host}: the name service of this host does not answer ({waiting})"
                raise NetFailed("resolve", "our-dns-failed", message, ours=True)
            asked = self._begun(host, family)
        try:
            async with asyncio.timeout(timeout_seconds):
                return await asyncio.shield(asyncio.wrap_future(asked))
        except TimeoutError:
            message = f"{host}: the name service of this host did not answer within {timeout_seconds:.3g} s"
            raise NetFailed("resolve", "our-dns-failed", message, ours=True) from None
        except socket.gaierror as err:
            raise _translated(host, err) from err
        except (OSError, UnicodeError, ValueError) as err:
            raise NetFailed("resolve", "dns-error", f"{host[:100]!r} is no lawful name") from err

    def _begun(self, host: str, family: Family) -> Future[tuple[str, ...]]:
        asked: Future[tuple[str, ...]] = Future()
        # A thread of its own and no pool: one that hangs must not keep the agent from ending.
        thread = threading.Thread(target=self._look_up, args=(host, family, asked), name="resolve", daemon=True)
        self._asked[host, family] = asked
        try:
            thread.start()
        except RuntimeError as err:
            del self._asked[host, family]
            raise NetFailed("resolve", "our-dns-failed", f"{host}: no thread to ask for it: {err}", ours=True) from err
        return asked

    def _look_up(self, host: str, family: Family, asked: Future[tuple[str, ...]]) -> None:
        try:
            found = self._ask(host, None, FAMILIES[family], socket.SOCK_STREAM)
            addresses = tuple(dict.fromkeys(str(one[4][0]) for one in found))
            self._asked.pop((host, family), None)
            if not addresses:
                raise socket.gaierror(socket.EAI_NONAME, "no address")
            asked.set_result(addresses)
        except (OSError, UnicodeError, ValueError) as err:
            self._asked.pop((host, family), None)
            asked.set_exception(err)


def literal(host: str, family: Family) -> tuple[str, ...]:
    """The host itself if it is an address, else nothing.

    Raises: NetFailed if it is an address of another family.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return ()
    if family not in ("any", f"ipv{address.version}"):
        raise NetFailed("resolve", "dns-error", f"{host} is no {family} address")
    return (host,)


def _translated(host: str, err: socket.gaierror) -> NetFailed:
    if err.errno in NO_SUCH_NAME:
        return NetFailed("resolve", "dns-error", f"the name {host} does not exist, or has no address")
    said = (err.strerror or str(err)).lower()
    return NetFailed("resolve", "our-dns-failed", f"{host}: our name server gave no answer: {said}", ours=True)
