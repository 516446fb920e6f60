"""What ``twinwatch up`` does with a process that dies."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from twinwatch.hub.child import Child
from twinwatch.testing.story import until


def child(said: list[str], script: str, *, pointless: tuple[int, ...] = (), vital: bool = True) -> Child:
    return Child("agent", [sys.executable, "-c", script], os.environ, said.append, pointless=pointless, vital=vital)


async def test_a_pointless_end_of_a_vital_process_is_handed_on() -> None:
    said: list[str] = []
    vital = child(said, "raise SystemExit(4)", pointless=(4,))
    await vital.start()
    assert await asyncio.wait_for(vital.keep(), 20) == 4
    assert said == ["agent ended with exit code 4; giving up"]


async def test_a_pointless_end_of_another_leaves_the_rest_running() -> None:
    said: list[str] = []
    other = child(said, "raise SystemExit(4)", pointless=(4,), vital=False)
    await other.start()
    keeping = asyncio.ensure_future(other.keep())
    await until(lambda: said, 20, every_seconds=0.01)
    assert not keeping.done()
    keeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await keeping
    await other.stop()


async def test_a_process_that_is_just_being_started_is_stopped_too() -> None:
    said: list[str] = []
    young = child(said, "import time; time.sleep(60)")
    starting = asyncio.ensure_future(young.start())
    await asyncio.sleep(0)
    await young.stop()
    await starting
    assert young.exit_code == -signal.SIGTERM
    assert await asyncio.wait_for(young.keep(), 20) == 0


async def test_a_killed_process_is_started_again(tmp_path: Path) -> None:
    said: list[str] = []
    script = f"import os, time; open({str(tmp_path)!r} + f'/{{os.getpid()}}', 'w').close(); time.sleep(60)"
    killed = child(said, script)
    await killed.start()
    keeping = asyncio.ensure_future(killed.keep())

    def lives() -> list[int]:
        return [int(life.name) for life in tmp_path.iterdir()]

    await until(lives, 20, every_seconds=0.01)
    os.kill(lives()[0], signal.SIGKILL)
    await until(lambda: len(lives()) == 2, 20, every_seconds=0.01)
    await killed.stop()
    assert await asyncio.wait_for(keeping, 20) == 0
    assert said == ["agent ended unexpectedly (exit code -9); starting it again"]
