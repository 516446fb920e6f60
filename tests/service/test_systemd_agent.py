"""A real agent beside a real systemd: how soon it knows, as its own status tells."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from aiohttp import ClientError, ClientSession, UnixConnector

from twinwatch.agent.status import SOCKET_FILE, Status
from twinwatch.protocol.checks import CheckStanding
from twinwatch.testing.systemd import SystemdSandbox, lacking

pytestmark = pytest.mark.skipif(bool(lacking()), reason=f"a real systemd needs {lacking()}")

SECOND = 1.0
PATIENCE = 30.0
LOOK_SECONDS = 0.01
SLEEPS = "[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStart=/bin/sleep 1000\n"
CONFIGURATION = """\
monitors:
  - type: systemd
    enabled: true
    services:
      - web1
      - web2
      - web3.service
"""


@pytest.fixture
def sandbox() -> Iterator[SystemdSandbox]:
    folder = Path(tempfile.mkdtemp(prefix="tw-"))
    made = SystemdSandbox(folder, {f"web{number}.service": SLEEPS for number in (1, 2, 3)})
    made.start()
    made.exec("systemctl", "start", "web1", "web2", "web3")
    yield made
    made.stop()
    shutil.rmtree(folder)


class Running:
    """An agent process without a hub, asked over its socket."""

    def __init__(self, session: ClientSession) -> None:
        self._session = session

    async def check(self, name: str) -> CheckStanding | None:
        try:
            async with self._session.get("http://agent/api/v1/status") as answer:
                status = msgspec.json.decode(await answer.read(), type=Status)
        except (ClientError, OSError):
            return None  # it is still starting
        return next((check for check in status.checks if check.name == name), None)

    async def until(self, name: str, admits: Callable[[CheckStanding], bool]) -> CheckStanding:
        async with asyncio.timeout(PATIENCE):
            while (check := await self.check(name)) is None or not admits(check):  # noqa: ASYNC110 - another process
                await asyncio.sleep(LOOK_SECONDS)
        return check


@pytest.fixture
async def agent(sandbox: SystemdSandbox) -> AsyncIterator[Running]:
    folder = sandbox.folder
    (folder / "agent.yaml").write_text(CONFIGURATION)
    environment = {
        **os.environ,
        "DBUS_SYSTEM_BUS_ADDRESS": sandbox.address,
        "TWINWATCH_HUB": "http://127.0.0.1:9",  # nobody is there
        "TWINWATCH_ENROLMENT_KEY": "twe_nobody_will_ask_for_it",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "twinwatch.agent", "--config", str(folder / "agent.yaml"), "--local", "off",
        "--state-dir", str(folder / "state"), env=environment, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with ClientSession(connector=UnixConnector(str(folder / "state" / SOCKET_FILE))) as session:
            yield Running(session)
    finally:
        process.terminate()
        try:
            async with asyncio.timeout(PATIENCE):
                _, log = await process.communicate()
        except TimeoutError:
            process.kill()
            raise
        sys.stderr.write(log.decode())
    assert process.returncode == 0


async def test_the_agent_knows_within_a_second_that_a_unit_was_killed(sandbox: SystemdSandbox, agent: Running) -> None:
    taken = []
    for number in (1, 2, 3):
        name = f"systemd:web{number}.service"
        await agent.until(name, lambda check: check.state == "up")
        os.kill(int((sandbox.group_of(f"web{number}.service") / "cgroup.procs").read_text()), signal.SIGKILL)
        began = time.monotonic()
        check = await agent.until(name, lambda check: check.state == "down")
        taken.append(time.monotonic() - began)
        assert check.reason == "signal"
        assert check.message.startswith("failed: ")
        assert check.message.endswith(f"journalctl -u web{number}.service -n 20")
    sys.stderr.write(f"killed to the agent's status: {', '.join(f'{1000 * one:.0f} ms' for one in taken)}\n")
    assert max(taken) < SECOND
