"""Twinwatch as people have it: installed from its wheel in a virtual environment, run as a process by one of them."""

from __future__ import annotations

import http.client
import json
import os
import pwd
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from twinwatch.testing.ports import free_port

ROOT = Path(__file__).parents[2]
REQUIREMENTS = ROOT / "requirements"
ORDINARY = "nobody"
START_SECONDS = 60.0
"""How long a first start may take before a test gives up; budgets are asserted apart."""


@dataclass(frozen=True)
class Person:
    """Who runs it. ``uid`` is ``None`` for whoever runs the tests."""

    name: str
    home: Path
    uid: int | None = None
    gid: int | None = None

    def options(self) -> dict[str, Any]:
        """What ``subprocess`` needs to run something as this person."""
        if self.uid is None:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


def ordinary_person(home: Path) -> Person:
    """Someone without rights: another account when we are root, else ourselves, in a home of their own."""
    home.mkdir()
    if os.geteuid() != 0:
        return Person("an ordinary user", home)
    account = pwd.getpwnam(ORDINARY)
    os.chown(home, account.pw_uid, account.pw_gid)
    return Person("an ordinary user", home, account.pw_uid, account.pw_gid)


def python_for(person: Person) -> Path:
    """A Python 3.11 or newer with venv that this person may execute; skips the test if there is none."""
    names = ("python3", "python3.13", "python3.12", "python3.11")
    folders = (Path("/usr/bin"), Path("/usr/local/bin"))
    program = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))"
    base = Path(getattr(sys, "_base_executable", sys.executable))
    for python in (base, *(folder / name for folder in folders for name in names)):
        try:
            tried = subprocess.run(
                [python, "-c", program], cwd="/", capture_output=True, check=False, **person.options()
            )
        except OSError:
            continue
        if tried.returncode == 0:
            return python
    pytest.skip(f"needs a Python 3.11 or newer with venv that {person.name} may execute")


def build_wheel(folder: Path) -> Path:
    """The wheel of this tree, with the dashboard in it."""
    if not (ROOT / "src/twinwatch/hub/dashboard/index.html").is_file():
        pytest.fail("the dashboard is not built, so the wheel would lack it: run `make dashboard`")
    run([sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)])
    (wheel,) = folder.glob("*.whl")
    return wheel


