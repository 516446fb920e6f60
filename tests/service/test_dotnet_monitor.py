"""The dotnet monitor at a real C# program, compiled and run with Mono, and at what is pushed to a real agent."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from twinwatch.monitors import Check, Moment, Reading
from twinwatch.monitors.dotnet import Dotnet
from twinwatch.monitors.options import options_of
from twinwatch.testing.ports import free_port
from twinwatch.world.clock import SystemClock
from twinwatch.world.doors import World
from twinwatch.world.host import Host
from twinwatch.world.http import AiohttpHttp

ROOT = Path(__file__).parents[2]
CLOCK = SystemClock()
needs_mono = pytest.mark.skipif(
    shutil.which("mcs") is None or shutil.which("mono") is None,
    reason="needs Debian's mono-mcs and mono-runtime: make test as root installs them",
)


def _compiled(source: Path, program: Path, *references: str) -> Path:
    command = ["mcs", f"-out:{program}", *(f"-r:{one}" for one in references), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return program


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = ROOT / "tests" / "service" / "csharp" / "shop.cs"
    return _compiled(source, tmp_path_factory.mktemp("csharp") / "shop.exe")


class Shop:
    """The program: it may be started, killed and asked."""

    def __init__(self, program: Path) -> None:
        self.program = program
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            "mono", str(self.program), str(self.port), stdout=asyncio.subprocess.PIPE
        )
        assert self.process.stdout is not None
        async with asyncio.timeout(30):
            assert await self.process.stdout.readline() == b"listening\n"

    async def kill(self) -> None:
        assert self.process is not None
        if self.process.returncode is None:
            self.process.kill()
        await self.process.communicate()

    async def ask(self, path: str, times: int = 1) -> None:
        async with aiohttp.ClientSession() as session:
            for _ in range(times):
                async with session.get(self.url + path) as response:
                    await response.read()


@asynccontextmanager
async def _running(program: Path) -> AsyncIterator[tuple[Shop, World]]:
    shop = Shop(program)
    world = World(clock=CLOCK, http=AiohttpHttp(), host=Host())
    await shop.start()
    try:
        yield shop, world
    finally:
        await shop.kill()
        await world.close()


def _monitor(shop: Shop, **options: Any) -> Dotnet:
    given = {"command": f"shop.exe {shop.port}", **options}
    return Dotnet(options_of(Dotnet, given))


async def _read(world: World, monitor: Dotnet) -> tuple[dict[str, Check], dict[str, float]]:
    found = await monitor.read(world, Moment(CLOCK.now(), CLOCK.monotonic()))
    checks = {one.name: one for one in found if isinstance(one, Check)}
    values = {"|".join([one.metric, *one.labels.values()]): one.value for one in found if isinstance(one, Reading)}
    return checks, values


@needs_mono
async def test_a_program_that_is_killed_and_started_anew_is_told(program: Path) -> None:
    async with _running(program) as (shop, world):
        monitor = _monitor(shop, health=[f"{shop.url}/health"])
        checks, values = await _read(world, monitor)
        assert {one.state for one in checks.values()} == {"up"}
        assert values["dotnet.app.memory.rss"] > 1 << 20
        assert values["dotnet.app.uptime"] < 3600
        await shop.kill()
        checks, _ = await _read(world, monitor)
        assert (checks["process"].state, checks["process"].reason) == ("down", "not-running")
        assert checks["health"].state == "unknown", "one cause, one alert"
        await shop.start()
        checks, _ = await _read(world, monitor)
        assert (checks["process"].state, checks["restart"].reason) == ("up", "restarted")
        for _ in range(2):
            await shop.kill()
            await shop.start()
            checks, _ = await _read(world, monitor)
        assert (checks["restart"].state, checks["restart"].reason) == ("down", "crash-loop")


@needs_mono
async def test_a_program_that_says_it_is_unhealthy_is_told_entry_by_entry(program: Path) -> None:
    async with _running(program) as (shop, world):
        monitor = _monitor(shop, health=[f"{shop.url}/health", f"{shop.url}/health/live"])
        checks, values = await _read(world, monitor)
        assert checks["health:database"].state == "up"
        assert values["dotnet.app.health.duration|/health/live"] >= 0
        await shop.ask("/break")
        checks, _ = await _read(world, monitor)
        database = checks["health:database"]
        assert (database.state, database.reason) == ("down", "unhealthy")
        assert "no connection" in database.message
        assert "geheim" not in repr(checks)
        assert (checks["endpoint:/health"].state, checks["endpoint:/health"].reason) == ("degraded", "entries")
        assert checks["health:disk"].state == checks["endpoint:/health/live"].state == "up"
        await shop.ask("/heal")
        checks, _ = await _read(world, monitor)
        assert {one.state for one in checks.values()} == {"up"}


@needs_mono
async def test_the_metrics_of_a_program_become_figures(program: Path) -> None:
    async with _running(program) as (shop, world):
        monitor = _monitor(shop, metrics=f"{shop.url}/metrics")
        await _read(world, monitor)
        await shop.ask("/orders", 30)
        await shop.ask("/fail", 10)
        checks, values = await _read(world, monitor)
        assert checks["metrics"].state == "up"
        assert values["dotnet.app.requests"] > 0
        assert values["dotnet.app.requests.failed_share"] == 0.25
        assert values["dotnet.app.heap.size"] > 0
        assert "dotnet.app.gc.collections|gen0" in values
        assert values["dotnet.app.cpu.utilization"] <= 1


@asynccontextmanager
async def _agent(folder: Path, monitors: str) -> AsyncIterator[str]:
    """A real agent without a hub; the address of its page."""
    listen = f"127.0.0.1:{free_port()}"
    config = folder / "agent.yaml"
    config.write_text(f"state_dir: {folder}/state\nlocal: {{listen: '{listen}'}}\nmonitors:\n{monitors}")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TWINWATCH_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "twinwatch.agent",
        "--config",
        str(config),
        env={**clean, "TWINWATCH_MONITOR_INTERVAL": "300ms"},
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        await _until(f"http://{listen}/metrics", lambda text: "twinwatch" in text)
        yield f"http://{listen}"
    finally:
        process.terminate()
        async with asyncio.timeout(20):
            _, log = await process.communicate()
        assert process.returncode == 0, log.decode()


async def _until(url: str, claim: Callable[[str], bool]) -> str:
    """Ask until the claim is true of the answer."""
    text = ""
    async with asyncio.timeout(40), aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(url) as response:
                    text = await response.text()
                if response.status == 200 and claim(text):
                    return text
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.1)


def _otlp(times: int, now_ns: int) -> dict[str, Any]:
    def points(*values: tuple[float, dict[str, str]]) -> list[dict[str, Any]]:
        return [
            {
                "asDouble": value,
                "timeUnixNano": str(now_ns),
                "startTimeUnixNano": "1700000000000000000",
                "attributes": [{"key": key, "value": {"stringValue": text}} for key, text in labels.items()],
            }
            for value, labels in values
        ]

    def total(name: str, unit: str, *values: tuple[float, dict[str, str]]) -> dict[str, Any]:
        data = {"dataPoints": points(*values), "aggregationTemporality": 2, "isMonotonic": True}
        return {"name": name, "unit": unit, "sum": data}

    metrics = [
        total("dotnet.gc.pause.time", "s", (0.2 * times, {})),
        total("dotnet.exceptions", "{exception}", (40.0 * times, {"error.type": "System.TimeoutException"})),
        total("process.runtime.dotnet.monitor.lock_contention.count", "", (30.0 * times, {})),
        {"name": "dotnet.thread_pool.queue.length", "gauge": {"dataPoints": points((7.0, {}))}},
        {"name": "dotnet.thread_pool.thread.count", "gauge": {"dataPoints": points((12.0, {}))}},
    ]
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]}
    return {"resourceMetrics": [{"resource": resource, "scopeMetrics": [{"metrics": metrics}]}]}


async def test_what_is_pushed_as_otlp_becomes_the_monitors_figures_through_a_real_agent(tmp_path: Path) -> None:
    async with _agent(tmp_path, "  - {type: csharp, name: shop, service: shop}\n") as url:
        text = ""
        async with asyncio.timeout(40), aiohttp.ClientSession() as session:
            times = 0
            while 'dotnet_app_exceptions{twinwatch_monitor_name="shop"}' not in text:
                times += 1
                body = json.dumps(_otlp(times, CLOCK.now() * 1_000_000))
                headers = {"Content-Type": "application/json"}
                async with session.post(f"{url}/v1/metrics", data=body, headers=headers) as response:
                    assert response.status == 200, await response.text()
                    assert await response.json() == {}
                await asyncio.sleep(0.7)
                async with session.get(f"{url}/metrics") as response:
                    text = await response.text()
    found = dict(re.findall(r'^(dotnet_app_\w+)\{twinwatch_monitor_name="shop"\} (\S+)$', text, re.MULTILINE))
    assert float(found["dotnet_app_thread_pool_queue"]) == 7
    assert float(found["dotnet_app_thread_pool_threads"]) == 12
    assert 0 < float(found["dotnet_app_exceptions"]) <= 200
    assert 0 < float(found["dotnet_app_gc_pause_share"]) <= 1
    assert float(found["dotnet_app_lock_contentions"]) > 0


@needs_mono
async def test_the_documented_snippet_sends_a_custom_metric(tmp_path: Path) -> None:
    """The five lines of docs/custom-metrics.md, compiled as they stand there but for the port."""
    (snippet,) = re.findall(
        r"```csharp\n(// Five lines.*?)```", (ROOT / "docs" / "custom-metrics.md").read_text(), re.S
    )
    lines = [line for line in snippet.splitlines() if line.strip() and not line.startswith(("using", "//"))]
    assert len(lines) == 5
    async with _agent(tmp_path, "  - {type: system}\n") as url:
        source = tmp_path / "snippet.cs"
        usings = [line for line in snippet.splitlines() if line.startswith("using")]
        body = "\n".join(lines).replace("http://127.0.0.1:3000", url)
        head = "\n".join([*usings, "using System.Threading.Tasks;"])
        source.write_text(
            f"{head}\npublic static class Program {{ public static void Main() {{ Run().Wait(); }}\n"
            f"static async Task Run() {{\n{body}\n}} }}\n"
        )
        program = _compiled(source, tmp_path / "snippet.exe", "System.Net.Http.dll")
        sent = await asyncio.create_subprocess_exec("mono", str(program))
        async with asyncio.timeout(30):
            assert await sent.wait() == 0
        text = await _until(f"{url}/metrics", lambda text: "orders_open" in text)
    assert "orders_open 12.0" in text
