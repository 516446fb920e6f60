"""EventCounters of a running application, over the diagnostic socket of its runtime.

A session is asked for once and then only listened to; it ends with the connection. Nothing else is ever asked for on
that socket, which could do more (memory dumps, attaching a profiler): that is why all this is opt-in.

Invariants: the socket is that of the process meant, by the kernel's word; what is read is bounded (``nettrace``); one
session at a time.
Source: dotnet/diagnostics, documentation/design-docs/ipc-protocol.md (``CollectTracing2``) and eventcounters.md.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from math import isfinite
from typing import Any

from twinwatch.monitors.dotnet.figures import COUNTERS, Fact
from twinwatch.monitors.dotnet.nettrace import Event, NoTrace, Trace
from twinwatch.monitors.processes import Process
from twinwatch.world.clock import Clock
from twinwatch.world.doors import World
from twinwatch.world.host import Host, Missing, Refused
from twinwatch.world.net import NetFailed, Stream

MAGIC = b"DOTNET_IPC_V1\0"
HEADER = struct.Struct("<14sHBBH")
EVENT_PIPE, COLLECT_TRACING_2 = 0x02, 0x03
SERVER, OK = 0xFF, 0x00
BUFFER_MEGABYTES = 1
NETTRACE = 1
LEVEL_ERROR = 2
"""Counters are written at the level *always*; a higher one would bring an event per request."""
PROVIDERS = ("System.Runtime", "Microsoft.AspNetCore.Hosting", "Microsoft-AspNetCore-Server-Kestrel")
COUNTER_SECONDS = 15
OPEN_SECONDS = 5.0
SILENCE_SECONDS = 4.0 * COUNTER_SECONDS
FRESH_SECONDS = 3.0 * COUNTER_SECONDS
ANSWER_BYTES = 4096
ITS_ROOT = "root"
"""Below ``/proc/<pid>``: the file system as the process sees it, a private ``/tmp`` included."""


class NoCounters(Exception):
    """There is no session. The message says why and what to do."""


class Counters:
    """The newest counters of one application. ``reason``: why there are none; empty while there are."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._newest: dict[str, tuple[Fact, float]] = {}
        self.reason = "its first figures are waited for"

    def facts(self, now: float) -> list[Fact]:
        """What is not too old."""
        return [fact for fact, at in self._newest.values() if now - at <= FRESH_SECONDS]

    async def listen(self, world: World, process: Process) -> None:
        """Hold a session with this process until it ends.

        Raises: NoCounters.
        """
        self._newest.clear()
        try:
            stream = await self._opened(world, process)
            try:
                await self._session(stream, world.clock)
            finally:
                stream.close()
        except NetFailed as err:
            raise self._failed(str(err)) from err
        except NoTrace as err:
            raise self._failed(f"what the runtime sends is not understood: {err}") from err

    def _failed(self, reason: str) -> NoCounters:
        self.reason = reason
        return NoCounters(reason)

    async def _opened(self, world: World, process: Process) -> Stream:
        failed: NetFailed | None = None
        for path in socket_paths(world.host, process, self._directory):
            try:
                return await world.local.open(path, pid=process.pid, timeout_seconds=OPEN_SECONDS)
            except NetFailed as err:
                failed = failed or err
        if failed is not None:
            raise self._failed(f"{failed}: the agent must run as the application's user, or as root") from failed
        raise self._failed(
            f"process {process.pid} has no diagnostic socket that can be seen: is DOTNET_EnableDiagnostics 0, or its "
            "TMPDIR another one than diagnostics_dir?"
        )

    async def _session(self, stream: Stream, clock: Clock) -> None:
        await stream.send(request(), timeout_seconds=OPEN_SECONDS)
        begun = await _answer(stream)
        trace = Trace()
        content = begun
        while True:
            for event in trace.feed(content):
                self._note(event, clock.monotonic())
            if trace.ended:
                raise self._failed("the application has ended the session")
            content = await stream.receive(timeout_seconds=SILENCE_SECONDS)
            if not content:
                raise self._failed("the application has closed the connection")

    def _note(self, event: Event, now: float) -> None:
        for fact in facts_of(event):
            self._newest[fact.name] = fact, now
            self.reason = ""


def request() -> bytes:
    """``CollectTracing2`` for the counters of ``PROVIDERS``, without a rundown at the end."""
    payload = struct.pack("<II?I", BUFFER_MEGABYTES, NETTRACE, False, len(PROVIDERS))
    for name in PROVIDERS:
        payload += struct.pack("<QI", 0, LEVEL_ERROR) + _text(name)
        payload += _text(f"EventCounterIntervalSec={COUNTER_SECONDS}")
    return HEADER.pack(MAGIC, HEADER.size + len(payload), EVENT_PIPE, COLLECT_TRACING_2, 0) + payload


def facts_of(event: Event) -> Iterator[Fact]:
    """The counter that an event tells; rates are per second."""
    if event.name != "EventCounters":
        return
    for told in (event.payload, *(one for one in event.payload.values() if isinstance(one, dict))):
        name = told.get("Name")
        if not isinstance(name, str) or name not in COUNTERS:
            continue
        grown, seconds = _number(told, "Increment"), _number(told, "IntervalSec")
        if grown is not None:
            yield Fact(name, {}, grown / seconds if seconds and seconds > 0 else grown, False)
        elif (mean := _number(told, "Mean")) is not None:
            yield Fact(name, {}, mean, False)


def socket_paths(host: Host, process: Process, directory: str) -> Iterator[str]:
    """Where the socket of this very process may be, its private ``/tmp`` first."""
    name = f"dotnet-diagnostic-{process.pid}-{process.started}-socket"
    for folder in (directory,) if directory else (f"/proc/{process.pid}/{ITS_ROOT}/tmp", "/tmp"):  # noqa: S108
        try:
            if name in host.list(folder):
                yield f"{folder}/{name}"
        except (Missing, Refused):
            continue


async def _answer(stream: Stream) -> bytes:
    """What came after the answer that says that the session has begun.

    Raises: NoTrace; NetFailed.
    """
    content = b""
    while len(content) < HEADER.size or len(content) < HEADER.unpack_from(content)[1]:
        piece = await stream.receive(timeout_seconds=OPEN_SECONDS)
        if not piece or len(content) > ANSWER_BYTES + (64 << 10):
            raise NoTrace("no answer to the request for a session")
        content += piece
        if not content.startswith(MAGIC[: len(content)]):
            raise NoTrace("the answer is not that of a .NET runtime")
        if len(content) >= HEADER.size and not HEADER.size <= HEADER.unpack_from(content)[1] <= ANSWER_BYTES:
            raise NoTrace("an answer of an odd length")
    _, size, command_set, command, _ = HEADER.unpack_from(content)
    if (command_set, command) != (SERVER, OK):
        code = struct.unpack_from("<I", content, HEADER.size)[0] if size >= HEADER.size + 4 else 0
        raise NoTrace(f"the runtime refuses a session (error 0x{code:08x})")
    return content[size:]


def _number(told: dict[str, Any], name: str) -> float | None:
    value = told.get(name)
    return float(value) if isinstance(value, int | float) and isfinite(value) else None


def _text(text: str) -> bytes:
    """Its length with the zero at the end, then UTF-16."""
    return struct.pack("<I", len(text) + 1) + text.encode("utf-16-le") + b"\0\0"
