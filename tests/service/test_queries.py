"""What people ask about samples: lines of several servers, measures, catalogues of series, exports; never too old."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import count
from typing import Any
from uuid import UUID

import aiohttp
import pytest

from twinwatch.hub.db import DatabaseAway
from twinwatch.hub.stores import DAY_MILLISECONDS, Points, Window
from twinwatch.hub.stores.blocks import BlocksStore
from twinwatch.protocol.samples import SeriesKey, shape_of
from twinwatch.testing.hub_stage import Cast, HubStage, Voice

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
CORES = shape_of("test", tuple(SeriesKey("test.busy", {"core": str(core)}) for core in range(4)))


async def pushed(voice: Voice, ticks: Mapping[int, Sequence[float | None]]) -> None:
    voice.shape = CORES
    reply = await voice.push(*ticks.items())
    assert reply.status == 200, reply


async def asked(cast: Cast, route: str, **query: Any) -> Any:
    pairs = [(name, one) for name, some in query.items() for one in (some if isinstance(some, list) else [some])]
    reply = await cast.owner.client.get(f"/api/v1/{route}?" + "&".join(f"{name}={one}" for name, one in pairs))
    assert reply.status == 200, reply
    return reply.json()


async def test_a_range_tells_of_its_steps_what_is_asked(stage: HubStage, cast: Cast) -> None:
    now = stage.clock.now()
    begin = now - now % (10 * MINUTE) - 20 * MINUTE
    await pushed(cast.agent, {begin + n * MINUTE: (float(n), None, 1.0, 2.0) for n in range(-1, 21)})
    route = f"servers/{cast.agent.server_id}/range"
    window = {"metric": "test.busy", "label": "core:0", "since": begin, "to": begin + 20 * MINUTE, "points": 2}
    for measure, values in {
        "mean": [4.5, 14.5],
        "min": [0.0, 10.0],
        "max": [9.0, 19.0],
        "sum": [45.0, 145.0],
        "count": [10.0, 10.0],
        "rate": [10 / 600, 10 / 600],
    }.items():
        answer = await asked(cast, route, **window, measure=measure)
        assert answer["step_seconds"] == 600
        (series,) = answer["series"]
        assert series["labels"] == {"core": "0"}
        assert series["values"] == pytest.approx(values), measure


async def test_a_rate_leaves_out_where_a_counter_began_anew(stage: HubStage, cast: Cast) -> None:
    begin = stage.clock.now() - 10 * MINUTE
    counts = [0.0, 60.0, 180.0, 30.0, 90.0]
    await pushed(cast.agent, {begin + n * MINUTE: (value, None, None, None) for n, value in enumerate(counts)})
    answer = await asked(
        cast,
        f"servers/{cast.agent.server_id}/range",
        metric="test.busy",
        label="core:0",
        since=begin,
        to=begin + 10 * MINUTE,
        measure="rate",
    )
    assert answer["series"][0]["values"] == [None, 1.0, 2.0, None, 1.0]


async def test_a_rate_as_it_came_counts_from_the_sample_before_the_window(stage: HubStage, cast: Cast) -> None:
    begin = stage.clock.now() - 10 * MINUTE
    await pushed(cast.agent, {begin + n * MINUTE: (60.0 * n, None, None, None) for n in range(3)})
    window = {"metric": "test.busy", "label": "core:0", "since": begin + 1, "to": begin + 3 * MINUTE}
    answer = await asked(cast, f"servers/{cast.agent.server_id}/range", **window, measure="rate")
    assert answer["step_seconds"] is None
    assert answer["series"][0]["values"] == [1.0, 1.0]


async def test_a_rate_that_is_summed_up_does_not_sag_where_one_server_was_heard_later(
    stage: HubStage, cast: Cast
) -> None:
    second = await stage.agent(cast.organization_id, "web-2")
    stage.clock.time = stage.clock.now() // HOUR * HOUR + 5 * SECOND
    end = stage.clock.now() // HOUR * HOUR
    for voice, last in ((cast.agent, 0), (second, -15 * SECOND)):
        times = range(end - HOUR, end + last + 1, 15 * SECOND)
        await pushed(voice, {time: ((time - end + HOUR) / SECOND, None, None, None) for time in times})
    servers = [cast.agent.server_id, second.server_id]
    window = {"metric": "test.busy", "label": "core:0", "since": end - HOUR, "to": end, "points": 6}

    async def summed() -> list[float | None]:
        answer = await asked(cast, "range", server=servers, **window, measure="rate", combine="sum")
        assert answer["step_seconds"] == 600
        return list(answer["lines"][0]["values"])

    assert await summed() == [None, 2.0, 2.0, 2.0, 2.0, None]
    await pushed(second, {end: (HOUR / SECOND, None, None, None)})
    stage.clock.advance(60)
    assert await summed() == [None, 2.0, 2.0, 2.0, 2.0, 2.0]


@pytest.mark.parametrize(
    ("combine", "expected"),
    [("mean", 35.0), ("min", 0.0), ("max", 70.0), ("sum", 280.0), ("percentile", 35.0)],
)
async def test_series_of_several_servers_become_one_line(
    stage: HubStage, cast: Cast, combine: str, expected: float
) -> None:
    second = await stage.agent(cast.organization_id, "web-2")
    begin = stage.clock.now() // MINUTE * MINUTE - 5 * MINUTE
    # Servers do not measure at the same moment.
    await pushed(cast.agent, {begin + 3 * SECOND: (0.0, 10.0, 20.0, 30.0)})
    await pushed(second, {begin + 41 * SECOND: (40.0, 50.0, 60.0, 70.0)})
    answer = await asked(
        cast,
        "range",
        server=[cast.agent.server_id, second.server_id],
        metric="test.busy",
        since=begin,
        to=begin + MINUTE,
        combine=combine,
        percentile=50,
    )
    (line,) = answer["lines"]
    assert (line["metric"], line["series"], line["id"]) == ("test.busy", 8, None)
    assert (answer["times"], line["values"]) == ([begin], [expected])


async def test_lines_of_several_servers_stand_on_one_axis(stage: HubStage, cast: Cast) -> None:
    second = await stage.agent(cast.organization_id, "web-2")
    begin = stage.clock.now() // MINUTE * MINUTE - 5 * MINUTE
    await pushed(cast.agent, {begin + 3 * SECOND: (1.0, None, None, None)})
    await pushed(second, {begin + 70 * SECOND: (2.0, None, None, None)})
    servers = [cast.agent.server_id, second.server_id]
    window = {"since": begin, "to": begin + 2 * MINUTE, "metric": "test.busy", "label": "core:0"}
    answer = await asked(cast, "range", server=servers, **window)
    found = {UUID(line["server_id"]): line["values"] for line in answer["lines"]}
    assert found == {cast.agent.server_id: [1.0, None], second.server_id: [None, 2.0]}


async def test_one_server_of_another_organization_refuses_the_whole_range(stage: HubStage, cast: Cast) -> None:
    query = f"server={cast.agent.server_id}&server={cast.other_agent.server_id}&metric=test.busy&since=0&to=1000"
    assert (await cast.owner.client.get(f"/api/v1/range?{query}")).status == 404


async def test_series_are_found_by_metric_and_label(stage: HubStage, cast: Cast) -> None:
    await pushed(cast.agent, {stage.clock.now(): (1.0, 1.0, 1.0, 1.0)})
    route = f"servers/{cast.agent.server_id}/series"
    assert len((await asked(cast, route))["series"]) == 4
    (found,) = (await asked(cast, route, metric="test.busy", label="core:2"))["series"]
    assert (found["metric"], found["labels"]) == ("test.busy", {"core": "2"})
    assert (await asked(cast, route, label="core:9"))["series"] == []
    assert (await asked(cast, route, metric="%00"))["series"] == []
    refused = await cast.owner.client.get(f"/api/v1/{route}?label=core")
    assert (refused.status, refused.json()["detail"][:12]) == (422, "label 'core'")


@pytest.mark.parametrize(
    "route", ["range?metric=a&since=0&to=9", "series?x=", "export?since=0&to=9", "uptime?since=0&to=9"]
)
async def test_a_stranger_sees_none_of_it(stage: HubStage, cast: Cast, route: str) -> None:
    target = f"/api/v1/servers/{cast.agent.server_id}/{route}"
    assert (await cast.stranger.client.get(target)).status == 404
    assert (await cast.viewer.client.get(target)).status == 200


async def test_what_is_older_than_the_plan_keeps_is_not_read_whether_or_not_it_is_there(
    stage: HubStage, cast: Cast
) -> None:
    begin = stage.clock.now()
    await pushed(cast.agent, {begin: (1.0, None, None, None)})
    stage.clock.advance(10 * DAY_MILLISECONDS / 1000)
    await pushed(cast.agent, {stage.clock.now() - MINUTE: (2.0, None, None, None)})
    cast.owner.client.token = (await stage.person(cast.organization_id, "owner")).client.token

    async def read() -> list[float]:
        window = {"since": begin, "to": stage.clock.now(), "metric": "test.busy", "label": "core:0"}
        answer = await asked(cast, f"servers/{cast.agent.server_id}/range", **window)
        exported = await cast.owner.client.get(
            f"/api/v1/servers/{cast.agent.server_id}/export?since={begin}&to={stage.clock.now()}"
        )
        assert exported.body.count(b"\n") == 1 + len([one for one in answer["series"][0]["values"] if one is not None])
        return [one for one in answer["series"][0]["values"] if one is not None]

    assert await read() == [2.0]
    await stage.execute("update public.organizations set plan = 'pro' where id = %s", cast.organization_id)
    assert await read() == [1.0, 2.0]
    await stage.execute("update public.organizations set retention_days = 8 where id = %s", cast.organization_id)
    assert await read() == [2.0]


async def test_an_export_has_every_sample_as_it_came(stage: HubStage, cast: Cast) -> None:
    begin = stage.clock.now() - 100 * MINUTE
    rows = {begin + n * 10 * MINUTE: (n / 7, None, 1e-9, float(n)) for n in range(10)}
    await pushed(cast.agent, rows)
    span = f"since={begin}&to={stage.clock.now()}"
    target = f"/api/v1/servers/{cast.agent.server_id}/export?{span}"
    reply = await cast.owner.client.get(target)
    assert reply.headers["content-type"] == "text/csv; charset=utf-8"
    table = list(csv.DictReader(io.StringIO(reply.body.decode())))
    assert len(table) == 30
    assert [float(row["value"]) for row in table if row["labels"] == "core=0"] == [n / 7 for n in range(10)]
    assert table[0]["time"].endswith("Z")
    assert [row["time"] for row in table] == sorted(row["time"] for row in table)
    reply = await cast.owner.client.get(f"{target}&format=ndjson&label=core:2")
    lines = [json.loads(line) for line in reply.body.splitlines()]
    assert [(line["time"], line["value"]) for line in lines] == [(time, 1e-9) for time in rows]
    assert lines[0]["labels"] == {"core": "2"}


def deleted(stage: HubStage, cast: Cast) -> Awaitable[object]:
    return stage.execute("delete from public.servers where id = %s", cast.agent.server_id)


def kept_for_less(stage: HubStage, cast: Cast) -> Awaitable[object]:
    return stage.execute("update public.organizations set retention_days = 1 where id = %s", cast.organization_id)


async def away(_: HubStage, __: Cast) -> None:
    raise DatabaseAway("gone")


async def nothing(_: HubStage, __: Cast) -> None:
    pass


@pytest.mark.parametrize(
    ("meanwhile", "is_cut"), [(nothing, False), (deleted, True), (kept_for_less, True), (away, True)]
)
@pytest.mark.parametrize("form", ["csv", "ndjson"])
async def test_an_export_of_which_the_rest_is_gone_meanwhile_is_seen_to_be_cut(
    stage: HubStage,
    cast: Cast,
    monkeypatch: pytest.MonkeyPatch,
    meanwhile: Callable[[HubStage, Cast], Awaitable[object]],
    is_cut: bool,
    form: str,
) -> None:
    since = stage.clock.now()
    to = since + 4 * DAY_MILLISECONDS
    for begin in (since, since + 2 * DAY_MILLISECONDS):
        stage.clock.advance(2 * DAY_MILLISECONDS / 1000)
        times = range(begin, begin + 2 * DAY_MILLISECONDS, DAY_MILLISECONDS // 4)
        await pushed(cast.agent, dict.fromkeys(times, (1.0, None, None, None)))
    owner = await stage.person(cast.organization_id, "owner")
    read, reads = BlocksStore.read, count(1)

    async def reading(store: BlocksStore, server_id: UUID, series: Sequence[int], window: Window) -> Points:
        if next(reads) == 3:
            await meanwhile(stage, cast)
        return await read(store, server_id, series, window)

    monkeypatch.setattr(BlocksStore, "read", reading)
    async with stage.served() as address, aiohttp.ClientSession() as session:
        target = f"{address}/api/v1/servers/{cast.agent.server_id}/export?since={since}&to={to}&format={form}"
        headers = {"authorization": f"Bearer {owner.client.token}"}
        async with session.get(target, headers=headers) as response:
            assert response.status == 200
            if is_cut:
                with pytest.raises(aiohttp.ClientPayloadError):
                    await response.read()
            else:
                assert (await response.read()).count(b"\n") == 16 + (form == "csv")


async def test_an_export_holds_no_formula_for_a_spreadsheet(stage: HubStage, cast: Cast) -> None:
    cast.agent.shape = shape_of("test", (SeriesKey("=1+1", {"a": 'b",c'}),))
    await cast.agent.push((stage.clock.now(), (1.0,)))
    span = f"since={stage.clock.now() - 1}&to={stage.clock.now() + 1}"
    reply = await cast.owner.client.get(f"/api/v1/servers/{cast.agent.server_id}/export?{span}")
    (row,) = csv.DictReader(io.StringIO(reply.body.decode()))
    assert (row["metric"], row["labels"]) == ("'=1+1", 'a=b",c')


async def test_what_is_kept_is_told_to_members_and_to_nobody_else(stage: HubStage, cast: Cast) -> None:
    now = stage.clock.now()
    await pushed(cast.agent, {now - MINUTE: (1.0, None, 3.0, 4.0), now: (1.0, 2.0, 3.0, 4.0)})
    route = f"/api/v1/storage?organization_id={cast.owner.organization_id}"
    for player in (cast.owner, cast.viewer):
        reply = await player.client.get(route)
        assert reply.status == 200, reply
        kept = reply.json()
        assert (kept["samples"], kept["oldest"], kept["retention_days"]) == (7, now - MINUTE, 7)
        assert kept["size_bytes"] > 0
    assert (await cast.stranger.client.get(route)).status == 404
    await stage.execute("update public.organizations set plan = 'pro' where id = %s", cast.owner.organization_id)
    assert (await cast.owner.client.get(route)).json()["retention_days"] == 90
