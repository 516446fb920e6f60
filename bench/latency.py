"""How long an agent waits until its samples are durable while compaction has a backlog to work off.

At the pace of 1,000 agents, and of 10,000: a push every 30 s and a heartbeat every 60 s each. The machine has room for
1,000 connections of the generator's; the higher pace is theirs ten times as often, which is the same work but for the
connections that wait.
"""

from __future__ import annotations

import asyncio
import math
import sys
import time

from bench.figures import Figure, percentile
from bench.ingest import AGENTS, P95_BUDGET_SECONDS, QUICK_JOIN_SECONDS, allow_connections, steady
from bench.rig.crowd import Crowd
from bench.rig.fleet_day import TICK_MILLISECONDS, fleet
from bench.rig.served import served
from bench.rig.shelf import Shelf, shelf
from twinwatch.hub.stores.compaction import Compaction
from twinwatch.hub.stores.steps import HOUR

WINDOW_SECONDS, QUICK_WINDOW_SECONDS = 120.0, 15.0
WORKERS = 2
BACKLOG_SERVERS = 20
BACKLOG_HOURS, QUICK_BACKLOG_HOURS = 12, 2
"""What the compactor finds when it starts, twice: before either window."""


async def measure(quick: bool) -> list[Figure]:
    """Percentiles of a push's seconds at both paces."""
    allow_connections(AGENTS + 200)
    hours = QUICK_BACKLOG_HOURS if quick else BACKLOG_HOURS
    window = QUICK_WINDOW_SECONDS if quick else WINDOW_SECONDS
    async with shelf() as one, served(one, WORKERS) as (url, key):
        crowd = Crowd(url, AGENTS)
        try:
            await crowd.join(key, seconds=QUICK_JOIN_SECONDS if quick else math.inf)
            _note(f"{len(crowd.agents)} connections")
            few = await _pace(one, crowd, window, AGENTS, hours)
            many = await _pace(one, crowd, window, 10 * AGENTS, hours)
        finally:
            crowd.close()
    figures = [
        Figure("ingest.latency", name, percentile(few, share), "s", P95_BUDGET_SECONDS if name == "p95" else None)
        for name, share in {"p50": 0.50, "p95": 0.95, "p99": 0.99}.items()
    ]
    return [*figures, Figure("ingest.latency", "p95_10k", percentile(many, 0.95), "s")]


async def _pace(one: Shelf, crowd: Crowd, window: float, agents: int, hours: int) -> list[float]:
    """The window begins as soon as a backlog lies there, which the compactor finds within its next round."""
    batches = await _backlog(one, hours)
    compaction = Compaction(one.database)
    began = time.monotonic()
    busy = asyncio.create_task(_until_compacted(compaction))
    pushes, _ = await steady(crowd, window, agents)
    spent = f"in {await busy - began:.0f} s" if busy.done() else "not to the end"
    busy.cancel()
    _note(f"at the pace of {agents} agents: {batches} batches were compacted meanwhile, {spent}")
    return pushes


async def _until_compacted(compaction: Compaction) -> float:
    while await compaction.lag_seconds(time.time_ns() // 1_000_000):  # noqa: ASYNC110
        await asyncio.sleep(0.5)
    return time.monotonic()


async def _backlog(one: Shelf, hours: int) -> int:
    since = time.time_ns() // 1_000_000 // HOUR * HOUR - (hours + 2) * HOUR
    organization_id = await one.organization()
    ticks = hours * HOUR // TICK_MILLISECONDS
    days = [
        (await one.server(organization_id, day.name, day.series), day)
        for day in fleet(BACKLOG_SERVERS, since, ticks=ticks)
    ]
    await one.write(days)
    return BACKLOG_SERVERS * ticks // 2


def _note(text: str) -> None:
    print(f"bench: latency: {text}", file=sys.stderr, flush=True)
