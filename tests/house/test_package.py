"""The wheel carries everything that the code reads at run time."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from .tree import PACKAGE, ROOT, tracked

DATA = {".sql", ".json", ".txt", ".toml", ".typed", ".html", ".css", ".js", ".svg"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The names in a wheel built from this tree."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = folder.glob("*.whl")
    return zipfile.ZipFile(built).namelist()


def test_every_module_and_data_file_is_in_the_wheel(wheel: list[str]) -> None:
    package = Path("src/twinwatch")
    wanted = {
        path.relative_to("src").as_posix()
        for path in tracked()
        if path.is_relative_to(package) and path.suffix in {*DATA, ".py"}
    }
    assert {"twinwatch/agent/buffer.sql", "twinwatch/agent/local/page/index.html"} <= wanted
    assert wanted - set(wheel) == set()


def test_every_migration_is_in_the_wheel(wheel: list[str]) -> None:
    wanted = {f"twinwatch/hub/migrations/{path.name}" for path in tracked() if path.match("supabase/migrations/*.sql")}
    assert wanted
    assert wanted - set(wheel) == set()


def test_the_dashboard_is_in_the_wheel(wheel: list[str]) -> None:
    export = PACKAGE / "hub" / "dashboard"
    if not (export / "index.html").is_file():
        pytest.skip("the dashboard is not built: make dashboard")
    wanted = {f"twinwatch/hub/dashboard/{path.relative_to(export).as_posix()}" for path in export.rglob("*.*")}
    missing = {name for name in wanted if not (PACKAGE.parent / name).is_dir()} - set(wheel)
    assert missing == set()


def test_nothing_else_is_in_the_wheel(wheel: list[str]) -> None:
    """No tests, no caches, no source of the dashboard."""
    assert {name.split("/")[0].split("-")[0] for name in wheel} == {"twinwatch"}
    assert [name for name in wheel if "__pycache__" in name or name.endswith((".tsx", ".pyc"))] == []
