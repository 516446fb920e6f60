"""EventCounters: the trace in any piece, and the diagnostic socket of a runtime as its protocol is documented."""

from __future__ import annotations

import asyncio
import os
import struct
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twinwatch.monitors import Absent, Check, Moment
from twinwatch.monitors.dotnet import Dotnet
from twinwatch.monitors.dotnet.counters import COUNTER_SECONDS, PROVIDERS, facts_of, request, socket_paths
from twinwatch.monitors.dotnet.nettrace import Event, NoTrace, Trace
from twinwatch.monitors.options import options_of
from twinwatch.monitors.processes import process_of
from twinwatch.testing.dotnet_runtime import HEADER, DiagnosticServer, Writer
from twinwatch.testing.paper import PaperHost
from twinwatch.world.clock import SystemClock
from twinwatch.world.doors import World
from twinwatch.world.host import Host
from twinwatch.world.http import AiohttpHttp
from twinwatch.world.local_stream import HostLocalStreams
from twinwatch.world.net import NetFailed

CLOCK = SystemClock()
VALUES = {"gc-heap-size": 42.5, "exception-count": 30.0, "threadpool-queue-length": 0.0}


def _trace(*, compressed: bool = True, version: int = 4) -> bytes:
    writer = Writer(compressed, version)
    return (
        writer.head()
        + writer.counters("System.Runtime", VALUES)
        + writer.counters("Microsoft.AspNetCore.Hosting", {"requests-per-second": 60.0})
        + writer.counters("System.Runtime", VALUES)
        + writer.end()
    )


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_a_trace_is_read_in_pieces_of_any_size(compressed: bool, version: int, size: int) -> None:
    content = _trace(compressed=compressed, version=version)
    trace = Trace()
    events: list[Event] = []
    for start in range(0, len(content), size):
        events += trace.feed(content[start : start + size])
    assert trace.ended
    facts = [(fact.name, fact.value) for event in events for fact in facts_of(event)]
    runtime = [("gc-heap-size", 42.5), ("exception-count", 2.0), ("threadpool-queue-length", 0.0)]
    assert facts == [*runtime, ("requests-per-second", 4.0), *runtime]
    assert {event.provider for event in events} == {"System.Runtime", "Microsoft.AspNetCore.Hosting"}


@settings(max_examples=200, deadline=None)
@given(place=st.integers(0, 3000), noise=st.binary(max_size=60), compressed=st.booleans())
def test_noise_anywhere_in_a_trace_is_events_or_no_trace(place: int, noise: bytes, compressed: bool) -> None:
    content = _trace(compressed=compressed)
    place %= len(content)
    trace = Trace()
    try:
        for event in trace.feed(content[:place] + noise + content[place + len(noise) :]):
            list(facts_of(event))
    except NoTrace:
        return


@pytest.mark.parametrize(
    "content",
    [
        b"Nettrace" + bytes(40),
        Writer().head()
        + b"\x05\x05\x01"
        + struct.pack("<iii", 2, 2, 10)
        + b"EventBlock\x06"
        + struct.pack("<i", 1 << 30),
        Writer().head() + b"\x05\x05\x01" + struct.pack("<iii", 6, 6, 10) + b"EventBlock\x06",
        Writer().head() + b"\x07" * 20,
    ],
)
def test_what_is_too_large_too_new_or_no_object_ends_the_trace(content: bytes) -> None:
    with pytest.raises(NoTrace):
        Trace().feed(content)


def test_the_request_is_as_the_protocol_has_it() -> None:
    content = request()
    magic, size, command_set, command, reserved = HEADER.unpack_from(content)
    assert (magic, size, command_set, command, reserved) == (b"DOTNET_IPC_V1\0", len(content), 2, 3, 0)
    megabytes, format_, rundown, count = struct.unpack_from("<II?I", content, HEADER.size)
    assert (megabytes, format_, rundown, count) == (1, 1, False, len(PROVIDERS))
    name = PROVIDERS[0]
    keywords, level, length = struct.unpack_from("<QII", content, HEADER.size + 13)
    assert (keywords, level, length) == (0, 2, len(name) + 1)
    assert content.endswith(f"EventCounterIntervalSec={COUNTER_SECONDS}\0".encode("utf-16-le"))


def test_only_the_socket_of_this_very_process_is_taken() -> None:
    process = process_of("77 (x) S 1 1 1 0 -1 0 0 0 0 0 1 0 0 0 20 0 2 0 500 9999 10 0 0 0\n")
    assert process is not None
    files = {"/tmp/dotnet-diagnostic-77-499-socket": "", "/tmp/dotnet-diagnostic-770-500-socket": ""}
    assert list(socket_paths(PaperHost(files), process, "")) == []
    here = "/tmp/dotnet-diagnostic-77-500-socket"
    in_its_container = str(PurePosixPath("/proc", "77", "root", here[1:]))
    files |= {here: "", in_its_container: ""}
    assert list(socket_paths(PaperHost(files), process, "")) == [in_its_container, here]


