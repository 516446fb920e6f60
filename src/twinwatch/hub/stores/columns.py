"""Columns of samples to bytes and back, lossless: what a block on disk is made of. Pure.

A column is one byte that says how it is kept, and what follows from that:

- ``NONE`` nothing: no sample at all
- ``ONE`` the value that all samples have, as a double
- ``DECIMAL`` an exponent (one byte), and the values times ten to it as integers
- ``FLOAT`` the values as doubles

with ``GAPS`` added where samples are missing: then the places of those that are there come first, as bits in zstd with
their length before them. What monitors yield has few decimal digits; as integers it takes half of what it takes as
doubles.

Integers and doubles are compressed by pcodec, integers in the narrowest type that holds them all, since pcodec tells
the bounds of its bins in that type. A column knows how many it has, so they stand in pcodec's wrapped format behind one
byte for the type; those that are too many for one page of it, and what was written before this was so, are in its
standalone format, which begins with ``pco!``.

Source: https://github.com/pcodec/pcodec/blob/main/docs/format.md
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import zstandard
from numpy.typing import NDArray
from pcodec import ChunkConfig, DeltaSpec, ModeSpec, standalone, wrapped

Times = NDArray[np.int64]
Values = NDArray[np.float64]

NONE, ONE, DECIMAL, FLOAT = range(4)
GAPS = 0x80
LARGEST = float(1 << 53)
EXPONENTS = range(10)
PROBE = 24
"""So many values are tried before all are."""
TYPES = {"i16": np.int16, "i32": np.int32, "i64": np.int64, "f64": np.float64}
KINDS = tuple(TYPES)
"""A stream's first byte is a place in these."""
STANDALONE = b"pco!"
PAGE = 1 << 18
"""So many numbers fit into one page."""

QUICK = (ChunkConfig(compression_level=8),)
THOROUGH = (
    ChunkConfig(compression_level=12),
    ChunkConfig(compression_level=12, delta_spec=DeltaSpec.no_op()),
    ChunkConfig(compression_level=12, delta_spec=DeltaSpec.try_consecutive(1)),
    ChunkConfig(compression_level=12, delta_spec=DeltaSpec.try_lookback()),
    ChunkConfig(compression_level=12, delta_spec=DeltaSpec.try_lookback(), mode_spec=ModeSpec.classic()),
)
"""What is written once and kept for months is tried in each of these ways: a tenth smaller than what pcodec chooses."""


def pack_times(times: Times, *, thorough: bool = False) -> bytes:
    """Ascending times, ms UTC, and how many there are."""
    return struct.pack("<I", len(times)) + pack_numbers(times, thorough=thorough)


def unpack_times(packed: bytes) -> Times:
    """What ``pack_times`` was given."""
    if packed.startswith(STANDALONE):
        return unpack_numbers(packed, 0)
    (count,) = struct.unpack_from("<I", packed)
    return unpack_numbers(packed[4:], count)


def pack_values(values: Values, *, thorough: bool = False) -> bytes:
    """One column; NaN = no sample. ``thorough``: smaller, at ten times the cost."""
    gaps = np.isnan(values)
    if not gaps.any():
        kind, rest = _kept(values, thorough)
        return bytes([kind]) + rest
    if gaps.all():
        return bytes([NONE])
    bits = zstandard.ZstdCompressor(level=3).compress(np.packbits(~gaps).tobytes())
    kind, rest = _kept(values[~gaps], thorough)
    return bytes([kind | GAPS]) + struct.pack("<I", len(bits)) + bits + rest


def unpack_values(packed: bytes, count: int) -> Values:
    """The column of so many places that ``pack_values`` was given."""
    kind, rest = packed[0], packed[1:]
    if kind == NONE:
        return np.full(count, np.nan)
    if not kind & GAPS:
        return _unpacked(kind, rest, count)
    (length,) = struct.unpack_from("<I", rest)
    bits = zstandard.ZstdDecompressor().decompress(rest[4 : 4 + length])
    there = np.unpackbits(np.frombuffer(bits, dtype=np.uint8), count=count).astype(bool)
    values = np.full(count, np.nan)
    values[there] = _unpacked(kind & ~GAPS, rest[4 + length :], int(there.sum()))
    return values


def pack_numbers(numbers: NDArray[Any], *, thorough: bool = False) -> bytes:
    """int64 or float64, at least one."""
    straight = np.ascontiguousarray(numbers)
    ways = THOROUGH if thorough else QUICK
    if len(straight) > PAGE:
        return min((bytes(standalone.simple_compress(straight, one)) for one in ways), key=len)
    narrow = _narrow(straight)
    return min((_stream(narrow, one) for one in ways), key=len)


def unpack_numbers(packed: bytes, count: int) -> NDArray[Any]:
    """The so many numbers that ``pack_numbers`` was given."""
    if packed.startswith(STANDALONE):
        return np.asarray(standalone.simple_decompress(packed))
    kind, rest = KINDS[packed[0]], packed[1:]
    file, length = wrapped.FileDecompressor.new(rest)
    rest = rest[length:]
    chunk, length = file.chunk_decompressor(rest, kind)
    numbers = np.empty(count, dtype=TYPES[kind])
    chunk.read_page_into(rest[length:], count, numbers)
    return numbers.astype(np.float64 if kind == "f64" else np.int64, copy=False)


def exponent_of(values: Values) -> int | None:
    """The least power of ten that makes integers of all these values, from which they come back to the last bit."""
    for exponent in EXPONENTS:
        scale = 10.0**exponent
        for some in (values[:PROBE], values):
            whole = np.rint(some * scale)
            # Compared as bits: -0.0 is not 0.0.
            back = (whole + 0.0) / scale
            if not (back.view(np.int64) == some.view(np.int64)).all() or np.abs(whole).max() > LARGEST:
                break
        else:
            return exponent
    return None


def _kept(values: Values, thorough: bool) -> tuple[int, bytes]:
    bits = values.view(np.int64)
    if (bits == bits[0]).all():
        return ONE, struct.pack("<d", values[0])
    with np.errstate(over="ignore", invalid="ignore"):
        exponent = exponent_of(values)
    if exponent is None:
        return FLOAT, pack_numbers(values, thorough=thorough)
    whole = np.rint(values * 10.0**exponent).astype(np.int64)
    return DECIMAL, bytes([exponent]) + pack_numbers(whole, thorough=thorough)


def _narrow(numbers: NDArray[Any]) -> NDArray[Any]:
    """The same in the narrowest type of integers that holds them; floats as they are."""
    if numbers.dtype != np.int64:
        return numbers
    least, most = numbers.min(), numbers.max()
    for kind in (np.int16, np.int32):
        if np.iinfo(kind).min <= least and most <= np.iinfo(kind).max:
            return numbers.astype(kind)
    return numbers


def _stream(numbers: NDArray[Any], way: ChunkConfig) -> bytes:
    file = wrapped.FileCompressor()
    chunk = file.chunk_compressor(numbers, way)
    kind = f"{numbers.dtype.kind}{numbers.dtype.itemsize * 8}"
    return b"".join((bytes([KINDS.index(kind)]), file.write_header(), chunk.write_meta(), chunk.write_page(0)))


def _unpacked(kind: int, rest: bytes, count: int) -> Values:
    if kind == ONE:
        return np.full(count, struct.unpack("<d", rest)[0])
    if kind == DECIMAL:
        return unpack_numbers(rest[1:], count) / 10.0 ** rest[0]
    return unpack_numbers(rest, count)
