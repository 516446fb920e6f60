"""The nettrace format, versions 4 and 5, as the .NET runtime streams it: bytes in, events out. Pure.

Invariants: whatever comes, the outcome is events or ``NoTrace``; a block, the kinds of events and a payload are
bounded, so that memory is; what is not understood of one event costs that event only.
Source: microsoft/perfview, src/TraceEvent/EventPipe/NetTraceFormat_v5.md.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

MAGIC = b"Nettrace" + struct.pack("<i", 20) + b"!FastSerialization.1"
BLOCK_BYTES = 4 << 20
KINDS = 5_000
FIELDS = 256
DEPTH = 8
NAME_CHARACTERS = 1_024
NEWEST = 5
TRACE_BYTES = 48

_BEGIN, _END, _NULL = 5, 6, 1
_OBJECT, _STRING, _GUID, _ARRAY = 1, 18, 17, 19
_SIZED = {
    3: "<i",
    4: "<H",
    5: "<b",
    6: "<B",
    7: "<h",
    8: "<H",
    9: "<i",
    10: "<I",
    11: "<q",
    12: "<Q",
    13: "<f",
    14: "<d",
}
"""``System.TypeCode`` to how it is written; a boolean takes four bytes."""
_V2_PARAMETERS = 2


class NoTrace(Exception):
    """It is no nettrace that is understood here; the stream is of no use any more."""


class Event(NamedTuple):
    """One event: who wrote it, what it is called, and its fields, nested ones as dictionaries."""

    provider: str
    name: str
    payload: dict[str, Any]


class _Field(NamedTuple):
    name: str
    code: int
    inner: tuple[_Field, ...] = ()


class _Kind(NamedTuple):
    provider: str
    name: str
    fields: tuple[_Field, ...]


class _Short(Exception):
    """More bytes are needed."""


@dataclass
class _Cursor:
    """A place in bytes. Reading beyond the end raises ``_Short``."""

    content: bytes
    at: int = 0

    def take(self, count: int) -> bytes:
        if count < 0 or self.at + count > len(self.content):
            raise _Short
        self.at += count
        return self.content[self.at - count : self.at]

    def number(self, pattern: str) -> Any:
        return struct.unpack(pattern, self.take(struct.calcsize(pattern)))[0]

    def variable(self, bits: int) -> int:
        """Seven bits per byte, least significant first."""
        value = shift = 0
        while shift < bits:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value & ((1 << bits) - 1)
            shift += 7
        raise NoTrace("a number that does not end")

    def text(self) -> str:
        """UTF-16 up to a zero."""
        end = self.at
        while True:
            end = self.content.find(b"\0\0", end)
            if end < 0:
                raise _Short
            if (end - self.at) % 2 == 0:
                break
            end += 1
        if end - self.at > 2 * NAME_CHARACTERS * 8:
            raise NoTrace("a text that does not end")
        return (self.take(end - self.at + 2)[:-2]).decode("utf-16-le", "replace")

    @property
    def rest(self) -> int:
        return len(self.content) - self.at


@dataclass
class Trace:
    """A stream being read: ``feed`` it, in pieces of any size."""

    ended: bool = False
    """Whether the runtime has said that there is no more."""
    _buffer: bytes = b""
    _offset: int = 0
    """Of the buffer's first byte in the stream: blocks are aligned there."""
    _begun: bool = False
    _kinds: dict[int, _Kind] = field(default_factory=dict)

    def feed(self, content: bytes) -> list[Event]:
        """The events that are whole now.

        Raises: NoTrace.
        """
        self._buffer += content
        found: list[Event] = []
        while not self.ended:
            cursor = _Cursor(self._buffer)
            try:
                found += self._next(cursor)
            except _Short:
                break
            self._buffer = self._buffer[cursor.at :]
            self._offset += cursor.at
        if len(self._buffer) > BLOCK_BYTES + 4096:
            raise NoTrace(f"a block of more than {BLOCK_BYTES} bytes")
        return found

    def _next(self, cursor: _Cursor) -> list[Event]:
        if not self._begun:
            if cursor.take(len(MAGIC)) != MAGIC:
                raise NoTrace("it does not begin as a trace does")
            self._begun = True
            return []
        tag = cursor.take(1)[0]
        if tag == _NULL:
            self.ended = True
            return []
        if tag != _BEGIN or cursor.take(2) != bytes((_BEGIN, _NULL)):
            raise NoTrace("expected an object")
        _, oldest = cursor.number("<i"), cursor.number("<i")
        length = cursor.number("<i")
        if not 0 < length < 64:
            raise NoTrace("an object without a type")
        name = cursor.take(length).decode("utf-8", "replace")
        if cursor.take(1)[0] != _END:
            raise NoTrace("a type that does not end")
        if oldest > NEWEST:
            raise NoTrace(f"{name} of version {oldest}; versions up to {NEWEST} are known")
        if name == "Trace":
            cursor.take(TRACE_BYTES)
            block = b""
        else:
            block = self._block(cursor)
        if cursor.take(1)[0] != _END:
            raise NoTrace(f"{name} does not end")
        if name == "MetadataBlock":
            for _, payload in _blobs(block):
                self._learn(payload)
        elif name == "EventBlock":
            return [event for kind, payload in _blobs(block) if (event := self._event(kind, payload)) is not None]
        return []

    def _block(self, cursor: _Cursor) -> bytes:
        size = cursor.number("<i")
        if not 0 <= size <= BLOCK_BYTES:
            raise NoTrace(f"a block of {size} bytes; at most {BLOCK_BYTES}")
        cursor.take(-(self._offset + cursor.at) % 4)
        return cursor.take(size)

    def _learn(self, payload: bytes) -> None:
        cursor = _Cursor(payload)
        try:
            number = cursor.number("<i")
            provider = cursor.text()
            cursor.take(4)
            name = cursor.text()
            cursor.take(16)  # keywords, version, level
            fields = _fields(cursor)
            while cursor.rest >= 5 and not fields:
                size, tag = cursor.number("<i"), cursor.take(1)[0]
                inner = _Cursor(cursor.take(size))
                if tag == _V2_PARAMETERS:
                    fields = _fields_of_version_2(inner)
        except _Short:
            return
        if len(self._kinds) < KINDS:
            self._kinds[number] = _Kind(provider[:NAME_CHARACTERS], name[:NAME_CHARACTERS], fields)

    def _event(self, kind: int, payload: bytes) -> Event | None:
        known = self._kinds.get(kind)
        if known is None:
            return None
        try:
            return Event(known.provider, known.name, _payload(_Cursor(payload), known.fields))
        except _Short:
            return None