class Installation:
    """A virtual environment. What is locked comes from uv's cache, the wheel by pip without any index."""

    def __init__(self, folder: Path, python: Path) -> None:
        self.folder = folder
        self.python = folder / "bin" / "python"
        self.command: list[str | Path] = [folder / "bin" / "twinwatch"]
        run([python, "-m", "venv", folder])

    def moved(self, folder: Path) -> Installation:
        """The same files in another place, as if they had been installed there."""
        shutil.copytree(self.folder, folder, symlinks=True, copy_function=os.link)
        other = object.__new__(Installation)
        other.folder, other.python = folder, folder / "bin" / "python"
        other.command = [other.python, "-P", "-m", "twinwatch.cli"]  # scripts hold the path that they were made for
        return other

    def lock(self, requirements: Path) -> None:
        """Installs a lock, compiled, since who runs it may not write here."""
        uv = str(Path(sys.executable).with_name("uv"))
        install = [uv, "pip", "install", "--quiet", "--python", str(self.python), "--compile-bytecode"]
        run([*install, "--require-hashes", "-r", str(requirements)])

    def wheel(self, wheel: Path, extras: str = "") -> None:
        """``pip install`` of the wheel; with no index, so that what the lock lacks is told here."""
        run([self.python, "-m", "pip", "install", "--quiet", "--no-index", f"{wheel}{extras}"], PIP_FIND_LINKS="")

    def distributions(self) -> set[str]:
        """Names and versions of all that is installed."""
        listed = run([self.python, "-m", "pip", "list", "--format=freeze"])
        return set(listed.split())

    def call(self, person: Person, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """Runs ``twinwatch`` to its end."""
        return subprocess.run(
            [*self.command, *arguments],
            env={**_environment(person), **environment},
            cwd="/",
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
            check=False,
            **person.options(),
        )


class Running:
    """``twinwatch up`` as a process, and all that it starts."""

    def __init__(self, installation: Installation, person: Person, output: Path, *arguments: str | Path) -> None:
        self.port = free_port()
        self._output = output
        self._began = time.monotonic()
        with output.open("wb") as file:
            self.process = subprocess.Popen(
                [*installation.command, "up", "--listen", f"127.0.0.1:{self.port}", *arguments],
                env=_environment(person),
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                **person.options(),
            )
        self.family: list[psutil.Process] = []

    @property
    def output(self) -> str:
        """All that it and its children have printed."""
        return self._output.read_text(errors="replace")

    def until_up(self) -> float:
        """Waits for its greeting; returns the seconds it took, and knows its family from then on."""
        self.until(lambda: "Ctrl-C stops everything" in self.output, "it says that it is up")
        seconds = time.monotonic() - self._began
        self.family = psutil.Process(self.process.pid).children(recursive=True)
        return seconds

    def until(self, holds: Callable[[], bool], what: str, seconds: float = START_SECONDS) -> None:
        """Waits until something holds; fails with the output if it does not, or if the process ends before."""
        deadline = time.monotonic() + seconds
        while not holds():
            if self.process.poll() is not None:
                pytest.fail(f"ended with {self.process.returncode} before {what}:\n{self.output}")
            if time.monotonic() > deadline:
                pytest.fail(f"not within {seconds:g} s: {what}\n{self.output}")
            time.sleep(0.05)

    @property
    def link(self) -> str | None:
        """The one-time link's token, if one was printed."""
        found = re.search(r"/setup/\?token=(\S+)", self.output)
        return found[1] if found else None

    def end(self, number: signal.Signals = signal.SIGTERM, seconds: float = 40.0) -> int:
        """Asks it to end and waits; returns the exit code."""
        self.process.send_signal(number)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            pytest.fail(f"did not end within {seconds:g} s of {number.name}:\n{self.output}")

    def survivors(self, seconds: float = 0.0) -> list[str]:
        """Those of its family that are still there after so long."""
        _, alive = psutil.wait_procs(self.family, timeout=seconds)
        return [" ".join(process.cmdline()) for process in alive if process.is_running()]

    def close(self) -> None:
        """Ends whatever a failed test left."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def ask(self, method: str, path: str, body: object = None, token: str = "") -> tuple[int, Any]:
        """One request: the status, and the answer as JSON or, where it is none, as text."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {})
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")
        finally:
            connection.close()
        return answer.status, json.loads(text) if "json" in (answer.headers["content-type"] or "") else text


def run(command: Iterable[str | Path], **environment: str) -> str:
    """Runs to the end and returns what was printed; fails the test with it otherwise."""
    words = [str(word) for word in command]
    done = subprocess.run(words, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.fail(f"{' '.join(words)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def modes(*folders: Path, leaving_out: Path | None = None) -> dict[str, str]:
    """Mode and owner of all that is in these folders and of every folder above them."""
    paths: set[Path] = set()
    for folder in folders:
        paths.update((folder, *folder.parents))
        for above, names, files in os.walk(folder):
            if leaving_out is not None and Path(above).is_relative_to(leaving_out):
                names.clear()
                continue
            paths.update(Path(above, name) for name in (*names, *files))
    found = {}
    for path in paths:
        if leaving_out is not None and path.is_relative_to(leaving_out):
            continue
        status = path.lstat()
        found[str(path)] = f"{stat.filemode(status.st_mode)} {status.st_uid}:{status.st_gid}"
    return found


def changed(before: dict[str, str], after: dict[str, str]) -> dict[str, str]:
    """What was there before and has another mode or owner now."""
    return {path: f"{mode} → {after.get(path)}" for path, mode in before.items() if after.get(path) != mode}


def _environment(person: Person) -> dict[str, str]:
    return {"HOME": str(person.home), "PATH": os.defpath, "LANG": "C.UTF-8"}


def remove(folder: Path) -> None:
    """A temporary folder and all that is in it, whoever owns it."""
    shutil.rmtree(folder, ignore_errors=True)