class Runtime:
    """This process plays the application: its socket is the simulated runtime's."""

    def __init__(self, folder: Path, server: DiagnosticServer) -> None:
        process = process_of(Path("/proc/self/stat").read_text())
        assert process is not None
        self.server = server
        self.socket = folder / f"dotnet-diagnostic-{process.pid}-{process.started}-socket"
        pidfile = folder / "pid"
        pidfile.write_text(f"{os.getpid()}\n")
        given = {"pidfile": str(pidfile), "event_counters": True, "diagnostics_dir": str(folder)}
        self.monitor = Dotnet(options_of(Dotnet, given))
        self.world = World(clock=CLOCK, http=AiohttpHttp(), host=Host())

    async def checks(self) -> tuple[dict[str, Check], dict[str, float]]:
        found = await self.monitor.read(self.world, Moment(CLOCK.now(), CLOCK.monotonic()))
        checks = {one.name: one for one in found if isinstance(one, Check)}
        return checks, {one.metric: one.value for one in found if not isinstance(one, Check)}

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[asyncio.Task[None]]:
        await self.checks()
        watching = asyncio.create_task(self.monitor.watch(self.world, lambda: None))
        try:
            yield watching
        finally:
            watching.cancel()
            await asyncio.wait({watching})

    async def until(self, state: str) -> tuple[dict[str, Check], dict[str, float]]:
        async with asyncio.timeout(10):
            while (found := await self.checks())[0]["counters"].state != state:  # noqa: ASYNC110 - a run is what is waited for
                await asyncio.sleep(0.01)
        return found


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short one: the name of a socket has 107 bytes, of which a runtime's takes 40."""
    with tempfile.TemporaryDirectory(prefix="tw-", dir="/tmp") as name:
        yield Path(name)


@pytest.mark.parametrize(("compressed", "version"), [(True, 4), (True, 5), (False, 4)])
async def test_counters_of_a_runtime_become_figures(folder: Path, compressed: bool, version: int) -> None:
    runtime = Runtime(folder, DiagnosticServer(compressed=compressed, version=version))
    runtime.server.counters = {
        "System.Runtime": {"gc-heap-size": 42.0, "time-in-gc": 3.0, "exception-count": 30.0, "gen-2-gc-count": 15.0},
        "Microsoft.AspNetCore.Hosting": {"requests-per-second": 450.0, "current-requests": 4.0},
    }
    async with runtime.server.listening(runtime.socket), runtime.watched():
        checks, _ = await runtime.until("up")
        async with asyncio.timeout(10):
            while "dotnet.app.requests" not in (values := (await runtime.checks())[1]):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    assert values["dotnet.app.heap.size"] == 42_000_000
    assert values["dotnet.app.gc.pause.share"] == 0.03
    assert values["dotnet.app.exceptions"] == 2
    assert values["dotnet.app.requests"] == 30
    assert values["dotnet.app.requests.active"] == 4
    assert checks["gc"].state == "up"
    assert [(command_set, command) for command_set, command, _ in runtime.server.requests] == [(2, 3)], "one session"


async def test_a_connection_that_ends_is_told_and_a_new_one_is_made_when_there_is_one(folder: Path) -> None:
    runtime = Runtime(folder, DiagnosticServer())
    async with runtime.server.listening(runtime.socket):
        async with runtime.watched() as watching:
            await runtime.until("up")
            runtime.server.hang_up()
            async with asyncio.timeout(10):
                with pytest.raises(Absent, match="closed the connection"):
                    await watching
        async with runtime.watched():
            await runtime.until("up")


async def test_a_runtime_that_refuses_and_one_that_is_not_there_are_told(folder: Path) -> None:
    runtime = Runtime(folder, DiagnosticServer(refuses=True))
    async with runtime.watched() as watching:
        with pytest.raises(Absent, match="no diagnostic socket"):
            await watching
    check = (await runtime.checks())[0]["counters"]
    assert (check.state, check.reason) == ("unknown", "none")
    assert "DOTNET_EnableDiagnostics" in check.message
    async with runtime.server.listening(runtime.socket), runtime.watched() as watching:
        with pytest.raises(Absent, match="0x80131385"):
            await watching


async def test_a_socket_that_another_process_has_put_there_is_not_spoken_to(folder: Path) -> None:
    server = DiagnosticServer()
    async with server.listening(folder / "socket"):
        with pytest.raises(NetFailed, match="listens there"):
            await HostLocalStreams().open(str(folder / "socket"), pid=1, timeout_seconds=5)
        stream = await HostLocalStreams().open(str(folder / "socket"), pid=os.getpid(), timeout_seconds=5)
        stream.close()
    assert server.requests == []


async def test_without_the_option_no_socket_is_touched(folder: Path) -> None:
    runtime = Runtime(folder, DiagnosticServer())
    runtime.monitor = Dotnet(options_of(Dotnet, {"pidfile": str(folder / "pid")}))
    async with runtime.server.listening(runtime.socket), runtime.watched():
        for _ in range(3):
            assert "counters" not in (await runtime.checks())[0]
            await asyncio.sleep(0)
    assert runtime.server.requests == []
