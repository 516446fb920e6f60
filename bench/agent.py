"""What the agent costs the machine that it watches: default monitors at 15 s, against a real hub.

Its peer is Debian's node_exporter, scraped every 15 s as Prometheus would. That one keeps nothing and sends nothing by
itself, so it has no figures of that.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from bench.figures import Figure, Peer
from bench.rig import Failed
from bench.rig.meter import Meter
from bench.rig.processes import Process, process
from bench.rig.up import Up, bare_environment, free_port
from twinwatch.hub.embedded import die_with_parent

PEER = "prometheus-node-exporter"
SCRAPE_SECONDS = 15.0
LOOK_SECONDS = 1.0
WARM_SECONDS = 60.0
QUICK_WARM_SECONDS = 7.0
"""Past the first runs and the first push."""
WINDOW_SECONDS = 600.0
QUICK_WINDOW_SECONDS = 30.0
"""A push, and two runs of every monitor."""
END_SECONDS = 10.0

RSS_BUDGET_BYTES = 45_000_000
CPU_BUDGET = 0.005


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one process over a window. Memory is the most that was seen."""

    rss_bytes: int
    pss_bytes: int
    cpu_share: float
    written_bytes_per_hour: float


async def measure(quick: bool) -> list[Figure]:
    """Memory, CPU, bytes sent and written."""
    window = QUICK_WINDOW_SECONDS if quick else WINDOW_SECONDS
    async with Up(agent=False) as up, Meter(up.url) as meter, _agent(up, meter) as agent, _peer() as peer:
        await asyncio.sleep(QUICK_WARM_SECONDS if quick else WARM_SECONDS)
        sent, began = meter.sent_bytes, time.monotonic()
        watched = [agent] if peer is None else [agent, peer]
        costs = await asyncio.gather(*(_watch(one, window) for one in watched))
        sent_per_hour = (meter.sent_bytes - sent) / (time.monotonic() - began) * 3600
        await _reports(up)
    cost, other = costs[0], (costs[1] if len(costs) > 1 else None)

    def figure(name: str, value: float, unit: str, budget: float | None, peer_value: float | None) -> Figure:
        beside = None if peer_value is None else Peer(PEER, peer_value)
        return Figure("agent", name, value, unit, budget, beside)

    return [
        figure("rss", cost.rss_bytes, "By", RSS_BUDGET_BYTES, other.rss_bytes if other else None),
        figure("pss", cost.pss_bytes, "By", None, other.pss_bytes if other else None),
        figure("cpu", cost.cpu_share, "1", CPU_BUDGET, other.cpu_share if other else None),
        figure("sent_per_hour", sent_per_hour, "By/h", None, None),
        figure("written_per_hour", cost.written_bytes_per_hour, "By/h", None, None),
    ]


async def _watch(one: Process, window_seconds: float) -> Cost:
    rss, pss = [], []
    began, cpu, written = time.monotonic(), one.cpu_seconds(), one.written_bytes()
    while (left := began + window_seconds - time.monotonic()) > 0:
        try:
            rss.append(one.stat().rss_bytes)
            pss.append(one.pss_bytes())
        except OSError as err:
            raise Failed(f"process {one.pid} ended while it was measured") from err
        await asyncio.sleep(min(LOOK_SECONDS, left))
    passed = time.monotonic() - began
    return Cost(
        rss_bytes=max(rss),
        pss_bytes=max(pss),
        cpu_share=(one.cpu_seconds() - cpu) / passed,
        written_bytes_per_hour=(one.written_bytes() - written) / passed * 3600,
    )


async def _reports(up: Up) -> None:
    """An agent that does nothing is cheap: it must have delivered just now."""
    (server,) = (await up.person.ask("GET", "/api/v1/servers"))["servers"]
    silent_seconds = time.time() - (server["last_sample_at"] or 0) / 1000
    if server["state"] != "up" or silent_seconds > 90:
        raise Failed(f"the agent is {server['state']}, its newest sample {silent_seconds:.0f} s old")


@asynccontextmanager
async def _agent(up: Up, meter: Meter) -> AsyncIterator[Process]:
    """An agent as on a server of its own."""
    environment = {
        **bare_environment(),
        "TWINWATCH_HUB": meter.url,
        "TWINWATCH_ENROLMENT_KEY": await up.person.enrolment_key(),
        "TWINWATCH_STATE_DIR": str(up.folder / "agent"),
    }
    command = [sys.executable, "-P", "-m", "twinwatch.cli", "agent", "run"]
    async with _running(command, environment, up.folder / "log") as running:
        yield running


@asynccontextmanager
async def _peer() -> AsyncIterator[Process | None]:
    """The peer, scraped regularly; None, and a word about it, where it is not installed."""
    program = shutil.which(PEER)
    if program is None:
        print(f"bench: agent: no {PEER} here to measure beside (Debian has it): peer is null", file=sys.stderr)
        yield None
        return
    address = f"127.0.0.1:{free_port()}"
    async with _running([program, f"--web.listen-address={address}"], bare_environment(), Path(os.devnull)) as running:
        scraping = asyncio.create_task(_scrape(f"http://{address}/metrics"))
        try:
            yield running
            if scraping.done():
                scraping.result()
        finally:
            scraping.cancel()
            await asyncio.gather(scraping, return_exceptions=True)


async def _scrape(url: str) -> None:
    async with aiohttp.ClientSession() as session:
        await asyncio.sleep(1.0)
        while True:
            async with session.get(url) as answer:
                if answer.status != 200 or b"node_cpu_seconds_total" not in await answer.read():
                    raise Failed(f"{PEER} answers with {answer.status}, not with its metrics")
            await asyncio.sleep(SCRAPE_SECONDS)


@asynccontextmanager
async def _running(command: list[str], environment: dict[str, str], log: Path) -> AsyncIterator[Process]:
    with log.open("ab") as output:
        running = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            cwd="/",
            preexec_fn=die_with_parent(signal.SIGTERM),
        )
    try:
        yield process(running.pid)
    finally:
        if running.returncode is None:
            running.terminate()
        try:
            async with asyncio.timeout(END_SECONDS):
                await running.wait()
        except TimeoutError:
            running.kill()
            await running.wait()
