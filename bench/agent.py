"""What the agent costs the machine that it watches: its default configuration at 15 s, against a real hub.

Its peer, in the same run: Debian's node_exporter with Prometheus in agent mode, which scrapes it every 15 s and sends
on. Figures of the peer are those of both processes together.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from bench.figures import Figure, Peer
from bench.rig import Failed, pair
from bench.rig.meter import Meter
from bench.rig.processes import Process
from bench.rig.running import running
from bench.rig.up import Up, bare_environment

INTERVAL_SECONDS = 15.0
LOOK_SECONDS = 1.0
WARM_SECONDS = 60.0
QUICK_WARM_SECONDS = 7.0
"""Past the first runs and the first push."""
WINDOW_SECONDS = 600.0
QUICK_WINDOW_SECONDS = 30.0
"""A push, and two runs of every monitor."""

COMPILED_SECONDS = 8.0
"""By then the agent has imported all that it will."""

RSS_BUDGET_BYTES = 45_000_000
CPU_BUDGET = 0.005


@dataclass(frozen=True, slots=True)
class Cost:
    """Of some processes over a window. Memory is the most that was seen."""

    rss_bytes: int
    pss_bytes: int
    cpu_share: float
    sent_bytes_per_hour: float
    written_bytes_per_hour: float


async def measure(quick: bool) -> list[Figure]:
    """Memory, CPU, bytes sent and written, of the agent and beside it of the peer."""
    window = QUICK_WINDOW_SECONDS if quick else WINDOW_SECONDS
    async with AsyncExitStack() as stack:
        up = await stack.enter_async_context(Up(agent=False))
        meter = await stack.enter_async_context(Meter(up.url))
        agent = await stack.enter_async_context(_agent(up, meter))
        watched: list[tuple[Sequence[Process], Meter]] = [([agent], meter)]
        if lacking := pair.missing():
            print(f"bench: agent: no {' and no '.join(lacking)} here (Debian has it): peer is null", file=sys.stderr)
        else:
            other = await stack.enter_async_context(pair.pair(up.folder, INTERVAL_SECONDS))
            watched.append((other.processes, other.meter))
        await asyncio.sleep(QUICK_WARM_SECONDS if quick else WARM_SECONDS)
        costs = await asyncio.gather(*(_watch(each, meter, window) for each, meter in watched))
        await _reports(up)
    cost, beside = costs[0], (costs[1] if len(costs) > 1 else None)

    def figure(name: str, field: str, unit: str, budget: float | None = None) -> Figure:
        peer = None if beside is None else Peer(pair.NAME, getattr(beside, field))
        return Figure("agent", name, getattr(cost, field), unit, budget, peer)

    return [
        figure("rss", "rss_bytes", "By", RSS_BUDGET_BYTES),
        figure("pss", "pss_bytes", "By"),
        figure("cpu", "cpu_share", "1", CPU_BUDGET),
        figure("sent_per_hour", "sent_bytes_per_hour", "By/h"),
        figure("written_per_hour", "written_bytes_per_hour", "By/h"),
    ]


async def _watch(processes: Sequence[Process], meter: Meter, window_seconds: float) -> Cost:
    rss, pss = [], []
    began, sent = time.monotonic(), meter.sent_bytes
    cpu, written = sum(one.cpu_seconds() for one in processes), sum(one.written_bytes() for one in processes)
    while (left := began + window_seconds - time.monotonic()) > 0:
        try:
            rss.append(sum(one.stat().rss_bytes for one in processes))
            pss.append(sum(one.pss_bytes() for one in processes))
        except OSError as err:
            raise Failed(f"one of {[one.pid for one in processes]} ended while it was measured") from err
        await asyncio.sleep(min(LOOK_SECONDS, left))
    passed = time.monotonic() - began
    return Cost(
        rss_bytes=max(rss),
        pss_bytes=max(pss),
        cpu_share=(sum(one.cpu_seconds() for one in processes) - cpu) / passed,
        sent_bytes_per_hour=(meter.sent_bytes - sent) / passed * 3600,
        written_bytes_per_hour=(sum(one.written_bytes() for one in processes) - written) / passed * 3600,
    )


async def _reports(up: Up) -> None:
    """An agent that does nothing is cheap: it must have delivered just now."""
    (server,) = (await up.person.ask("GET", "/api/v1/servers"))["servers"]
    silent_seconds = time.time() - (server["last_sample_at"] or 0) / 1000
    if server["state"] != "up" or silent_seconds > 90:
        raise Failed(f"the agent is {server['state']}, its newest sample {silent_seconds:.0f} s old")


@asynccontextmanager
async def _agent(up: Up, meter: Meter) -> AsyncIterator[Process]:
    """An agent as on a server of its own, installed as pip installs it: compiled."""
    compiled = str(up.folder / "compiled")
    environment = {
        **bare_environment(),
        "TWINWATCH_HUB": meter.url,
        "TWINWATCH_ENROLMENT_KEY": await up.person.enrolment_key(),
        "TWINWATCH_STATE_DIR": str(up.folder / "agent"),
        "PYTHONPYCACHEPREFIX": compiled,
    }
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    start = [sys.executable, "-P", "-m", "twinwatch.agent"]
    async with running(start, environment, up.folder / "log"):
        # The first start compiles, and what the compiler needed would stay in the figure.
        await asyncio.sleep(COMPILED_SECONDS)
    async with running(start, environment, up.folder / "log") as process:
        yield process
