"""The door to D-Bus on a real ``dbus-daemon`` of the test's own, and on sockets that are none."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from twinwatch.testing.paper_bus import PaperBus, RecordingBus
from twinwatch.world.bus import (
    ACCESS_DENIED,
    BAD_ADDRESS,
    DAEMON,
    DISCONNECTED,
    NO_REPLY,
    SERVICE_UNKNOWN,
    UNKNOWN_METHOD,
    BusUnavailable,
    Heard,
    SystemBus,
)

PATIENCE = 10.0
OWNERS = f"type='signal',sender='{DAEMON[0]}',interface='{DAEMON[2]}',member='NameOwnerChanged'"
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Daemon:
    """A bus for everybody of this user."""

    def __init__(self, folder: Path) -> None:
        self.address = f"unix:path={folder}/bus"
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        (self._folder / "bus").unlink(missing_ok=True)
        self._process = await asyncio.create_subprocess_exec(
            "dbus-daemon", "--session", "--nofork", "--nopidfile", "--print-address=1", f"--address={self.address}",
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert self._process.stdout is not None
        assert await self._process.stdout.readline()

    async def kill(self) -> None:
        assert self._process is not None
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()


@pytest.fixture
async def folder() -> AsyncIterator[Path]:
    """With a short path: a socket's has at most 107 characters."""
    made = Path(tempfile.mkdtemp(prefix="tw-"))
    yield made
    shutil.rmtree(made)


@pytest.fixture
async def daemon(folder: Path) -> AsyncIterator[Daemon]:
    if shutil.which("dbus-daemon") is None:
        pytest.skip("needs dbus-daemon")
    made = Daemon(folder)
    await made.start()
    yield made
    await made.kill()


@pytest.fixture
async def bus(daemon: Daemon) -> AsyncIterator[SystemBus]:
    made = SystemBus(daemon.address)
    yield made
    await made.close()


async def ask(bus: SystemBus, member: str, *words: str) -> object:
    return (await bus.call(*DAEMON, member, "s" * len(words), words, timeout_seconds=PATIENCE))[0]


async def test_replies_and_error_replies(bus: SystemBus) -> None:
    names = await ask(bus, "ListNames")
    assert isinstance(names, list)
    assert "org.freedesktop.DBus" in names
    assert await ask(bus, "GetConnectionUnixUser", "org.freedesktop.DBus") == os.geteuid()
    with pytest.raises(BusUnavailable) as refused:
        await ask(bus, "NoSuchMethod")
    assert refused.value.name == UNKNOWN_METHOD
    with pytest.raises(BusUnavailable) as refused:
        await bus.call("org.nobody", "/", "org.nobody", "Ask", timeout_seconds=PATIENCE)
    assert refused.value.name == SERVICE_UNKNOWN


async def test_variants_are_plain_values(bus: SystemBus) -> None:
    found = await bus.call(
        DAEMON[0], DAEMON[1], "org.freedesktop.DBus.Properties", "GetAll", "s", (DAEMON[2],), timeout_seconds=PATIENCE
    )
    assert "HeaderFiltering" in found[0]["Features"]


@pytest.mark.parametrize("wrong", [("org.x", "no path", "org.x", "Y"), ("not a name", "/", "org.x", "Y")])
async def test_a_call_that_no_bus_takes(bus: SystemBus, wrong: tuple[str, str, str, str]) -> None:
    with pytest.raises(BusUnavailable):
        await bus.call(*wrong, timeout_seconds=PATIENCE)
    assert await ask(bus, "GetId")


async def test_signals_are_heard_within_the_context_alone(bus: SystemBus, daemon: Daemon) -> None:
    heard: list[Heard] = []
    for _ in range(2):
        async with bus.listen(OWNERS, heard.append):
            other = SystemBus(daemon.address)
            await ask(other, "GetId")
            await other.close()
            await ask(bus, "GetId")
    assert {one.member for one in heard} == {"NameOwnerChanged"}
    count = len(heard)
    other = SystemBus(daemon.address)
    await ask(other, "GetId")
    await other.close()
    await ask(bus, "GetId")
    assert len(heard) == count


