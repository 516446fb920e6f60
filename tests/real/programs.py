"""Real programs of other people, started and ended by a test."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / ".stamps" / "real"
START_SECONDS = 60.0


def program(name: str) -> str:
    """The path of a program that ``make test-real`` has built; without it the test is skipped, and says so."""
    path = Path(os.environ.get("TWINWATCH_REAL", FOLDER)) / name
    if not path.exists():
        pytest.skip(f"needs the real {name}: make test-real builds it where a Go toolchain is there")
    return str(path)


class Running:
    """A program that runs until it is ended. What it says goes to a file."""

    def __init__(self, command: list[str], log: Path, **environment: str) -> None:
        self._log = log
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                ["nice", *command], stdout=file, stderr=file, env={**os.environ, **environment}, start_new_session=True
            )

    def wait_until(self, holds: Callable[[], bool]) -> None:
        """Until it is as it should be; a program that ends or takes a minute fails the test with what it said last."""
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until and self._process.poll() is None:
            try:
                if holds():
                    return
            except (OSError, ValueError):
                pass
            time.sleep(0.1)
        raise AssertionError(f"not as it should be; it said last:\n{self._log.read_text()[-2000:]}")

    def end(self) -> None:
        """End it, with what it has started."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def said(command: list[str], *, timeout_seconds: float = 60.0) -> str:
    """What a program says that ends by itself."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_seconds, check=False)
    assert done.returncode == 0, f"{command[0]}: {done.stdout}{done.stderr}"
    return done.stdout
