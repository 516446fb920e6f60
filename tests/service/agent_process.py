"""An agent as a process of its own, and a fake hub on a real socket."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from twinwatch.testing.fake_hub import FakeHub
from twinwatch.testing.fakes import call
from twinwatch.world.clock import SystemClock

QUICK = {
    "TWINWATCH_HEARTBEAT_INTERVAL": "1s",
    "TWINWATCH_PUSH_INTERVAL": "500ms",
    "TWINWATCH_MONITOR_INTERVAL": "200ms",
}


class Hub:
    """A fake hub on a real socket."""

    def __init__(self) -> None:
        self.fake = FakeHub(SystemClock())
        self.url = ""

    async def __call__(self, request: web.BaseRequest) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        answer = await call(self.fake, request.method, str(request.url), headers, await request.read())
        return web.Response(status=answer.status, body=answer.body, headers=answer.headers)


@asynccontextmanager
async def serving() -> AsyncIterator[Hub]:
    """A hub that listens on a port of this machine."""
    hub = Hub()
    runner = web.ServerRunner(web.Server(hub, auto_decompress=False))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    hub.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield hub
    finally:
        await runner.cleanup()


class Process:
    """One agent process. Its log is read when it has ended."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    async def ended(self) -> tuple[int, str]:
        async with asyncio.timeout(60):
            _, log = await self._process.communicate()
        assert self._process.returncode is not None
        return self._process.returncode, log.decode()


async def agent(state_dir: Path, url: str, key: str = "twe_test", *arguments: str, **environment: str) -> Process:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TWINWATCH_")}
    hub = ["--hub", url] if url else []
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "twinwatch.agent",
        *hub,
        "--state-dir",
        str(state_dir),
        *arguments,
        env={**clean, **QUICK, **({"TWINWATCH_ENROLMENT_KEY": key} if key else {}), **environment},
        stderr=asyncio.subprocess.PIPE,
    )
    return Process(process)


async def until(claim: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not claim():  # noqa: ASYNC110 - another process makes it true
            await asyncio.sleep(0.02)
