"""The agent as a process: exit codes, signals, ``kill -9``, and what it loads."""

from __future__ import annotations

import asyncio
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from tests.service.agent_process import QUICK, Hub, agent, serving, until
from twinwatch.agent.asking import NotRunning, ask
from twinwatch.agent.buffer import Buffer
from twinwatch.agent.daemon import BUFFER_FILE
from twinwatch.agent.status import SOCKET_FILE


@pytest.fixture
async def hub() -> AsyncIterator[Hub]:
    async with serving() as hub:
        yield hub


def last_line(log: str) -> str:
    return log.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("url", "key", "said"),
    [
        ("", "twe_test", "no hub: give its address with --hub"),
        ("hub.example", "twe_test", "expected https://host"),
        ("http://hub.example", "twe_test", "plain http"),
        ("http://127.0.0.1:1", "", "no enrolment key"),
    ],
)
async def test_a_setting_that_cannot_be_ends_it_with_2(tmp_path: Path, url: str, key: str, said: str) -> None:
    code, log = await (await agent(tmp_path, url, key)).ended()
    assert code == 2
    assert said in last_line(log)
    assert "Traceback" not in log


async def test_a_state_directory_that_cannot_be_ends_it_with_3(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    code, log = await (await agent(tmp_path / "file" / "state", "http://127.0.0.1:1")).ended()
    assert code == 3
    assert "--state-dir" in last_line(log)


async def test_a_refused_enrolment_key_ends_it_with_4(tmp_path: Path, hub: Hub) -> None:
    code, log = await (await agent(tmp_path, hub.url, "twe_wrong_key")).ended()
    assert code == 4
    assert "refuses the enrolment key" in last_line(log)
    assert "twe_wrong_key" not in log


async def test_two_agents_do_not_share_a_state_directory(tmp_path: Path, hub: Hub) -> None:
    first = await agent(tmp_path, hub.url)
    await until(lambda: hub.fake.servers)
    code, log = await (await agent(tmp_path, hub.url)).ended()
    assert code == 3
    assert re.search(r"in use by another agent \(process \d+\)", last_line(log))
    first.send(signal.SIGTERM)
    assert (await first.ended())[0] == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_brings_the_last_ticks_and_ends_it_with_0(
    tmp_path: Path, hub: Hub, number: signal.Signals
) -> None:
    process = await agent(tmp_path, hub.url, TWINWATCH_PUSH_INTERVAL="1h")
    await until(lambda: hub.fake.servers and hub.fake.server.batches)
    before = len(hub.fake.server.batches)
    await until(lambda: len(list_ticks(tmp_path)) > 20)
    process.send(number)
    code, log = await process.ended()
    assert code == 0
    assert len(hub.fake.server.batches) > before
    assert "stopped; 0 ticks wait" in log
    assert_everything_arrived_once(tmp_path, hub)


async def test_kill_9_again_and_again_loses_nothing_and_repeats_nothing(tmp_path: Path, hub: Hub) -> None:
    for _ in range(3):
        process = await agent(tmp_path, hub.url)
        wanted = 2 + (len(hub.fake.server.batches) if hub.fake.servers else 0)
        await until(partial(has_batches, hub, wanted))
        process.send(signal.SIGKILL)
        await process.ended()
    process = await agent(tmp_path, hub.url, key="")
    heartbeats = len(hub.fake.server.heartbeats)
    await until(lambda: len(hub.fake.server.heartbeats) > heartbeats + 1)
    process.send(signal.SIGTERM)
    assert (await process.ended())[0] == 0
    assert_everything_arrived_once(tmp_path, hub)


def has_batches(hub: Hub, count: int) -> bool:
    return bool(hub.fake.servers) and len(hub.fake.server.batches) >= count


def list_ticks(state_dir: Path) -> list[int]:
    buffer = Buffer(state_dir / BUFFER_FILE, 0)
    try:
        return [tick.time for tick in buffer.window(0, 2**60) if tick.shape.monitor == "system"]
    finally:
        buffer.close()


def assert_everything_arrived_once(state_dir: Path, hub: Hub) -> None:
    assert sorted(hub.fake.server.ticks("system")) == sorted(list_ticks(state_dir))
    assert [sample for sample, count in hub.fake.server.samples().items() if count > 1] == []
    assert len(hub.fake.servers) == 1


def test_the_state_directory_is_closed_to_others(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "twinwatch.agent", "--hub", "http://127.0.0.1:1", "--state-dir", str(tmp_path / "s")],
        check=False,
        capture_output=True,
    )
    modes = {path.name: path.stat().st_mode & 0o777 for path in [tmp_path / "s", *(tmp_path / "s").iterdir()]}
    assert modes["s"] == 0o700
    assert {mode for name, mode in modes.items() if name != "s"} == {0o600}


def test_the_agent_loads_nothing_of_the_hub_and_no_web_server() -> None:
    listing = "import twinwatch.agent.main, sys; print(*sys.modules)"
    loaded = set(
        subprocess.run([sys.executable, "-c", listing], check=True, capture_output=True).stdout.decode().split()
    )
    hub_only = {"fastapi", "starlette", "uvicorn", "uvloop", "psycopg", "numpy", "jwt", "argon2", "pydantic"}
    assert loaded & {*hub_only, "twinwatch.hub", "twinwatch.testing", "aiohttp.web", "aiohttp.test_utils"} == set()


def test_what_a_quiet_agent_does_not_need_is_not_loaded() -> None:
    listing = "import twinwatch.agent.main, twinwatch.agent.local.server, sys; print(*sys.modules)"
    loaded = set(
        subprocess.run([sys.executable, "-c", listing], check=True, capture_output=True).stdout.decode().split()
    )
    libraries = {"frozenlist._frozenlist", "zoneinfo", "aiosmtplib", "pkgutil"}
    doors = {"twinwatch.world.mail", "twinwatch.world.postgres", "twinwatch.world.objects", "twinwatch.world.tail"}
    formats = {"twinwatch.agent.local.otlp", "twinwatch.monitors.exposition"}
    assert loaded & {*libraries, *doors, *formats} == set()


def answers(path: Path) -> bool:
    with suppress(NotRunning):
        return bool(ask(path, "GET", "/api/v1/status"))
    return False


async def test_a_terminal_that_closes_ends_it_and_a_hangup_from_elsewhere_does_not(tmp_path: Path) -> None:
    terminal, inner = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        "setsid", "--ctty", sys.executable, "-m", "twinwatch.agent", "--state-dir", str(tmp_path),
        env={**os.environ, **QUICK, "TWINWATCH_CONFIG": "", "TWINWATCH_LOCAL": "127.0.0.1:3999"},
        stdin=inner, stdout=inner, stderr=inner,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),  # as if these tests were not under nohup
    )  # fmt: skip
    os.close(inner)
    await until((tmp_path / SOCKET_FILE).exists)
    process.send_signal(signal.SIGHUP)
    await until(lambda: answers(tmp_path / SOCKET_FILE))
    assert process.returncode is None
    os.close(terminal)
    async with asyncio.timeout(20):
        assert await process.wait() == 0
