"""What the hub allows its clients before it knows who they are: many connections, and requests whose head ends; and of
control connections, no more memory than they need.

Source: getrlimit(2); httptools, which has no bound on headers of its own; uvicorn's WebSockets, which answer pings
without a look at whether the answers are read.
"""

from __future__ import annotations

import resource
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

from twinwatch.protocol.control import PING_SECONDS

HEAD_BYTES = 64 * 1024
HEARD_BYTES = 4096
"""Longest message that an agent may send on its control connection; it has nothing to say there."""
HEARD_PIECES = 16
"""Most frames of one message: empty ones add nothing to its length, and take memory."""
UNREAD_BYTES = 64 * 1024
"""Most answers to pings that a client may leave unread."""
PONG_SECONDS = 20.0


def allow_connections() -> None:
    """As many open files as may be: a thousand agents keep a thousand connections, and systemd begins with 1024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class Connection(HttpToolsProtocol):
    """A client's connection. It is closed when the head of a request passes ``HEAD_BYTES``."""

    _head_open = True
    _head_bytes = 0

    def data_received(self, data: bytes) -> None:
        """What has come from the client."""
        self._head_bytes += len(data)
        super().data_received(data)
        if self._head_open and self._head_bytes > HEAD_BYTES:
            self.transport.close()

    def on_headers_complete(self) -> None:
        """The head has ended."""
        self._head_open = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The body has ended; a head may follow."""
        self._head_open = True
        self._head_bytes = 0
        super().on_message_complete()


class ControlConnection(WebSocketsSansIOProtocol):
    """An agent's control connection. It is cut when it asks and does not read, or begins what it never ends."""

    def handle_ping(self) -> None:
        """Answers, as long as the answers are read."""
        if self.transport.is_closing():
            return
        super().handle_ping()
        if self.transport.get_write_buffer_size() > UNREAD_BYTES:
            self.transport.abort()

    def handle_cont(self, event: Frame) -> None:
        """Another piece of a message."""
        if len(self.frames) < HEARD_PIECES:
            super().handle_cont(event)
        else:
            self.transport.abort()


SERVING: dict[str, Any] = {
    "http": Connection,
    "ws": ControlConnection,
    "ws_ping_interval": PING_SECONDS,
    "ws_ping_timeout": PONG_SECONDS,
    "ws_max_size": HEARD_BYTES,
    # A compressor for each of thousands of idle connections would be most of the hub's memory.
    "ws_per_message_deflate": False,
}
"""How uvicorn is to treat connections."""
