"""Series of the buffer as a chart needs them: a mean per bucket, read a page at a time.

Invariants: memory is bounded by ``SERIES`` × ``POINTS`` figures and one page of ticks, however long the window and
whatever the buffer holds; a bucket without a sample is null, never zero; the loop is free between two pages.
"""

from __future__ import annotations

from array import array
from collections.abc import AsyncIterator, Awaitable, Collection
from typing import Protocol

import msgspec

from twinwatch.agent.buffer import Page, Place, Tick
from twinwatch.agent.local.refusals import Refused
from twinwatch.protocol.samples import SeriesKey, Shape

POINTS = 600
SERIES = 500
"""Most series of one answer; the rest is left out, and the answer says so."""
PAGE_TICKS = 400
WINDOW_MILLISECONDS = 7 * 86_400_000


class PageReader(Protocol):
    """``Buffer.page``, on the buffer's own thread."""

    def __call__(
        self, since: int, until: int, *, metrics: Collection[str], after: Place, ticks: int
    ) -> Awaitable[Page]:
        """The next at most ``ticks`` ticks of ``[since, until)`` with one of ``metrics`` (any if none is named)."""
        ...


class Line(msgspec.Struct, frozen=True):
    """One series; a value per bucket, null where there is no sample."""

    metric: str
    labels: dict[str, str]
    values: list[float | None]


class Lines(msgspec.Struct, frozen=True):
    """Buckets of ``step`` ms, the first beginning at ``first``; ``left_out`` counts series beyond the bound."""

    first: int
    step: int
    points: int
    series: list[Line]
    left_out: int = 0


class _Sums:
    """Of one series: the sum and the number of its samples per bucket."""

    __slots__ = ("counts", "sums")

    def __init__(self, points: int) -> None:
        self.sums = array("d", bytes(8 * points))
        self.counts = array("L", bytes(array("L").itemsize * points))

    def means(self) -> list[float | None]:
        """Six significant digits: more than any chart shows."""
        return [
            None if not count else total if count == 1 else float(f"{total / count:.6g}")
            for total, count in zip(self.sums, self.counts, strict=True)
        ]


def grid(since: int, until: int, *, points: int, least: int) -> tuple[int, int, int]:
    """Start, step and number of buckets that cover the window, on whole multiples of a step of at least ``least`` ms.

    Raises: Refused.
    """
    if not 0 < until - since <= WINDOW_MILLISECONDS:
        detail = f"since={since}, until={until}: expected milliseconds, since before until and at most 7 days apart"
        raise Refused(400, "invalid", "Not understood", detail)
    step = max(1000, least, -(-(until - since) // max(1, min(points, POINTS) - 1)))
    step = -(-step // 1000) * 1000
    first = since // step * step
    return first, step, -(-(until - first) // step)


async def lines_of(read: PageReader, metrics: Collection[str], *, first: int, step: int, points: int) -> Lines:
    """The series of these metrics, in the order of their names."""
    sums: dict[tuple[str, tuple[tuple[str, str], ...]], _Sums] = {}
    plans: dict[str, list[tuple[int, _Sums]]] = {}
    left_out: set[object] = set()

    def plan_of(shape: Shape) -> list[tuple[int, _Sums]]:
        plan = []
        for place, key in enumerate(shape.series):
            if key.metric not in metrics:
                continue
            name = key.metric, tuple(sorted(key.labels.items()))
            if name not in sums and len(sums) >= SERIES:
                left_out.add(name)
                continue
            plan.append((place, sums.setdefault(name, _Sums(points))))
        return plan

    async for page in pages(read, first, first + step * points, metrics):
        for tick in page:
            plan = plans.get(tick.shape.id)
            if plan is None:
                plan = plans[tick.shape.id] = plan_of(tick.shape)
            if not plan:
                continue
            bucket, values = (tick.time - first) // step, tick.values
            for place, line in plan:
                value = values[place]
                if value is not None:
                    line.sums[bucket] += value
                    line.counts[bucket] += 1
    found = [
        Line(metric, dict(labels), line.means())
        for (metric, labels), line in sorted(sums.items(), key=_by_name)
        if any(line.counts)
    ]
    return Lines(first, step, points, found, len(left_out))


async def newest(read: PageReader, since: int, until: int) -> dict[str, tuple[SeriesKey, int, float]]:
    """The last sample of every series within the window, by an identity of the series."""
    found: dict[str, tuple[SeriesKey, int, float]] = {}
    names: dict[str, list[str]] = {}
    async for page in pages(read, since, until):
        for tick in page:
            if tick.shape.id not in names:
                names[tick.shape.id] = [
                    "\0".join((key.metric, *(text for pair in sorted(key.labels.items()) for text in pair)))
                    for key in tick.shape.series
                ]
            for name, key, value in zip(names[tick.shape.id], tick.shape.series, tick.values, strict=True):
                if value is not None and (name not in found or found[name][1] <= tick.time):
                    found[name] = key, tick.time, value
    return found


async def pages(read: PageReader, since: int, until: int, metrics: Collection[str] = ()) -> AsyncIterator[list[Tick]]:
    """Every tick of ``[since, until)`` once; those that are in memory only come last."""
    after: Place | None = (-1, -1)
    while after is not None:
        page = await read(since, until, metrics=metrics, after=after, ticks=PAGE_TICKS)
        yield page.ticks
        after = page.after


def _by_name(item: tuple[tuple[str, tuple[tuple[str, str], ...]], _Sums]) -> tuple[str, tuple[tuple[str, str], ...]]:
    return item[0]
