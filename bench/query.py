"""How long a chart takes at the API: 24 h of 20 series, 7 days of 5, 90 days of one.

A database is filled with 90 days of one server, as compaction leaves them: whole days, and of today a segment for each
hour. A hub then serves on a real port, and each chart is asked for again and again. *Cold* is the first answer after
PostgreSQL was restarted, its files put out of the kernel's cache, and the hub started anew.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from urllib.parse import urlencode

import aiohttp
import jwt
import numpy as np

from bench.figures import Figure
from bench.rig import Failed
from bench.rig.fleet_day import DAY_TICKS, TICK_MILLISECONDS, fleet
from bench.rig.running import running
from bench.rig.shelf import FOREVER, SECRET, Known, Shelf, shelf
from bench.rig.up import bare_environment
from twinwatch.hub.stores import DAY_MILLISECONDS, Points
from twinwatch.hub.stores.steps import HOUR
from twinwatch.protocol.samples import SeriesKey
from twinwatch.testing.ports import free_port

BUDGET_SECONDS = 0.05
DAYS, QUICK_DAYS = 90, 10
TIMES, QUICK_TIMES = 60, 15
COLD_TIMES, QUICK_COLD_TIMES = 5, 1
START_SECONDS = 30.0
PATTERNS = 5
"""So many different days, one after the other, again and again."""
CHARTS = {
    "day_20": (1, ("bench.one", "bench.four", "bench.rest"), 20),
    "week_5": (7, ("bench.one", "bench.four"), 5),
    "quarter_1": (90, ("bench.one",), 1),
}
"""Days, metrics, and how many series they have."""
NAMES = (
    SeriesKey("bench.one"),
    *(SeriesKey("bench.four", {"n": str(number)}) for number in range(4)),
    *(SeriesKey("bench.rest", {"n": str(number)}) for number in range(15)),
)


async def measure(quick: bool) -> list[Figure]:
    """Median seconds of each chart, warm and cold."""
    async with shelf() as one:
        until = time.time_ns() // 1_000_000
        organization_id = await one.organization()
        known = await one.server(organization_id, "bench", NAMES)
        began = time.perf_counter()
        samples = await _fill(one, known, until, QUICK_DAYS if quick else DAYS)
        _note(f"{samples} samples filled and merged in {time.perf_counter() - began:.0f} s")
        token = await _token(one, known)
        await one.database.close()
        await one.owner.close()
        charts = {
            name: f"/api/v1/servers/{known.server_id}/range?"
            + urlencode(
                {"metric": metrics, "since": until - days * DAY_MILLISECONDS, "to": until, "points": 300}, doseq=True
            )
            for name, (days, metrics, _) in CHARTS.items()
        }
        cold: dict[str, list[float]] = {name: [] for name in charts}
        for _ in range(QUICK_COLD_TIMES if quick else COLD_TIMES):
            for name, target in charts.items():
                one.cool()
                async with _hub(one, token) as client:
                    cold[name].append(await _asked(client, name, target))
        warm: dict[str, list[float]] = {name: [] for name in charts}
        async with _hub(one, token) as client:
            for name, target in charts.items():
                await _asked(client, name, target)
                for _ in range(QUICK_TIMES if quick else TIMES):
                    warm[name].append(await _asked(client, name, target))
    figures = [Figure("query.chart", name, median(some), "s", BUDGET_SECONDS) for name, some in warm.items()]
    return figures + [
        Figure("query.chart", f"{name}_cold", median(some), "s", BUDGET_SECONDS) for name, some in cold.items()
    ]


async def _fill(one: Shelf, known: Known, until: int, days: int) -> int:
    first = (until // DAY_MILLISECONDS - days) * DAY_MILLISECONDS
    patterns = []
    for day in fleet(PATTERNS, 0):
        moving = [values for values in day.values if len(np.unique(values)) > 1]
        patterns.append(np.array(moving[: len(NAMES)]))
    samples = 0
    grid = np.arange(DAY_TICKS, dtype=np.int64) * TICK_MILLISECONDS
    for number in range(days + 1):
        start = first + number * DAY_MILLISECONDS
        # Of today, an hour each, as it leaves the log; of other days all at once.
        size = DAY_TICKS if number < days else DAY_TICKS // 24
        for begin in range(0, DAY_TICKS, size):
            times = start + grid[begin : begin + size]
            times = times[times < until]
            if len(times):
                values = patterns[number % PATTERNS][:, begin : begin + len(times)]
                await one.store.fill(known.organization_id, known.server_id, known.series, Points(times, values, 0))
                samples += values.size
    await one.compaction.round(until + 2 * HOUR if until % DAY_MILLISECONDS < 2 * HOUR else until, FOREVER)
    return samples


async def _token(one: Shelf, known: Known) -> str:
    """An access token of a member of the server's organization."""
    adding = "insert into auth.users (email, encrypted_password) values ('bench@example.org', '*') returning id"
    user_id = await one.one(adding)
    joining = "insert into public.members (organization_id, user_id, role) values (%s, %s, 'viewer') returning user_id"
    await one.one(joining, known.organization_id, user_id)
    session_id = await one.one("insert into auth.sessions (user_id) values (%s) returning id", user_id)
    now = int(time.time())
    claims = {
        "iss": "twinwatch",
        "sub": str(user_id),
        "aud": "authenticated",
        "role": "authenticated",
        "email": "bench@example.org",
        "session_id": str(session_id),
        "iat": now,
        "exp": now + 3600,
    }
    return jwt.encode(claims, SECRET.reveal(), algorithm="HS256")


@asynccontextmanager
async def _hub(one: Shelf, token: str) -> AsyncIterator[aiohttp.ClientSession]:
    """A hub on the shelf's database, and somebody who asks it."""
    port = free_port()
    environment = {
        **bare_environment(),
        "TWINWATCH_DATABASE_URL": one.owner_url,
        "TWINWATCH_SECRET": SECRET.reveal(),
        "TWINWATCH_DATA_DIR": str(one.folder / "hub"),
    }
    command = [sys.executable, "-P", "-m", "twinwatch.cli", "hub", "run", "--listen", f"127.0.0.1:{port}"]
    log = Path(os.devnull)
    async with (
        running(command, environment, log),
        aiohttp.ClientSession(f"http://127.0.0.1:{port}", headers={"authorization": f"Bearer {token}"}) as client,
    ):
        end = time.monotonic() + START_SECONDS
        while not await _answers(client):
            if time.monotonic() > end:
                raise Failed("the hub does not answer")
            await asyncio.sleep(0.1)
        yield client


async def _answers(client: aiohttp.ClientSession) -> bool:
    try:
        async with client.get("/api/v1/status") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


async def _asked(client: aiohttp.ClientSession, name: str, target: str) -> float:
    began = time.perf_counter()
    async with client.get(target) as answer:
        body = await answer.read()
        spent = time.perf_counter() - began
        if answer.status != 200:
            raise Failed(f"{name}: {answer.status} {body[:300]!r}")
        found = await answer.json()
    if len(found["series"]) != CHARTS[name][2] or len(found["times"]) < 100:
        raise Failed(f"{name}: {len(found['series'])} series of {len(found['times'])} points")
    return spent


def _note(text: str) -> None:
    print(f"bench: query: {text}", file=sys.stderr, flush=True)
