"""The peer of alerting: Debian's node_exporter, Prometheus and Alertmanager, which watch the same systemd.

Their settings are those that people choose who do not want to wait: scrape and evaluation every 15 s, nothing held
back by ``for``, a group for each unit, and 10 s in which what belongs together is gathered.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from bench.rig import Failed
from bench.rig.running import running
from bench.rig.up import bare_environment
from twinwatch.testing.ports import free_port

PROGRAMS = ("prometheus-node-exporter", "prometheus", "prometheus-alertmanager")
NAME = "node-exporter + prometheus (scrape, evaluation 15 s) + alertmanager (group_wait 10 s)"
START_SECONDS = 60.0
LOOK_SECONDS = 0.2

PROMETHEUS = """
global:
  scrape_interval: 15s
  evaluation_interval: 15s
scrape_configs:
  - job_name: node
    static_configs:
      - targets: ["{exporter}"]
rule_files: ["{folder}/rules.yml"]
alerting:
  alertmanagers:
    - static_configs:
        - targets: ["{manager}"]
"""
RULES = """
groups:
  - name: units
    rules:
      - alert: UnitFailed
        expr: node_systemd_unit_state{state="failed"} == 1
"""
ALERTMANAGER = """
route:
  receiver: bench
  group_by: [alertname, name]
  group_wait: 10s
  group_interval: 5m
receivers:
  - name: bench
    webhook_configs:
      - url: "{url}"
"""


class Alarm:
    """The running peer. ``told``: units, and when each was first heard of as failed, on the loop's clock."""

    def __init__(self) -> None:
        self.told: dict[str, float] = {}

    async def hear(self, unit: str, *, within_seconds: float) -> float:
        """When this unit was told of.

        Raises: Failed if it is not.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + within_seconds
        while unit not in self.told:
            if loop.time() > end:
                raise Failed(f"{NAME}: nothing about {unit} within {within_seconds:g} s")
            await asyncio.sleep(LOOK_SECONDS)
        return self.told[unit]

    async def take(self, request: web.Request) -> web.Response:
        """What Alertmanager posts."""
        at = asyncio.get_running_loop().time()
        for alert in (await request.json())["alerts"]:
            if alert["status"] == "firing":
                self.told.setdefault(alert["labels"].get("name", ""), at)
        return web.Response()


def missing() -> list[str]:
    """Which of its programs this machine lacks."""
    return [name for name in PROGRAMS if shutil.which(name) is None]


@asynccontextmanager
async def alarm(folder: Path, bus: str, unit: str) -> AsyncIterator[Alarm]:
    """All three, with their data below ``folder``, on the system bus at this address, once they know this unit.

    Raises: Failed if they do not.
    """
    exporter, prometheus, manager, receiver = (f"127.0.0.1:{free_port()}" for _ in range(4))
    made = Alarm()
    _write(
        folder,
        {
            "prometheus.yml": PROMETHEUS.format(exporter=exporter, manager=manager, folder=folder),
            "rules.yml": RULES,
            "alertmanager.yml": ALERTMANAGER.format(url=f"http://{receiver}/"),
        },
    )
    commands = {
        PROGRAMS[0]: [f"--web.listen-address={exporter}", "--collector.disable-defaults", "--collector.systemd"],
        PROGRAMS[1]: [
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'prometheus'}",
            f"--web.listen-address={prometheus}",
        ],
        PROGRAMS[2]: [
            f"--config.file={folder / 'alertmanager.yml'}",
            f"--storage.path={folder / 'alertmanager'}",
            f"--web.listen-address={manager}",
            "--cluster.listen-address=",
        ],
    }
    environment = {**bare_environment(), "DBUS_SYSTEM_BUS_ADDRESS": bus}
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(_served(made, receiver))
        for name, arguments in commands.items():
            command = [str(shutil.which(name)), *arguments]
            await stack.enter_async_context(running(command, environment, folder / "log"))
        try:
            async with asyncio.timeout(START_SECONDS):
                while not await _knows(f"http://{prometheus}", unit) or not await _answers(f"http://{manager}"):  # noqa: ASYNC110
                    await asyncio.sleep(LOOK_SECONDS)
        except TimeoutError:
            said = (folder / "log").read_text(errors="replace")[-2000:]
            raise Failed(f"{NAME}: {unit} is not known within {START_SECONDS:g} s\n{said}") from None
        yield made


def _write(folder: Path, files: dict[str, str]) -> None:
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)


async def _knows(url: str, unit: str) -> bool:
    asked = {"query": f'node_systemd_unit_state{{name="{unit}",state="active"}}'}
    answer: Any = await _asked(f"{url}/api/v1/query", asked)
    return bool(answer and answer["data"]["result"])


async def _answers(url: str) -> bool:
    return bool(await _asked(f"{url}/api/v2/status", {}))


async def _asked(url: str, asked: dict[str, str]) -> Any:
    try:
        async with aiohttp.ClientSession() as session, session.get(url, params=asked) as answer:
            return await answer.json() if answer.status == 200 else None
    except (aiohttp.ClientError, OSError):
        return None


@asynccontextmanager
async def _served(made: Alarm, listen: str) -> AsyncIterator[None]:
    app = web.Application()
    app.router.add_post("/", made.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    host, _, port = listen.rpartition(":")
    await web.TCPSite(runner, host, int(port)).start()
    try:
        yield
    finally:
        await runner.cleanup()
