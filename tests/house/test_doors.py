"""The doors between the rooms, and the names in them (HOUSE.md, DESIGN.md section 2)."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from .tree import PACKAGE, ROOT, modules, tracked

VAGUE = {"utils", "util", "helpers", "helper", "common", "base", "manager", "misc"}
OTHER_WORDS = {
    "tenant": "organization",
    "workspace": "organization",
    "alarm": "alert",
    "collector": "monitor",
    "datapoint": "sample",
    "measurement": "sample",
    "keepalive": "heartbeat",
    "mute": "silence",
    "notifier": "channel",
}
IDENTIFIER = re.compile(r"[a-z]+|[A-Z][a-z]*")


def test_every_import_goes_through_a_door() -> None:
    """``lint-imports`` on the contracts of pyproject.toml."""
    program = "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"
    linted = subprocess.run(
        [sys.executable, "-c", program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert linted.returncode == 0, linted.stdout + linted.stderr


def test_every_room_stands_behind_a_door() -> None:
    """The layers name exactly the rooms that exist, and the list is exhaustive."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract for contract in contracts if contract["type"] == "layers")
    named = {room for layer in layers["layers"] for room in layer.split(" | ")}
    rooms = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()}
    assert layers["exhaustive"]
    assert named == rooms | {"cli"}


def test_no_module_has_a_name_that_says_nothing() -> None:
    """``utils`` is where things go that nobody placed."""
    vague = [
        str(path)
        for path in tracked()
        if path.suffix in {".py", ".ts", ".tsx", ".mjs", ".sql"} and VAGUE & {part.split(".")[0] for part in path.parts}
    ]
    assert vague == []


def test_one_word_per_thing() -> None:
    """Definitions and columns use DESIGN.md's words."""
    found = [
        f"{where}: {name} (say {OTHER_WORDS[word]})"
        for where, name in [*_defined_names(), *_column_names()]
        for word in _words(name)
        if word in OTHER_WORDS
    ]
    assert found == []


def test_every_module_and_public_name_says_what_it_is() -> None:
    """Docstrings of modules, classes and functions: ruff's D1, whatever else is configured."""
    linted = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--select", "D1", "--ignore", "D105,D107", "--quiet", "src", "bench"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert linted.returncode == 0, linted.stdout + linted.stderr


def _words(name: str) -> list[str]:
    return [word.lower().removesuffix("s") for word in IDENTIFIER.findall(name)]


def _defined_names() -> Iterator[tuple[Path, str]]:
    for path, module in modules().items():
        for node in ast.walk(module):
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                yield path, node.name
            elif isinstance(node, ast.arg):
                yield path, node.arg
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                yield path, node.target.id


def _column_names() -> Iterator[tuple[Path, str]]:
    for path in tracked():
        if path.parts[0] == "supabase" and path.suffix == ".sql":
            for name in re.findall(r"^\s+(\w+) (?:text|uuid|bigint|integer|timestamptz|bytea|jsonb|boolean)\b(?!.*;$)",
                                   (ROOT / path).read_text(), re.MULTILINE):  # fmt: skip
                yield path, name
