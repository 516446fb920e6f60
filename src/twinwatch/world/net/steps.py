"""The words of the network door: steps, what each gives, and the one way in which each fails.

Invariants: every step has a deadline of its caller's; only ``NetFailed`` leaves the door; a stream that was opened is
closed by who opened it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

Step = Literal["resolve", "connect", "tls", "send", "receive", "query", "ping"]
Family = Literal["any", "ipv4", "ipv6"]


class NetFailed(Exception):
    """A step that failed. The message is for people, ``reason`` a slug for programs.

    ``ours`` says that the fault is on this side (our name server, no route, no rights): nothing was learned about
    the other side. Reasons: ``dns-error``, ``our-dns-failed``, ``no-route``, ``our-socket-failed``,
    ``connection-refused``, ``connect-timeout``, ``host-unreachable``, ``connection-reset``, ``timeout``,
    ``tls-invalid``, ``tls-expired``, ``tls-failed``, ``tls-settings``, ``not-permitted``.
    """

    def __init__(self, step: Step, reason: str, message: str, *, ours: bool = False) -> None:
        super().__init__(message)
        self.step = step
        self.reason = reason
        self.ours = ours


@dataclass(frozen=True, slots=True)
class TlsWanted:
    """How TLS is to be agreed. Files are PEM; ``certificate_file`` is what this side shows, key included or beside."""

    server_name: str
    verify: bool = True
    ca_file: str = ""
    """Trusted in place of the system's authorities; empty: those."""
    certificate_file: str = ""
    key_file: str = ""


@dataclass(frozen=True, slots=True)
class TlsFacts:
    """What was agreed, and the certificate that the other side showed. Instants are ms UTC."""

    version: str
    cipher: str
    not_after: int | None = None
    """In the years 1 to 9999, which are all that a certificate can name; None where it cannot be read."""
    subject: str = ""
    issuer: str = ""
    names: tuple[str, ...] = ()


class Stream(Protocol):
    """An open connection."""

    async def tls(self, wanted: TlsWanted, *, timeout_seconds: float) -> TlsFacts:
        """Agree on TLS; what is sent and received later is encrypted.

        Raises: NetFailed.
        """
        ...

    async def send(self, content: bytes, *, timeout_seconds: float) -> None:
        """Hand all of it to the other side.

        Raises: NetFailed.
        """
        ...

    async def receive(self, *, timeout_seconds: float) -> bytes:
        """What came, at most 64 KiB; empty at the end.

        Raises: NetFailed.
        """
        ...

    def close(self) -> None:
        """Let go of it, at once. May be said twice."""
        ...


class Net(Protocol):
    """Names, connections, packets."""

    async def resolve(self, host: str, *, family: Family = "any", timeout_seconds: float) -> tuple[str, ...]:
        """The host's addresses, best first; of an address, that address. At least one.

        Raises: NetFailed ``dns-error`` if the name does not exist, ``our-dns-failed`` if nobody could tell.
        """
        ...

    async def prepare(self, wanted: TlsWanted) -> None:
        """Read the files and authorities that this needs, where that was not done yet: no connection waits for it.

        Raises: NetFailed ``tls-settings``.
        """
        ...

    async def connect(self, address: str, port: int, *, timeout_seconds: float) -> Stream:
        """A TCP connection to an address (no name).

        Raises: NetFailed.
        """
        ...

    async def query(self, address: str, port: int, content: bytes, *, timeout_seconds: float) -> bytes:
        """The answering datagram to one of DNS: the first that begins with the same two bytes.

        Raises: NetFailed.
        """
        ...

    async def ping(self, address: str, sequence: int, *, timeout_seconds: float) -> float | None:
        """Seconds until the answer to one ICMP echo request; None if it did not come.

        Raises: NetFailed ``not-permitted`` with the remedy, or ``no-route``.
        """
        ...
