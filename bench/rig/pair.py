"""The peer of the agent: Debian's node_exporter, and Prometheus in agent mode that scrapes it and sends on.

Together they do what the agent does: read the machine, keep what cannot be sent, send it. What they send goes to a
receiver here that takes everything and counts the bytes.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from bench.rig import Failed
from bench.rig.meter import Meter
from bench.rig.processes import Process
from bench.rig.running import running
from bench.rig.up import bare_environment
from twinwatch.testing.ports import free_port

EXPORTER = "prometheus-node-exporter"
SENDER = "prometheus"
NAME = f"{EXPORTER} + {SENDER} --enable-feature=agent"
FIRST_BATCH_SECONDS = 90.0

CONFIGURATION = """
global:
  scrape_interval: {interval}s
scrape_configs:
  - job_name: node
    static_configs:
      - targets: ["{target}"]
remote_write:
  - url: "{url}/write"
"""


@dataclass(frozen=True, slots=True)
class Pair:
    """The running peer. ``meter`` counts what it sends."""

    processes: tuple[Process, ...]
    meter: Meter


def missing() -> list[str]:
    """Which of its programs this machine lacks."""
    return [name for name in (EXPORTER, SENDER) if shutil.which(name) is None]


@asynccontextmanager
async def pair(folder: Path, scrape_seconds: float) -> AsyncIterator[Pair]:
    """Both, with their data below ``folder``, once the first batch has arrived.

    Raises: Failed if none does.
    """
    exporter, sender = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    received = asyncio.Event()
    async with _receiver(received) as url, Meter(url) as meter:
        settings = folder / "prometheus.yml"
        settings.write_text(CONFIGURATION.format(interval=round(scrape_seconds), target=exporter, url=meter.url))
        export = [str(shutil.which(EXPORTER)), f"--web.listen-address={exporter}"]
        send = [
            str(shutil.which(SENDER)),
            "--enable-feature=agent",
            f"--config.file={settings}",
            f"--storage.agent.path={folder / 'prometheus'}",
            f"--web.listen-address={sender}",
        ]
        log = folder / "pair.log"
        async with running(export, bare_environment(), log) as one, running(send, bare_environment(), log) as other:
            try:
                async with asyncio.timeout(FIRST_BATCH_SECONDS):
                    await received.wait()
            except TimeoutError:
                said = log.read_text(errors="replace")[-2000:]
                raise Failed(f"{NAME}: nothing was sent within {FIRST_BATCH_SECONDS:g} s\n{said}") from None
            yield Pair((one, other), meter)


@asynccontextmanager
async def _receiver(received: asyncio.Event) -> AsyncIterator[str]:
    """A server that takes what is written to it; its address."""

    async def take(request: web.Request) -> web.Response:
        await request.read()
        received.set()
        return web.Response(status=204)

    app = web.Application(client_max_size=64 << 20)
    app.router.add_post("/write", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        port = free_port()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()
