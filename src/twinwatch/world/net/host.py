"""The host's own network behind the door."""

from __future__ import annotations

import asyncio
import socket

from twinwatch.world.net.echo import echo
from twinwatch.world.net.naming import Names
from twinwatch.world.net.steps import Family, Stream, TlsWanted
from twinwatch.world.net.stream import PIECE, Contexts, SocketStream, step, translated


class HostNet:
    """The real door."""

    def __init__(self, names: Names | None = None) -> None:
        self._names = names or Names()
        self._contexts = Contexts()

    async def resolve(self, host: str, *, family: Family = "any", timeout_seconds: float) -> tuple[str, ...]:
        """See ``Net``."""
        return await self._names.resolve(host, family, timeout_seconds)

    async def prepare(self, wanted: TlsWanted) -> None:
        """See ``Net``."""
        self._contexts.of(wanted)

    async def connect(self, address: str, port: int, *, timeout_seconds: float) -> Stream:
        """See ``Net``."""
        place = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        connection = _opened(address, socket.SOCK_STREAM, place)
        try:
            async with step("connect", place, timeout_seconds, late="connect-timeout"):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                await asyncio.get_running_loop().sock_connect(connection, (address, port))
        except BaseException:
            connection.close()
            raise
        return SocketStream(connection, place, self._contexts)

    async def query(self, address: str, port: int, content: bytes, *, timeout_seconds: float) -> bytes:
        """See ``Net``."""
        place = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        with _opened(address, socket.SOCK_DGRAM, place) as connection:
            loop = asyncio.get_running_loop()
            async with step("query", place, timeout_seconds):
                await loop.sock_connect(connection, (address, port))  # from then on only it is heard
                await loop.sock_sendall(connection, content)
                while (answer := await loop.sock_recv(connection, PIECE))[:2] != content[:2]:
                    pass
                return answer

    async def ping(self, address: str, sequence: int, *, timeout_seconds: float) -> float | None:
        """See ``Net``."""
        return await echo(address, sequence, timeout_seconds)


def _opened(address: str, kind: socket.SocketKind, place: str) -> socket.socket:
    try:
        connection = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
    except OSError as err:
        raise translated("connect" if kind == socket.SOCK_STREAM else "query", place, err) from err
    connection.setblocking(False)
    return connection
