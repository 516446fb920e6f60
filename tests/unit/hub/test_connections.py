"""A request's head has an end, and what follows it is none."""

from __future__ import annotations

import asyncio

import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from twinwatch.hub.connections import HEAD_BYTES, Connection


class Line(asyncio.Transport):
    """The client's end of a connection."""

    def __init__(self) -> None:
        super().__init__()
        self.closed = False
        self.heard = b""
        self.wrote = asyncio.Event()

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.heard += bytes(data)
        self.wrote.set()

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


async def app(_: Scope, receive: Receive, send: Send) -> None:
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def connected() -> tuple[Line, Connection]:
    config = uvicorn.Config(app, log_config=None)
    config.load()
    line, connection = Line(), Connection(config, ServerState(), {})
    connection.connection_made(line)
    return line, connection


async def answered(line: Line, times: int) -> None:
    async with asyncio.timeout(10):
        while line.heard.count(b"HTTP/1.1 204") < times:
            line.wrote.clear()
            await line.wrote.wait()


async def test_a_head_without_an_end_closes_the_connection() -> None:
    line, connection = connected()
    connection.data_received(b"GET / HTTP/1.1\r\nHost: hub\r\nX-Long: ")
    for _ in range(HEAD_BYTES // 1024 - 1):
        connection.data_received(b"a" * 1024)
    assert not line.closed
    connection.data_received(b"a" * 1024)
    assert line.closed


async def test_many_whole_requests_make_no_long_head() -> None:
    line, connection = connected()
    for number in range(1, 5):
        connection.data_received(b"GET / HTTP/1.1\r\nHost: hub\r\nX-Long: " + b"a" * (HEAD_BYTES // 2) + b"\r\n\r\n")
        await answered(line, number)
    assert not line.closed
    connection.connection_lost(None)


async def test_bodies_and_further_requests_are_no_part_of_a_head() -> None:
    line, connection = connected()
    for number in range(1, 4):
        connection.data_received(b"POST / HTTP/1.1\r\nHost: hub\r\nContent-Length: 131072\r\n\r\n")
        for _ in range(4):
            connection.data_received(b"b" * (HEAD_BYTES // 2))
        await answered(line, number)
    assert not line.closed
    connection.connection_lost(None)
