"""One keep-alive HTTP connection, as thin as can be: what it costs must not be what is measured."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import NamedTuple

from twinwatch.protocol.codec import MSGPACK, ZSTD
from twinwatch.protocol.version import AGENT_ROUTES

SECONDS = 20.0
IDLE_SECONDS = 60.0
"""After which a connection is opened anew: the hub closes one that is idle for 75 s, maybe under a request."""
ANSWER_BYTES = 1 << 16


class Answer(NamedTuple):
    """Status and body; status 0 where there was no whole answer, with the reason as the body."""

    status: int
    body: bytes


class Line:
    """Speaks with one key to the hub at this address, one request at a time; opened by the first one.

    Nothing is tried again: a broken connection is an answer of status 0.
    """

    def __init__(self, host: str, port: int, key: str) -> None:
        self._to = (host, port)
        self._head = (
            f" HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {key}\r\nContent-Type: {MSGPACK}\r\n"
            f"Content-Encoding: {ZSTD}\r\nAccept: {MSGPACK}\r\nContent-Length: "
        )
        self._turn = asyncio.Lock()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._used = 0.0

    async def post(self, route: str, body: bytes) -> Answer:
        """One request to an agent's route; waits for the one before."""
        return await self.send(f"{AGENT_ROUTES}/{route}", body)

    async def send(self, path: str, body: bytes) -> Answer:
        """One request to any path."""
        async with self._turn:
            try:
                async with asyncio.timeout(SECONDS):
                    return await self._exchange(f"POST {path}{self._head}{len(body)}\r\n\r\n", body)
            except (OSError, ValueError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as err:
                self.close()
                return Answer(0, f"{type(err).__name__}: {err}".encode())

    async def _exchange(self, head: str, body: bytes) -> Answer:
        if time.monotonic() - self._used > IDLE_SECONDS:
            self.close()
        self._used = time.monotonic()
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self._to, limit=ANSWER_BYTES)
        reader, writer = self._streams
        writer.write(head.encode() + body)
        answered = (await reader.readuntil(b"\r\n\r\n")).lower()
        status = int(answered[9:12])
        _, length, rest = answered.partition(b"content-length:")
        size = int(rest.partition(b"\r\n")[0]) if length else 0
        return Answer(status, await reader.readexactly(size))

    def close(self) -> None:
        """Closes the connection."""
        if self._streams is not None:
            with suppress(OSError):
                self._streams[1].close()
            self._streams = None
