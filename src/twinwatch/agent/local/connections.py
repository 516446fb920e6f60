"""Connections of the local server, each under a deadline at every moment.

Invariants: a client that says nothing, sends its head or body a byte at a time, or does not read its answer is cut off;
there are never more than ``CONNECTIONS`` connections; what is no HTTP is answered with a problem and no log line.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from twinwatch.agent.local import web
from twinwatch.agent.local.refusals import Refused
from twinwatch.protocol.problem import PROBLEM_TYPE

CONNECTIONS = 64
HEAD_SECONDS = 10.0
"""What a client may take for its first request's head."""
REQUEST_SECONDS = 30.0
IDLE_SECONDS = 65.0

HEADERS = {"Server": "twinwatch", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
"""On every answer; of the server no more than its name."""

Handle = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


def problem_response(refused: Refused) -> web.Response:
    """The problem as an answer."""
    return web.Response(
        status=refused.problem.status,
        body=refused.body,
        headers={**HEADERS, **refused.headers, "Content-Type": PROBLEM_TYPE},
    )


class Connection(web.RequestHandler):
    """One client."""

    _timer: asyncio.TimerHandle | None = None
    _open = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has come; one too many is sent away."""
        super().connection_made(transport)
        manager = self._manager
        if manager is not None and len(manager.connections) > CONNECTIONS:
            self._cut()
        else:
            self.within(HEAD_SECONDS)

    def connection_lost(self, exc: BaseException | None) -> None:
        """The client has gone."""
        self._open = False
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def within(self, seconds: float) -> None:
        """The next thing must have happened by then."""
        if self._timer is not None:
            self._timer.cancel()
        if self._open:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._cut)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no HTTP."""
        if request.writer.output_size > 0:
            raise ConnectionError("an answer was begun already")
        if status >= 500:
            refused = Refused(status, "failed", "Failed", "The agent could not answer; its log says why.")
        else:
            refused = Refused(status, "invalid", "Not understood", "expected an HTTP/1.1 request")
        response = problem_response(refused)
        response.force_close()
        return response

    def _cut(self) -> None:
        if self.transport is not None:
            self.transport.abort()


class Server(web.Server):
    """Makes connections. ``handle`` answers each request and raises nothing."""

    def __init__(self, handle: Handle) -> None:
        async def timed(request: web.BaseRequest) -> web.StreamResponse:
            connection = request.protocol
            if not isinstance(connection, Connection):
                raise TypeError(f"{type(connection).__name__}: expected {Connection.__name__}")
            connection.within(REQUEST_SECONDS)
            try:
                return await handle(request)
            finally:
                # The answer is yet to be written, and the next request to come.
                connection.within(IDLE_SECONDS)

        super().__init__(
            timed, access_log=None, auto_decompress=False, lingering_time=2.0, keepalive_timeout=IDLE_SECONDS
        )

    def __call__(self) -> Connection:
        """A connection that has yet to be made."""
        return Connection(self, loop=self._loop, **self._kwargs)
