"""The door to HTTP, a thin one over aiohttp: one request, one answer, one kind of failure; and WebSockets that listen.

Proxies are found here and not by aiohttp's ``trust_env``, which would also put what stands in ``~/.netrc`` in place of
the key that a request bears.

Invariants of a door with a guard: a host is looked up once and its addresses judged; no socket is made for an address
that was not judged, literal ones included; certificates are still held against the host's name.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeAlias
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies_environment, proxy_bypass

from twinwatch import __version__
from twinwatch.world.addresses import is_loopback
from twinwatch.world.authorities import no_authorities, tls_context
from twinwatch.world.guard import Guard
from twinwatch.world.guard import NotAllowed as GuardRefused
from twinwatch.world.variables import variables

# aiohttp makes a context with all authorities of the system when it is imported. Ours is made when TLS is first used.
# frozenlist's extension brings libstdc++ along, more than a megabyte, for lists that have no more than some entries.
with no_authorities(), variables({"FROZENLIST_NO_EXTENSIONS": "1"}):
    import aiohttp
    import yarl

    from twinwatch.world.gate import Blocked, Gate

ANSWER_BYTES = 1 << 20
"""Longest answer that is read; a longer one is no answer."""

KEEP_ALIVE_SECONDS = 65.0
"""Longer than the pause between two heartbeats, so that TLS is agreed once and not every minute; shorter than the 75 s
of the hub, and of most proxies, so that no request meets a connection that is just being closed."""

UNIX = "http+unix://"

FRAME_BYTES = 64 << 10
"""Longest message of a WebSocket that is read; a longer one ends it."""
CLOSE_SECONDS = 2.0

FAILURES = (aiohttp.ClientError, OSError, ValueError)
"""What goes wrong with a request, but for time."""
Began: TypeAlias = aiohttp.ClientResponse
"""A response whose body has not been read yet."""

_HEADERS = {"User-Agent": f"twinwatch/{__version__}", "Accept-Encoding": "identity"}


class Unreachable(Exception):
    """No complete answer: name, connection, TLS, time-out or a cut. The message says which, never the headers sent."""


class NotAllowed(Unreachable):
    """The guard of this door does not let the request go there: it would not do so later either."""


class NotOpened(Unreachable):
    """A WebSocket was answered as a plain request is: with this status."""

    def __init__(self, status: int, headers: dict[str, str]) -> None:
        self.status = status
        self.headers = headers
        super().__init__(f"no WebSocket was opened: the answer was {status}")


class Closed(Unreachable):
    """The other side has closed the WebSocket, with this code of RFC 6455."""

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(f"the connection was closed with code {code}")


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete response. Header names are lower case."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


class Socket(Protocol):
    """An open WebSocket. Pings are answered while somebody receives."""

    async def receive(self, *, silence_seconds: float) -> str:
        """The next text message.

        Raises: Closed; Unreachable if it was cut, or nothing came for ``silence_seconds``, pings included.
        """
        ...

    async def close(self) -> None:
        """End it; within seconds, whatever the other side does."""
        ...


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

    async def websocket(self, url: str, *, headers: dict[str, str] | None = None, timeout_seconds: float) -> Socket:
        """A WebSocket to an ``http`` or ``https`` address, opened within ``timeout_seconds``.

        Raises: NotOpened if the answer is another one; Unreachable if there is none.
        """
        ...


class AiohttpHttp:
    """The real door. One session, opened by the first request; certificates and host names are verified.

    Bounds: an answer of more than ``answer_bytes`` is refused while it is read; at most ``connections`` at a time.
    ``ca_file``: certificates (PEM) to trust besides the system's. ``proxies``: whether ``HTTP_PROXY``, ``HTTPS_PROXY``
    and ``NO_PROXY`` of the environment are obeyed; this machine itself is never asked through one. ``guard``: what may
    be connected to; a proxy is exempt, and looks names up by itself: through one, only addresses are judged.
    ``verify`` false: for devices that can show no certificate but one of their own making. ``sockets``: whether
    sockets of this machine may be asked: ``http+unix://%2Frun%2Fa.sock/path``, the socket's path in place of the host.
    """

    def __init__(
        self,
        *,
        ca_file: Path | None = None,
        answer_bytes: int = ANSWER_BYTES,
        connections: int = 8,
        proxies: bool = False,
        guard: Guard | None = None,
        verify: bool = True,
        sockets: bool = False,
    ) -> None:
        self._sockets = sockets
        self._verify = verify
        self._ca_file = ca_file
        self._guard = guard
        self._proxies = proxies
        self._answer_bytes = answer_bytes
        self._connections = connections
        self._sessions: dict[bool | str, aiohttp.ClientSession] = {}
        """By whether they lead to a proxy; those to sockets of this machine by their path."""
        self._context: ssl.SSLContext | None = None

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
            raise _failure(err) from err

    async def websocket(self, url: str, *, headers: dict[str, str] | None = None, timeout_seconds: float) -> Socket:
        """As ``Http`` says."""
        try:
            tls, proxy = self._tls(url), self._proxy(url)
            self._judge(url)
            async with asyncio.timeout(timeout_seconds):
                opened = await self._opened(proxy).ws_connect(
                    url,
                    headers=headers,
                    proxy=proxy,
                    ssl=tls,
                    autoping=False,
                    max_msg_size=FRAME_BYTES,
                    timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_SECONDS),
                )
        except aiohttp.WSServerHandshakeError as err:
            fields = {name.lower(): value for name, value in (err.headers or {}).items()}
            raise NotOpened(err.status, fields) from err
        except TimeoutError as err:
            raise Unreachable(f"no answer within {timeout_seconds:g} s") from err
        except (aiohttp.ClientError, OSError, ValueError) as err:
            raise _failure(err) from err
        return _AiohttpSocket(opened)

    async def close(self) -> None:
        """Close the connections. A later request opens a new session."""
        sessions, self._sessions = self._sessions, {}
        for session in sessions.values():
            await session.close()

    async def began(self, method: str, url: str, headers: dict[str, str] | None) -> Began:
        """A response whose body has not been read yet. For ``tail``, whose answers do not end."""
        tls, proxy = self._tls(url), self._proxy(url)
        self._judge(url)
        return await self._opened(proxy).request(
            method, url, headers=headers, allow_redirects=False, proxy=proxy, ssl=tls
        )

    async def _exchange(self, method: str, url: str, headers: dict[str, str] | None, body: bytes | None) -> Answer:
        if url.startswith(UNIX):
            session, url = self._local(url)
            tls: ssl.SSLContext | bool = True
            proxy = None
        else:
            tls, proxy = self._tls(url), self._proxy(url)
            self._judge(url)
            session = self._opened(proxy)
        async with session.request(
            method,
            url,
            headers=headers,
            data=body,
            allow_redirects=False,
            proxy=proxy,
            ssl=tls,
        ) as response:
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

    def _opened(self, proxy: yarl.URL | None) -> aiohttp.ClientSession:
        to_proxy = proxy is not None
        if to_proxy not in self._sessions:
            self._sessions[to_proxy] = self._open(None if to_proxy else self._guard)
        return self._sessions[to_proxy]

    def _local(self, url: str) -> tuple[aiohttp.ClientSession, str]:
        """The session to a socket of this machine, and what to ask there."""
        place, slash, rest = url.removeprefix(UNIX).partition("/")
        path = unquote(place)
        if not self._sockets:
            raise NotAllowed("sockets of this machine may not be asked")
        if not path.startswith("/"):
            raise Unreachable("the address is not a lawful URL: expected the path of a socket, / as %2F")
        if path not in self._sessions:
            self._sessions[path] = _session(
                aiohttp.UnixConnector(path, limit=self._connections, keepalive_timeout=KEEP_ALIVE_SECONDS)
            )
        return self._sessions[path], f"http://localhost{slash}{rest}"

    def _judge(self, url: str) -> None:
        """Refuse a host that is an address and may not be reached: such hosts pass every resolver by."""
        host = yarl.URL(url).host or ""
        if self._guard is not None and (":" in host or host.replace(".", "").isdigit()):
            try:
                self._guard.check(host)
            except GuardRefused as err:
                raise NotAllowed(str(err)) from err

    def _proxy(self, url: str) -> yarl.URL | None:
        parts = urlsplit(url)
        host = parts.hostname or ""
        if not self._proxies or is_loopback(host):
            return None
        proxies = getproxies_environment()
        address = proxies.get(parts.scheme) or proxies.get("all")
        if not address or proxy_bypass(parts.netloc.rpartition("@")[2]):
            return None
        # "proxy.example:3128" is what many write, and what curl takes.
        proxy = yarl.URL(address if "://" in address else f"http://{address}")
        if proxy.scheme not in ("http", "https") or not proxy.host:
            raise Unreachable(f"the proxy of the environment for {parts.scheme} is no http or https address")
        return proxy

    def _tls(self, url: str) -> ssl.SSLContext | bool:
        """The context for this URL; made once, and not before it is needed: the authorities take 2 MB."""
        proxy = self._proxy(url)
        if url.startswith(("http:", "ws:")) and (proxy is None or proxy.scheme == "http"):
            return True
        if self._context is None:
            context = tls_context(verify=self._verify)
            if self._ca_file is not None:
                try:
                    context.load_verify_locations(cafile=str(self._ca_file))
                except ssl.SSLError as err:
                    raise Unreachable(f"{self._ca_file}: expected certificates in PEM ({err.reason or err})") from err
                except OSError as err:
                    raise Unreachable(f"{self._ca_file}: {_system_reason(err)}") from err
            self._context = context
        return self._context

    def _open(self, guard: Guard | None) -> aiohttp.ClientSession:
        judged: dict[str, Any] = {}
        if guard is not None:
            gate = Gate(guard)
            judged = {"resolver": gate, "socket_factory": gate.opened}
        return _session(
            aiohttp.TCPConnector(
                limit=self._connections, keepalive_timeout=KEEP_ALIVE_SECONDS, use_dns_cache=False, **judged
            )
        )


def _session(connector: aiohttp.BaseConnector) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        headers=_HEADERS,
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
        connector=connector,
    )


class _AiohttpSocket:
    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket

    async def receive(self, *, silence_seconds: float) -> str:
        while True:
            try:
                message = await self._socket.receive(silence_seconds)
                if message.type is aiohttp.WSMsgType.TEXT:
                    return str(message.data)
                if message.type is aiohttp.WSMsgType.PING:
                    async with asyncio.timeout(silence_seconds):
                        await self._socket.pong(message.data)
            except TimeoutError as err:
                raise Unreachable(f"nothing was heard for {silence_seconds:g} s") from err
            except (aiohttp.ClientError, OSError, RuntimeError) as err:
                raise Unreachable(_reason(err)) from err
            if self._socket.closed:
                raise Closed(self._socket.close_code or aiohttp.WSCloseCode.ABNORMAL_CLOSURE)

    async def close(self) -> None:
        try:
            async with asyncio.timeout(CLOSE_SECONDS + 1):
                await self._socket.close()
        except (TimeoutError, aiohttp.ClientError, OSError):
            return


def _failure(err: Exception) -> Unreachable:
    blocked = getattr(err, "os_error", None)
    if isinstance(blocked, Blocked):
        return NotAllowed(str(blocked))
    return Unreachable(_reason(err))


def _reason(err: Exception) -> str:
    """A few words for people. Headers never get in: aiohttp's own texts name hosts and causes only."""
    match err:
        case aiohttp.ClientHttpProxyError():
            return f"the proxy answered {err.status}"
        case aiohttp.ClientProxyConnectionError():
            return f"the proxy {err.host}:{err.port}: {_system_reason(err.os_error)}"
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
