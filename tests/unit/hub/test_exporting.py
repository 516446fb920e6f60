"""What is taken away: each sample is read once, little of it is held, and charts are let in beside it."""

from __future__ import annotations

import asyncio
import csv
import io
import tracemalloc
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterable, Sequence
from itertools import pairwise
from typing import cast
from uuid import UUID, uuid4

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from twinwatch.hub.exporting import (
    EXPORTERS,
    GROUP_SERIES,
    OPEN,
    OPEN_OF_ONE,
    PIECE_LINES,
    Exports,
    Format,
    Shelf,
    head_of,
)
from twinwatch.hub.stores import DAY_MILLISECONDS, Points, SampleStore, Window
from twinwatch.hub.stores.blocks import READERS
from twinwatch.hub.stores.joining import Pieces, Samples, points_of
from twinwatch.testing.client import PATIENCE_SECONDS

HOUR = 3_600_000


class Paper:
    """A store of series that are known beforehand, by number; it notes what is read, and may never answer."""

    def __init__(self, series: dict[int, dict[int, float]], *, hangs: bool = False) -> None:
        self._series = series
        self._hangs = hangs
        self.read_windows: list[tuple[int, int, int]] = []
        self.inside = 0

    async def read(self, server_id: UUID, series_ids: Sequence[int], window: Window) -> Points:
        self.inside += 1
        if self._hangs:
            await asyncio.Event().wait()
        self.inside -= 1
        self.read_windows += [(number, window.since, window.to) for number in series_ids]
        samples = [self._series[number] for number in series_ids]
        return points_of([Pieces([_samples(one)]) for one in samples], window)


def _samples(found: dict[int, float]) -> Samples:
    times = sorted(found)
    return Samples(np.array(times, dtype=np.int64), np.array([found[one] for one in times]))


async def always(_: int) -> None:
    pass


async def exported(store: Paper, series: Collection[int], since: int, to: int, form: Format = "csv") -> list[bytes]:
    heads = {number: head_of("m", {"n": str(number)}, form) for number in series}
    exports = Exports(cast("SampleStore", store))
    return [piece async for piece in exports.pieces(uuid4(), uuid4(), heads, (since, to), form, always)]


def rows(pieces: Iterable[bytes]) -> list[tuple[str, str, float]]:
    table = csv.DictReader(io.StringIO(b"".join(pieces).decode()))
    return [(row["time"], row["labels"], float(row["value"])) for row in table]


async def test_each_sample_is_read_once_and_lines_are_in_the_order_of_time_and_series() -> None:
    numbers = list(range(1, 2 * GROUP_SERIES + 10))
    series = {one: {time * 7 * HOUR + one % 3: float(one) for time in range(10)} for one in numbers}
    store = Paper(series)
    since, to = HOUR // 2, 2 * DAY_MILLISECONDS + HOUR
    found = rows(await exported(store, numbers, since, to))
    assert len(found) == sum(since <= time < to for some in series.values() for time in some)
    places = [(time, int(labels.removeprefix("n="))) for time, labels, _ in found]
    assert places == sorted(places)
    for number in numbers:
        windows = [(begin, end) for one, begin, end in store.read_windows if one == number]
        assert windows == [
            (since, DAY_MILLISECONDS),
            (DAY_MILLISECONDS, 2 * DAY_MILLISECONDS),
            (2 * DAY_MILLISECONDS, to),
        ]


async def test_no_piece_is_long() -> None:
    store = Paper({1: {time * 100: 1.0 for time in range(3 * PIECE_LINES)}})
    pieces = await exported(store, [1], 0, DAY_MILLISECONDS, "ndjson")
    assert sum(piece.count(b"\n") for piece in pieces) == 3 * PIECE_LINES
    assert all(0 < piece.count(b"\n") <= PIECE_LINES for piece in pieces)


async def test_of_no_series_there_is_nothing_to_read() -> None:
    store = Paper({})
    assert await exported(store, [], 0, 400 * DAY_MILLISECONDS) == [b"time,metric,labels,value\r\n"]
    assert await exported(store, [], 0, 400 * DAY_MILLISECONDS, "ndjson") == []
    assert store.read_windows == []


async def test_however_many_take_samples_away_charts_are_let_in() -> None:
    store = Paper({1: {}}, hangs=True)
    exports = Exports(cast("SampleStore", store))

    async def take() -> None:
        async for _ in exports.pieces(uuid4(), uuid4(), {1: ""}, (0, HOUR), "ndjson", always):
            pass

    async with asyncio.TaskGroup() as group:
        taking = [group.create_task(take()) for _ in range(20)]
        for _ in range(10):
            await asyncio.sleep(0)
        assert store.inside == EXPORTERS < READERS
        for one in taking:
            one.cancel()


async def test_what_waits_for_slow_people_is_of_few_exports_and_nobody_has_them_all() -> None:
    store = Paper({1: {time * 100: 1.0 for time in range(3 * PIECE_LINES)}})
    exports = Exports(cast("SampleStore", store))
    slow, other = uuid4(), uuid4()

    async def begun(person: UUID) -> AsyncIterator[bytes]:
        """An export of which one piece was taken."""
        pieces = exports.pieces(person, uuid4(), {1: ""}, (0, DAY_MILLISECONDS), "ndjson", always)
        await anext(pieces)
        return pieces

    open_ones = [await begun(slow) for _ in range(OPEN_OF_ONE)]
    third = asyncio.create_task(begun(slow))
    open_ones += [await begun(person) for person in [other, uuid4()][: OPEN - OPEN_OF_ONE]]
    last = asyncio.create_task(begun(other))
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(store.read_windows) == OPEN
    assert not third.done()
    assert not last.done()
    async with asyncio.timeout(PATIENCE_SECONDS):
        async for _ in open_ones[0]:
            pass
        open_ones.append(await last)
        await cast("AsyncGenerator[bytes]", open_ones[1]).aclose()
        open_ones.append(await third)
    for one in open_ones:
        await cast("AsyncGenerator[bytes]", one).aclose()


@given(
    st.lists(st.dictionaries(st.integers(0, 4 * HOUR), st.floats(allow_nan=False), max_size=20), min_size=1, max_size=9)
)
def test_what_is_put_on_the_shelf_is_taken_from_it_to_the_last_bit(series: list[dict[int, float]]) -> None:
    shelf = Shelf()
    window = Window(0, 5 * HOUR, 1 << 40)
    for first in range(0, len(series), 4):
        shelf.put(points_of([Pieces([_samples(one)]) for one in series[first : first + 4]], window), first)
    expected = sorted((time, place, value) for place, some in enumerate(series) for time, value in some.items())
    found = []
    for hour in shelf.hours():
        taken = shelf.take(hour)
        found += list(zip(*(one.tolist() for one in taken), strict=True))
    assert [(time, place) for time, place, _ in found] == [(time, place) for time, place, _ in expected]
    assert np.array([one[2] for one in found]).tobytes() == np.array([one[2] for one in expected]).tobytes()
    assert all(one[:2] < other[:2] for one, other in pairwise(found))
    assert shelf.hours() == []


def test_what_waits_on_the_shelf_is_small() -> None:
    times = np.arange(0, DAY_MILLISECONDS, 15 * 1000)
    values = np.round(np.random.default_rng(1).gamma(2, 30, (GROUP_SERIES, len(times))), 1)
    shelf = Shelf()
    shelf.put(Points(times, values, 0), 0)
    tracemalloc.start()
    try:
        shelf.put(Points(times, values, 0), GROUP_SERIES)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held / values.size < 4
