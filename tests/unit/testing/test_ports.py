"""A port that was asked for stays the asker's."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from twinwatch.testing import ports
from twinwatch.testing.ports import free_port


@pytest.mark.parametrize(("of_the_kernel", "below"), [("20000 60999", 20_000), ("1024 65535", 32_768), (None, 32_768)])
def test_a_port_is_none_of_the_kernels_where_it_leaves_any(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, of_the_kernel: str | None, below: int
) -> None:
    monkeypatch.setattr(ports, "_RANGE", tmp_path / "range")
    if of_the_kernel is not None:
        (tmp_path / "range").write_text(of_the_kernel)
    got = [free_port() for _ in range(50)]
    assert len(set(got)) == 50
    assert all(11_000 <= port < below for port in got)


def test_it_can_be_listened_on_left_and_had_again() -> None:
    port = free_port()
    for _ in range(2):
        with socket.create_server(("127.0.0.1", port)):
            pass


def test_neither_one_that_is_taken_nor_one_that_another_process_asked_for_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asks = "from twinwatch.testing.ports import free_port; print(free_port(), flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", asks], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        theirs = int(other.stdout.readline())
        with socket.create_server(("127.0.0.1", taken := free_port())):
            free = free_port()
            os.close(ports._claims.pop(free))
            offered = iter((theirs, taken, free))
            monkeypatch.setattr(ports._any, "randrange", lambda *_: next(offered))
            assert free_port() == free
        other.communicate(b"\n")
