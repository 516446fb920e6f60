"""The locks: complete, with hashes, and of one mind."""

from __future__ import annotations

import json
import re
import tomllib
from functools import cache
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from .tree import ROOT

LOCKS = ("base", "hub", "build", "test", "dev")
PINNED = re.compile(r"^([a-z0-9][a-z0-9-]*)==([^ ;]+)(?: ; ([^\\]+))? \\$")


@cache
def lock(name: str) -> dict[tuple[str, str], str]:
    """(distribution, marker) to version."""
    found = {}
    for line in (ROOT / "requirements" / f"{name}.txt").read_text().splitlines():
        if line and not line.startswith((" ", "#")):
            pinned = PINNED.match(line)
            assert pinned, f"requirements/{name}.txt: {line!r} is not pinned with hashes; run `make lock`"
            found[pinned[1], (pinned[3] or "").strip()] = pinned[2]
    return found


@cache
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.mark.parametrize("name", LOCKS)
def test_every_line_of_a_lock_is_pinned_and_hashed(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    for block in re.split(r"\n(?=[a-z])", text):
        assert "--hash=sha256:" in block, f"no hash: {block[:60]}"
    assert lock(name)


def test_the_locks_agree() -> None:
    """A version is the same for the agent, the hub and who works on them."""
    for name in ("base", "hub", "build", "test"):
        odd = {key: version for key, version in lock(name).items() if not _has(lock("dev"), key[0], version)}
        assert odd == {}, f"requirements/{name}.txt differs from dev.txt; run `make lock`"
    assert {name for name, _ in lock("base")} <= {name for name, _ in lock("hub")}


@pytest.mark.parametrize(
    ("name", "extras"), [("base", ()), ("hub", ("hub", "embedded")), ("dev", ("hub", "embedded", "dev"))]
)
def test_a_lock_holds_what_pyproject_asks_for(name: str, extras: tuple[str, ...]) -> None:
    table = project()["project"]
    wanted = [*table["dependencies"], *(line for extra in extras for line in table["optional-dependencies"][extra])]
    _assert_holds(name, wanted)


@pytest.mark.parametrize("name", ["build", "test"])
def test_a_lock_holds_its_group(name: str) -> None:
    _assert_holds(name, project()["dependency-groups"][name])


def test_the_agent_carries_nothing_of_the_hub() -> None:
    """Each library of the base install is paid for in memory on every server."""
    hub = {Requirement(line).name for line in project()["project"]["optional-dependencies"]["hub"]}
    assert hub & {name for name, _ in lock("base")} == set()


@pytest.mark.parametrize("folder", ["dashboard", "tests/service/supabase", "tests/contract/timescale"])
def test_a_packages_lock_holds_every_platform(folder: str) -> None:
    """One made where a platform's packages are not to be had lacks them, and ``npm ci`` elsewhere refuses it."""
    packages = json.loads((ROOT / folder / "package-lock.json").read_text())["packages"]
    missing = [
        f"{name}@{version} of {path}"
        for path, package in packages.items()
        for name, version in package.get("optionalDependencies", {}).items()
        if f"node_modules/{name}" not in packages and f"{path}/node_modules/{name}" not in packages
    ]
    assert missing == []
    assert [path for path, package in packages.items() if "resolved" in package] == []


def test_the_dashboards_dependencies_are_exact() -> None:
    """A range in package.json would move when the lock is made anew."""
    package = json.loads((ROOT / "dashboard" / "package.json").read_text())
    ranges = {**package["dependencies"], **package["devDependencies"]}
    assert {name: version for name, version in ranges.items() if not version[0].isdigit()} == {}


def _assert_holds(name: str, wanted: list[str]) -> None:
    for line in wanted:
        requirement = Requirement(line)
        versions = [v for (n, _), v in lock(name).items() if n == canonicalize_name(requirement.name)]
        assert versions, f"{line} is not in requirements/{name}.txt; run `make lock`"
        assert all(version in requirement.specifier for version in versions), f"{line}: locked {versions}"


def _has(locked: dict[tuple[str, str], str], name: str, version: str) -> bool:
    return any(n == name and v == version for (n, _), v in locked.items())
