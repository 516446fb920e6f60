"""Roll-ups to bytes and back: count, sum, min and max of the buckets of a column. Pure.

A roll-up of a day has an axis (the starts of the buckets in which its shape ran at all, and how often) and a part for
each column. A column without gaps has the axis' counts; one whose values are decimals has exact sums, as integers.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from twinwatch.hub.stores.columns import (
    NONE,
    Times,
    Values,
    exponent_of,
    pack_numbers,
    pack_times,
    unpack_numbers,
    unpack_times,
)
from twinwatch.hub.stores.joining import Rolled

ONE, DECIMAL, FLOAT = 1, 2, 3
GAPS = 0x80
SHORT = 0x40
"""Lengths of parts take two bytes, and not four as they once did."""
LARGEST_SUM = 1 << 62


class Axis(NamedTuple):
    """Where the buckets begin, ms UTC, and how many runs each has."""

    starts: Times
    counts: Values


class Slots(NamedTuple):
    """How the runs of a day fall into buckets: where each bucket's runs begin."""

    axis: Axis
    begins: NDArray[np.intp]


def slots_of(times: Times, step: int) -> Slots:
    """The buckets of ascending times, at least one."""
    buckets = times // step
    begins = np.flatnonzero(np.diff(buckets, prepend=-1))
    counts = np.diff(begins, append=len(times)).astype(np.float64)
    return Slots(Axis(buckets[begins] * step, counts), begins)


def pack_axis(axis: Axis) -> bytes:
    """The axis of a roll-up."""
    starts = pack_times(axis.starts)
    return struct.pack("<I", len(starts)) + starts + pack_numbers(axis.counts.astype(np.int64))


def unpack_axis(packed: bytes) -> Axis:
    """What ``pack_axis`` was given."""
    (length,) = struct.unpack_from("<I", packed)
    starts = unpack_times(packed[4 : 4 + length])
    return Axis(starts, unpack_numbers(packed[4 + length :], len(starts)).astype(np.float64))


def pack_rolled(values: Values, slots: Slots) -> bytes:
    """The buckets of one column; NaN = no sample."""
    there = ~np.isnan(values)
    if not there.any():
        return bytes([NONE])
    begins = slots.begins
    flags, parts = 0, []
    if not there.all():
        counts = np.add.reduceat(there.astype(np.int64), begins)
        flags = GAPS
        parts.append(pack_numbers(counts))
        # Of what is there only: the runs before each bucket's first that have a sample.
        places = np.concatenate(([0], np.cumsum(counts)[:-1]))
        begins = places[counts > 0]
        values = values[there]
    if (values.view(np.int64) == values[:1].view(np.int64)).all():
        return _joined(ONE | flags, [struct.pack("<d", values[0]), *parts])
    with np.errstate(over="ignore", invalid="ignore"):
        exponent = exponent_of(values)
    if exponent is None:
        kind, head, numbers = FLOAT, b"", values
    else:
        kind, head = DECIMAL, bytes([exponent])
        numbers = np.rint(values * 10.0**exponent).astype(np.int64)
        if np.abs(numbers).max() > LARGEST_SUM // len(numbers):
            kind, head, numbers = FLOAT, b"", values
    for measure in (np.add, np.minimum, np.maximum):
        with np.errstate(over="ignore"):
            parts.append(pack_numbers(measure.reduceat(numbers, begins)))
    return _joined(kind | flags, [head, *parts])


def unpack_rolled(packed: bytes, axis: Axis) -> Rolled:
    """The buckets of one column that have samples."""
    kind = packed[0] & ~(GAPS | SHORT)
    if kind == NONE:
        none = np.empty(0)
        return Rolled(np.empty(0, dtype=np.int64), none, none, none, none)
    head, *parts = _split(packed)
    starts, counts = axis
    if packed[0] & GAPS:
        counts = unpack_numbers(parts.pop(0), len(starts)).astype(np.float64)
        starts, counts = starts[counts > 0], counts[counts > 0]
    if kind == ONE:
        (value,) = struct.unpack("<d", head)
        all_alike = np.full(len(starts), value)
        with np.errstate(over="ignore"):  # a sum beyond all numbers is infinite
            return Rolled(starts, counts, counts * value, all_alike, all_alike)
    scale = 1.0 if kind == FLOAT else 10.0 ** head[0]
    sums, mins, maxs = (unpack_numbers(part, len(starts)) / scale for part in parts)
    return Rolled(starts, counts, sums, mins, maxs)


def _joined(kind: int, parts: list[bytes]) -> bytes:
    lengths = struct.pack(f"<{len(parts)}H", *map(len, parts))
    return bytes([kind | SHORT, len(parts)]) + lengths + b"".join(parts)


def _split(packed: bytes) -> list[bytes]:
    lengths = struct.Struct(f"<{packed[1]}{'H' if packed[0] & SHORT else 'I'}")
    found, place = [], 2 + lengths.size
    for length in lengths.unpack_from(packed, 2):
        found.append(packed[place : place + length])
        place += length
    return found
