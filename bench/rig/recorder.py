"""``python -m bench.rig.recorder FILE MINUTES``: what this machine's own agent would send, kept as a recording.

A recording is what ``bench.rig.fleet_day`` makes days of many servers from.
Shape: zstd of msgpack ``{"times": ms UTC[n], "series": [{"metric", "labels", "values": float or None [n]}]}``.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import zstandard

from twinwatch.agent.buffer import Tick
from twinwatch.agent.configuration import Configurator, Sources
from twinwatch.agent.runner import Runner
from twinwatch.agent.standing import Standing
from twinwatch.cli import make_parser
from twinwatch.monitors.discover import discover
from twinwatch.world.clock import SystemClock
from twinwatch.world.doors import World
from twinwatch.world.host import Host
from twinwatch.world.http import AiohttpHttp

INTERVAL_SECONDS = 15.0


class Recorded(msgspec.Struct, frozen=True):
    """One series of a recording; None where a run did not yield it."""

    metric: str
    labels: dict[str, str]
    values: list[float | None]


class Recording(msgspec.Struct, frozen=True):
    """Runs of one machine's monitors at ``times``, ms UTC."""

    times: list[int]
    series: list[Recorded]


def load(path: Path) -> Recording:
    """The recording in a file."""
    return msgspec.msgpack.decode(zstandard.ZstdDecompressor().decompress(path.read_bytes()), type=Recording)


async def record(path: Path, minutes: float) -> None:
    """Runs what the agent would run by default, and writes the recording anew after every run."""
    found = discover()
    args = make_parser().parse_args(["agent", "run", "--state-dir", str(path.parent / "state")])
    plan = Configurator(Sources(args), found, read_only=True).plan
    world = World(clock=SystemClock(), http=AiohttpHttp(), host=Host())
    standing = Standing(world.clock)
    standing.plan(plan.monitors)

    async def nowhere(ticks: Sequence[Tick]) -> None:
        pass

    runners = [
        Runner(one, world=world, keep=nowhere, standing=standing, seed="", learned=lambda: None, late=lambda _: None)
        for one in plan.monitors
    ]
    times: list[int] = []
    recorded: dict[bytes, Recorded] = {}
    began = time.monotonic()
    try:
        while time.monotonic() - began < minutes * 60:
            ticks = [tick for some in await asyncio.gather(*(one.once() for one in runners)) for tick in some]
            for tick in ticks:
                for key, value in zip(tick.shape.series, tick.values, strict=True):
                    name = msgspec.msgpack.encode(key, order="deterministic")
                    one = recorded.setdefault(name, Recorded(key.metric, key.labels, []))
                    one.values.extend([None] * (len(times) - len(one.values)))
                    one.values.append(value)
            times.append(time.time_ns() // 1_000_000)
            for one in recorded.values():
                one.values.extend([None] * (len(times) - len(one.values)))
            body = msgspec.msgpack.encode(Recording(times, list(recorded.values())))
            await asyncio.to_thread(path.write_bytes, zstandard.ZstdCompressor(level=19).compress(body))
            await asyncio.sleep(INTERVAL_SECONDS - (time.monotonic() - began) % INTERVAL_SECONDS)
    finally:
        await asyncio.gather(*(runner.end() for runner in runners))
        await world.close()


if __name__ == "__main__":
    asyncio.run(record(Path(sys.argv[1]), float(sys.argv[2])))
