"""The door to HTTP, a thin one over aiohttp: one request, one answer, one kind of failure."""

from __future__ import annotations

import asyncio
import os
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import aiohttp

from twinwatch import __version__

ANSWER_BYTES = 1 << 20
"""Longest answer that is read; a longer one is no answer."""

KEEP_ALIVE_SECONDS = 65.0
"""Longer than the pause between two heartbeats, so that TLS is agreed once and not every minute; shorter than the 75 s
of the hub, and of most proxies, so that no request meets a connection that is just being closed."""

_HEADERS = {"User-Agent": f"twinwatch/{__version__}", "Accept-Encoding": "identity"}


class Unreachable(Exception):
    """No complete answer: name, connection, TLS, time-out or a cut. The message says which, never the headers sent."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete response. Header names are lower case."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


class Http(Protocol):
    """Sends requests. Redirects are not followed: the status comes back as it is."""

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: dict[str, str] | None = None,
        body: bytes | None = None,
        timeout_seconds: float,
    ) -> Answer:
        """One request and its whole answer.

        Raises: Unreachable if there is none within ``timeout_seconds``.
        """
        ...


class AiohttpHttp:
    """The real door. One session, opened by the first request; certificates and host names are verified.

    Bounds: an answer of more than ``answer_bytes`` is refused while it is read; at most ``connections`` at a time.
    """

    def __init__(self, *, ca_file: Path | None = None, answer_bytes: int = ANSWER_BYTES, connections: int = 8) -> None:
        self._ca_file = ca_file
        self._answer_bytes = answer_bytes
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: dict[str, str] | None = None,
        body: bytes | None = None,
        timeout_seconds: float,
    ) -> Answer:
        """One request and its whole answer, as ``Http`` says."""
        try:
            async with asyncio.timeout(timeout_seconds):
                return await self._exchange(method, url, headers, body)
        except TimeoutError as err:
            raise Unreachable(f"no answer within {timeout_seconds:g} s") from err
        except (aiohttp.ClientError, OSError, ValueError) as err:
            raise Unreachable(_reason(err)) from err

    async def close(self) -> None:
        """Close the connections. A later request opens a new session."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _exchange(self, method: str, url: str, headers: dict[str, str] | None, body: bytes | None) -> Answer:
        if self._session is None:
            self._session = self._open()
        async with self._session.request(method, url, headers=headers, data=body, allow_redirects=False) as response:
            pieces: list[bytes] = []
            size = 0
            async for piece in response.content.iter_any():
                size += len(piece)
                if size > self._answer_bytes:
                    response.close()
                    raise Unreachable(f"the answer is longer than {self._answer_bytes} bytes")
                pieces.append(piece)
            fields = {name.lower(): value for name, value in response.headers.items()}
            return Answer(response.status, b"".join(pieces), fields)

    def _open(self) -> aiohttp.ClientSession:
        tls: ssl.SSLContext | bool = True
        if self._ca_file is not None:
            tls = ssl.create_default_context(cafile=str(self._ca_file))
        return aiohttp.ClientSession(
            headers=_HEADERS,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            connector=aiohttp.TCPConnector(
                ssl=tls, limit=self._connections, keepalive_timeout=KEEP_ALIVE_SECONDS, use_dns_cache=False
            ),
        )


def _reason(err: Exception) -> str:
    """A few words for people. Headers never get in: aiohttp's own texts name hosts and causes only."""
    match err:
        case aiohttp.ClientConnectorDNSError():
            return f"the name {err.host!r} does not resolve"
        case aiohttp.ClientConnectorCertificateError():
            return f"TLS: {err.certificate_error}"
        case aiohttp.ClientSSLError():
            return f"TLS: {err.os_error.strerror or err.os_error}"
        case aiohttp.ClientConnectorError():
            return _system_reason(err.os_error)
        case aiohttp.ServerDisconnectedError():
            return "the connection was closed before the answer"
        case aiohttp.ClientPayloadError():
            return "the connection was cut within the answer"
        case aiohttp.InvalidURL():
            return "the address is not a lawful URL"
        case OSError():
            return _system_reason(err)
        case _:
            return f"{type(err).__name__}: {err}"[:200]


def _system_reason(err: OSError) -> str:
    return (os.strerror(err.errno) if err.errno and err.errno > 0 else str(err) or type(err).__name__).lower()
