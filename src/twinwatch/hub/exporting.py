"""Every sample of some series as lines of text, ascending by time, of which little is held at a time.

A day is read by groups of series, so that each part of it is unpacked once. What was read waits, compressed and by the
hour, until all groups are there; then one hour after another is put in order and written.

Invariant: a day is written only if, after it was read, all of it may still be read: what ends early is seen to be cut.
"""

from __future__ import annotations

import asyncio
import csv
import io
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple
from uuid import UUID
from weakref import WeakValueDictionary

import msgspec
import numpy as np
import zstandard
from numpy.typing import NDArray

from twinwatch.hub.measuring import EVERY_POINT
from twinwatch.hub.stores import DAY_MILLISECONDS, Points, SampleStore, Window
from twinwatch.hub.stores.log import instant
from twinwatch.hub.stores.steps import HOUR

Format = Literal["csv", "ndjson"]

OPEN = 4
"""Days that wait to be taken away, of all exports together, since whoever takes one away may be slow; others wait."""
OPEN_OF_ONE = 2
"""Of one person's exports."""
EXPORTERS = 1
"""Reads for exports at a time, of all that the store lets in."""
GROUP_SERIES = 32
"""Series in a read: of as many shapes, each at moments of its own, a day on one axis still is below 50 MB."""
PIECE_LINES = 1 << 14


class Cut(Exception):
    """What was being exported is there no more."""


class Exports:
    """Reads what people take away, a group of series of a day at a time, however many do."""

    def __init__(self, store: SampleStore) -> None:
        self._store = store
        self._reading = asyncio.Semaphore(EXPORTERS)
        self._open = asyncio.Semaphore(OPEN)
        self._open_of: WeakValueDictionary[UUID, asyncio.Semaphore] = WeakValueDictionary()

    async def pieces(
        self,
        person: UUID,
        server_id: UUID,
        series: Mapping[int, str],
        window: tuple[int, int],
        form: Format,
        still: Callable[[int], Awaitable[None]],
    ) -> AsyncIterator[bytes]:
        """The lines of ``[since, to)``. ``series`` are the heads of their lines by number, in the order of the lines.

        ``still`` is asked after each day was read, from when on; it raises if not all of that may be read any more.
        """
        if form == "csv":
            yield b"time,metric,labels,value\r\n"
        since, to = window
        numbers, heads = list(series), list(series.values())
        mine = self._open_of.setdefault(person, asyncio.Semaphore(OPEN_OF_ONE))
        while since < to and numbers:
            end = min(to, (since // DAY_MILLISECONDS + 1) * DAY_MILLISECONDS)
            async with mine, self._open:
                shelf = Shelf()
                for first in range(0, len(numbers), GROUP_SERIES):
                    group = numbers[first : first + GROUP_SERIES]
                    async with self._reading:
                        points = await self._store.read(server_id, group, Window(since, end, EVERY_POINT))
                        await asyncio.to_thread(shelf.put, points, first)
                await still(since)
                for hour in shelf.hours():
                    samples = await asyncio.to_thread(shelf.take, hour)
                    for first in range(0, len(samples.times), PIECE_LINES):
                        yield await asyncio.to_thread(_written, samples, slice(first, first + PIECE_LINES), heads, form)
            since = end


class Taken(NamedTuple):
    """Samples of several series: when each was taken, of which series by place, and what it is."""

    times: NDArray[np.int64]
    places: NDArray[np.int32]
    values: NDArray[np.float64]


class Shelf:
    """Samples by the hour, compressed: about three bytes each. Series are to be put in the order of their places."""

    def __init__(self) -> None:
        self._packed: dict[int, list[tuple[int, bytes]]] = defaultdict(list)
        """How many, and all times, then all places, then all values."""

    def put(self, points: Points, first: int) -> None:
        """Samples as they came of the series from place ``first`` on."""
        hours = points.times // HOUR
        for hour in np.unique(hours).tolist():
            begin, end = np.searchsorted(hours, (hour, hour + 1))
            values = points.values[:, begin:end]
            rows, columns = np.nonzero(~np.isnan(values))
            taken = Taken(points.times[begin:end][columns], (rows + first).astype(np.int32), values[rows, columns])
            packed = zstandard.ZstdCompressor(level=1).compress(b"".join(one.tobytes() for one in taken))
            # zstandard leaves it in a room as large as what went in: a copy is as small as it looks.
            self._packed[hour].append((len(rows), memoryview(packed).tobytes()))

    def hours(self) -> list[int]:
        """The hours of which there is something, ascending."""
        return sorted(self._packed)

    def take(self, hour: int) -> Taken:
        """What there is of an hour, ascending by time and then by place; it is on the shelf no more."""
        parts = [_unpacked(*one) for one in self._packed.pop(hour)]
        times, places, values = (np.concatenate(some) for some in zip(*parts, strict=True))
        order = np.argsort(times, kind="stable")
        return Taken(times[order], places[order], values[order])


def head_of(metric: str, labels: Mapping[str, str], form: Format) -> str:
    """What stands before the value in every line of this series."""
    if form == "ndjson":
        names = msgspec.json.encode({"metric": metric, "labels": labels}).decode()
        return f"{names[1:-1]},"
    joined = ";".join(f"{name}={value}" for name, value in sorted(labels.items()))
    row = io.StringIO()
    # A cell that begins so would be a formula to a spreadsheet.
    cells = [f"'{cell}" if cell[:1] in "=+-@\t\r" and cell else cell for cell in (metric, joined)]
    csv.writer(row).writerow([*cells, ""])
    return row.getvalue().removesuffix("\r\n")


def _unpacked(count: int, packed: bytes) -> Taken:
    body = zstandard.ZstdDecompressor().decompress(packed)
    return Taken(
        np.frombuffer(body, np.int64, count),
        np.frombuffer(body, np.int32, count, count * 8),
        np.frombuffer(body, np.float64, count, count * 12),
    )


def _written(samples: Taken, part: slice, heads: Sequence[str], form: Format) -> bytes:
    return "".join(_lines(samples, part, heads, form)).encode()


def _lines(samples: Taken, part: slice, heads: Sequence[str], form: Format) -> Iterator[str]:
    before, moment = -1, ""
    for time, place, value in zip(*(one[part].tolist() for one in samples), strict=True):
        if time != before:
            before, moment = time, instant(time).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        if form == "csv":
            yield f"{moment},{heads[place]}{value!r}\r\n"
        else:
            yield f'{{"time":{time},{heads[place]}"value":{value!r}}}\n'
