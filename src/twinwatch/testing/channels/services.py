"""A provider on a real port of this machine, in the running loop: keeps what it was sent, and fails as it is told to.

The fakes of Slack, Twilio, PagerDuty and of a webhook's receiver are made of it.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import msgspec
from aiohttp import web


@dataclass(slots=True)
class Got:
    """A request. ``at_seconds`` is the loop's clock; ``status`` 0: it got no answer. Header names are lower case."""

    at_seconds: float
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    status: int = 0

    def json(self) -> Any:
        """The body as JSON; None if it is none."""
        try:
            return msgspec.json.decode(self.body)
        except msgspec.MsgspecError:
            return None


@dataclass(slots=True)
class _Fault:
    times: int
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    hangs: bool = False
    about: str = ""


class Service:
    """The server, from ``async with``. ``url`` is its address without a slash at the end."""

    def __init__(self, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1", port: int = 0) -> None:
        self.got: list[Got] = []
        self.url = ""
        self.delay_seconds = 0.0
        self._tls, self._host, self._port = tls, host, port
        self._faults: list[_Fault] = []
        self._runner: web.ServerRunner | None = None

    async def __aenter__(self) -> Self:
        self._runner = web.ServerRunner(web.Server(self._serve), shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port, ssl_context=self._tls).start()
        self._port = self._runner.addresses[0][1]
        self.url = f"{'https' if self._tls else 'http'}://{self._host}:{self._port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def refuse(
        self, status: int, *, times: int = 1 << 30, retry_after: float | None = None, body: bytes = b"", about: str = ""
    ) -> None:
        """Answer with this status: the next so many requests whose path contains ``about``."""
        headers = {} if retry_after is None else {"Retry-After": f"{retry_after:g}"}
        self._faults.append(_Fault(times, status, headers, body, about=about))

    def hang(self, *, times: int = 1 << 30, about: str = "") -> None:
        """Answer nothing."""
        self._faults.append(_Fault(times, hangs=True, about=about))

    def cut(self, *, times: int = 1 << 30, about: str = "") -> None:
        """Reset the connection."""
        self._faults.append(_Fault(times, about=about))

    def heal(self) -> None:
        """No faults from now on."""
        self._faults.clear()

    async def wait(self, until: Callable[[], bool], *, timeout_seconds: float = 30.0) -> None:
        """Returns once this is so."""
        async with asyncio.timeout(timeout_seconds):
            while not until():  # noqa: ASYNC110 - the other end changes what is waited for
                await asyncio.sleep(0.01)

    def answer(self, got: Got) -> web.Response:
        """What the provider answers when nothing is the matter."""
        raise NotImplementedError

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        got = Got(asyncio.get_running_loop().time(), request.method, request.path_qs, headers, await request.read())
        self.got.append(got)
        if self.delay_seconds:
            await asyncio.sleep(self.delay_seconds)
        fault = next((one for one in self._faults if one.times > 0 and one.about in got.path), None)
        if fault is None:
            response = self.answer(got)
        else:
            fault.times -= 1
            if fault.hangs:
                await asyncio.Event().wait()
            if not fault.status and request.transport is not None:
                request.transport.abort()
            response = web.Response(status=fault.status or 500, headers=fault.headers, body=fault.body)
        got.status = 0 if fault is not None and not fault.status else response.status
        return response


def json_answer(fields: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """An answer in JSON."""
    body = msgspec.json.encode(fields)
    return web.Response(status=status, body=body, content_type="application/json", headers=headers or {})
