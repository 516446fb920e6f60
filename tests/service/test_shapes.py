"""A server whose series come and go has new shapes for ever; the hub keeps none of them in memory for ever."""

from __future__ import annotations

from itertools import permutations

from twinwatch.hub.shapes import REMEMBERED_SHAPES
from twinwatch.protocol.samples import Batch, Frame, SeriesKey, Shape, shape_of
from twinwatch.testing.hub_stage import Cast, HubStage

SERIES = tuple(SeriesKey("container.cpu.usage", {"container.id": str(number)}) for number in range(6))
SHAPES = [shape_of("containers", order) for order in permutations(SERIES)]


def batch(stage: HubStage, sequence: int, used: Shape, told: list[Shape]) -> Batch:
    now = stage.clock.now()
    columns: list[list[float | None]] = [[float(SERIES.index(series))] for series in used.series]
    return Batch(sequence, now, [Frame(used.id, [now], columns)], told)


async def test_shapes_that_were_left_long_ago_are_still_known_and_still_right(stage: HubStage, cast: Cast) -> None:
    half = REMEMBERED_SHAPES // 2
    told = [SHAPES[start : start + half] for start in range(0, len(SHAPES), half)]
    assert len(SHAPES) > 2 * REMEMBERED_SHAPES, "too few to make the hub forget any"
    for sequence, some in enumerate(told, start=1):
        assert (await cast.agent.send(batch(stage, sequence, some[0], some))).status == 200
    stage.clock.advance(1)
    assert (await cast.agent.send(batch(stage, 1_000, SHAPES[0], []))).status == 200
    stage.clock.advance(1)
    assert (await cast.agent.send(batch(stage, 1_001, SHAPES[-1], SHAPES[:5]))).status == 200

    latest = (await cast.owner.client.get(f"/api/v1/servers/{cast.agent.server_id}/latest")).json()
    assert {one["labels"]["container.id"]: one["value"] for one in latest["series"]} == {
        str(number): float(number) for number in range(6)
    }
    assert {one["time"] for one in latest["series"]} == {stage.clock.now()}
