"""Whatever comes in, and whatever the store does with it meanwhile: it reads as the plain model does."""

from __future__ import annotations

from collections.abc import AsyncIterator

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from twinwatch.hub.stores import Measure, Window
from twinwatch.hub.stores.steps import buckets, step_for
from twinwatch.testing.fakes import EPOCH
from twinwatch.testing.postgres import Cluster
from twinwatch.testing.stores import MemoryStore

from .grounds import GROUNDS, opened
from .store_ground import DAY, HOUR, Ground, Server, Ticks

TIMES = st.integers(0, 3 * DAY).map(lambda offset: EPOCH - 3 * DAY + offset)
MEASURES: list[Measure] = ["mean", "min", "max", "sum", "count"]
WINDOWS = st.tuples(TIMES, st.integers(1, 4 * DAY), st.integers(1, 300), st.sampled_from(MEASURES))


@pytest.fixture(params=[one for one in GROUNDS if one.lawful], ids=lambda kind: kind.name)
async def ground(request: pytest.FixtureRequest, cluster: Cluster) -> AsyncIterator[Ground]:
    async with opened(request, cluster) as ground:
        yield ground


def value_at(series: int, time: int, spice: int) -> float:
    """A series has one value at one time, whichever batch brings it: engines differ in which of two they keep."""
    whole = (time // 1000 * 31 + series * 17 + spice) % 1000
    return float(whole) if (series + spice) % 2 else whole / 7


@st.composite
def batches(draw: st.DrawFn) -> list[list[tuple[str, Ticks]]]:
    """Up to six batches of up to three frames of two columns."""
    spice = draw(st.integers(0, 3))
    made: list[list[tuple[str, Ticks]]] = []
    for _ in range(draw(st.integers(1, 6))):
        frames: list[tuple[str, Ticks]] = []
        for _ in range(draw(st.integers(1, 3))):
            start, step = draw(TIMES), draw(st.sampled_from([1, 1_000, 15_000, 60_001]))
            rows = draw(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40))
            shape = draw(st.sampled_from("ab"))
            series = (0, 1) if shape == "a" else (1, 0)
            ticks = [
                (
                    start + n * step,
                    [
                        value_at(one, start + n * step, spice) if there else None
                        for one, there in zip(series, row, strict=True)
                    ],
                )
                for n, row in enumerate(rows)
            ]
            frames.append((shape * 16, ticks))
        made.append(frames)
    return made


TWO_SHAPES_AT_ONE_TIME: list[list[tuple[str, Ticks]]] = [
    [("a" * 16, [(EPOCH, (None, None))])],
    [("b" * 16, [(EPOCH + 1, (None, 1.0))]), ("a" * 16, [(EPOCH + 1, (1.0, None))])],
]


@given(batches(), st.lists(WINDOWS, min_size=1, max_size=4), st.lists(st.integers(0, 6), max_size=3))
@example(TWO_SHAPES_AT_ONE_TIME, [(EPOCH, 2, 1, "mean")], [1])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_whatever_came_in_every_window_reads_as_the_plain_model_does(
    ground: Ground,
    made: list[list[tuple[str, Ticks]]],
    windows: list[tuple[int, int, int, Measure]],
    settled_after: list[int],
) -> None:
    server = await ground.server()
    model = MemoryStore(lambda _: server.organization_id)
    for at, frames in enumerate(made):
        arrival = server.arrival(*frames, received_at=EPOCH + at * HOUR)
        for store in (ground.store, model):
            await store.write([arrival])
        if at in settled_after:
            await ground.settle(EPOCH + (at + 1) * HOUR)
            await compare(ground, model, server, windows)
    await compare(ground, model, server, windows)
    await ground.settle(EPOCH + 100 * HOUR)
    await compare(ground, model, server, windows)


async def compare(
    ground: Ground, model: MemoryStore, server: Server, windows: list[tuple[int, int, int, Measure]]
) -> None:
    for since, length, points, measure in windows:
        window = Window(since, since + length, points, measure)
        found = await ground.store.read(server.id, server.series, window)
        expected = await model.read(server.id, server.series, window)
        assert found.step == expected.step
        np.testing.assert_array_equal(found.times, expected.times)
        np.testing.assert_allclose(found.values, expected.values, rtol=1e-9, atol=1e-6)
        assert len(found.times) <= points
        assert (np.diff(found.times) > 0).all()
        if found.step:
            assert (found.times % found.step == 0).all()
        else:
            assert ((found.times >= window.since) & (found.times < window.to)).all()


@given(st.integers(0, 1 << 45), st.integers(1, 1 << 45), st.integers(1, 2_000), st.integers(0, 1 << 40))
@settings(max_examples=500, deadline=None)
def test_a_step_covers_any_window_with_at_most_the_points_asked_for(
    since: int, length: int, points: int, least: int
) -> None:
    step = step_for(since, since + length, points, least)
    assert step >= max(1_000, least)
    assert buckets(since, since + length, step) <= points
