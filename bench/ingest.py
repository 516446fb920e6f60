"""How long an agent waits until its samples are durable: 1,000 agents on a hub with its embedded PostgreSQL.

Each pushes every 30 s and gives a sign of life every 60 s over a connection of its own. What was acknowledged is then
read back through the API, every tick once, after some batches were sent a second time.
"""

from __future__ import annotations

import gc
import math
import resource
import sys
import time

from bench.figures import Figure, percentile
from bench.rig import Failed
from bench.rig.crowd import MARK, SAMPLES_PER_BATCH, TICK_MILLISECONDS, Crowd, Simulated, each, now
from bench.rig.up import Up
from twinwatch.protocol import limits

AGENTS = 1_000
WARM_SECONDS = 5.0
"""Sent like the rest, but not counted: the hub's connections to its database open."""
WINDOW_SECONDS = 180.0
QUICK_WINDOW_SECONDS = 15.0
QUICK_JOIN_SECONDS = 20.0
FLAT_SECONDS = 10.0
QUICK_FLAT_SECONDS = 3.0
FLAT_AGENTS = 64
FLAT_BATCHES = 100
QUICK_FLAT_BATCHES = 30
"""That each of those has ready: making them must not be what is measured."""
SENT_TWICE = 100
QUICK_READ_EVERY = 5
POINTS = 2_000
"""The most that a range query gives; more than any agent sends here."""
P95_BUDGET_SECONDS = 0.02


async def measure(quick: bool) -> list[Figure]:
    """Latency of a push at a steady load; then batches per second when nobody waits."""
    allow_connections(AGENTS + 200)
    async with Up(agent=False) as up:
        crowd = Crowd(up.url, AGENTS)
        try:
            began = time.monotonic()
            await crowd.join(await up.person.enrolment_key(), seconds=QUICK_JOIN_SECONDS if quick else math.inf)
            joined = len(crowd.agents)
            _note(f"{joined} agents registered, and their series learnt, in {time.monotonic() - began:.1f} s")
            if joined < AGENTS:
                _note(f"no more in this time: these push as often as {AGENTS} would")
            figures = await _steady(crowd, QUICK_WINDOW_SECONDS if quick else WINDOW_SECONDS)
            hub_rss = up.hub.stat().rss_bytes
            figures += await _flat_out(crowd.agents[:FLAT_AGENTS], quick)
            await each(crowd.agents[:SENT_TWICE], lambda agent: agent.push_again())
            began = time.monotonic()
            asked = crowd.agents[:: QUICK_READ_EVERY if quick else 1]
            await each(asked, lambda agent: _read_back(up, agent), at_once=4)
            ticks = sum(len(agent.kept) for agent in asked)
            _note(f"{ticks} acknowledged ticks of {len(asked)} agents read back, {time.monotonic() - began:.1f} s")
        finally:
            crowd.close()
    # Memory is a matter of how many are connected, which no higher pace makes up for.
    return [*figures, Figure("ingest", "hub_rss", hub_rss, "By")] if joined == AGENTS else figures


async def _steady(crowd: Crowd, window_seconds: float) -> list[Figure]:
    pushes, beats = await steady(crowd, window_seconds, AGENTS)
    budgets = {"p50": None, "p95": P95_BUDGET_SECONDS, "p99": None}
    shares = {"p50": 0.50, "p95": 0.95, "p99": 0.99}
    figures = [Figure("ingest", name, percentile(pushes, shares[name]), "s", budgets[name]) for name in shares]
    return [*figures, Figure("ingest", "heartbeat_p95", percentile(beats, 0.95), "s")]


async def steady(crowd: Crowd, window_seconds: float, agents: int) -> tuple[list[float], list[float]]:
    """Seconds that pushes and heartbeats took, at the pace of so many agents however many the crowd has."""
    share = len(crowd.agents) / agents
    plan = crowd.schedule(WARM_SECONDS + window_seconds, limits.PUSH_SECONDS * share, limits.HEARTBEAT_SECONDS * share)
    gc.freeze()
    gc.disable()  # a pause of the generator would be counted against the hub
    try:
        taken = await crowd.run(plan)
    finally:
        gc.enable()
    counted = [one for one in taken if one.due.at >= WARM_SECONDS]
    pushes = [one.seconds for one in counted if one.due.kind == "push"]
    beats = [one.seconds for one in counted if one.due.kind == "heartbeat"]
    late = percentile([one.late_seconds for one in counted], 0.95)
    _note(f"{len(pushes)} pushes, {len(beats)} heartbeats; the generator was {late * 1e3:.1f} ms late (p95), included")
    return pushes, beats


async def _flat_out(agents: list[Simulated], quick: bool) -> list[Figure]:
    """Samples per second over some connections, each sending its next batch when the last one is acknowledged."""
    seconds = QUICK_FLAT_SECONDS if quick else FLAT_SECONDS
    oldest = now() - limits.PAST_MILLISECONDS + 3_600_000
    ready = {}
    for agent in agents:
        newest = [
            oldest + (number + 1) * 2 * TICK_MILLISECONDS
            for number in range(QUICK_FLAT_BATCHES if quick else FLAT_BATCHES)
        ]
        ready[agent.number] = iter([agent.batch(moment) for moment in newest])
    batches = 0
    began = time.perf_counter()
    ended = began

    async def rush(agent: Simulated) -> None:
        nonlocal batches, ended
        for body, marks in ready[agent.number]:
            if time.perf_counter() - began > seconds:
                return
            await agent.push(body, marks)
            batches += 1
            ended = time.perf_counter()

    await each(agents, rush, at_once=len(agents))
    return [Figure("ingest", "accepted_per_second", batches * SAMPLES_PER_BATCH / (ended - began), "{sample}/s")]


async def _read_back(up: Up, agent: Simulated) -> None:
    """Every tick that was acknowledged, with its mark, and no other."""
    since, to = min(agent.kept), max(agent.kept) + 1
    answer = await up.person.points(agent.server_id, [MARK], since, to, POINTS)
    (series,) = answer["series"]
    found = dict(zip(answer["times"], series["values"], strict=True))
    if answer["step_seconds"] is not None or len(found) != len(answer["times"]) or found != agent.kept:
        raise Failed(
            f"agent {agent.number}: {len(agent.kept)} ticks acknowledged, {len(answer['times'])} read, "
            f"{sum(found.get(moment) == mark for moment, mark in agent.kept.items())} of them right"
        )


def allow_connections(wanted: int) -> None:
    """Lets this process, and the hub that it starts, have so many sockets."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted <= hard or hard == resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


def _note(text: str) -> None:
    print(f"bench: ingest: {text}", file=sys.stderr, flush=True)
