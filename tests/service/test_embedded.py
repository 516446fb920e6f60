"""``twinwatch up`` and its PostgreSQL where something goes wrong around them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from twinwatch.hub.embedded import EmbeddedPostgres
from twinwatch.testing.ports import free_port

LONGEST_SECONDS = 60.0
STARTED_ALONE = (
    "import sys; from pathlib import Path; from twinwatch.hub.embedded import EmbeddedPostgres;"
    "EmbeddedPostgres(Path(sys.argv[1]), fsync=False).start()"
)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where the database's own user can reach it, unlike pytest's folders."""
    with tempfile.TemporaryDirectory(prefix="twinwatch-embedded-") as name:
        Path(name).chmod(0o755)
        yield Path(name) / "data"


def test_a_first_start_that_was_killed_half_way_is_begun_anew(folder: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", STARTED_ALONE, folder])
    until(lambda: any(folder.glob("initdb-*/PG_VERSION")) or process.poll() is not None)
    assert process.poll() is None, "it was quicker than this test"
    process.kill()
    process.wait()
    answers(folder)
    assert list(folder.glob("initdb-*")) == []


def test_a_folder_may_have_any_name(folder: Path) -> None:
    answers(folder / """it's "mine", söndag 50%""")


def test_a_killed_server_is_started_again_as_soon_as_its_last_statement_ends(folder: Path) -> None:
    postgres = EmbeddedPostgres(folder, fsync=False)
    with closing(psycopg.connect(postgres.start(), autocommit=True)) as connection:
        try:
            connection.pgconn.send_query(b"select count(*) from generate_series(1, 5000000)")
            os.kill(int((folder / "postgres" / "postmaster.pid").read_text().split("\n", 1)[0]), signal.SIGKILL)
            until(postgres.revive)
            with psycopg.connect(postgres.url) as again:
                assert again.execute("select 1").fetchone() == (1,)
        finally:
            postgres.stop()


def test_variables_and_keys_that_mean_something_else_lead_nothing_astray(folder: Path) -> None:
    other = {"PGPORT": "1", "PGHOSTADDR": "192.0.2.1", "PGSERVICE": "nowhere", "PGOPTIONS": "-c search_path=nowhere"}
    other["TWINWATCH_ENROLMENT_KEY_FILE"] = "/nowhere"
    log = folder.with_name("log")
    with log.open("wb") as file, started(folder, env={**os.environ, **other}, stdout=file, stderr=file) as process:
        until(lambda: process.poll() is not None or "connected to" in log.read_text())
        process.terminate()
        assert process.wait() == 0, log.read_text()


def test_a_closed_terminal_ends_it_in_order_and_a_closed_pipe_not_at_all(folder: Path) -> None:
    log = folder.with_name("log")
    with log.open("wb") as file, started(folder, stdout=subprocess.PIPE, stderr=file) as process:
        assert process.stdout is not None
        process.stdout.close()
        until(lambda: process.poll() is not None or "connected to" in log.read_text())
        assert process.poll() is None, log.read_text()
        process.send_signal(signal.SIGHUP)
        assert process.wait(LONGEST_SECONDS) == 0, log.read_text()
    text = log.read_text()
    assert 0 < text.find("wait for the hub") < text.find("hub stopped"), text


@contextmanager
def started(folder: Path, **how: Any) -> Iterator[subprocess.Popen[bytes]]:
    """``twinwatch up`` on this folder and a free port, ended with the context."""
    address = f"127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "twinwatch.cli", "up", "--data-dir", str(folder), "--listen", address]
    process = subprocess.Popen(command, preexec_fn=hear_hangups, **how)  # noqa: PLW1509 - one call, no lock
    try:
        yield process
    finally:
        process.terminate()
        process.wait(LONGEST_SECONDS)


def hear_hangups() -> None:
    """Where these tests were started with nohup, what they start would inherit that it ignores them."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def answers(folder: Path) -> None:
    postgres = EmbeddedPostgres(folder, fsync=False)
    try:
        with psycopg.connect(postgres.start()) as connection:
            assert connection.execute("select 1").fetchone() == (1,)
    finally:
        postgres.stop()


def until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LONGEST_SECONDS
    while not reached():
        assert time.monotonic() < deadline, "waited for nothing"
        time.sleep(0.01)
