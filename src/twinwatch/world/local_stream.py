"""The door to other programs of this host that listen on a socket in the file system.

Invariants: a stream is only opened to the process that was meant, whoever else may have put a socket there; every step
has a deadline; only ``NetFailed`` leaves the door.
Source: unix(7), ``SO_PEERCRED``.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Protocol

from twinwatch.world.net import NetFailed, Stream
from twinwatch.world.net.stream import Contexts, SocketStream, step

_CREDENTIALS = struct.Struct("3i")


class LocalStreams(Protocol):
    """Opens streams to programs of this host."""

    async def open(self, path: str, *, pid: int, timeout_seconds: float) -> Stream:
        """A stream to the process ``pid``, which listens at ``path``.

        Raises: NetFailed; ``not-permitted`` also where another process listens there.
        """
        ...


class HostLocalStreams:
    """The real door."""

    async def open(self, path: str, *, pid: int, timeout_seconds: float) -> Stream:
        """See ``LocalStreams``."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.setblocking(False)
        try:
            async with step("connect", path, timeout_seconds):
                await asyncio.get_running_loop().sock_connect(connection, path)
            told = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
            peer, _, _ = _CREDENTIALS.unpack(told)
            if peer != pid:
                raise NetFailed(
                    "connect", "not-permitted", f"{path}: process {peer} listens there, not {pid}", ours=True
                )
        except BaseException:
            connection.close()
            raise
        return SocketStream(connection, path, Contexts())
