"""Whatever a series is called and whatever its values are like: whichever engine keeps it, a chart finds it again."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from random import Random
from urllib.parse import quote

import pytest

from tests.contract.timescale_server import TimescaleServer
from twinwatch.hub.choosing import choose
from twinwatch.hub.stores.engines import Engine
from twinwatch.protocol.samples import SeriesKey, shape_of
from twinwatch.testing.hub_stage import HandClock, HubStage
from twinwatch.testing.victoria import PROGRAM, flush, is_there, single_node

ODD = [
    "",
    " ",
    "a b",
    "größe",
    "Größe",
    "ядро",
    "核心",
    "نواة",
    "🖥️‍",
    "e\u0301",
    "é",
    "\u202eknil",
    "\ufeffx",
    "\U0010ffff",
    "it's",
    '"quoted"',
    "back\\slash\\",
    '{a=~".*"}',
    "a:b=c;d,e",
    "$1 %s %(x)s {0}",
    "null",
    "0",
    "x" * 200,
]
PLANES = [(0x20, 0x7E), (0xA0, 0x7FF), (0x800, 0xD7FF), (0xE000, 0xFFFF), (0x10000, 0x10FFFF)]


def labels_by_chance(many: int, seed: int = 5) -> list[str]:
    """Different texts of any characters that there are, all but those that control and halves of pairs."""
    chance = Random(seed)
    found: dict[str, None] = {}
    while len(found) < many:
        found["".join(chr(chance.randint(*chance.choice(PLANES))) for _ in range(chance.randint(1, 12)))] = None
    return [text for text in found if text not in ODD]


Shown = Callable[[], Awaitable[None]]


async def at_once() -> None:
    """What is written is seen."""


@pytest.fixture(params=["blocks", "timescale", "victoriametrics"])
async def kept(
    request: pytest.FixtureRequest, database_url: str, tmp_path: Path, clock: HandClock
) -> AsyncIterator[tuple[HubStage, Shown]]:
    """A hub whose samples are kept by this engine, and what shows what was written."""
    if request.param == "timescale":
        server: TimescaleServer = request.getfixturevalue("timescale")
        server.empty()
        engine = await choose(server.url, Engine("timescale"))
        async with HubStage(server.url, tmp_path, clock=clock, engine=engine) as stage:
            yield stage, at_once
    elif request.param == "blocks":
        async with HubStage(database_url, tmp_path, clock=clock, engine=Engine("blocks")) as stage:
            yield stage, at_once
    else:
        if not is_there():
            pytest.skip(f"{PROGRAM} is not installed: apt-get install {PROGRAM}")
        with single_node() as node:
            engine = Engine("victoriametrics", (node,))
            async with HubStage(database_url, tmp_path, clock=clock, engine=engine) as stage:
                yield stage, lambda: flush(node)


async def test_series_of_any_name_are_found_by_it_and_have_their_own_values(kept: tuple[HubStage, Shown]) -> None:
    stage, shown = kept
    cast = await stage.cast()
    labels = [*ODD, *labels_by_chance(100)]
    cast.agent.shape = shape_of("test", tuple(SeriesKey("test.odd", {"name": label}) for label in labels))
    now = stage.clock.now()
    reply = await cast.agent.push((now - 2_000, [float(n) for n in range(len(labels))]))
    assert reply.status == 200, reply
    await shown()
    base = f"/api/v1/servers/{cast.agent.server_id}"
    listed = (await cast.owner.client.get(f"{base}/series?metric=test.odd")).json()["series"]
    assert sorted(one["labels"]["name"] for one in listed) == sorted(labels)
    span = f"metric=test.odd&since={now - 60_000}&to={now}"
    for n, label in enumerate(labels):
        found = await cast.owner.client.get(f"{base}/range?{span}&label={quote(f'name:{label}', safe='')}")
        (series,) = found.json()["series"]
        assert (series["labels"], series["values"]) == ({"name": label}, [float(n)])


async def test_whole_numbers_broken_ones_and_none_at_all_stay_what_they_are(kept: tuple[HubStage, Shown]) -> None:
    stage, shown = kept
    cast = await stage.cast()
    columns: dict[str, list[float | None]] = {
        "test.whole": [n * 4096 for n in range(8)],
        "test.broken": [n / 8 - 0.5 for n in range(8)],
        "test.both": [0, 0.5, 1, 1.5, -2, -2.5, 3e15, 0.001],
        "test.gaps": [1.0, None, math.nan, 2.0, math.inf, -math.inf, None, 3.0],
        "test.none": [math.nan, None] * 4,
    }
    cast.agent.shape = shape_of("test", tuple(SeriesKey(name) for name in columns))
    begin = stage.clock.now() - 60_000
    ticks = [(begin + n * 1_000, [column[n] for column in columns.values()]) for n in range(8)]
    reply = await cast.agent.push(*ticks)
    assert reply.status == 200, reply
    await shown()
    asked = "&".join(f"metric={name}" for name in columns)
    answer = await cast.owner.client.get(
        f"/api/v1/servers/{cast.agent.server_id}/range?{asked}&since={begin}&to={begin + 8_000}"
    )
    found = {series["metric"]: series["values"] for series in answer.json()["series"]}
    kept_values = {
        name: [value if value is not None and math.isfinite(value) else None for value in column]
        for name, column in columns.items()
    }
    assert {name: values for name, values in found.items() if name != "test.none"} == {
        name: pytest.approx(values) for name, values in kept_values.items() if name != "test.none"
    }
    assert set(found.get("test.none", [None])) == {None}
