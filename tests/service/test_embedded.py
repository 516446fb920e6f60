"""The embedded PostgreSQL where something goes wrong around it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from twinwatch.hub.embedded import EmbeddedPostgres

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
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    other = {"PGPORT": "1", "PGHOSTADDR": "192.0.2.1", "PGSERVICE": "nowhere", "PGOPTIONS": "-c search_path=nowhere"}
    other["TWINWATCH_ENROLMENT_KEY_FILE"] = "/nowhere"
    command = [sys.executable, "-m", "twinwatch.cli", "up", "--data-dir", str(folder), "--listen", address]
    log = folder.with_name("log")
    with log.open("wb") as file:
        process = subprocess.Popen(command, env={**os.environ, **other}, stdout=file, stderr=file)
    try:
        until(lambda: process.poll() is not None or "connected to" in log.read_text())
    finally:
        process.terminate()
        assert process.wait() == 0, log.read_text()


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
