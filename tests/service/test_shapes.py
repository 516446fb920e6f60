"""A server whose series come and go has new shapes for ever; the hub keeps none of them for ever, nor in memory."""

from __future__ import annotations

import asyncio
from itertools import permutations
from typing import Any

import msgspec
import psycopg
import pytest

from twinwatch.hub.queries import RANGE_SERIES
from twinwatch.hub.refusals import Refused
from twinwatch.hub.shapes import MARGIN_MILLISECONDS, REMEMBERED_SHAPES, Shapes
from twinwatch.hub.statements import Statements
from twinwatch.hub.stores.log import instant
from twinwatch.protocol import limits
from twinwatch.protocol.samples import Batch, Frame, SeriesKey, Shape, shape_of
from twinwatch.testing.hub_stage import Cast, HandClock, HubStage, Voice

SERIES = tuple(SeriesKey("container.cpu.usage", {"container.id": str(number)}) for number in range(6))
SHAPES = [shape_of("containers", order) for order in permutations(SERIES)]

HOUR, DAY = 3600.0, 24 * 3600.0
KEPT_DAYS = 7
AGED_SECONDS = KEPT_DAYS * DAY + MARGIN_MILLISECONDS / 1000 + 2 * HOUR
"""After so long without a use a shape ends."""


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


def generation(number: int, living: int = 50) -> Shape:
    """Jobs with names of their own, which follow those of the generation before."""
    return shape_of("jobs", tuple(SeriesKey("job.cpu", {"name": f"job-{number}-{one}"}) for one in range(living)))


async def ran(stage: HubStage, voice: Voice, shape: Shape) -> None:
    """A batch of it."""
    voice.shape = shape
    reply = await voice.push((stage.clock.now(), tuple(float(one) for one in range(len(shape.series)))))
    assert reply.status == 200, reply.body


async def asked(stage: HubStage, cast: Cast, route: str, **query: int | str) -> Any:
    client = (await stage.person(cast.organization_id, "owner")).client
    pairs = "&".join(f"{name}={value}" for name, value in query.items())
    reply = await client.get(f"/api/v1/servers/{cast.agent.server_id}/{route}?metric=job.cpu&{pairs}")
    assert reply.status == 200, reply.body
    return reply.json()["series"]


async def there(stage: HubStage, cast: Cast) -> tuple[list[str], set[int]]:
    """The server's shapes, and its series."""
    server = cast.agent.server_id
    shapes = await stage.execute("select id from public.shapes where server_id = %s order by created_at, id", server)
    series = await stage.execute("select id from public.series where server_id = %s", server)
    return [one for (one,) in shapes], {one for (one,) in series}


async def test_jobs_with_names_of_their_own_never_fill_a_server_up(stage: HubStage, cast: Cast) -> None:
    generations = limits.SERIES_PER_SERVER // 50 + 10
    for number in range(generations):
        await ran(stage, cast.agent, generation(number))
        stage.clock.advance(HOUR)
        if number % 24 == 23:
            await stage.hub.tend()
    now, hour = stage.clock.now(), round(HOUR * 1000)
    found = await asked(stage, cast, "range", since=now - hour, to=now)
    assert 50 <= len(found) < RANGE_SERIES, "those of some hours"
    assert sum(one["values"] != [None] * len(one["values"]) for one in found) == 50
    begun = now - generations * hour + 100 * hour
    found = await asked(stage, cast, "range", since=begun, to=begun + 12 * hour, label="name:job-100-3")
    assert [one["labels"]["name"] for one in found] == ["job-100-3"], "that of a window gone by"


async def test_series_of_one_day_are_bounded_all_the_same(stage: HubStage, cast: Cast) -> None:
    for number in range(4):
        await ran(stage, cast.agent, generation(number, 2_500))
        stage.clock.advance(HOUR)
    cast.agent.shape = generation(4, 1)
    assert (await cast.agent.push((stage.clock.now(), (1.0,)))).problem.limit == limits.SERIES_PER_SERVER
    stage.clock.advance(DAY)
    await ran(stage, cast.agent, generation(4, 1))
    assert len((await there(stage, cast))[1]) == 10_001


async def test_what_was_not_used_for_longer_than_it_is_kept_ends_and_what_is_used_stays(
    stage: HubStage, cast: Cast
) -> None:
    old, both = generation(1, 2), shape_of("jobs", (generation(1, 2).series[0], SeriesKey("job.cpu", {"name": "x"})))
    await ran(stage, cast.agent, old)
    _, first = await there(stage, cast)
    for _ in range(round(AGED_SECONDS / DAY)):
        stage.clock.advance(DAY)
        await ran(stage, cast.agent, both)
        await stage.hub.tend()
        assert (await there(stage, cast))[0] == [old.id, both.id]
    stage.clock.advance(DAY)
    await stage.hub.tend()
    shapes, series = await there(stage, cast)
    assert shapes == [both.id]
    assert len(series) == 2
    assert len(series & first) == 1, "one of the old is in the other shape too"
    await ran(stage, cast.agent, both)


