"""What the service manager hears."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinwatch.world.supervisor import STATUS_CHARACTERS, Supervisor


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    name = f"twinwatch-test-{os.getpid()}"
    address = str(tmp_path / "notify") if request.param == "path" else f"\0{name}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(address)
        listening.settimeout(5)
        yield listening, address.replace("\0", "@")


def test_each_state_is_one_datagram(manager: tuple[socket.socket, str]) -> None:
    listening, address = manager
    supervisor = Supervisor({"NOTIFY_SOCKET": address}, monotonic_ns=lambda: 5_000_000)
    assert supervisor.there
    supervisor.ready("all\nwell")
    supervisor.reloading()
    supervisor.alive()
    supervisor.stopping()
    heard = [listening.recv(4096).decode().split("\n") for _ in range(4)]
    assert heard[0] == ["READY=1", "STATUS=all well"]
    assert heard[1][:2] == ["RELOADING=1", "MONOTONIC_USEC=5000"]
    assert heard[2] == ["WATCHDOG=1"]
    assert heard[3][0] == "STOPPING=1"


@pytest.mark.parametrize("address", ["", "/", "@", "vsock:2:1", "relative", "/nonexistent/notify", "@nobody-there"])
def test_nobody_there_is_no_trouble(address: str) -> None:
    supervisor = Supervisor({"NOTIFY_SOCKET": address})
    supervisor.ready()
    supervisor.alive("x")


def test_a_manager_that_does_not_listen_does_not_hold_us(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        supervisor = Supervisor({"NOTIFY_SOCKET": str(tmp_path / "notify")})
        for _ in range(5000):
            supervisor.alive("a queue is full after some hundreds")


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "often"}, None),
        ({"WATCHDOG_USEC": "²"}, None),
    ],
)
def test_the_watchdog_is_ours_if_it_names_us(environment: dict[str, str], seconds: float | None) -> None:
    assert Supervisor(environment, pid=7).watchdog_seconds == seconds


@given(st.text(max_size=400))
def test_any_status_is_one_bounded_line(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.mktemp("n", numbered=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(folder / "s"))
        listening.settimeout(5)
        Supervisor({"NOTIFY_SOCKET": str(folder / "s")}).ready(text)
        first, *rest = listening.recv(8192).decode().split("\n")
    assert first == "READY=1"
    assert len(rest) == bool(text)
    assert all(len(line) <= len("STATUS=") + STATUS_CHARACTERS for line in rest)
