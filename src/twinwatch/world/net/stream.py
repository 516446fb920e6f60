"""A connection: a non-blocking socket, and TLS over it through memory, so that the time of each step is exact.

Invariants: whoever is cancelled leaves no callback behind; ``close`` frees the descriptor at once.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from twinwatch.world.net.certificate import certificate_of
from twinwatch.world.net.steps import NetFailed, Step, TlsFacts, TlsWanted

PIECE = 1 << 16
EXPIRED = 10
"""X509_V_ERR_CERT_HAS_EXPIRED."""
CONTEXTS = 32
CONTEXT_SECONDS = 86_400
"""The system's authorities are read anew so often."""
OURS = {
    errno.ENETUNREACH: "no-route",
    errno.ENETDOWN: "no-route",
    errno.EADDRNOTAVAIL: "no-route",
    errno.EAFNOSUPPORT: "no-route",
    errno.EPERM: "not-permitted",
    errno.EACCES: "not-permitted",
    errno.EMFILE: "our-socket-failed",
    errno.ENFILE: "our-socket-failed",
    errno.ENOBUFS: "our-socket-failed",
    errno.ENOMEM: "our-socket-failed",
}
THEIRS = {
    errno.ECONNREFUSED: "connection-refused",
    errno.ETIMEDOUT: "connect-timeout",
    errno.EHOSTUNREACH: "host-unreachable",
    errno.EHOSTDOWN: "host-unreachable",
}


@asynccontextmanager
async def step(name: Step, place: str, timeout_seconds: float, late: str = "timeout") -> AsyncIterator[None]:
    """What happens within has so long, and fails with ``NetFailed`` only."""
    try:
        async with asyncio.timeout(timeout_seconds):
            yield
    except TimeoutError as err:
        told = f"{place}: nothing came within {timeout_seconds:.3g} s"
        if name == "connect":
            told = f"{place}: no connection within {timeout_seconds:.3g} s"
        raise NetFailed(name, late, told) from err
    except ssl.SSLCertVerificationError as err:
        reason = "tls-expired" if err.verify_code == EXPIRED else "tls-invalid"
        raise NetFailed(name, reason, f"{place}: the certificate is not valid: {err.verify_message}") from err
    except ssl.SSLError as err:
        said = (err.reason or str(err)).replace("_", " ").lower()
        raise NetFailed(name, "tls-failed", f"{place}: TLS failed: {said}") from err
    except OSError as err:
        raise translated(name, place, err) from err


def translated(name: Step, place: str, err: OSError) -> NetFailed:
    """What the system said, told as the step's failure."""
    number = err.errno or 0
    said = (os.strerror(number) if number > 0 else str(err) or type(err).__name__).lower()
    if reason := OURS.get(number):
        return NetFailed(name, reason, f"{place}: {said} (on this host)", ours=True)
    return NetFailed(name, THEIRS.get(number, "connection-reset"), f"{place}: {said}")


class Contexts:
    """TLS contexts, kept: one with the system's authorities costs ten milliseconds to make."""

    def __init__(self) -> None:
        self._made: dict[tuple[object, ...], ssl.SSLContext] = {}

    def of(self, wanted: TlsWanted) -> ssl.SSLContext:
        """The context that this needs; made anew when a file of it has changed, and every day.

        Raises: NetFailed if a file cannot be used.
        """
        files = (wanted.ca_file, wanted.certificate_file, wanted.key_file)
        try:
            day = time.monotonic() // CONTEXT_SECONDS
            key = (day, wanted.verify, *files, *(os.stat(file).st_mtime_ns if file else 0 for file in files))  # noqa: PTH116
            if key not in self._made:
                self._made = {key: made for key, made in self._made.items() if key[0] == day}
                while len(self._made) >= CONTEXTS:
                    del self._made[next(iter(self._made))]
                self._made[key] = _context(wanted)
            return self._made[key]
        except (OSError, ValueError) as err:
            said = err.strerror if isinstance(err, OSError) and err.strerror else type(err).__name__
            place = getattr(err, "filename", None) or ", ".join(file for file in files if file)
            raise NetFailed("tls", "tls-settings", f"{place}: {said}".lower(), ours=True) from err


def _context(wanted: TlsWanted) -> ssl.SSLContext:
    if wanted.verify:
        context = ssl.create_default_context(cafile=wanted.ca_file or None)
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if wanted.certificate_file:
        # A key that is locked would ask on the terminal otherwise.
        context.load_cert_chain(wanted.certificate_file, wanted.key_file or None, password="")
    return context


class SocketStream:
    """The real connection."""

    def __init__(self, connection: socket.socket, place: str, contexts: Contexts) -> None:
        self._socket = connection
        self._place = place
        self._contexts = contexts
        self._tls: ssl.SSLObject | None = None
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()

    async def tls(self, wanted: TlsWanted, *, timeout_seconds: float) -> TlsFacts:
        """See ``Stream``."""
        context = self._contexts.of(wanted)
        async with step("tls", self._place, timeout_seconds):
            try:
                tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=wanted.server_name or None)
            except ValueError as err:  # a server name that is none
                raise NetFailed("tls", "tls-settings", f"{self._place}: {err}".lower(), ours=True) from err
            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    await self._flush()
                    await self._feed(tls_is_owed=True)
                except ssl.SSLError:
                    with suppress(OSError):
                        await self._flush()  # the other side is told why
                    raise
            await self._flush()
        self._tls = tls
        return _facts(tls)

    async def send(self, content: bytes, *, timeout_seconds: float) -> None:
        """See ``Stream``."""
        async with step("send", self._place, timeout_seconds):
            if self._tls is None:
                await asyncio.get_running_loop().sock_sendall(self._socket, content)
                return
            for start in range(0, len(content), PIECE):
                self._tls.write(content[start : start + PIECE])
                await self._flush()

    async def receive(self, *, timeout_seconds: float) -> bytes:
        """See ``Stream``."""
        async with step("receive", self._place, timeout_seconds):
            if self._tls is None:
                return await asyncio.get_running_loop().sock_recv(self._socket, PIECE)
            while True:
                try:
                    return self._tls.read(PIECE)
                except ssl.SSLWantReadError:
                    await self._flush()
                    await self._feed()
                except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                    return b""  # many close without a word; HTTP knows by itself whether something is missing

    def close(self) -> None:
        """See ``Stream``."""
        self._socket.close()

    async def _flush(self) -> None:
        if waiting := self._outgoing.read():
            await asyncio.get_running_loop().sock_sendall(self._socket, waiting)

    async def _feed(self, *, tls_is_owed: bool = False) -> None:
        content = await asyncio.get_running_loop().sock_recv(self._socket, PIECE)
        if content:
            self._incoming.write(content)
        elif tls_is_owed:
            raise NetFailed("tls", "tls-failed", f"{self._place}: the connection was closed while TLS was agreed")
        else:
            self._incoming.write_eof()


def _facts(tls: ssl.SSLObject) -> TlsFacts:
    cipher = tls.cipher()
    version, cipher_name = tls.version() or "", cipher[0] if cipher else ""
    try:
        certificate = certificate_of(tls.getpeercert(binary_form=True) or b"")
    except ValueError:
        return TlsFacts(version, cipher_name)
    return TlsFacts(
        version, cipher_name, certificate.not_after, certificate.subject, certificate.issuer, certificate.names
    )