async def test_a_longer_plan_keeps_shapes_for_longer(stage: HubStage, cast: Cast) -> None:
    await stage.execute("update public.organizations set plan = 'pro' where id = %s", cast.organization_id)
    await ran(stage, cast.agent, generation(1))
    stage.clock.advance(AGED_SECONDS)
    await stage.hub.tend()
    assert len((await there(stage, cast))[1]) == 50
    stage.clock.advance(83 * DAY)
    await stage.hub.tend()
    assert await there(stage, cast) == ([], set())


async def test_a_hub_that_remembers_a_shape_which_has_ended_learns_it_anew(stage: HubStage, cast: Cast) -> None:
    """The shape ended while it was in the memory of several hubs."""
    shape, others = generation(1, 2), Shapes(stage.clock, stage.hub.database)
    who = (cast.organization_id, cast.agent.server_id, {shape.id})
    before = await others.series_of(*who, [shape])
    await ran(stage, cast.agent, shape)
    stage.clock.advance(AGED_SECONDS)
    await stage.hub.tend()
    assert await there(stage, cast) == ([], set())
    for hub in (others, Shapes(stage.clock, stage.hub.database)):
        with pytest.raises(Refused) as refused:
            await hub.series_of(*who, [])
        assert (refused.value.status, refused.value.slug) == (409, "unknown-shapes")
    told = msgspec.structs.replace(cast.agent.batch((stage.clock.now(), (1.0, 2.0))), shapes=[])
    assert (await cast.agent.send(told)).problem.shapes == [shape.id]
    await ran(stage, cast.agent, shape)
    after = await others.series_of(*who, [])
    assert set(after[shape.id]).isdisjoint(before[shape.id])
    assert (await there(stage, cast))[1] == set(after[shape.id])
    latest = await asked(stage, cast, "latest")
    assert {one["value"] for one in latest} == {0.0, 1.0}


async def test_a_use_is_noted_once_an_hour(stage: HubStage, cast: Cast) -> None:
    notes = set()
    for _ in range(3 * 60):
        await ran(stage, cast.agent, generation(1, 2))
        notes |= set(await stage.execute("select xmin::text, last_used_at from public.shapes"))
        stage.clock.advance(60)
    assert len(notes) == 3


async def test_a_hub_whose_clock_is_wrong_neither_ends_a_shape_nor_keeps_it_alive(stage: HubStage, cast: Cast) -> None:
    shape = generation(1, 2)
    await ran(stage, cast.agent, shape)
    for wrong in (HandClock(stage.clock.now() - 400 * 86_400_000), HandClock(stage.clock.now() + 4000 * 86_400_000)):
        hub = Shapes(wrong, stage.hub.database)
        assert await hub.series_of(cast.organization_id, cast.agent.server_id, {shape.id}, [])
        await stage.hub.tend()
        assert (await there(stage, cast))[0] == [shape.id]
    assert await stage.execute("select last_used_at <= now() from public.shapes") == [(True,)]


async def test_a_shape_that_is_being_used_is_not_ended(stage: HubStage, cast: Cast) -> None:
    await ran(stage, cast.agent, generation(1))
    stage.clock.advance(AGED_SECONDS)
    now = instant(stage.clock.now())
    async with await psycopg.AsyncConnection.connect(stage.owner_url) as other:
        use = Statements("shapes")["use"]
        await other.execute(use, {"server": cast.agent.server_id, "ids": [generation(1).id], "now": now})
        tending = asyncio.create_task(stage.hub.tend())
        await waits(stage, "transactionid")
        await other.commit()
    await tending
    assert len((await there(stage, cast))[1]) == 50


async def test_a_series_that_a_new_shape_has_is_not_ended_with_the_old(stage: HubStage, cast: Cast) -> None:
    await ran(stage, cast.agent, generation(1, 2))
    _, series = await there(stage, cast)
    stage.clock.advance(AGED_SECONDS)
    learner = Statements("shapes")
    who = {"server": cast.agent.server_id, "organization": cast.organization_id, "now": instant(stage.clock.now())}
    async with await psycopg.AsyncConnection.connect(stage.owner_url) as other:
        for name in ("hold_shapes", "lock_server"):
            await other.execute(learner[name], who)
        tending = asyncio.create_task(stage.hub.tend())
        await waits(stage, "advisory")
        await other.execute(learner["add_shape"], {**who, "id": "f" * 16, "monitor": "m", "series": sorted(series)})
        await other.commit()
    await tending
    assert await there(stage, cast) == (["f" * 16], series)


async def test_a_server_takes_in_samples_while_its_shapes_are_being_learnt_or_ended(
    stage: HubStage, cast: Cast
) -> None:
    await ran(stage, cast.agent, generation(1))
    async with await psycopg.AsyncConnection.connect(stage.owner_url) as other:
        for name in ("hold_shapes", "lock_server"):
            await other.execute(Statements("shapes")[name], {"server": cast.agent.server_id})
        async with asyncio.timeout(5):
            await ran(stage, cast.agent, generation(1))


async def waits(stage: HubStage, lock: str) -> None:
    """Until somebody waits for a lock of this kind."""
    async with asyncio.timeout(10):
        while not await stage.execute(  # noqa: ASYNC110
            "select from pg_stat_activity where datname = current_database() and wait_event = %s", lock
        ):
            await asyncio.sleep(0.01)
