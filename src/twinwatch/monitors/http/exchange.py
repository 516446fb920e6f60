"""HTTP/1.1 over an open stream: one request, one answer, bounded in time and size.

The protocol itself is h11's; here are the deadlines, the phases and the bounds.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from twinwatch.monitors.reach import Trip
from twinwatch.world.net import NetFailed, Stream

if TYPE_CHECKING:
    import h11

HEAD_BYTES = 64 << 10
INTERIM_ANSWERS = 10
CHARSETS = ("utf-8", "us-ascii", "iso-8859-1", "iso-8859-15", "windows-1252", "utf-16")
"""Others are read as UTF-8: some of Python's codecs are slow on hostile input."""


class BadAnswer(Exception):
    """What came is no HTTP, or ends too early. The message is for people."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A request. ``target`` is path and query; header values may be secret."""

    method: str
    target: str
    headers: Sequence[tuple[str, str]]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Answer:
    """A response. Header names are lower case; ``body`` is what came, decompressed; ``cut``: there was more of it."""

    status: int
    headers: dict[str, str]
    body: bytes = b""
    received_bytes: int = 0
    cut: bool = False

    @property
    def text(self) -> str:
        """The body as text; what is no text becomes replacement characters."""
        _, _, said = self.headers.get("content-type", "").lower().partition("charset=")
        charset = said.partition(";")[0].strip(" \"'")
        return self.body.decode(charset if charset in CHARSETS else "utf-8", "replace")


async def exchange(stream: Stream, trip: Trip, ask: Ask, most_bytes: int, *, redirects: bool) -> Answer:
    """The answer to this request. Of one that redirects the body is not read, if ``redirects`` are followed.

    Raises: NetFailed; BadAnswer.
    """
    import h11  # noqa: PLC0415 - only where a page is watched

    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_BYTES)
    try:
        with trip.phase("processing"):
            await _send(stream, trip, connection, ask)
            head = await _head(stream, trip, connection)
        headers = _joined(head)
        if redirects and 300 <= head.status_code < 400 and "location" in headers:
            return Answer(head.status_code, headers)
        with trip.phase("transfer"):
            content, cut = await _body(stream, trip, connection, most_bytes)
    except h11.RemoteProtocolError as err:
        raise BadAnswer(f"the answer is no lawful HTTP: {err}"[:200]) from err
    except h11.LocalProtocolError:
        raise BadAnswer("the request cannot be sent: a header is not lawful") from None  # its text would tell the value
    body, more = _decompressed(content, headers.get("content-encoding", ""), most_bytes, cut=cut)
    return Answer(head.status_code, headers, body, len(content), cut or more)


async def _send(stream: Stream, trip: Trip, connection: h11.Connection, ask: Ask) -> None:
    import h11  # noqa: PLC0415

    request = h11.Request(method=ask.method, target=ask.target, headers=list(ask.headers))
    pieces = [connection.send(request), connection.send(h11.Data(ask.body)), connection.send(h11.EndOfMessage())]
    try:
        await stream.send(b"".join(piece for piece in pieces if piece), timeout_seconds=trip.left)
    except NetFailed as err:
        if err.reason != "connection-reset":
            raise
        # One that has heard enough may answer and close before all was sent; the answer tells more than the reset.


async def _head(stream: Stream, trip: Trip, connection: h11.Connection) -> h11.Response:
    import h11  # noqa: PLC0415

    for _ in range(INTERIM_ANSWERS):
        event = await _event(stream, trip, connection)
        if isinstance(event, h11.Response):
            return event
        if not isinstance(event, h11.InformationalResponse):
            break
    raise BadAnswer("the connection was closed before an answer came")


async def _body(stream: Stream, trip: Trip, connection: h11.Connection, most_bytes: int) -> tuple[bytes, bool]:
    import h11  # noqa: PLC0415

    content = bytearray()
    while isinstance(event := await _event(stream, trip, connection), h11.Data):
        content += event.data
        if len(content) > most_bytes:
            return bytes(content[:most_bytes]), True
    return bytes(content), False


async def _event(stream: Stream, trip: Trip, connection: h11.Connection) -> object:
    import h11  # noqa: PLC0415

    while (event := connection.next_event()) is h11.NEED_DATA:
        connection.receive_data(await stream.receive(timeout_seconds=trip.left))
    return event


def _joined(head: h11.Response) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in head.headers:
        key, text = name.decode("latin-1"), value.decode("latin-1")
        found[key] = f"{found[key]}, {text}" if key in found else text
    return found


def _decompressed(content: bytes, encoding: str, most_bytes: int, *, cut: bool) -> tuple[bytes, bool]:
    """The body as it was meant, and whether it is longer than what is kept."""
    if not content or encoding.strip().lower() in ("", "identity"):
        return content, False
    if encoding.strip().lower() not in ("gzip", "x-gzip", "deflate"):
        raise BadAnswer(f"the answer is compressed in a way that was not asked for: {encoding[:40]}")
    unpacker = zlib.decompressobj(wbits=47)  # finds out by itself whether it is gzip or zlib
    try:
        body = unpacker.decompress(content, most_bytes + 1)
    except zlib.error as err:
        raise BadAnswer(f"the answer cannot be decompressed: {err}") from err
    if not unpacker.eof and not cut and len(body) <= most_bytes:
        raise BadAnswer("the answer ends before its compressed content does")
    return body[:most_bytes], len(body) > most_bytes
