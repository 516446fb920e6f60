"""A real agent process: a drill from the command line to a real receiver, and a process that stood still."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.story.served import AgentProcess, ServedHub, agent, until
from twinwatch.agent.lives import GAP_SECONDS
from twinwatch.alerts.forensics import cause_of
from twinwatch.protocol.bundle import Bundle, DirectChannel
from twinwatch.testing.channels.webhook import SECRET, FakeWebhook

REAL_TIME = True
STOPPED_SECONDS = GAP_SECONDS + 4


@pytest.fixture
async def hub() -> AsyncIterator[ServedHub]:
    async with ServedHub().serving() as hub:
        yield hub


async def ran(*arguments: str) -> tuple[int, str, str]:
    """Exit code, output and errors of ``twinwatch``."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "twinwatch.cli", *arguments, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, errors = await process.communicate()
    return process.returncode or 0, out.decode(), errors.decode()


async def heard(hub: ServedHub, running: AgentProcess) -> None:
    await until(lambda: hub.fake.servers and hub.fake.server.heartbeats, running)


async def test_a_drill_from_the_command_line_arrives_and_the_table_says_so(hub: ServedHub, tmp_path: Path) -> None:
    state = tmp_path / "state"
    assert (await ran("drill", "--state-dir", str(state)))[0] == 3, "nobody runs there yet"
    async with FakeWebhook() as receiver, agent(state, f"http://127.0.0.1:{hub.port}", tmp_path / "log") as running:
        await heard(hub, running)
        code, out, _ = await ran("drill", "--state-dir", str(state))
        assert (code, "no channel to speak on" in out) == (1, True)
        hub.fake.give(
            Bundle(
                channels=(
                    DirectChannel("c1", "webhook", "desk", {"url": receiver.url, "secret": SECRET}),
                    DirectChannel("c2", "webhook", "gone", {"url": "http://127.0.0.1:9/", "secret": SECRET}),
                )
            )
        )
        await until(lambda: hub.fake.server.heartbeats[-1].bundle == hub.fake.server.bundle.digest, running)
        code, out, errors = await ran("drill", "--state-dir", str(state))
        assert code == 1, errors
        lines = out.splitlines()
        assert lines[0].split() == ["CHANNEL", "KIND", "FROM", "OUTCOME", "TOOK"]
        assert lines[1].split()[:2] == ["desk", "webhook"]
        assert "delivered" in lines[1]
        assert "failed" in lines[2]
        assert lines[-1] == "1 of 2 paths deliver; the hub has noted it"
        (document,) = receiver.documents
        assert (document["occasion"], document["teller"]) == ("drill", "agent")
        drilled = hub.fake.server.drills[-1]
        assert [(told.channel, told.state) for told in drilled.told] == [("c1", "delivered"), ("c2", "refused")]


async def test_a_process_that_was_stopped_and_goes_on_says_that_it_was_frozen(hub: ServedHub, tmp_path: Path) -> None:
    async with agent(tmp_path / "state", f"http://127.0.0.1:{hub.port}", tmp_path / "log") as running:
        await heard(hub, running)
        await asyncio.sleep(2.0)  # a few heartbeats
        running.send(signal.SIGSTOP)
        await asyncio.sleep(STOPPED_SECONDS)
        count = len(hub.fake.server.heartbeats)
        running.send(signal.SIGCONT)
        await until(lambda: len(hub.fake.server.heartbeats) > count, running)
        before, back = hub.fake.server.heartbeats[count - 1 : count + 1]
        assert back.life is not None
        assert back.life.longest_gap_seconds > GAP_SECONDS
        assert cause_of(back.life, before.timestamp, back.timestamp) == "host-frozen"
