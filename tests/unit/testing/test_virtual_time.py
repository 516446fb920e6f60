"""Virtual time is trusted by every story, so it is tested itself, real descriptors and threads included."""

from __future__ import annotations

import asyncio
import os
import socket
import time

import pytest

from twinwatch.testing import virtual_time
from twinwatch.testing.fakes import EPOCH, VirtualClock


def test_a_day_passes_at_once_and_in_order() -> None:
    seen: list[tuple[str, float]] = []

    async def walk(name: str, step: float, count: int) -> None:
        for _ in range(count):
            await asyncio.sleep(step)
            seen.append((name, round(asyncio.get_running_loop().time() - virtual_time.START_SECONDS, 6)))

    async def story() -> None:
        await asyncio.gather(walk("hours", 3600, 24), walk("quarters", 900, 96))

    began = time.monotonic()
    virtual_time.run(story())
    assert time.monotonic() - began < 5
    assert [at for _, at in seen] == sorted(at for _, at in seen)
    assert seen[-1][1] == pytest.approx(86_400)


def test_timeouts_expire_in_virtual_time() -> None:
    async def story() -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1_000):
                await asyncio.Event().wait()
        return loop.time() - began

    assert virtual_time.run(story()) == pytest.approx(1_000)


def test_the_clock_stands_still_while_a_thread_works() -> None:
    async def story() -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with asyncio.timeout(5):
            await asyncio.to_thread(time.sleep, 0.3)
        return loop.time() - began

    assert virtual_time.run(story()) < 1


def test_the_clock_stands_still_while_somebody_waits_for_a_descriptor() -> None:
    async def story() -> float:
        loop = asyncio.get_running_loop()
        reading, writing = os.pipe()
        readable = asyncio.Event()
        loop.add_reader(reading, readable.set)
        sender = asyncio.create_task(asyncio.to_thread(_write_later, writing))
        began = loop.time()
        async with asyncio.timeout(5):
            await readable.wait()
        loop.remove_reader(reading)
        await sender
        os.close(reading)
        os.close(writing)
        return loop.time() - began

    assert virtual_time.run(story()) < 1


def _write_later(descriptor: int) -> None:
    time.sleep(0.2)
    os.write(descriptor, b"x")


def test_a_descriptor_that_stays_silent_does_not_stop_the_clock_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(virtual_time, "PATIENCE_SECONDS", 0.1)

    async def story() -> None:
        loop = asyncio.get_running_loop()
        one, other = socket.socketpair()
        loop.add_reader(one, lambda: None)
        await asyncio.sleep(86_400)
        loop.remove_reader(one)
        one.close()
        other.close()

    virtual_time.run(story())


def test_real_sockets_work_and_time_still_jumps() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def story() -> bytes:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        await asyncio.sleep(3600)
        writer.write(b"hello\n")
        got = await reader.readline()
        writer.close()
        await writer.wait_closed()
        server.close()
        return got

    assert virtual_time.run(story()) == b"hello\n"


def test_waiting_for_what_never_comes_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(virtual_time, "STALL_SECONDS", 0.05)

    async def story() -> None:
        await asyncio.Event().wait()

    with pytest.raises(virtual_time.Stalled):
        virtual_time.run(story())


def test_the_virtual_clock_follows_the_loop() -> None:
    async def story() -> None:
        clock = VirtualClock()
        assert clock.now() == EPOCH
        await asyncio.sleep(60)
        assert clock.now() == EPOCH + 60_000
        clock.wrong_by_ms = -5_000
        assert clock.now() == EPOCH + 55_000
        assert clock.monotonic() == asyncio.get_running_loop().time()

    virtual_time.run(story())
