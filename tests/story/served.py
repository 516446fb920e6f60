"""A fake hub on a real port, a line to it that fails on demand, and real agent processes."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import struct
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from aiohttp import WSMsgType, web

from twinwatch.agent.buffer import Buffer
from twinwatch.protocol.heartbeat import Delivery
from twinwatch.testing.fake_hub import FakeHub
from twinwatch.testing.fakes import AsgiSocket, call
from twinwatch.testing.ports import free_port
from twinwatch.world.clock import SystemClock
from twinwatch.world.http import NotOpened, Unreachable

QUICK = {
    "TWINWATCH_HEARTBEAT_INTERVAL": "1s",
    "TWINWATCH_PUSH_INTERVAL": "500ms",
    "TWINWATCH_MONITOR_INTERVAL": "200ms",
}
PATIENCE_SECONDS = 60.0


class ServedHub:
    """The hub behind an HTTP server of aiohttp's, WebSockets included."""

    def __init__(self) -> None:
        self.fake = FakeHub(SystemClock())
        self.port = 0

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[ServedHub]:
        """Serve while this lasts."""
        runner = web.ServerRunner(web.Server(self._answer, auto_decompress=False), shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.port = runner.addresses[0][1]
        try:
            yield self
        finally:
            await runner.cleanup()

    def ticks(self) -> int:
        """How many ticks it holds, of whatever monitor; asserts that none is there twice."""
        if not self.fake.servers:
            return 0
        assert [sample for sample, count in self.fake.server.samples().items() if count > 1] == []
        return sum(len(frame.times) for batch in self.fake.server.batches for frame in batch.frames)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        if headers.get("upgrade", "").lower() == "websocket":
            return await self._control(request, headers)
        answer = await call(self.fake, request.method, str(request.url), headers, await request.read())
        return web.Response(status=answer.status, body=answer.body, headers=answer.headers)

    async def _control(self, request: web.BaseRequest, headers: dict[str, str]) -> web.StreamResponse:
        inner = AsgiSocket(self.fake, str(request.url), headers, client="127.0.0.1")
        try:
            await inner.open()
        except NotOpened as err:
            return web.Response(status=err.status)
        outer = web.WebSocketResponse()
        await outer.prepare(request)
        saying = asyncio.ensure_future(_forward(inner, outer))
        async for message in outer:
            if message.type is not WSMsgType.TEXT:
                break
        saying.cancel()
        await inner.close()
        return outer


async def _forward(inner: AsgiSocket, outer: web.WebSocketResponse) -> None:
    with suppress(Unreachable, ConnectionError):
        while True:
            await outer.send_str(await inner.receive(silence_seconds=3600))
    await outer.close()


class Line:
    """What lies between agent and hub: a TCP relay. ``url`` is what the agent is told.

    ``down``: connections are refused and open ones reset. ``resets``: so many answers are cut in their middle.
    ``freeze`` makes the open connections half-open: nothing is forwarded on them any more, and nobody is told.
    """

    def __init__(self, port: int, *, host: str = "127.0.0.1") -> None:
        self.resets = 0
        self.url = ""
        self._host = host
        self._target = port
        self._port = free_port(host)
        self._server: asyncio.Server | None = None
        self._frozen: set[int] = set()
        self._writers: dict[int, asyncio.StreamWriter] = {}
        self._count = 0

    async def up(self) -> None:
        """Listen, always on the same port."""
        self._server = await asyncio.start_server(self._relay, self._host, self._port)
        self.url = f"http://{self._host}:{self._port}"

    async def down(self) -> None:
        """Refuse, and reset what is open."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._writers.values()):
            _reset(writer)

    def freeze(self) -> int:
        """Let what is open be dead from now on; the result is how many connections that are."""
        self._frozen |= self._writers.keys()
        return len(self._writers)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._count += 1
        number = self._count
        self._writers[number] = writer
        try:
            hub_reader, hub_writer = await asyncio.open_connection("127.0.0.1", self._target)
            away = asyncio.ensure_future(self._pump(number, reader, hub_writer))
            try:
                await self._pump(number, hub_reader, writer, answers=True)
            finally:
                away.cancel()
                hub_writer.close()
                writer.close()
        except OSError:
            writer.close()
        finally:
            self._writers.pop(number, None)

    async def _pump(
        self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool = False
    ) -> None:
        with suppress(OSError):
            while piece := await reader.read(65_536):
                if number in self._frozen:
                    await asyncio.Event().wait()
                if answers and self.resets:
                    self.resets -= 1
                    writer.write(piece[: len(piece) // 2])
                    await writer.drain()
                    _reset(writer)
                    return
                writer.write(piece)
                await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST, as a box on the way does that has lost its memory."""
    raw = writer.get_extra_info("socket")
    if raw is not None:
        with suppress(OSError):  # it has just been closed
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class AgentProcess:
    """A real ``twinwatch agent run``. What it logs is in ``log``."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process = process
        self.log = log

    def said(self) -> str:
        """Its log so far."""
        return self.log.read_text(errors="replace")

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.returncode is None

    def send(self, number: signal.Signals) -> None:
        """Send the signal."""
        self._process.send_signal(number)

    async def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send the signal and wait; the result is the exit code."""
        if self.running:
            self._process.send_signal(number)
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self._process.wait()


@asynccontextmanager
async def agent(
    state_dir: Path, url: str, log: Path, *, within: Sequence[str] = (), **environment: str
) -> AsyncIterator[AgentProcess]:
    """An agent that does not outlive the test. ``within`` are words before its command, such as ``ip netns exec``."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TWINWATCH_")}
    with log.open("ab") as out:
        process = await asyncio.create_subprocess_exec(
            *within, sys.executable, "-P", "-m", "twinwatch.cli", "agent", "run", "--local", "off",
            env={
                **clean, **QUICK, "TWINWATCH_HUB": url, "TWINWATCH_STATE_DIR": str(state_dir),
                "TWINWATCH_ENROLMENT_KEY": "twe_test", **environment,
            },
            stdout=out, stderr=out,
        )  # fmt: skip
    running = AgentProcess(process, log)
    try:
        yield running
    finally:
        if running.running:
            await running.end(signal.SIGKILL)


async def until(claim: Callable[[], object], agent: AgentProcess, within_seconds: float = PATIENCE_SECONDS) -> float:
    """Wait until the claim is true; shows what the agent said if it never is. The result is how long it took."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    while not claim():
        assert loop.time() - began < within_seconds, agent.said()[-4_000:]
        assert agent.running, agent.said()[-4_000:]
        await asyncio.sleep(0.05)
    return loop.time() - began


def accounts(buffer_file: Path) -> Delivery:
    """What the ended agent's buffer says."""
    buffer = Buffer(buffer_file, 0)
    try:
        delivery = buffer.delivery()
    finally:
        buffer.close()
    assert delivery.collected == delivery.delivered + delivery.pending + delivery.dropped
    return delivery
