"""The hikvision monitor at a simulated device on a real port, over the real doors."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from twinwatch.monitors import Absent, Check, Moment
from twinwatch.monitors.hikvision import Hikvision
from twinwatch.monitors.options import options_of
from twinwatch.testing.hikvision import ALERTS, PASSWORD, PERSONALITIES, USER, Device, served
from twinwatch.world.clock import SystemClock
from twinwatch.world.doors import World
from twinwatch.world.host import Host
from twinwatch.world.http import AiohttpHttp
from twinwatch.world.shelf import FolderShelf

CLOCK = SystemClock()


async def _checks(world: World, monitor: Hikvision) -> dict[str, Check]:
    found = await monitor.read(world, Moment(CLOCK.now(), CLOCK.monotonic()))
    return {one.name: one for one in found if isinstance(one, Check)}


def _monitor(url: str, password: str = PASSWORD) -> Hikvision:
    options = {"url": url, "username": USER, "password": password, "request_timeout": "300ms"}
    return Hikvision(options_of(Hikvision, options))


@pytest.mark.parametrize("personality", sorted(PERSONALITIES))
async def test_every_personality_is_read_over_a_real_connection(personality: str, tmp_path: Path) -> None:
    device = Device(PERSONALITIES[personality], CLOCK.now)
    world = World(clock=CLOCK, http=AiohttpHttp(), host=Host(), shelf=FolderShelf(tmp_path))
    async with served(device) as url:
        monitor = _monitor(url)
        await _checks(world, monitor)
        checks = await _checks(world, monitor)
        await world.close()
    assert checks["login"].state == "up"
    assert checks["disk:1"].state == "up"
    assert device.wrong == []


async def test_slow_and_cut_answers_cost_their_part_and_a_gone_device_everything(tmp_path: Path) -> None:
    device = Device(PERSONALITIES["nvr-new"], CLOCK.now)
    world = World(clock=CLOCK, http=AiohttpHttp(), host=Host(), shelf=FolderShelf(tmp_path))
    async with served(device) as url:
        monitor = _monitor(url)
        assert (await _checks(world, monitor))["disk:1"].state == "up"
        device.cut = "/ISAPI/ContentMgmt/Storage"
        checks = await _checks(world, monitor)
        assert (checks["disk:1"].state, checks["clock"].state) == ("unknown", "up")
        device.cut, device.slow_seconds = "", 0.6
        checks = await _checks(world, monitor)
        assert (checks["connection"].state, checks["disk:1"].state) == ("down", "unknown")
        device.slow_seconds = 0
        assert (await _checks(world, monitor))["disk:1"].state == "up"
    assert (await _checks(world, monitor))["connection"].state == "down"
    await world.close()


async def test_faults_are_told_at_once_and_motion_never(tmp_path: Path) -> None:
    device = Device(PERSONALITIES["nvr-new"], CLOCK.now)
    world = World(clock=CLOCK, http=AiohttpHttp(), host=Host(), shelf=FolderShelf(tmp_path))
    woken = asyncio.Event()
    async with served(device) as url:
        options = {"url": url, "username": USER, "password": PASSWORD, "events": True}
        monitor = Hikvision(options_of(Hikvision, options))
        watching = asyncio.create_task(monitor.watch(world, woken.set))
        checks = await _checks(world, monitor)
        assert (checks["login"].state, checks["events"].state) == ("up", "unknown")
        device.events += ["VMD active 2", "shelteralarm active 1", "diskerror active 0"]
        async with asyncio.timeout(10):
            while "event:diskerror" not in checks or "event:shelteralarm:1" not in checks:
                await woken.wait()
                woken.clear()
                checks = await _checks(world, monitor)
        assert checks["event:shelteralarm:1"].state == "degraded"
        assert "look at it" in checks["event:shelteralarm:1"].message
        assert checks["events"].state == checks["channel:1"].state == "up", "what was known before stands"
        assert not any("VMD" in name or "vmd" in name for name in checks)
        asked = len(device.asked)
        device.events += ["shelteralarm inactive 1"]
        async with asyncio.timeout(10):
            await woken.wait()
        checks = await _checks(world, monitor)
        assert checks["event:shelteralarm:1"].state == "up"
        assert len(device.asked) == asked, "an event does not make the device be asked everything again"
        device.ends_streams = True
        async with asyncio.timeout(10):
            with pytest.raises(Absent, match="closed the connection"):
                await watching
        assert (await _checks(world, monitor))["events"].state == "unknown"
    await world.close()


async def test_a_stream_that_the_device_lacks_or_denies_is_told_and_a_wrong_password_opens_none(tmp_path: Path) -> None:
    device = Device(PERSONALITIES["nvr-new"], CLOCK.now, denied=(ALERTS,))
    world = World(clock=CLOCK, http=AiohttpHttp(), host=Host(), shelf=FolderShelf(tmp_path))
    async with served(device) as url:
        options = {"url": url, "username": USER, "password": PASSWORD, "events": True}
        monitor = Hikvision(options_of(Hikvision, options))
        await _checks(world, monitor)
        with pytest.raises(Absent, match="Notify Surveillance Center"):
            await monitor.watch(world, lambda: None)
        monitor = Hikvision(options_of(Hikvision, {**options, "password": "wrong"}))
        watching = asyncio.create_task(monitor.watch(world, lambda: None))
        assert (await _checks(world, monitor))["login"].state == "down"
        await asyncio.sleep(0)
        assert not watching.done(), "it waits until the device takes the login"
        watching.cancel()
        await asyncio.wait({watching})
    await world.close()
    assert len(device.wrong) == 1


async def test_an_agent_with_a_wrong_password_tries_it_once_over_its_restarts_and_tells_nobody(tmp_path: Path) -> None:
    """The real agent's ``run --once``, several times, with its state directory: no secret in output or arguments."""
    device = Device(PERSONALITIES["nvr-new"], CLOCK.now)
    secret = tmp_path / "camera-password"
    secret.write_text("wrong-geheim-3\n")
    secret.chmod(0o600)
    state = tmp_path / "state"
    state.mkdir()
    async with served(device) as url:
        config = tmp_path / "agent.yaml"
        config.write_text(
            f"state_dir: {state}\nmonitors:\n  - {{type: system, enabled: false}}\n"
            f"  - {{type: hikvision, name: gate, url: '{url}', username: {USER}, password_file: camera-password}}\n"
        )
        code = "import sys; from twinwatch.cli import entry; sys.exit(entry())"
        arguments = [sys.executable, "-c", code, "agent", "run", "--once", "--config", str(config)]
        for _ in range(2):
            done = await asyncio.to_thread(
                subprocess.run, arguments, capture_output=True, text=True, check=False, timeout=60
            )
            assert "refuses user" in done.stdout, done.stdout + done.stderr
            assert "geheim" not in done.stdout + done.stderr
    assert len(device.wrong) == 1
    kept = b"".join(path.read_bytes() for path in (state / "monitors").iterdir())
    assert kept
    assert b"geheim" not in kept
