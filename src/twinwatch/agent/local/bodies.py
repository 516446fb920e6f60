"""Request bodies: read under a deadline, inflated under a bound."""

from __future__ import annotations

import asyncio
import zlib

from aiohttp.http_exceptions import HttpProcessingError

from twinwatch.agent.local import web
from twinwatch.agent.local.refusals import Refused, invalid, too_large
from twinwatch.protocol import limits

READ_SECONDS = 10.0
_WINDOWS = {"gzip": 31, "x-gzip": 31, "deflate": 15}
"""zlib's names for the two framings."""


async def body_of(request: web.BaseRequest, most: int = limits.BODY_BYTES) -> bytes:
    """The whole body, inflated.

    Bounds: ``most`` bytes as it travels, ``limits.DECODED_BYTES`` inflated. Raises: Refused.
    """
    encoding = request.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in ("", "identity", *_WINDOWS):
        detail = f"Content-Encoding {encoding[:80]!r}: expected gzip, deflate or none"
        raise Refused(415, "media-type", "Encoding not supported", detail)
    if request.content_length is not None and request.content_length > most:
        raise _too_long(most)
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0
    try:
        async with asyncio.timeout(READ_SECONDS):
            body = await _read(request, most)
    except TimeoutError as err:
        detail = f"the body did not come within {READ_SECONDS:g} s"
        raise Refused(408, "too-slow", "Too slow", detail, headers={"Connection": "close"}) from err
    except (web.RequestPayloadError, HttpProcessingError) as err:
        raise invalid("the body ended before its time, or its chunks are not lawful") from err
    return inflate(body, encoding) if encoding in _WINDOWS else body


def inflate(body: bytes, encoding: str) -> bytes:
    """The body without its ``gzip`` or ``deflate`` encoding.

    Raises: Refused if it is not lawful or longer than ``limits.DECODED_BYTES``.
    """
    inflater = zlib.decompressobj(_WINDOWS[encoding])
    try:
        plain = inflater.decompress(body, limits.DECODED_BYTES + 1)
    except zlib.error as err:
        raise invalid(f"Content-Encoding {encoding}: {err}") from err
    if len(plain) > limits.DECODED_BYTES:
        raise too_large(f"the inflated body is longer than {limits.DECODED_BYTES} bytes", limits.DECODED_BYTES)
    if not inflater.eof or inflater.unused_data:
        raise invalid(f"Content-Encoding {encoding}: expected one whole stream and nothing after it")
    return plain


async def _read(request: web.BaseRequest, most: int) -> bytes:
    pieces: list[bytes] = []
    size = 0
    async for piece in request.content.iter_any():
        size += len(piece)
        if size > most:
            raise _too_long(most)
        pieces.append(piece)
    return b"".join(pieces)


def _too_long(most: int) -> Refused:
    refused = too_large(f"the body is longer than {most} bytes", most)
    refused.headers["Connection"] = "close"
    return refused