def _fields(cursor: _Cursor, depth: int = 0) -> tuple[_Field, ...]:
    count = cursor.number("<i")
    if not 0 <= count <= FIELDS or depth > DEPTH:
        raise NoTrace("too many fields")
    found = []
    for _ in range(count):
        code = cursor.number("<i")
        inner = _fields(cursor, depth + 1) if code == _OBJECT else ()
        found.append(_Field(cursor.text(), code, inner))
    return tuple(found)


def _fields_of_version_2(cursor: _Cursor) -> tuple[_Field, ...]:
    count = cursor.number("<i")
    if not 0 <= count <= FIELDS:
        raise NoTrace("too many fields")
    found = []
    for _ in range(count):
        size = cursor.number("<i")
        one = _Cursor(cursor.take(size - 4))
        name, code = one.text(), one.number("<i")
        found.append(_Field(name, code, _fields(one) if code == _OBJECT else ()))
    return tuple(found)


def _payload(cursor: _Cursor, fields: tuple[_Field, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one in fields:
        if one.code == _OBJECT:
            found[one.name] = _payload(cursor, one.inner)
        elif one.code == _STRING:
            found[one.name] = cursor.text()
        elif one.code == _GUID:
            found[one.name] = cursor.take(16)
        elif one.code in _SIZED:
            found[one.name] = cursor.number(_SIZED[one.code])
        else:
            break  # what follows cannot be found
    return found


def _blobs(block: bytes) -> Iterator[tuple[int, bytes]]:
    """The kind and the payload of each event in a block."""
    cursor = _Cursor(block)
    try:
        header = cursor.number("<h")
        flags = cursor.number("<h")
        cursor.take(header - 4)
    except _Short:
        return
    read = _compressed(cursor) if flags & 1 else _plain(cursor)
    try:
        yield from read
    except _Short:
        raise NoTrace("an event that is longer than its block") from None


def _plain(cursor: _Cursor) -> Iterator[tuple[int, bytes]]:
    while cursor.rest >= 4:
        size = cursor.number("<i")
        end = cursor.at + size
        kind = cursor.number("<i") & 0x7FFF_FFFF
        cursor.take(4 + 8 + 8 + 4 + 4 + 8 + 32)
        yield kind, cursor.take(cursor.number("<i"))
        cursor.take(end - cursor.at)
        cursor.take(min(-cursor.at % 4, cursor.rest))


def _compressed(cursor: _Cursor) -> Iterator[tuple[int, bytes]]:
    kind = size = 0
    while cursor.rest:
        flags = cursor.take(1)[0]
        if flags & 1:
            kind = cursor.variable(32) & 0x7FFF_FFFF
        if flags & 2:
            cursor.variable(32), cursor.variable(64), cursor.variable(32)
        if flags & 4:
            cursor.variable(64)
        if flags & 8:
            cursor.variable(32)
        cursor.variable(64)
        if flags & 16:
            cursor.take(16)
        if flags & 32:
            cursor.take(16)
        if flags & 128:
            size = cursor.variable(32)
        yield kind, cursor.take(size)
