"""Structs to bytes and back: msgpack in zstd between agent and hub, plain JSON for people on the same routes.

Invariants: decoding allocates at most ``limits.DECODED_BYTES`` for the decompressed body, whatever the bytes claim;
bytes that are not lawful raise ``Undecodable`` and nothing else.
Source: RFC 8878 (zstd), the msgpack specification.
"""

from __future__ import annotations

from collections.abc import Hashable
from functools import cache
from threading import local
from typing import Any, TypeVar, cast

import msgspec
import zstandard

from twinwatch.protocol import limits

T = TypeVar("T")

MSGPACK = "application/msgpack"
JSON = "application/json"
ZSTD = "zstd"


class Undecodable(ValueError):
    """The bytes are not what their content type says; the message says where and why."""


class TooLarge(Undecodable):
    """Decompressed, the body would pass ``limits.DECODED_BYTES``."""


def pack(message: object) -> bytes:
    """The message as msgpack in one zstd frame that declares its size."""
    return zstandard.ZstdCompressor(level=3).compress(_packer().encode(message))


def unpack(body: bytes, kind: type[T]) -> T:
    """The message of zstd-compressed msgpack bytes.

    Raises: TooLarge; Undecodable if a frame or a field is unlawful.
    """
    return decode(body, kind, MSGPACK, ZSTD)


def decode(body: bytes, kind: type[T], content_type: str = JSON, encoding: str = "") -> T:
    """The message of a request body with these headers (``Content-Type``, ``Content-Encoding``).

    Raises: TooLarge; Undecodable for any other body or header that is not lawful.
    """
    if encoding.lower() == ZSTD:
        body = inflate(body)
    elif encoding.lower() not in ("", "identity"):
        raise Undecodable(f"Content-Encoding {encoding!r}: expected {ZSTD!r} or none")
    media = content_type.partition(";")[0].strip().lower()
    reader = _readers(cast("Hashable", kind)).get(media)
    if reader is None:
        raise Undecodable(f"Content-Type {content_type!r}: expected {MSGPACK!r} or {JSON!r}")
    try:
        message: T = reader.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as err:
        raise Undecodable(str(err)) from err
    return message


def inflate(body: bytes) -> bytes:
    """One zstd frame, decompressed.

    Bounds: the frame must declare its size, at most ``limits.DECODED_BYTES``; a window beyond it is refused too.
    """
    try:
        frame = zstandard.get_frame_parameters(body)
        if frame.content_size == zstandard.CONTENTSIZE_UNKNOWN:
            raise Undecodable("zstd: the frame must declare its content size")
        if frame.content_size > limits.DECODED_BYTES or frame.window_size > max(limits.DECODED_BYTES, 1 << 10):
            raise TooLarge(f"zstd: {frame.content_size} bytes decompressed, at most {limits.DECODED_BYTES}")
        return _own.inflater.decompress(body, max_output_size=limits.DECODED_BYTES, allow_extra_data=False)
    except zstandard.ZstdError as err:
        raise Undecodable(f"zstd: {err}") from err


class _Own(local):
    """Making a decompressor costs five times what it does; one must not be used by two threads at once."""

    def __init__(self) -> None:
        self.inflater = zstandard.ZstdDecompressor()


_own = _Own()


@cache
def _packer() -> msgspec.msgpack.Encoder:
    return msgspec.msgpack.Encoder()


@cache
def _readers(kind: Hashable) -> dict[str, msgspec.msgpack.Decoder[Any] | msgspec.json.Decoder[Any]]:
    return {MSGPACK: msgspec.msgpack.Decoder(kind), JSON: msgspec.json.Decoder(kind)}
