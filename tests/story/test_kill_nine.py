"""Real processes and ``kill -9``: the hub for two minutes, the agent for ten seconds; then every tick is counted.

What the agent collected is what its own buffer says afterwards; what the hub holds is counted in its database, where
a duplicate shows, and read through its API, where people look.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.story.ledger import held
from twinwatch.agent.buffer import Buffer
from twinwatch.testing.hub_stage import HubStage, Player
from twinwatch.testing.ports import free_port
from twinwatch.testing.postgres import SECRET, Cluster
from twinwatch.world.clock import SystemClock

HUB_AWAY_SECONDS = 120.0
AGENT_AWAY_SECONDS = 10.0
INTERVALS = {
    "TWINWATCH_MONITOR_INTERVAL": "1s",
    "TWINWATCH_PUSH_INTERVAL": "2s",
    "TWINWATCH_HEARTBEAT_INTERVAL": "5s",
}


@contextmanager
def process(log: Path, *arguments: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A ``twinwatch`` process that does not outlive the test."""
    with log.open("ab") as out:
        running = subprocess.Popen(
            [sys.executable, "-P", "-m", "twinwatch.cli", *arguments],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )
    try:
        yield running
    finally:
        running.kill()
        running.wait()


def wait(claim: Callable[[], object], within_seconds: float, log: Path) -> None:
    """Waits until the claim is true; shows what the processes said if it never is."""
    deadline = time.monotonic() + within_seconds
    while not claim():
        assert time.monotonic() < deadline, log.read_text(errors="replace")[-3000:]
        time.sleep(0.2)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/api/v1/status", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def asked(url: str, token: str) -> Any:
    request = urllib.request.Request(url, headers={"authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def collected(buffer_file: Path) -> Counter[tuple[str, int]]:
    """Every (metric, time) in the agent's buffer, which must not be in use."""
    buffer = Buffer(buffer_file, time.time_ns() // 1_000_000)
    try:
        ticks = buffer.window(0, 1 << 52, ticks=1 << 30)
        assert buffer.figures().dropped == buffer.figures().set_aside == 0
    finally:
        buffer.close()
    return Counter((series.metric, tick.time) for tick in ticks for series in tick.shape.series)


async def cast_of(stage: HubStage) -> tuple[Player, str]:
    """An owner, and a key with which a server may join their organization."""
    organization = await stage.organization()
    return await stage.person(organization, "owner"), await stage.enrolment_key(organization)


@pytest.fixture
def stage(database_url: str, tmp_path: Path) -> HubStage:
    """Hands on the database of a hub that runs elsewhere, as a process."""
    clock: Any = SystemClock()
    return HubStage(database_url, tmp_path / "hub", clock=clock)


def test_kill_nine_of_hub_and_agent_loses_and_repeats_nothing(
    cluster: Cluster, stage: HubStage, database_url: str, tmp_path: Path
) -> None:
    log, state_dir = tmp_path / "log", tmp_path / "agent"
    url = f"http://127.0.0.1:{(port := free_port())}"
    hub = {"TWINWATCH_DATABASE_URL": database_url, "TWINWATCH_SECRET": SECRET.reveal()}
    hub_command = ("hub", "run", "--listen", f"127.0.0.1:{port}", "--data-dir", str(tmp_path / "hub"))

    def server_id() -> str:
        rows = asyncio.run(stage.execute("select id::text from public.servers"))
        return str(rows[0][0]) if rows else ""

    def newest() -> int:
        return max((at for _, at in asyncio.run(held(database_url, server_id()))), default=0)

    with process(log, *hub_command, **hub) as first_hub:
        wait(lambda: answers(url), 30, log)
        owner, key = asyncio.run(cast_of(stage))
        agent = {
            **INTERVALS,
            "TWINWATCH_HUB": url,
            "TWINWATCH_STATE_DIR": str(state_dir),
            "TWINWATCH_ENROLMENT_KEY": key,
        }
        with process(log, "agent", "run", **agent) as first_agent:
            wait(lambda: server_id() and newest(), 30, log)

            first_hub.send_signal(signal.SIGKILL)
            first_hub.wait()
            time.sleep(HUB_AWAY_SECONDS)
            back = time.time_ns() // 1_000_000
            with process(log, *hub_command, **hub):
                wait(lambda: newest() > back, 60, log)

                first_agent.send_signal(signal.SIGKILL)
                first_agent.wait()
                time.sleep(AGENT_AWAY_SECONDS)
                again = time.time_ns() // 1_000_000
                with process(log, "agent", "run", **agent) as second_agent:
                    wait(lambda: newest() > again, 60, log)
                    second_agent.send_signal(signal.SIGTERM)
                    assert second_agent.wait(20) == 0

                mine = collected(state_dir / "buffer.sqlite3")
                theirs = asyncio.run(held(database_url, server_id()))
                assert theirs == mine
                runs = sorted(at for metric, at in mine if metric == "system.memory.utilization")
                assert len(runs) > HUB_AWAY_SECONDS, "hardly anything was collected: the story proves nothing"

                span = f"since={runs[0]}&to={runs[-1] + 1}&points=2000"
                target = f"{url}/api/v1/servers/{server_id()}/range?metric=system.memory.utilization&{span}"
                read = asked(target, owner.client.token)
                assert read["times"] == runs
                assert None not in read["series"][0]["values"]
