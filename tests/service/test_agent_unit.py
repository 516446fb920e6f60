"""The agent as the unit file runs it, under a real systemd."""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from twinwatch.testing.systemd import SystemdSandbox, lacking

UNIT = Path(__file__).parents[2] / "deploy" / "twinwatch-agent.service"
PATIENCE = 30.0

needs_systemd = pytest.mark.skipif(bool(lacking()), reason=f"a real systemd needs {lacking()}")


def unit(**changes: str) -> str:
    """The unit as it is shipped, but for where this machine has the program, and who may read that."""
    text = UNIT.read_text()
    changes = {
        "ExecStart": f"{sys.executable} -m twinwatch.agent --config /run/agent.yaml",
        "User": "root",
        "Group": "root",
        "RestartSec": "100ms",
        **changes,
    }
    for key, value in changes.items():
        text, count = re.subn(rf"^{key}=.*$", f"{key}={value}", text, flags=re.MULTILINE)
        assert count == 1, key
    return text


@pytest.fixture
def boot() -> Iterator[Callable[..., SystemdSandbox]]:
    started: list[SystemdSandbox] = []

    def booted(**changes: str) -> SystemdSandbox:
        sandbox = SystemdSandbox(Path(tempfile.mkdtemp(prefix="tw-")), {"twinwatch-agent.service": unit(**changes)})
        started.append(sandbox)
        sandbox.start()
        configure(sandbox, "monitors:\n  - {type: system, interval: 5s}\n")
        return sandbox

    yield booted
    for sandbox in started:
        sandbox.stop()
        shutil.rmtree(sandbox.folder)


def configure(sandbox: SystemdSandbox, text: str) -> None:
    (sandbox.folder / "run" / "agent.yaml").write_text(text)


def shown(sandbox: SystemdSandbox, name: str) -> str:
    return sandbox.exec("systemctl", "show", "-P", name, "twinwatch-agent").strip()


def wait(claim: Callable[[], object]) -> None:
    until = time.monotonic() + PATIENCE
    while not claim():
        assert time.monotonic() < until, "still not so"
        time.sleep(0.05)  # another process makes it true


def status(sandbox: SystemdSandbox) -> str:
    command = [sys.executable, "-m", "twinwatch.cli", "agent", "status", "--state-dir", "/var/lib/twinwatch-agent"]
    return sandbox.exec(*command, check=False)


def test_the_unit_shares_the_servers_own_mounts_processes_and_network() -> None:
    kept_apart = "ProtectSystem ProtectHome ProtectProc PrivateTmp PrivateDevices PrivateNetwork ProtectKernelTunables"
    keys = {line.partition("=")[0] for line in UNIT.read_text().splitlines() if not line.startswith("#")}
    assert not keys & set(kept_apart.split())
    assert {"NoNewPrivileges", "CapabilityBoundingSet", "SystemCallFilter", "User", "StateDirectory"} <= keys


@needs_systemd
def test_it_starts_reloads_and_stops_as_systemd_is_told(boot: Callable[..., SystemdSandbox]) -> None:
    sandbox = boot()
    sandbox.exec("systemctl", "start", "twinwatch-agent")
    assert shown(sandbox, "ActiveState") == "active"
    wait(lambda: "monitors, 0 failing" in shown(sandbox, "StatusText"))
    wait(lambda: re.search(r"^system +system +ok", status(sandbox), re.MULTILINE))
    told = status(sandbox)
    assert "hub     none configured" in told
    assert "read-only" not in told
    configure(sandbox, "monitors:\n  - {type: system, interval: 7s}\n")
    sandbox.exec("systemctl", "reload", "twinwatch-agent")
    assert shown(sandbox, "ActiveState") == "active"
    wait(lambda: re.search(r"^system +system +\w+ +7s", status(sandbox), re.MULTILINE))
    sandbox.exec("systemctl", "stop", "twinwatch-agent")
    assert (shown(sandbox, "Result"), shown(sandbox, "NRestarts")) == ("success", "0")
    assert "no agent runs" in status(sandbox)


@needs_systemd
def test_one_that_hangs_is_started_again(boot: Callable[..., SystemdSandbox]) -> None:
    sandbox = boot(WatchdogSec="3s")
    sandbox.exec("systemctl", "start", "twinwatch-agent")
    fed = int(shown(sandbox, "WatchdogTimestampMonotonic"))
    wait(lambda: int(shown(sandbox, "WatchdogTimestampMonotonic")) > fed + 4_000_000)  # longer than it waits
    assert (shown(sandbox, "ActiveState"), shown(sandbox, "NRestarts")) == ("active", "0")
    before = shown(sandbox, "MainPID")
    sandbox.exec("kill", "-STOP", before)
    wait(lambda: shown(sandbox, "NRestarts") != "0" and shown(sandbox, "ActiveState") == "active")
    assert shown(sandbox, "MainPID") != before


@needs_systemd
def test_a_setting_that_cannot_be_is_not_tried_again(boot: Callable[..., SystemdSandbox]) -> None:
    sandbox = boot()
    configure(sandbox, "monitors: 7\n")
    sandbox.exec("systemctl", "start", "twinwatch-agent", check=False)
    wait(lambda: shown(sandbox, "ActiveState") == "failed")
    assert (shown(sandbox, "ExecMainStatus"), shown(sandbox, "NRestarts")) == ("2", "0")
