"""The diagnostic socket of a .NET runtime, as its protocol is documented: sessions that stream EventCounters.

``nettrace`` writes a trace as the runtime does, ``DiagnosticServer`` answers on a socket.
Source: dotnet/diagnostics, ipc-protocol.md; microsoft/perfview, NetTraceFormat_v5.md; eventcounters.md.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

MAGIC = b"DOTNET_IPC_V1\0"
HEADER = struct.Struct("<14sHBBH")
STRING, INT, FLOAT, DOUBLE, OBJECT = 18, 9, 13, 14, 1
MEAN = [
    ("Name", STRING), ("DisplayName", STRING), ("Mean", DOUBLE), ("StandardDeviation", DOUBLE), ("Count", INT),
    ("Min", DOUBLE), ("Max", DOUBLE), ("IntervalSec", FLOAT), ("Series", STRING), ("CounterType", STRING),
    ("Metadata", STRING), ("DisplayUnits", STRING),
]  # fmt: skip
INCREMENT = [
    ("Name", STRING), ("DisplayName", STRING), ("DisplayRateTimeScale", STRING), ("Increment", DOUBLE),
    ("IntervalSec", FLOAT), ("Metadata", STRING), ("Series", STRING), ("CounterType", STRING),
    ("DisplayUnits", STRING),
]  # fmt: skip
RISING = {
    "gen-0-gc-count", "gen-1-gc-count", "gen-2-gc-count", "alloc-rate", "exception-count",
    "threadpool-completed-items-count", "monitor-lock-contention-count", "requests-per-second",
}  # fmt: skip
"""The counters of the runtime that tell what they grew by."""


@dataclass
class Writer:
    """Writes one trace. ``compressed``: whether headers of events are, as the runtime writes them."""

    compressed: bool = True
    version: int = 4
    written: int = 0
    known: dict[tuple[str, bool], int] = field(default_factory=dict)

    def head(self) -> bytes:
        """What a trace begins with."""
        trace = struct.pack("<8hqqiiii", *([2026, 1, 1, 1, 0, 0, 0, 0]), 1, 10_000_000, 8, 1, 2, 0)
        content = b"Nettrace" + struct.pack("<i", 20) + b"!FastSerialization.1"
        return self._out(content + self._object("Trace", trace))

    def counters(self, provider: str, values: Mapping[str, float], seconds: float = 15.0) -> bytes:
        """Blocks with these counters, and with the description of what was not described yet."""
        described = b""
        events: list[tuple[int, bytes]] = []
        for name, value in values.items():
            rising = name in RISING
            kind = self.known.get((provider, rising))
            if kind is None:
                kind = self.known[provider, rising] = len(self.known) + 1
                described += self._blob(0, self._description(kind, provider, INCREMENT if rising else MEAN), described)
            events.append((kind, _payload(name, value, seconds, INCREMENT if rising else MEAN)))
        content = b""
        if described:
            content += self._block("MetadataBlock", described)
        blobs = b""
        for kind, payload in events:
            blobs += self._blob(kind, payload, blobs)
        content += self._block("EventBlock", blobs)
        return content + self._block("SPBlock", struct.pack("<qi", 5, 0), header=False)

    def end(self) -> bytes:
        """What a trace ends with."""
        return self._out(b"\x01")

    def _description(self, kind: int, provider: str, fields: list[tuple[str, int]]) -> bytes:
        inner = struct.pack("<i", len(fields)) + b"".join(
            struct.pack("<i", code) + _zero(name) for name, code in fields
        )
        outer = struct.pack("<ii", 1, OBJECT) + inner + _zero("Payload")
        head = struct.pack("<i", kind) + _zero(provider) + struct.pack("<i", -1) + _zero("EventCounters")
        head += struct.pack("<qii", 0, 0, 0)
        if self.version < 5:
            return head + outer
        # Version 5: a field count of 0, then a tag with the description.
        fields_2 = inner
        one = _zero("Payload") + struct.pack("<i", OBJECT) + fields_2
        tag = struct.pack("<i", 1) + struct.pack("<i", len(one) + 4) + one
        return head + struct.pack("<i", 0) + struct.pack("<iB", len(tag), 2) + tag

    def _blob(self, kind: int, payload: bytes, before: bytes) -> bytes:
        if self.compressed:
            flags = 1 | 4 | 8 | 128 | (2 | 16 | 32 | 64 if kind else 0)
            content = bytes((flags,)) + _variable(kind)
            if kind:
                content += _variable(1) + _variable(4711) + _variable(0)
            content += _variable(4711) + _variable(0) + _variable(1_000_000)
            if kind:
                content += bytes(32)
            return content + _variable(len(payload)) + payload
        content = struct.pack("<iiqqiiq", kind, 1, 4711, 4711, 0, 0, 1_000_000) + bytes(32)
        content += struct.pack("<i", len(payload)) + payload
        content = struct.pack("<i", len(content)) + content
        return content + bytes(-(len(before) + len(content)) % 4)

    def _block(self, name: str, content: bytes, *, header: bool = True) -> bytes:
        if header:
            content = struct.pack("<hhqq", 20, int(self.compressed), 0, 1) + content
        return self._out(self._object(name, content, block=True))

    def _object(self, name: str, payload: bytes, *, block: bool = False) -> bytes:
        version = self.version if name == "Trace" else 2
        head = bytes((5, 5, 1)) + struct.pack("<iii", version, version, len(name)) + name.encode() + b"\x06"
        if block:
            head += struct.pack("<i", len(payload))
            head += bytes(-(self.written + len(head)) % 4)
        elif name == "Trace":
            assert len(payload) == 48
        return head + payload + b"\x06"

    def _out(self, content: bytes) -> bytes:
        self.written += len(content)
        return content


class DiagnosticServer:
    """One runtime's socket. ``counters`` are what it streams, by provider; ``refuses`` answers with an error."""

    def __init__(self, *, compressed: bool = True, version: int = 4, refuses: bool = False) -> None:
        self.counters: dict[str, dict[str, float]] = {"System.Runtime": {"gc-heap-size": 42.0, "time-in-gc": 3.0}}
        self.requests: list[tuple[int, int, bytes]] = []
        self.every_seconds = 0.05
        self._compressed, self._version, self._refuses = compressed, version, refuses
        self._writers: set[asyncio.StreamWriter] = set()

    @asynccontextmanager
    async def listening(self, path: Path) -> AsyncIterator[None]:
        """Answers at ``path``."""
        server = await asyncio.start_unix_server(self._answer, path)
        try:
            yield
        finally:
            server.close()
            self.hang_up()

    def hang_up(self) -> None:
        """Close every connection, as a process that ends does."""
        for writer in self._writers:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            magic, size, command_set, command, _ = HEADER.unpack(await reader.readexactly(HEADER.size))
            payload = await reader.readexactly(size - HEADER.size)
            self.requests.append((command_set, command, payload))
            if magic != MAGIC or (command_set, command) != (2, 3) or self._refuses:
                writer.write(HEADER.pack(MAGIC, HEADER.size + 4, 0xFF, 0xFF, 0) + struct.pack("<I", 0x80131385))
                return
            writer.write(HEADER.pack(MAGIC, HEADER.size + 8, 0xFF, 0x00, 0) + struct.pack("<Q", 1))
            trace = Writer(self._compressed, self._version)
            writer.write(trace.head())
            while not writer.is_closing():
                for provider, values in self.counters.items():
                    writer.write(trace.counters(provider, values))
                await writer.drain()
                await asyncio.sleep(self.every_seconds)
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()
            self._writers.discard(writer)


def _payload(name: str, value: float, seconds: float, fields: list[tuple[str, int]]) -> bytes:
    content = b""
    for field_name, code in fields:
        if code == STRING:
            content += _zero(name if field_name == "Name" else f"Interval={seconds * 1000:.0f}")
        elif code == INT:
            content += struct.pack("<i", 1)
        else:
            number = seconds if field_name == "IntervalSec" else value
            content += struct.pack("<f" if code == FLOAT else "<d", number)
    return content


def _variable(number: int) -> bytes:
    content = b""
    while True:
        number, low = number >> 7, number & 0x7F
        content += bytes((low | (0x80 if number else 0),))
        if not number:
            return content


def _zero(text: str) -> bytes:
    return text.encode("utf-16-le") + b"\0\0"
