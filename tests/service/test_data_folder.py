"""The embedded PostgreSQL and the folder it lives in: what it finds there, what it leaves, and what is around it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from twinwatch.hub.embedded import SOCKET_PATH_BYTES, EmbeddedPostgres
from twinwatch.hub.settings import Misconfigured
from twinwatch.testing.postgres import temporary_folder


@pytest.fixture
def around() -> Iterator[Path]:
    """A folder that others may pass through, for data folders to be made in."""
    folder = temporary_folder()
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def made() -> Iterator[Path]:
    """A data folder that was used, with a table in it, and is at rest."""
    folder = temporary_folder()
    server = EmbeddedPostgres(folder, fsync=False)
    with psycopg.connect(server.start(), autocommit=True) as connection:
        connection.execute("create table kept as select 42 as answer")
    server.stop()
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def used(made: Path, around: Path) -> Path:
    """A copy of it, owners and modes included."""
    folder = around / "data"
    subprocess.run(["cp", "-a", str(made), str(folder)], check=True)
    return folder


def answer(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("select answer from kept").fetchone()
    assert row is not None
    found: int = row[0]
    return found


def postmaster(folder: Path) -> psutil.Process:
    return psutil.Process(int((folder / "postgres/postmaster.pid").read_text().split("\n", 1)[0]))


def connections(process: psutil.Process) -> list[object]:
    """What it has open towards the network; nothing if it has just ended, as PostgreSQL's workers do all the time."""
    try:
        return list(process.net_connections("inet"))
    except psutil.NoSuchProcess:
        return []


def modes(root: Path) -> dict[str, tuple[int, int, int]]:
    """Mode and owners of everything below a folder, and of all folders above it."""
    return {
        str(path): (path.lstat().st_mode, path.lstat().st_uid, path.lstat().st_gid)
        for path in (*root.parents, root, *root.rglob("*"))
    }


def test_a_second_start_finds_everything_again(used: Path) -> None:
    server = EmbeddedPostgres(used, fsync=False)
    assert answer(server.start()) == 42
    server.stop()
    assert not (used / "postgres/postmaster.pid").exists()


def test_nothing_outside_the_data_folder_changes(around: Path) -> None:
    closed = around / "closed"
    closed.mkdir(mode=0o700)
    (closed / "letter").write_text("x")
    before = modes(around)
    server = EmbeddedPostgres(around / "data", fsync=False)
    server.start()
    during = modes(around)
    server.stop()
    for seen in (during, modes(around)):
        outside = {path: mode for path, mode in seen.items() if not path.startswith(str(around / "data"))}
        assert outside == before
    assert (around / "data/postgres").stat().st_mode & 0o777 == 0o700


def test_it_listens_on_a_socket_in_a_closed_folder_and_on_no_port(used: Path) -> None:
    server = EmbeddedPostgres(used, fsync=False)
    server.start()
    try:
        assert (used / "run").stat().st_mode & 0o777 == 0o700
        process = postmaster(used)
        family = [process, *process.children(recursive=True)]
        assert [one for each in family for one in connections(each)] == []
        assert process.uids().real != 0
    finally:
        server.stop()


def test_it_is_told_none_of_the_callers_secrets(used: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWINWATCH_SECRET", "hush")
    server = EmbeddedPostgres(used, fsync=False)
    server.start()
    try:
        assert b"hush" not in Path(f"/proc/{postmaster(used).pid}/environ").read_bytes()
    finally:
        server.stop()


def test_a_pid_file_left_behind_does_not_stop_it(used: Path) -> None:
    for pid in (os.getpid(), 2**22 - 1):  # somebody else's by now; nobody's
        left = used / "postgres/postmaster.pid"
        left.write_text(f"{pid}\n{used / 'postgres'}\n1700000000\n5432\n{used / 'run'}\n\n  0 0\nready\n")
        os.chown(left, (used / "postgres").stat().st_uid, (used / "postgres").stat().st_gid)
        server = EmbeddedPostgres(used, fsync=False)
        assert answer(server.start()) == 42
        server.stop()


def test_killed_it_is_revived_with_what_was_committed(used: Path) -> None:
    server = EmbeddedPostgres(used)
    url = server.start()
    try:
        assert server.revive() is False
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("update kept set answer = 43")
        postmaster(used).send_signal(signal.SIGKILL)
        deadline = time.monotonic() + 20
        while not server.revive():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert answer(url) == 43
    finally:
        server.stop()


def test_a_data_folder_in_use_is_left_to_its_user(used: Path) -> None:
    first = EmbeddedPostgres(used, fsync=False)
    url = first.start()
    try:
        with pytest.raises(Misconfigured, match="in use by another twinwatch"):
            EmbeddedPostgres(used).start()
        assert answer(url) == 42
    finally:
        first.stop()
    second = EmbeddedPostgres(used, fsync=False)
    assert answer(second.start()) == 42
    second.stop()


def test_data_of_another_major_version_is_named_and_left_alone(used: Path) -> None:
    (used / "postgres/PG_VERSION").write_text("17\n")
    with pytest.raises(Misconfigured, match=r"made by PostgreSQL 17.*embeds 18"):
        EmbeddedPostgres(used).start()
    (used / "postgres/PG_VERSION").write_text("18\n")
    server = EmbeddedPostgres(used, fsync=False)
    assert answer(server.start()) == 42, "and the lock was let go"
    server.stop()


def test_data_that_is_broken_is_said_in_one_line(used: Path) -> None:
    (used / "postgres/global/pg_control").unlink()
    with pytest.raises(Misconfigured, match="did not start") as caught:
        EmbeddedPostgres(used).start()
    assert "\n" not in str(caught.value)
    assert str(used / "postgres.log") in str(caught.value)


def test_a_path_too_long_for_a_socket_gets_a_short_one(made: Path, around: Path) -> None:
    deep = around
    while len(os.fsencode(deep)) < SOCKET_PATH_BYTES:
        deep /= "quite-a-long-name"
    deep.parent.mkdir(parents=True)
    subprocess.run(["cp", "-a", str(made), str(deep)], check=True)
    server = EmbeddedPostgres(deep, fsync=False)
    url = server.start()
    host = Path(str(psycopg.conninfo.conninfo_to_dict(url)["host"]))
    try:
        assert answer(url) == 42
        assert not host.is_relative_to(deep)
        assert host.stat().st_mode & 0o777 == 0o700
    finally:
        server.stop()
    assert not host.exists()
