"""How many samples a hub of two workers takes in when nobody waits: durably acknowledged over HTTP, on all cores that
there are, the generator included. VictoriaMetrics is fed with the same samples by its own import API in the same run;
it acknowledges from memory, and what came in the last seconds before a crash is lost.

Batches are those of ``rig.crowd``: what a real agent sends in 30 s, some 300 samples, each a request of its own.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import urlsplit

import msgspec

from bench.figures import Figure, Peer
from bench.rig import Failed
from bench.rig.crowd import (
    OWN,
    SAMPLES_PER_BATCH,
    SYSTEM,
    TICK_MILLISECONDS,
    Crowd,
    Simulated,
    now,
)
from bench.rig.line import Line
from bench.rig.served import served
from bench.rig.shelf import shelf
from bench.rig.up import temporary_folder
from bench.rig.victoria import is_there, victoria
from twinwatch.protocol import limits
from twinwatch.protocol.codec import MSGPACK, decode
from twinwatch.protocol.samples import Batch

BUDGET = 1_000_000.0
WORKERS = 2
CONNECTIONS = 256
"""A fleet has many, and who sends on few waits for most of each commit."""
PEER_CONNECTIONS = 64
"""With which VictoriaMetrics is the fastest on two cores: with 256 it takes a sixth less."""
BATCHES, QUICK_BATCHES = 160, 40
"""That each connection has ready: making them must not be what is measured."""
WARM_BATCHES = 5

Sending = Callable[[], Awaitable[None]]


async def measure(quick: bool) -> list[Figure]:
    """Samples per second, and the peer's."""
    batches = QUICK_BATCHES if quick else BATCHES
    async with shelf() as one, served(one, WORKERS) as (url, key):
        crowd = Crowd(url, CONNECTIONS)
        try:
            await crowd.join(key)
            bodies = {agent.number: _bodies(agent, batches) for agent in crowd.agents}
            ours = await _rush([_pushing(agent, bodies[agent.number]) for agent in crowd.agents])
        finally:
            crowd.close()
        stats = await one.store.stats()
    sent = CONNECTIONS * (batches + WARM_BATCHES) * SAMPLES_PER_BATCH
    if stats.samples < sent:
        raise Failed(f"{sent} samples acknowledged, {stats.samples} kept")
    peer = await _victoria(bodies)
    return [Figure("ingest.throughput", "samples_per_second", ours, "{sample}/s", BUDGET, peer)]


def _bodies(agent: Simulated, batches: int) -> list[bytes]:
    oldest = now() - limits.PAST_MILLISECONDS + 3_600_000
    return [agent.batch(oldest + (number + 1) * 2 * TICK_MILLISECONDS)[0] for number in range(batches + WARM_BATCHES)]


def _pushing(agent: Simulated, bodies: Sequence[bytes]) -> list[Sending]:
    async def push(body: bytes) -> None:
        answer = await agent.line.post("samples", body)
        if answer.status != 200:
            raise Failed(f"a batch was refused: {answer.status} {answer.body[:300]!r}")

    return [lambda body=body: push(body) for body in bodies]  # type: ignore[misc]


async def _rush(connections: Sequence[Sequence[Sending]]) -> float:
    """Samples per second with each connection sending its next batch when the last one is acknowledged."""

    async def through(sendings: Sequence[Sending]) -> None:
        for sending in sendings:
            await sending()

    await asyncio.gather(*(through(some[:WARM_BATCHES]) for some in connections))
    began = time.perf_counter()
    await asyncio.gather(*(through(some[WARM_BATCHES:]) for some in connections))
    batches = sum(len(some) - WARM_BATCHES for some in connections)
    return batches * SAMPLES_PER_BATCH / (time.perf_counter() - began)


async def _victoria(bodies: dict[int, list[bytes]]) -> Peer | None:
    if not is_there():
        return None
    folder = temporary_folder()
    try:
        async with victoria(folder) as node:
            address = urlsplit(node.url)
            lines = [Line(str(address.hostname), int(address.port or 0), "") for _ in range(PEER_CONNECTIONS)]
            connections: list[list[Sending]] = [[] for _ in lines]
            for number, packed in bodies.items():
                place = number % PEER_CONNECTIONS
                connections[place] += [_importing(lines[place], number, body) for body in packed]
            rate = await _rush(connections)
            for line in lines:
                line.close()
            return Peer("victoriametrics", rate)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _importing(line: Line, number: int, packed: bytes) -> Sending:
    batch = decode(packed, Batch, MSGPACK, "zstd")
    rows = []
    for frame in batch.frames:
        shape = SYSTEM if frame.shape == SYSTEM.id else OWN
        for key, column in zip(shape.series, frame.columns, strict=True):
            labels = {name.replace(".", "_"): value for name, value in key.labels.items()}
            metric = {"__name__": key.metric.replace(".", "_"), "server": f"bench-{number}", **labels}
            rows.append(msgspec.json.encode({"metric": metric, "values": column, "timestamps": frame.times}))
    body = b"\n".join(rows)

    async def send() -> None:
        answer = await line.send("/api/v1/import", body)
        if answer.status != 204:
            raise Failed(f"an import was refused: {answer.status} {answer.body[:300]!r}")

    return send
