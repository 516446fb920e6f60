"""A monitor written elsewhere, as docs/monitors.md has it: installed beside the agent, found, held to the contract."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from twinwatch.testing.new_monitor import files_of, main, package_of

from .installation import REQUIREMENTS, Installation, Person, build_wheel, ordinary_person, python_for, remove


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="twinwatch-plugin-"))
    folder.chmod(0o755)
    yield folder
    remove(folder)


@pytest.fixture(scope="module")
def person(folder: Path) -> Person:
    return ordinary_person(folder / "home")


@pytest.fixture(scope="module")
def package(folder: Path) -> Path:
    assert main(["coffee_machine", "--package", str(folder / "coffee")]) == 0
    return folder / "coffee"


@pytest.fixture(scope="module")
def installation(folder: Path, person: Person, package: Path) -> Installation:
    """The base install and the package, as somebody has them on a server."""
    wheel = build_wheel(folder)
    made = folder / "made"
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(made), str(package)]
    subprocess.run(build, check=True, capture_output=True)
    installation = Installation(folder / "environment", python_for(person))
    installation.lock(REQUIREMENTS / "base.txt")
    installation.wheel(wheel)
    (plugin,) = made.glob("*.whl")
    installation.wheel(plugin)
    return installation


def test_the_agent_finds_it_and_runs_it(installation: Installation, person: Person, folder: Path) -> None:
    config = folder / "agent.yaml"
    # This machine may have troubles of its own, such as a clock that nobody keeps.
    config.write_text("monitors:\n  - type: system\n    enabled: false\n  - type: coffee_machine\n    least: 1\n")
    config.chmod(0o644)
    checked = installation.call(person, "agent", "check-config", "--config", config)
    assert (checked.returncode, "coffee_machine" in checked.stdout) == (0, True), checked.stdout + checked.stderr
    once = installation.call(person, "agent", "run", "--once", "--config", config)
    assert (once.returncode, "coffee_machine.level" in once.stdout) == (0, True), once.stdout + once.stderr


def test_a_wrong_option_of_it_is_named_with_its_line(installation: Installation, person: Person, folder: Path) -> None:
    config = folder / "wrong.yaml"
    config.write_text("monitors:\n  - type: coffee_machine\n    leest: 1\n")
    config.chmod(0o644)
    checked = installation.call(person, "agent", "check-config", "--config", config)
    assert checked.returncode == 2
    said = checked.stdout + checked.stderr
    assert "wrong.yaml:3" in said
    assert "least" in said


def test_the_contract_runs_on_it_and_passes(installation: Installation, package: Path) -> None:
    installation.lock(REQUIREMENTS / "test.txt")
    done = subprocess.run(
        [installation.python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error"],
        cwd=package,
        env={**os.environ, "HYPOTHESIS_STORAGE_DIRECTORY": str(package / ".hypothesis")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert " passed" in done.stdout


def test_the_contract_fails_a_monitor_that_breaks_it(installation: Installation, package: Path) -> None:
    module = package / "src" / "twinwatch_coffee_machine" / "__init__.py"
    sound = module.read_text()
    broken = sound.replace('return [Reading("coffee_machine.level", level), self._check(level)]', "return []")
    assert broken != sound
    try:
        module.write_text(broken)
        done = subprocess.run(
            [installation.python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_contract.py"],
            cwd=package,
            env={**os.environ, "PYTHONPATH": str(package / "src")},
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        module.write_text(sound)
    assert done.returncode == 1, done.stdout[-3000:]
    assert "test_every_declaration_is_seen_in_some_case" in done.stdout


def test_what_is_scaffolded_is_formatted_and_lawful(package: Path) -> None:
    ruff = [sys.executable, "-m", "ruff"]
    for command in (["format", "--check"], ["check", "--select", "E,F,W,UP,B,C4,SIM,RET,PT"]):
        apart = ["--isolated", "--line-length", "120", str(package)]
        done = subprocess.run([*ruff, *command, *apart], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_name_that_is_taken_or_unlawful_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tea", "--package", str(tmp_path)]) == 0
    before = sorted(tmp_path.rglob("*"))
    assert main(["tea", "--package", str(tmp_path)]) == 1
    assert "is there already" in capsys.readouterr().err
    for name in ("Tea", "a", "../x", "1st"):
        with pytest.raises(SystemExit):
            main([name, "--package", str(tmp_path / "other")])
    assert sorted(tmp_path.rglob("*")) == before


def test_within_this_tree_it_is_a_file_a_test_and_a_capture() -> None:
    assert {path.split("/")[0] for path in files_of("tea")} == {"src", "tests"}
    assert "pyproject.toml" in package_of("tea")
