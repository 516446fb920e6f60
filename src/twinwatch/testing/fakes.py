"""Stand-ins for the doors of the world. Stateful, small, held to the same tests as the real ones."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from twinwatch.world.http import Answer, Closed, NotOpened, Socket, Unreachable

EPOCH = 1_767_225_600_000
"""The instant at which virtual wall clocks start: 2026-01-01 00:00 UTC, in ms."""

Message = MutableMapping[str, Any]
AsgiApp = Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]


class VirtualClock:
    """A clock that follows the running loop, so that virtual time moves it. ``wrong_by_ms`` sets its wall clock off."""

    def __init__(self, epoch: int = EPOCH) -> None:
        self._began = asyncio.get_running_loop().time()
        self._epoch = epoch
        self.wrong_by_ms = 0

    def now(self) -> int:
        """Wall clock, ms UTC."""
        return self._epoch + self.wrong_by_ms + round((self.monotonic() - self._began) * 1000)

    def monotonic(self) -> float:
        """The loop's clock, in seconds."""
        return asyncio.get_running_loop().time()


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request that was made: when (the loop's clock), and its status; 0 if no answer arrived."""

    at_seconds: float
    method: str
    path: str
    status: int


class AsgiHttp:
    """An ``Http`` door that calls an ASGI application in this process, with faults on demand.

    The application's lifespan is not run: who made it starts and stops it. Several doors may share one application:
    each has its own faults, as several networks would.
    """

    def __init__(self, app: AsgiApp, *, client: str = "127.0.0.1") -> None:
        self.exchanges: list[Exchange] = []
        self.delay_seconds = 0.0
        self.websockets_blocked = False
        """Whether something on the way lets requests through, but no WebSocket."""
        self._app = app
        self._client = client
        self._cut = asyncio.Event()
        self._lose = 0
        self._repeat = 0
        self._refusals: list[tuple[str, Answer]] = []
        self._under_way: set[asyncio.Task[Answer]] = set()

    def cut(self) -> None:
        """Cut the network: requests under way and those to come get no answer."""
        self._cut.set()

    @property
    def is_cut(self) -> bool:
        """Whether it is."""
        return self._cut.is_set()

    def mend(self) -> None:
        """Undo ``cut``."""
        self._cut.clear()

    def lose_answers(self, count: int) -> None:
        """Let the next ``count`` requests reach the application, and lose its answers."""
        self._lose = count

    def repeat(self, count: int) -> None:
        """Let the next ``count`` requests reach the application twice, as when something on the way sends them anew."""
        self._repeat = count

    def refuse(
        self,
        status: int,
        *,
        times: int = 1,
        route: str = "",
        body: bytes = b"",
        headers: dict[str, str] | None = None,
    ) -> None:
        """Answer the next ``times`` requests whose path ends with ``route`` like this, without the application."""
        self._refusals += [(route, Answer(status, body, headers or {}))] * times

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: dict[str, str] | None = None,
        body: bytes | None = None,
        timeout_seconds: float,
    ) -> Answer:
        """As ``world.http.Http``."""
        path = urlsplit(url).path
        began = asyncio.get_running_loop().time()
        status = 0
        try:
            async with asyncio.timeout(timeout_seconds):
                answer = await self._unless_cut(self._exchange(method, url, headers or {}, body or b""))
            status = answer.status
            return answer
        except TimeoutError as err:
            raise Unreachable(f"no answer within {timeout_seconds:g} s") from err
        finally:
            self.exchanges.append(Exchange(began, method, path, status))

    async def websocket(self, url: str, *, headers: dict[str, str] | None = None, timeout_seconds: float) -> Socket:
        """As ``world.http.Http``."""
        path = urlsplit(url).path
        began = asyncio.get_running_loop().time()
        status = 0
        try:
            if self._cut.is_set() or self.websockets_blocked:
                raise Unreachable("network is unreachable")
            for place, (route, refusal) in enumerate(self._refusals):
                if path.endswith(route):
                    del self._refusals[place]
                    raise NotOpened(refusal.status, refusal.headers)
            socket = AsgiSocket(self._app, url, headers or {}, client=self._client, cut=self._cut)
            try:
                async with asyncio.timeout(timeout_seconds):
                    await socket.open()
            except TimeoutError as err:
                raise Unreachable(f"no answer within {timeout_seconds:g} s") from err
            status = 101
            return socket
        except NotOpened as err:
            status = err.status
            raise
        finally:
            self.exchanges.append(Exchange(began, "WS", path, status))

    async def _unless_cut(self, exchange: Coroutine[None, None, Answer]) -> Answer:
        # Once it is there, a request is worked on to its end, whether the client still listens or not.
        under_way = asyncio.ensure_future(exchange)
        self._under_way.add(under_way)
        under_way.add_done_callback(self._ended)
        cutting = asyncio.ensure_future(self._cut.wait())
        try:
            await asyncio.wait({under_way, cutting}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            cutting.cancel()
        # It may be mended again by the time that one hears of the cut.
        if self._cut.is_set() or not under_way.done():
            raise Unreachable("network is unreachable")
        return under_way.result()

    def _ended(self, under_way: asyncio.Task[Answer]) -> None:
        self._under_way.discard(under_way)
        if not under_way.cancelled():
            under_way.exception()

    async def _exchange(self, method: str, url: str, headers: dict[str, str], body: bytes) -> Answer:
        await asyncio.sleep(self.delay_seconds)
        if self._cut.is_set():
            raise Unreachable("network is unreachable")
        for place, (route, refusal) in enumerate(self._refusals):
            if urlsplit(url).path.endswith(route):
                del self._refusals[place]
                return refusal
        if self._repeat:
            self._repeat -= 1
            await call(self._app, method, url, headers, body, client=self._client)
        answer = await call(self._app, method, url, headers, body, client=self._client)
        if self._lose:
            self._lose -= 1
            raise Unreachable("the connection was closed before the answer")
        return answer


class AsgiSocket:
    """A WebSocket of an ASGI application in this process. A cut network makes it silent, not closed."""

    def __init__(
        self, app: AsgiApp, url: str, headers: dict[str, str], *, client: str, cut: asyncio.Event | None = None
    ) -> None:
        self._app = app
        self._scope = scope_of("websocket", url, headers, client=client)
        self._cut = cut or asyncio.Event()
        self._said: asyncio.Queue[Message] = asyncio.Queue()
        self._heard: asyncio.Queue[Message] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self._away: Unreachable | None = None

    async def open(self) -> None:
        """Shake hands.

        Raises: NotOpened; Unreachable if the application raises that.
        """
        self._said.put_nowait({"type": "websocket.connect"})
        self._task = asyncio.ensure_future(self._run())
        message = await self._heard.get()
        if message["type"] == "websocket.http.response.start":
            fields = {name.decode().lower(): value.decode() for name, value in message.get("headers", [])}
            raise NotOpened(message["status"], fields)
        if message["type"] != "websocket.accept":
            if self._away is not None:
                raise self._away
            raise NotOpened(403, {})

    async def receive(self, *, silence_seconds: float) -> str:
        """As ``world.http.Socket``. There are no pings in ASGI: silence is the cut network's alone."""
        while True:
            getting = asyncio.ensure_future(self._heard.get())
            cutting = asyncio.ensure_future(self._cut.wait())
            try:
                await asyncio.wait({getting, cutting}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                was_cut = cutting.done()
                cutting.cancel()
                if not getting.done():
                    getting.cancel()
            if was_cut:  # mended since or not: the connection is gone
                await asyncio.sleep(silence_seconds)
                self._leave(1006)
                raise Unreachable(f"nothing was heard for {silence_seconds:g} s")
            message = getting.result()
            if message["type"] == "websocket.send" and message.get("text") is not None:
                return str(message["text"])
            if message["type"] == "websocket.close":
                raise Closed(message.get("code") or 1000)

    async def close(self) -> None:
        """Hang up, and wait for the application."""
        self._leave(1000)
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=5)

    def _leave(self, code: int) -> None:
        self._said.put_nowait({"type": "websocket.disconnect", "code": code})

    async def _run(self) -> None:
        try:
            await self._app(self._scope, self._said.get, self._heard.put)
        except Unreachable as err:
            self._away = err  # nobody was there to answer
        finally:
            self._heard.put_nowait({"type": "websocket.close", "code": 1006})


def scope_of(kind: str, url: str, headers: dict[str, str], *, client: str) -> Message:
    """The ASGI scope of a request or a WebSocket. Header names become lower case."""
    parts = urlsplit(url)
    scheme = parts.scheme.replace("http", "ws", 1) if kind == "websocket" else parts.scheme
    given = {"host": parts.netloc, **{name.lower(): headers[name] for name in headers}}
    return {
        "type": kind,
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "scheme": scheme,
        "path": parts.path,
        "raw_path": parts.path.encode(),
        "query_string": parts.query.encode(),
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
        "client": (client, 50_000),
        "server": (parts.hostname, parts.port or 80),
        **({"subprotocols": [], "extensions": {"websocket.http.response": {}}} if kind == "websocket" else {}),
    }


async def call(
    app: AsgiApp, method: str, url: str, headers: dict[str, str], body: bytes, *, client: str = "127.0.0.1"
) -> Answer:
    """One request to an ASGI application and its whole answer. An exception of the application comes through."""
    given = {"content-length": str(len(body)), **{name.lower(): headers[name] for name in headers}}
    scope: Message = {**scope_of("http", url, given, client=client), "method": method}
    requests: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
    status = 0
    fields: dict[str, str] = {}
    pieces: list[bytes] = []

    async def receive() -> Message:
        if requests:
            return requests.pop()
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
            fields.update({name.decode().lower(): value.decode() for name, value in message.get("headers", [])})
        elif message["type"] == "http.response.body":
            pieces.append(message.get("body", b""))

    await app(scope, receive, send)
    return Answer(status, b"".join(pieces), fields)
