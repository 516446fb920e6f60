"""A client that hangs up within its request is no failure of the hub."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi import FastAPI, Request
from starlette.types import Message

from twinwatch.hub.api.doors import install_handlers


async def test_a_client_that_hangs_up_leaves_no_error_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    app = FastAPI()
    install_handlers(app)

    @app.post("/")
    async def take(request: Request) -> int:
        return len(await request.body())

    heard: Iterator[Message] = iter(
        [{"type": "http.request", "body": b"half of it", "more_body": True}, {"type": "http.disconnect"}]
    )
    said: list[Message] = []

    async def receive() -> Message:
        return next(heard)

    async def send(message: Message) -> None:
        said.append(message)

    scope = {"type": "http", "method": "POST", "path": "/", "headers": [], "query_string": b"", "http_version": "1.1"}
    await app(scope, receive, send)
    assert said[0]["status"] == 400
    assert not caplog.records
