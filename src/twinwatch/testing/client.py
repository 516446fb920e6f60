"""An HTTP client of an ASGI application in this process: whole responses, and streams of server-sent events.

Nothing is sent over a socket, so a test may give any header, body or address.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import msgspec

from twinwatch.protocol.problem import PROBLEM_TYPE, Problem
from twinwatch.testing.fakes import AsgiApp, Message

PATIENCE_SECONDS = 20.0
"""Of real time, for anything that a test waits for."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete response; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body, which must be JSON."""
        return json.loads(self.body)

    @property
    def problem(self) -> Problem:
        """The problem in the body, which must be one of the hub's, with its request id in the header too."""
        assert self.headers.get("content-type") == PROBLEM_TYPE, (self.status, self.headers, self.body[:500])
        problem = msgspec.json.decode(self.body, type=Problem)
        assert problem.status == self.status
        assert problem.request_id
        assert problem.request_id == self.headers["x-request-id"]
        return problem


class LiveEvents:
    """An open stream of server-sent events, read as they come."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.events: list[tuple[str, Any]] = []
        self.comments = 0
        self._chunks: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._rest = b""

    def feed(self, chunk: bytes | None) -> None:
        """Bytes as they arrive; ``None`` at the end."""
        self._chunks.put_nowait(chunk)

    async def next(self, *kinds: str, within_seconds: float = PATIENCE_SECONDS) -> tuple[str, Any]:
        """The next event of these kinds (of any, if none is named); those before it are passed over.

        Raises: EOFError at the end of the stream; TimeoutError.
        """
        async with asyncio.timeout(within_seconds):
            while True:
                event = await self._event()
                self.events.append(event)
                if not kinds or event[0] in kinds:
                    return event

    async def ended(self, within_seconds: float = PATIENCE_SECONDS) -> None:
        """Waits for the hub to end the stream."""
        try:
            while True:
                await self.next(within_seconds=within_seconds)
        except EOFError:
            return

    async def _event(self) -> tuple[str, Any]:
        while True:
            block, separator, rest = self._rest.partition(b"\n\n")
            if not separator:
                chunk = await self._chunks.get()
                if chunk is None:
                    raise EOFError
                self._rest += chunk
                continue
            self._rest = rest
            fields = dict(line.partition(b": ")[::2] for line in block.split(b"\n"))
            if b"event" in fields:
                return fields[b"event"].decode(), json.loads(fields[b"data"])
            self.comments += 1


class Client:
    """HTTP to an ASGI application in this process. ``token`` is what it shows as bearer."""

    def __init__(self, app: AsgiApp, token: str = "", *, ip: str = "203.0.113.7") -> None:
        self._app = app
        self.token = token
        self.ip = ip

    async def get(self, target: str, **headers: str) -> Reply:
        """GET."""
        return await self.request("GET", target, headers=headers)

    async def post(self, target: str, body: object = None, **headers: str) -> Reply:
        """POST; anything but bytes goes as JSON."""
        return await self.request("POST", target, body, headers=headers)

    async def patch(self, target: str, body: object) -> Reply:
        """PATCH."""
        return await self.request("PATCH", target, body)

    async def put(self, target: str, body: object) -> Reply:
        """PUT."""
        return await self.request("PUT", target, body)

    async def delete(self, target: str) -> Reply:
        """DELETE."""
        return await self.request("DELETE", target)

    async def request(
        self,
        method: str,
        target: str,
        body: object = None,
        *,
        headers: Mapping[str, str] | None = None,
        pieces: Sequence[bytes] = (),
        swallow: bool = False,
    ) -> Reply:
        """One request. ``pieces`` instead of ``body``: a body in chunks. An exception of the application comes
        through, unless ``swallow``: then the response that it sent before."""
        given = {name.replace("_", "-").lower(): value for name, value in (headers or {}).items()}
        raw = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        if body is not None and "content-type" not in given:
            given["content-type"] = "application/json"
        messages = [{"type": "http.request", "body": one, "more_body": True} for one in pieces or (raw,)]
        messages[-1]["more_body"] = False
        status, fields, sent = 0, dict[str, str](), list[bytes]()

        async def receive() -> Message:
            if messages:
                return messages.pop(0)
            await asyncio.Event().wait()
            raise AssertionError

        async def send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                fields.update({name.decode().lower(): value.decode("latin-1") for name, value in message["headers"]})
            elif message["type"] == "http.response.body":
                sent.append(message.get("body", b""))

        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._app(self._scope(method, target, given), receive, send)
        except TimeoutError:
            raise
        except Exception:
            if not swallow:
                raise
        return Reply(status, fields, b"".join(sent))

    @asynccontextmanager
    async def stream(self, target: str) -> AsyncIterator[LiveEvents]:
        """An open stream; leaving the context is what a browser does that closes its tab."""
        stream = LiveEvents()
        left, opened = asyncio.Event(), asyncio.Event()
        asked = False

        async def receive() -> Message:
            nonlocal asked
            if not asked:
                asked = True
                return {"type": "http.request", "body": b"", "more_body": False}
            await left.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                stream.status = message["status"]
                stream.headers = {name.decode().lower(): value.decode() for name, value in message["headers"]}
                opened.set()
            elif message["type"] == "http.response.body":
                stream.feed(message.get("body", b""))
                if not message.get("more_body", False):
                    stream.feed(None)

        task = asyncio.ensure_future(self._app(self._scope("GET", target, {}), receive, send))
        opening = asyncio.ensure_future(opened.wait())
        try:
            await asyncio.wait({task, opening}, timeout=PATIENCE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            yield stream
        finally:
            opening.cancel()
            left.set()
            async with asyncio.timeout(PATIENCE_SECONDS):
                await task

    def _scope(self, method: str, target: str, headers: Mapping[str, str]) -> Message:
        path, _, query = target.partition("?")
        given = {"host": "hub.example", **headers}
        if self.token and "authorization" not in given:
            given["authorization"] = f"Bearer {self.token}"
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in given.items() if value],
            "client": (self.ip, 50_000),
            "server": ("hub.example", 80),
        }