async def test_rules_are_given_back(bus: SystemBus) -> None:
    """The daemon refuses to remove a rule that it does not have."""
    async with bus.listen(OWNERS, print):
        pass
    with pytest.raises(BusUnavailable, match="match rule"):
        await ask(bus, "RemoveMatch", OWNERS)


async def test_a_lost_connection_is_told_and_made_anew(bus: SystemBus, daemon: Daemon) -> None:
    async def listen() -> None:
        async with asyncio.timeout(PATIENCE), bus.listen(OWNERS, print):
            await daemon.kill()
            await asyncio.Event().wait()

    with pytest.raises(BusUnavailable) as refused:
        await listen()
    assert refused.value.name == DISCONNECTED
    with pytest.raises(BusUnavailable):
        await ask(bus, "GetId")
    await daemon.start()
    assert await ask(bus, "GetId")


async def test_many_at_once_share_a_connection(bus: SystemBus, daemon: Daemon) -> None:
    await asyncio.gather(*(ask(bus, "GetId") for _ in range(50)))
    names = await ask(bus, "ListNames")
    assert isinstance(names, list)
    assert len([name for name in names if name.startswith(":")]) == 1


async def test_who_is_cut_off_leaves_the_others_alone(bus: SystemBus, daemon: Daemon) -> None:
    await ask(bus, "GetId")
    os.kill(daemon.pid, signal.SIGSTOP)
    patient = asyncio.create_task(ask(bus, "GetId"))
    with pytest.raises(BusUnavailable) as refused:
        await bus.call(*DAEMON, "GetId", timeout_seconds=0.05)
    assert refused.value.name == NO_REPLY
    os.kill(daemon.pid, signal.SIGCONT)
    assert await patient


async def test_the_environment_names_the_bus(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", daemon.address)
    bus = SystemBus()
    assert await ask(bus, "GetId")
    await bus.close()
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "nonsense")
    with pytest.raises(BusUnavailable) as refused:
        await ask(SystemBus(), "GetId")
    assert refused.value.name == BAD_ADDRESS


async def _mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def _noise(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")


async def _refusal(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"REJECTED EXTERNAL\r\n")


async def _end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def _garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readline()
    writer.write(b"OK 1234deadbeef\r\n")
    await reader.readline()
    writer.write(b"l\x02\x01\x01" + b"\xff" * 60)


@pytest.mark.parametrize(
    ("serve", "name"),
    [(_mute, NO_REPLY), (_noise, ACCESS_DENIED), (_refusal, ACCESS_DENIED), (_end, ""), (_garbage, "")],
)
async def test_what_answers_is_no_bus(folder: Path, serve: Serve, name: str) -> None:
    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
            await reader.read()
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_unix_server(served, folder / "bus")
    bus = SystemBus(f"unix:path={folder}/bus")
    with pytest.raises(BusUnavailable) as refused:
        await bus.call(*DAEMON, "GetId", timeout_seconds=0.3)
    assert not name or refused.value.name == name
    await bus.close()
    server.close()
    await server.wait_closed()


async def test_what_was_recorded_is_answered_again(bus: SystemBus) -> None:
    recording = RecordingBus(bus)
    features = (DAEMON[0], DAEMON[1], "org.freedesktop.DBus.Properties", "Get", "ss", (DAEMON[2], "Features"))
    said = await recording.call(*features, timeout_seconds=PATIENCE)
    identity = await recording.call(*DAEMON, "GetId", timeout_seconds=PATIENCE)
    with pytest.raises(BusUnavailable):
        await recording.call(*DAEMON, "NoSuchMethod", timeout_seconds=PATIENCE)
    paper = PaperBus(recording.sources)
    assert await paper.call(*features, timeout_seconds=PATIENCE) == said
    assert await paper.call(*DAEMON, "GetId", timeout_seconds=PATIENCE) == identity
    with pytest.raises(BusUnavailable) as refused:
        await paper.call(*DAEMON, "NoSuchMethod", timeout_seconds=PATIENCE)
    assert refused.value.name == UNKNOWN_METHOD
