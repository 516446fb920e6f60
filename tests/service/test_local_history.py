"""Charts of a full buffer: quick enough to open a page on, and in memory that does not depend on its length."""

from __future__ import annotations

import random
import time
import tracemalloc
from pathlib import Path

import pytest

from twinwatch.agent.buffer import Buffer, Page, Tick
from twinwatch.agent.local import history
from twinwatch.agent.local.history import Lines, grid, lines_of, newest
from twinwatch.protocol.samples import SeriesKey, Shape, shape_of

NOW = 1_800_000_000_000
DAY = 86_400_000
TICK = 15_000


class Shelf:
    """A real buffer, read on the spot; ``most`` is the longest page."""

    def __init__(self, folder: Path) -> None:
        self.buffer = Buffer(folder / "buffer.sqlite3", NOW)
        self.most = 0

    async def read(self, since: int, until: int, *, metrics: object, after: object, ticks: int) -> Page:
        page = self.buffer.page(since, until, metrics=metrics, after=after, ticks=ticks)  # type: ignore[arg-type]
        self.most = max(self.most, len(page.ticks))
        return page

    async def lines(self, *metrics: str, span: int = DAY, points: int = 300) -> Lines:
        first, step, points = grid(NOW - span, NOW, points=points, least=TICK)
        return await lines_of(self.read, set(metrics), first=first, step=step, points=points)


def shape(name: str, metrics: int) -> Shape:
    keys = (SeriesKey(f"{name}.{metric}", {"device": device}) for metric in range(metrics) for device in ("a", "b"))
    return shape_of(name, tuple(keys))


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """24 hours of a monitor with 150 series and of one with 20."""
    shelf, noise = Shelf(tmp_path_factory.mktemp("full")), random.Random(1)
    shapes = [shape("system", 75), shape("other", 10)]
    for start in range(NOW - DAY, NOW, 100 * TICK):
        shelf.buffer.keep(
            [
                Tick(each, at, [noise.random() for _ in each.series])
                for at in range(start, min(start + 100 * TICK, NOW), TICK)
                for each in shapes
            ]
        )
    return shelf


async def test_a_day_of_a_whole_monitor_is_there_in_a_moment_and_in_bounded_memory(full: Shelf) -> None:
    metrics = [f"system.{metric}" for metric in range(75)]
    began = time.process_time()
    lines = await full.lines(*metrics)
    spent = time.process_time() - began
    assert len(lines.series) == 150
    assert all(sum(value is not None for value in line.values) >= 287 for line in lines.series)
    assert spent < 3.0
    assert full.most <= history.PAGE_TICKS
    tracemalloc.start()
    try:
        await full.lines(*metrics)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 12 << 20


async def test_what_is_not_asked_for_is_not_read(full: Shelf) -> None:
    began = time.process_time()
    lines = await full.lines("other.3", span=3_600_000)
    assert time.process_time() - began < 0.5
    assert [(line.metric, line.labels) for line in lines.series] == [
        ("other.3", {"device": "a"}),
        ("other.3", {"device": "b"}),
    ]


async def test_buckets_hold_means_and_pauses_stay_pauses(tmp_path: Path) -> None:
    shelf, one = Shelf(tmp_path), shape_of("m", (SeriesKey("m"),))
    for at, value in ((0, 1.0), (30_000, 3.0), (60_000, None), (120_000, 7.0)):
        shelf.buffer.keep([Tick(one, NOW + at, [value])])
    lines = await lines_of(shelf.read, {"m"}, first=NOW, step=60_000, points=4)
    assert [line.values for line in lines.series] == [[2.0, None, 7.0, None]]


async def test_more_series_than_an_answer_may_hold_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "SERIES", 3)
    shelf, one = Shelf(tmp_path), shape("m", 1)
    two = shape_of("n", tuple(SeriesKey("m.0", {"device": str(number)}) for number in range(5)))
    shelf.buffer.keep([Tick(one, NOW, [1, 2]), Tick(two, NOW, [1, 2, 3, 4, 5])])
    lines = await lines_of(shelf.read, {"m.0"}, first=NOW, step=60_000, points=1)
    assert (len(lines.series), lines.left_out) == (3, 4)


async def test_the_newest_value_of_each_series_is_found(tmp_path: Path) -> None:
    shelf, one = Shelf(tmp_path), shape("m", 1)
    shelf.buffer.keep([Tick(one, NOW, [1, 2]), Tick(one, NOW + 1, [3, None])])
    found = await newest(shelf.read, NOW - 1000, NOW + 1000)
    assert sorted((key.labels["device"], value) for key, _, value in found.values()) == [("a", 3), ("b", 2)]
