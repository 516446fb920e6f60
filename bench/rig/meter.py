"""Counts the bytes between an agent and its hub: a TCP relay that does nothing else."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import TracebackType
from urllib.parse import urlsplit

CHUNK_BYTES = 1 << 16


class Meter:
    """A relay to ``url`` on a port of its own; a context manager."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        assert parts.port is not None
        self._to = (parts.hostname, parts.port)
        self._server: asyncio.Server | None = None
        self.sent_bytes = 0
        """From the client to the server so far: requests with their headers."""

    @property
    def url(self) -> str:
        """Where to connect to instead."""
        assert self._server is not None
        host, port = self._server.sockets[0].getsockname()
        return f"http://{host}:{port}"

    async def __aenter__(self) -> Meter:
        """Listening."""
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        """No longer listening; open connections end with their client."""
        assert self._server is not None
        self._server.close()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            there_reader, there_writer = await asyncio.open_connection(*self._to)
            await asyncio.gather(self._pour(reader, there_writer, count=True), self._pour(there_reader, writer))

    async def _pour(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, count: bool = False) -> None:
        try:
            while chunk := await reader.read(CHUNK_BYTES):
                if count:
                    self.sent_bytes += len(chunk)
                writer.write(chunk)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()
