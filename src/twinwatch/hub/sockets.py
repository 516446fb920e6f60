"""The address that the hub listens on."""

from __future__ import annotations

import socket

from twinwatch.hub.settings import Misconfigured

BACKLOG = 2048


def listen(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """A socket that listens; who connects is answered once somebody accepts.

    ``shared``: others of ours listen there too.

    Raises: Misconfigured if the address is taken or not ours.
    """
    try:
        info = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listening = socket.socket(info[0], info[1], info[2])
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listening.bind(info[4])
        # Who only binds can still lose the address to somebody who listens first.
        listening.listen(BACKLOG)
    except OSError as err:
        raise Misconfigured(
            f"cannot listen on {host}:{port}: {err.strerror or err}; choose another address with --listen HOST:PORT"
        ) from err
    return listening
