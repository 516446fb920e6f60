"""The documents say what is so."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .tree import PACKAGE, ROOT, modules, text_of, tracked

DOCUMENTS = sorted(path for path in tracked() if path.suffix == ".md" and "captures" not in path.parts)
LINK = re.compile(r"\]\(([^)#\s]+)(#[\w-]*)?\)")
VARIABLE = re.compile(r"TWINWATCH_[A-Z]+(?:_[A-Z]+)*")
DASHBOARD = ROOT / "dashboard"


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_every_link_leads_somewhere(document: Path) -> None:
    """Links to files of this repository; the screenshot too."""
    dead = [
        target
        for target, _ in LINK.findall(text_of(document) or "")
        if "://" not in target and not (ROOT / document.parent / target).exists()
    ]
    assert dead == []


def test_the_readmes_commands_are_there() -> None:
    """Each command that it tells a reader to type is a target of the Makefile."""
    text = (ROOT / "README.md").read_text()
    commands = re.findall(r"^make (\w+)$", text, re.MULTILINE)
    assert commands == ["up", "test"]
    assert set(commands) <= _targets()


def test_the_makefile_has_the_houses_targets_and_explains_each() -> None:
    wanted = {"setup", "up", "test", "check", "bench", "e2e", "smoke", "docs", "dashboard", "lock", "help"}
    assert wanted <= _targets()
    explained = set(re.findall(r"^(\w+):.*## \S", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert wanted <= explained


def test_ci_runs_make_test() -> None:
    run = ROOT / ".ci" / "run"
    assert run.stat().st_mode & 0o111, ".ci/run is not executable"
    assert "make test" in run.read_text()


def test_the_architecture_names_every_room() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    rooms = [path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()]
    assert [room for room in rooms if f"| `{room}` |" not in text] == []


def test_the_changelog_has_an_entry_for_what_is_to_come() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    assert text.startswith("# Changelog\n")
    assert re.search(r"^## \[", text, re.MULTILINE)


def test_every_decision_is_listed() -> None:
    listed = (ROOT / "docs" / "adr" / "README.md").read_text()
    pages = sorted(path for path in (ROOT / "docs" / "adr").glob("0*.md"))
    assert [path.name for path in pages if f"({path.name})" not in listed] == []
    numbers = [path.name[:4] for path in pages]
    assert len(numbers) == len(set(numbers))


def test_every_setting_is_documented_and_none_besides() -> None:
    """``TWINWATCH_…`` in the package, against the tables of docs/install.md."""
    text = (ROOT / "docs" / "install.md").read_text()
    documented = set(re.findall(r"^\| `(TWINWATCH_\w+)` \|", text, re.MULTILINE))
    read = {name for path in modules() for name in VARIABLE.findall(text_of(path) or "")}
    assert documented == read


def test_the_reference_is_current() -> None:
    """docs/reference is what ``make docs`` would write now."""
    done = subprocess.run(
        [sys.executable, "docs/generate.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_dashboards_types_are_those_of_the_api(tmp_path: Path) -> None:
    """dashboard/src/lib/api.gen.d.ts is what ``make docs`` would write now."""
    program = DASHBOARD / "node_modules" / ".bin" / "openapi-typescript"
    if shutil.which("node") is None or not program.exists():
        pytest.skip("needs node and the dashboard's packages: make setup")
    made = tmp_path / "api.d.ts"
    command = [str(program), str(ROOT / "docs" / "reference" / "openapi.json"), "--output", str(made)]
    done = subprocess.run(command, cwd=DASHBOARD, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    current = (DASHBOARD / "src" / "lib" / "api.gen.d.ts").read_text()
    assert current == made.read_text(), "not current; run `make docs`"


def _targets() -> set[str]:
    return set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
