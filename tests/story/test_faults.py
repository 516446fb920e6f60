"""Real agent processes against a hub on a real port, with a line and a disk that fail.

After each fault: nothing lost that could be kept, nothing twice, and the loss counted, in the agent's accounts and in
the hub's books. The disks are tmpfs mounts of the test's own, which takes root.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.story.served import AgentProcess, Line, ServedHub, accounts, agent, until
from twinwatch.agent.buffer import Buffer, Tick
from twinwatch.protocol.heartbeat import Delivery
from twinwatch.protocol.samples import SeriesKey, shape_of

REAL_TIME = True
AWAY_SECONDS = 20.0
SEEDED = 3_000

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts a tmpfs, which takes root")


@pytest.fixture
async def hub() -> AsyncIterator[ServedHub]:
    async with ServedHub().serving() as hub:
        yield hub


@pytest.fixture
async def line(hub: ServedHub) -> AsyncIterator[Line]:
    line = Line(hub.port)
    await line.up()
    yield line
    await line.down()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "twinwatch-test", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no tmpfs here: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=False)


def told(hub: ServedHub) -> Delivery:
    """The last accounts that the hub was told."""
    last = hub.fake.server.heartbeats[-1].delivery if hub.fake.servers and hub.fake.server.heartbeats else None
    return last or Delivery(0, 0, 0, 0)


async def caught_up(hub: ServedHub, agent: AgentProcess) -> None:
    """Wait until the hub was told of ticks that are newer than now, and holds nearly all."""
    at_least = told(hub).collected + 10
    await until(lambda: told(hub).collected >= at_least and told(hub).pending < 20, agent)


async def end_and_count(hub: ServedHub, agent: AgentProcess, state_dir: Path, *, dropped: int = 0) -> Delivery:
    """Stop the agent in order; what it says of itself is what the hub holds."""
    assert await agent.end() == 0, agent.said()[-4_000:]
    delivery = accounts(state_dir / "buffer.sqlite3")
    assert delivery.delivered == hub.ticks(), agent.said()[-4_000:]
    assert delivery.pending == 0
    assert delivery.dropped == dropped
    assert "Traceback" not in agent.said()
    return delivery


async def test_a_hub_that_is_down_for_a_while_gets_every_tick_once(hub: ServedHub, line: Line, tmp_path: Path) -> None:
    async with agent(tmp_path / "state", line.url, tmp_path / "log") as running:
        await until(lambda: hub.ticks() > 10, running)
        before = hub.ticks()
        await line.down()
        await asyncio.sleep(AWAY_SECONDS)
        assert hub.ticks() == before
        await line.up()
        await caught_up(hub, running)
        delivery = await end_and_count(hub, running, tmp_path / "state")
        assert delivery.collected > AWAY_SECONDS / 0.2
        assert running.said().count("ticks are kept and sent later") == 1


async def test_answers_that_are_reset_in_their_middle(hub: ServedHub, line: Line, tmp_path: Path) -> None:
    async with agent(tmp_path / "state", line.url, tmp_path / "log") as running:
        await until(lambda: hub.ticks() > 10, running)
        for _ in range(6):
            line.resets = 2
            await until(lambda: not line.resets, running)
            before = hub.ticks()
            await until(lambda before=before: hub.ticks() > before, running)  # type: ignore[misc]
        await caught_up(hub, running)
        await end_and_count(hub, running, tmp_path / "state")
        assert hub.fake.server.duplicates > 0, "no answer to a batch was cut: the story proves nothing"


async def test_targets_that_hang_hold_up_no_heartbeat(hub: ServedHub, line: Line, tmp_path: Path) -> None:
    hanging: list[asyncio.StreamWriter] = []

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hanging.append(writer)

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    targets = [{"url": f"http://127.0.0.1:{port}/{number}/metrics", "name": f"t{number}"} for number in range(10)]
    file = tmp_path / "agent.yaml"
    file.write_text(json.dumps({"monitors": [{"type": "prometheus", "interval": "5s", "targets": targets}]}))
    file.chmod(0o600)
    environment = {"TWINWATCH_CONFIG": str(file), "TWINWATCH_MONITOR_INTERVAL": "10s"}
    try:
        async with agent(tmp_path / "state", line.url, tmp_path / "log", **environment) as running:
            await until(lambda: len(hanging) >= 10, running)
            beats = len(hub.fake.server.heartbeats)
            began = time.monotonic()
            await until(lambda: len(hub.fake.server.heartbeats) >= beats + 5, running)
            assert time.monotonic() - began < 15, "five heartbeats, one a second, waited for others' connections"
            await running.end()
    finally:
        server.close()
        for writer in hanging:
            writer.close()


async def test_connections_that_are_dead_and_do_not_say_so(hub: ServedHub, line: Line, tmp_path: Path) -> None:
    async with agent(tmp_path / "state", line.url, tmp_path / "log") as running:
        await until(lambda: hub.ticks() > 10, running)
        beats = len(hub.fake.server.heartbeats)
        assert line.freeze() >= 2
        took = await until(lambda: len(hub.fake.server.heartbeats) > beats + 1, running)
        assert took < 25, "a heartbeat does not wait for anything but its own deadline"
        await caught_up(hub, running)
        await end_and_count(hub, running, tmp_path / "state")


async def test_kill_nine_while_it_writes(hub: ServedHub, line: Line, tmp_path: Path) -> None:
    quick = {"TWINWATCH_MONITOR_INTERVAL": "100ms", "TWINWATCH_PUSH_INTERVAL": "100ms"}
    for round_number in range(5):
        before = hub.ticks()
        async with agent(tmp_path / "state", line.url, tmp_path / "log", **quick) as running:
            await until(lambda before=before: hub.ticks() > before + 5, running)  # type: ignore[misc]
            await asyncio.sleep(0.13 * round_number)
            await running.end(signal.SIGKILL)
    async with agent(tmp_path / "state", line.url, tmp_path / "log", **quick) as last:
        await caught_up(hub, last)
        await end_and_count(hub, last, tmp_path / "state")
    assert len(hub.fake.servers) == 1
    assert not list((tmp_path / "state").glob("*.damaged-*"))


@needs_root
async def test_a_disk_that_is_full_for_a_while_costs_nothing(
    hub: ServedHub, line: Line, tmp_path: Path, small_disk: Path
) -> None:
    async with agent(small_disk, line.url, tmp_path / "log") as running:
        await until(lambda: hub.ticks() > 10, running)
        fill(small_disk / "ballast")
        await until(lambda: "disk is full" in running.said() or "I/O error" in running.said(), running)
        before = hub.ticks()
        await until(lambda: hub.ticks() > before + 20, running)
        (small_disk / "ballast").unlink()
        await until(lambda: "ticks are written again" in running.said(), running)
        await caught_up(hub, running)
        await end_and_count(hub, running, small_disk)


@needs_root
async def test_a_disk_that_is_full_while_the_hub_is_away_loses_only_what_memory_cannot_hold(
    hub: ServedHub, line: Line, tmp_path: Path, small_disk: Path
) -> None:
    async with agent(small_disk, line.url, tmp_path / "log") as running:
        await until(lambda: hub.ticks() > 10, running)
        await line.down()
        fill(small_disk / "ballast")
        await until(lambda: "disk is full" in running.said() or "I/O error" in running.said(), running)
        await asyncio.sleep(5)
        await line.up()
        before = hub.ticks()
        await until(lambda: hub.ticks() > before + 25, running)
        await caught_up(hub, running)
        (small_disk / "ballast").unlink()
        await until(lambda: "ticks are written again" in running.said(), running)
        await end_and_count(hub, running, small_disk)


@needs_root
async def test_a_disk_that_is_read_only_from_the_start_keeps_no_tick_from_the_hub(
    hub: ServedHub, line: Line, tmp_path: Path, small_disk: Path
) -> None:
    async with agent(small_disk, line.url, tmp_path / "log") as first:
        await until(lambda: hub.ticks() > 10, first)
        assert await first.end() == 0
    remount(small_disk, "ro")
    before = hub.ticks()
    async with agent(small_disk, line.url, tmp_path / "log") as second:
        await until(lambda: hub.ticks() > before + 30, second)
        assert await second.end() == 0
    remount(small_disk, "rw")
    async with agent(small_disk, line.url, tmp_path / "log") as third:
        at_least = hub.ticks() + 10
        await until(lambda: hub.ticks() > at_least, third)
        assert await third.end() == 0
    assert hub.ticks() > before + 40
    assert "Traceback" not in third.said()


async def test_a_buffer_that_is_spoilt_in_mid_run_is_set_aside_and_the_loss_counted(
    hub: ServedHub, line: Line, tmp_path: Path
) -> None:
    state_dir = tmp_path / "state"
    async with agent(state_dir, line.url, tmp_path / "log") as first:
        await until(lambda: hub.ticks() > 10, first)
        assert await first.end() == 0
    await line.down()
    seed(state_dir / "buffer.sqlite3", SEEDED)  # more than SQLite holds in memory
    async with agent(state_dir, line.url, tmp_path / "log") as running:
        await until(lambda: "ticks are kept and sent later" in running.said(), running)
        spoil(state_dir / "buffer.sqlite3")
        await line.up()
        await until(lambda: "was set aside as" in running.said(), running)
        await caught_up(hub, running)
        assert await running.end() == 0
    delivery = accounts(state_dir / "buffer.sqlite3")
    assert list(state_dir.glob("buffer.sqlite3.damaged-*"))
    assert delivery.pending == 0
    assert delivery.delivered == hub.ticks()
    assert SEEDED - 600 < delivery.dropped < SEEDED + 200
    assert "Traceback" not in running.said()


def seed(buffer_file: Path, ticks: int) -> None:
    """Let so many ticks of the last minutes wait in the buffer."""
    shape = shape_of("seeded", tuple(SeriesKey("seeded.value", {"n": str(n)}) for n in range(100)))
    now = time.time_ns() // 1_000_000
    buffer = Buffer(buffer_file, now)
    buffer.keep([Tick(shape, now - ticks + n, [n / 7 + place for place in range(100)]) for n in range(ticks)])
    buffer.close()


def fill(ballast: Path) -> None:
    """Leave the disk without a free block."""
    with ballast.open("wb", buffering=0) as file:
        for size in (65_536, 4_096, 1):
            try:
                while file.write(b"\0" * size):
                    pass
            except OSError:
                continue


def remount(folder: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(folder)], check=True)


def spoil(buffer_file: Path) -> None:
    """Noise over the file and its log, under the process that has them open."""
    for path in (buffer_file, buffer_file.with_name(f"{buffer_file.name}-wal")):
        with path.open("r+b") as file:
            size = path.stat().st_size
            file.seek(min(100, size))
            file.write(os.urandom(max(0, size - 100)))
