"""The repository's files, as git tracks them."""

from __future__ import annotations

import ast
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "twinwatch"


@cache
def tracked() -> tuple[Path, ...]:
    """Every tracked file that is there, relative to the root. Outside a git checkout: a reason to skip."""
    import pytest

    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    names = listed.stdout.decode().rstrip("\0").split("\0")
    return tuple(path for path in map(Path, sorted(names)) if (ROOT / path).is_file())


@cache
def text_of(path: Path) -> str | None:
    """A tracked file's text; ``None`` if it is no text."""
    try:
        return (ROOT / path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None


@cache
def modules() -> dict[Path, ast.Module]:
    """Every tracked Python file below ``src``, parsed."""
    found = {}
    for path in tracked():
        if path.suffix == ".py" and path.parts[0] == "src":
            found[path] = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return found
