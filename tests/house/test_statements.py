"""SQL in files of its own: each name once, each used, and none asked for that is not there."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

from .tree import PACKAGE, ROOT, modules

NAME = re.compile(r"^-- name: *(.*)$", re.MULTILINE)
FILES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.sql") if "migrations" not in path.parts)


def names(file: Path) -> list[str]:
    return [name.strip() for name in NAME.findall((PACKAGE / file).read_text(encoding="utf-8"))]


@pytest.mark.parametrize("file", FILES, ids=str)
def test_a_statements_name_is_a_word_and_stands_once(file: Path) -> None:
    found = names(file)
    assert found
    assert [name for name in found if not name.isidentifier()] == []
    assert [name for name, times in Counter(found).items() if times > 1] == []


@pytest.mark.parametrize("file", FILES, ids=str)
def test_every_statement_is_used(file: Path) -> None:
    """What no code names is dead, and its schema would be kept for nothing."""
    used = _strings(file)
    assert [name for name in names(file) if not _is_used(name, used)] == []


@pytest.mark.parametrize("noun", sorted(path.stem for path in FILES if path.parts[0] == "hub"))
def test_no_statement_is_asked_for_that_is_not_there(noun: str) -> None:
    """``SQL = Statements("servers")`` … ``SQL["list"]``: a misspelt name would only fail when it is asked."""
    known = set(names(Path("hub", "sql", f"{noun}.sql")))
    unknown = [
        f"{path}: {name}" for path, module in modules().items() for name in _asked(module, noun) if name not in known
    ]
    assert unknown == []


def _strings(file: Path) -> set[str]:
    """Every string in the room that the file belongs to; each monitor's package is a room of its own."""
    depth = 2 if file.parts[0] == "monitors" else 1
    room = f"src/twinwatch/{'/'.join(file.parts[:depth])}/"
    return {
        node.value
        for path, module in modules().items()
        if path.as_posix().startswith(room)
        for node in ast.walk(module)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def _is_used(name: str, strings: set[str]) -> bool:
    """By its name, or as one of a numbered kind (``schema_1`` by ``schema_``)."""
    stem = name.rstrip("0123456789")
    return name in strings or (stem != name and stem in strings)


def _asked(module: ast.Module, noun: str) -> list[str]:
    """Literal subscripts of the names bound to ``Statements(noun)``, and of such a call itself."""
    bound = {
        target.id
        for node in ast.walk(module)
        if isinstance(node, ast.Assign) and _is_call(node.value, noun)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    return [
        node.slice.value
        for node in ast.walk(module)
        if isinstance(node, ast.Subscript)
        and isinstance(node.slice, ast.Constant)
        and isinstance(node.slice.value, str)
        and ((isinstance(node.value, ast.Name) and node.value.id in bound) or _is_call(node.value, noun))
    ]


def _is_call(node: ast.expr, noun: str) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "Statements"
        and isinstance(node.args[0], ast.Constant)
        and node.args[0].value == noun
    )


def test_the_statements_are_where_they_are_looked_for() -> None:
    assert {path.parts[0] for path in FILES} == {"agent", "hub", "monitors"}, f"in {ROOT}"
    beside = [str(path) for path in FILES if path.parts[0] == "monitors" and len(path.parts) != 3]
    assert beside == [], "a monitor's statements lie in its own package"
