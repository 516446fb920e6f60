"""The agent's local server, running on ports of its own over a buffer in memory, for tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from twinwatch.agent.buffer import Page, Place, Tick
from twinwatch.agent.local.custom import Custom
from twinwatch.agent.local.server import LocalServer
from twinwatch.agent.local.settings import LocalSettings
from twinwatch.agent.status import Status
from twinwatch.protocol.metrics import Catalogue, MonitorFacts
from twinwatch.testing.ports import free_port
from twinwatch.world.clock import SystemClock


class PaperBuffer:
    """Ticks in a list, read as ``Buffer.page`` reads them."""

    def __init__(self) -> None:
        self.ticks: list[Tick] = []

    async def keep(self, ticks: Sequence[Tick]) -> None:
        """Keep them."""
        self.ticks += ticks

    async def page(self, since: int, until: int, *, metrics: Collection[str], after: Place, ticks: int) -> Page:
        """The next page."""
        rows = sorted(
            ((tick.time, number), tick)
            for number, tick in enumerate(self.ticks)
            if since <= tick.time < until and (not metrics or any(key.metric in metrics for key in tick.shape.series))
        )
        rows = [row for row in rows if row[0] > after][:ticks]
        return Page([tick for _, tick in rows], rows[-1][0] if len(rows) == ticks else None)


@dataclass
class LocalStage:
    """The running server."""

    server: LocalServer
    custom: Custom
    buffer: PaperBuffer
    socket: Path
    status: Status
    monitors: list[MonitorFacts] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Its page."""
        host, port = self.server.addresses[0]
        return f"http://{host}:{port}"

    def catalogue(self) -> Catalogue:
        """What is declared, custom metrics included."""
        learned = self.custom.declaration
        own = MonitorFacts("custom", "Custom metrics", 60.0, learned.metrics, learned.charts)
        return Catalogue("1.0", (*self.monitors, own))

    def values(self) -> dict[str, float]:
        """The newest value of each custom series, by metric and label values."""
        return {
            key.metric + "".join(f"|{text}" for text in key.labels.values()): value
            for tick in self.buffer.ticks
            for key, value in zip(tick.shape.series, tick.values, strict=True)
            if value is not None
        }


@asynccontextmanager
async def local_stage(
    folder: Path, settings: LocalSettings | None = None, *, drill: Callable[[], Awaitable[object]] | None = None
) -> AsyncIterator[LocalStage]:
    """The server, answering."""
    settings = settings or LocalSettings(listen=f"127.0.0.1:{free_port()}")
    clock = SystemClock()
    buffer = PaperBuffer()
    custom = Custom(clock, buffer.keep, taken={"system.cpu.utilization": "system"}.get, max_series=settings.max_series)
    status = Status("1.0", "web-1", clock.now(), 60.0, 1)

    async def status_now() -> Status:
        return stage.status

    def catalogue() -> Catalogue:
        return stage.catalogue()

    server = LocalServer(
        settings,
        state_dir=folder,
        status=status_now,
        catalogue=catalogue,
        read=buffer.page,
        custom=custom,
        clock=clock,
        drill=drill,
    )
    stage = LocalStage(server, custom, buffer, folder / "agent.sock", status)
    running = asyncio.create_task(server.run())
    try:
        async with asyncio.timeout(10):
            while not (server.addresses or not settings.enabled) or not server.on_socket:
                if running.done():
                    running.result()
                await asyncio.sleep(0.005)
        yield stage
    finally:
        running.cancel()
        await asyncio.wait({running})
