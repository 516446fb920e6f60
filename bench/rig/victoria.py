"""VictoriaMetrics beside us: Debian's single node, filled by its import API."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import msgspec

from bench.rig import Failed
from bench.rig.fleet_day import ServerDay
from bench.rig.running import running
from bench.rig.up import bare_environment
from twinwatch.testing.ports import free_port

PROGRAM = "victoria-metrics"
START_SECONDS = 20.0


@dataclass(slots=True)
class Victoria:
    """A running node with its data below ``folder``."""

    folder: Path
    url: str
    client: aiohttp.ClientSession

    async def fill(self, day: ServerDay) -> None:
        """Imports one server's samples."""
        answer = await self.client.post(f"{self.url}/api/v1/import", data=b"\n".join(_lines(day)))
        if answer.status != 204:
            raise Failed(f"{PROGRAM} refused an import: {answer.status} {await answer.text()}")

    async def settle(self) -> None:
        """Everything on disk, and merged as far as it will ever be."""
        for route in ("force_flush", "force_merge"):
            (await self.client.get(f"{self.url}/internal/{route}")).raise_for_status()
        before = -1
        while before != (size := self.size_bytes()):
            before = size
            await asyncio.sleep(3)

    async def count(self, name: str, to: int) -> int:
        """How many samples there are of a metric up to this moment, ms UTC."""
        asked = {"query": f"sum(count_over_time({{__name__={name!r}}}[2d]))", "time": str(to / 1000)}
        answer = await (await self.client.get(f"{self.url}/api/v1/query", params=asked)).json()
        return int(answer["data"]["result"][0]["value"][1])

    def size_bytes(self) -> int:
        """All files: samples and index."""
        files = (path for part in ("data", "indexdb") for path in (self.folder / "data" / part).rglob("*"))
        return sum(path.stat().st_size for path in files if path.is_file())


def is_there() -> bool:
    """Whether the program is installed."""
    return shutil.which(PROGRAM) is not None


@asynccontextmanager
async def victoria(folder: Path) -> AsyncIterator[Victoria]:
    """A node for the length of a block."""
    port = free_port()
    command = [PROGRAM, f"-storageDataPath={folder / 'data'}", f"-httpListenAddr=127.0.0.1:{port}"]
    command += ["-retentionPeriod=100y", "-loggerLevel=ERROR", "-search.latencyOffset=0"]
    async with running(command, bare_environment(), folder / "log"), aiohttp.ClientSession() as client:
        node = Victoria(folder, f"http://127.0.0.1:{port}", client)
        try:
            async with asyncio.timeout(START_SECONDS):
                while not await _answers(node):  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise Failed(f"{PROGRAM} does not answer") from None
        yield node


async def _answers(node: Victoria) -> bool:
    try:
        return (await node.client.get(f"{node.url}/health")).status == 200
    except aiohttp.ClientError:
        return False


def _lines(day: ServerDay) -> Iterator[bytes]:
    times = day.times.tolist()
    for key, values in zip(day.series, day.values.tolist(), strict=True):
        labels = {name.replace(".", "_"): value for name, value in key.labels.items()}
        metric = {"__name__": key.metric, "server": day.name, **labels}
        yield msgspec.json.encode({"metric": metric, "values": values, "timestamps": times})
