"""A real agent as the unit file runs it, under a real systemd that is told to stop it, to reboot or to power off."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.service.test_agent_unit import configure, needs_systemd, unit
from tests.story.served import ServedHub
from twinwatch.testing.systemd import SystemdSandbox

pytestmark = needs_systemd

PATIENCE = 30.0
STOP_SECONDS = 15.0
"""What the unit file grants is twenty."""


@pytest.fixture
async def hub() -> AsyncIterator[ServedHub]:
    async with ServedHub().serving() as hub:
        yield hub


@pytest.fixture
async def sandbox(hub: ServedHub) -> AsyncIterator[SystemdSandbox]:
    folder = Path(tempfile.mkdtemp(prefix="tw-"))
    made = SystemdSandbox(folder, {"twinwatch-agent.service": unit()})
    await asyncio.to_thread(made.start)
    configure(made, f"hub: http://127.0.0.1:{hub.port}\nmonitors:\n  - {{type: system, interval: 5s}}\n")
    (folder / "run" / "key").write_text("twe_test")
    (folder / "run" / "key").chmod(0o600)
    with (folder / "run" / "agent.yaml").open("a") as file:
        file.write("enrolment_key_file: /run/key\n")
    await asyncio.to_thread(made.exec, "systemctl", "start", "twinwatch-agent")
    yield made
    await asyncio.to_thread(made.stop)
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("command", "leaving", "back"),
    [
        (("stop", "twinwatch-agent"), "stop", 0.0),
        (("reboot",), "reboot", 300.0),
        (("poweroff",), "shutdown", 0.0),
    ],
)
async def test_the_goodbye_says_what_goes_down(
    hub: ServedHub, sandbox: SystemdSandbox, command: tuple[str, ...], leaving: str, back: float
) -> None:
    async with asyncio.timeout(PATIENCE):
        while not (hub.fake.servers and hub.fake.server.heartbeats):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)
    began = asyncio.get_running_loop().time()
    await asyncio.to_thread(sandbox.exec, "systemctl", *command, check=False)
    async with asyncio.timeout(STOP_SECONDS):
        while not hub.fake.server.goodbyes:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)
    (said,) = hub.fake.server.goodbyes
    assert (said.leaving, said.back_within_seconds) == (leaving, back)
    assert asyncio.get_running_loop().time() - began < STOP_SECONDS
