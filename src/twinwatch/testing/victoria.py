"""A real VictoriaMetrics for tests: Debian's single node in its own folder, and a cluster's addresses before it."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from http.client import HTTPConnection
from pathlib import Path

import aiohttp
from aiohttp import web

from twinwatch.testing.ports import free_port

PROGRAM = "victoria-metrics"
START_SECONDS = 20.0
ROUTE = re.compile(r"/(insert|select|delete)/(\d+:\d+)/prometheus(/.*)")


def is_there() -> bool:
    """Whether the program is installed."""
    return shutil.which(PROGRAM) is not None


@contextmanager
def single_node(*options: str) -> Iterator[str]:
    """A node, started as docs/storage.md says and with these options, for the length of a block: its address."""
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        command = [PROGRAM, f"-storageDataPath={folder}/data", f"-httpListenAddr=127.0.0.1:{port}", *options]
        log = Path(folder, "log")
        running = _started(command, log)
        try:
            end = time.monotonic() + START_SECONDS
            while not _answers(port):
                if running.poll() is not None or time.monotonic() > end:
                    raise TimeoutError(f"{PROGRAM} does not answer: {log.read_text()}")
                time.sleep(0.01)
            yield f"http://127.0.0.1:{port}"
        finally:
            running.kill()
            running.wait()


async def flush(address: str) -> None:
    """What was written can be read: otherwise it takes a second."""
    async with aiohttp.ClientSession() as client, client.get(f"{address}/internal/force_flush") as answer:
        answer.raise_for_status()


@asynccontextmanager
async def cluster_before(address: str) -> AsyncIterator[tuple[str, str]]:
    """The addresses of a vminsert and a vmselect, before a single node that keeps tenants apart by a label.

    Routes are those of the cluster version; everything else, ours and the single node's included, is a 400.
    """
    async with aiohttp.ClientSession() as client:

        async def answer(request: web.Request) -> web.Response:
            found = ROUTE.fullmatch(request.path)
            if found is None or (found[1] == "insert") != (request.url.port == ports[0]):
                return web.Response(status=400, text=f"no route of a cluster: {request.path}")
            told = {**request.query, "extra_label": f"tenant={found[2]}"}
            kind = {"Content-Type": request.headers["Content-Type"]}
            body = await request.read()
            async with client.post(f"{address}{found[3]}", params=told, data=body, headers=kind) as passed:
                return web.Response(status=passed.status, body=await passed.read())

        ports = [free_port(), free_port()]
        application = web.Application(client_max_size=1 << 30)
        application.router.add_route("*", "/{path:.*}", answer)
        runner = web.AppRunner(application)
        await runner.setup()
        for port in ports:
            await web.TCPSite(runner, "127.0.0.1", port).start()
        yield f"http://127.0.0.1:{ports[0]}", f"http://127.0.0.1:{ports[1]}"
        await runner.cleanup()


def _started(command: list[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        return subprocess.Popen(  # noqa: S603
            [*command, "-retentionPeriod=100y", "-dedup.minScrapeInterval=1ms"],
            stdout=output,
            stderr=output,
        )


def _answers(port: int) -> bool:
    asked = HTTPConnection("127.0.0.1", port, timeout=START_SECONDS)
    try:
        asked.request("GET", "/health")
        return asked.getresponse().status == 200
    except OSError:
        return False
    finally:
        asked.close()
