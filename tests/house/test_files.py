"""What may stand in a tracked file."""

from __future__ import annotations

import re
from pathlib import Path

from .tree import text_of, tracked

LINES = 500
GENERATED = {
    "dashboard/src/lib/api.gen.d.ts",
    "dashboard/package-lock.json",
    "docs/reference/metrics.md",
    "docs/reference/openapi.json",
}
RECORDED = ("tests/captures", "tests/contract/vectors", "requirements")
TEXT = {".py", ".sql", ".md", ".ts", ".tsx", ".mjs", ".css", ".toml", ".sh", ".yaml", ".yml", ".json", ""}

# Written in pieces, so that this file does not hold what it forbids.
REGISTRIES = [
    ".".join(parts)
    for parts in (("pypi", "org"), ("python" + "hosted", "org"), ("npmjs", "org"), ("npmjs", "com"), ("yarnpkg", "com"))
] + ["deb." + "debian", "archive." + "ubuntu", "proxy." + "golang", "index" + "-url"]
MACHINE_PATHS = re.compile(
    "(?<![\\w.~-])/(?:" + "|".join(["wo" + "rk", "ro" + "ot", "Us" + "ers", "opt/wh" + "eels"]) + ")/"
)
LOCK_COMMAND = "--no-emit-" + REGISTRIES[-1]


def test_no_file_names_a_registry() -> None:
    """Where packages come from is each machine's own affair."""
    found = [
        f"{path}: {host}"
        for path in tracked()
        for host in REGISTRIES
        if host in (text_of(path) or "").replace(LOCK_COMMAND, "")
    ]
    assert found == []


def test_no_file_names_a_path_of_the_machine_it_was_written_on() -> None:
    """Such a path is nobody else's."""
    found = [
        f"{path}:{number}: {line.strip()[:120]}"
        for path in tracked()
        if "captures" not in path.parts
        for number, line in enumerate((text_of(path) or "").splitlines(), 1)
        if MACHINE_PATHS.search(line)
    ]
    assert found == []


def test_no_file_is_longer_than_one_can_hold_in_mind() -> None:
    """500 lines; what a program wrote or a machine recorded is not read from top to bottom."""
    long = {
        str(path): lines
        for path in tracked()
        if not _by_machine(path) and path.suffix in TEXT and path.name != "LICENSE"
        if (lines := len((text_of(path) or "").splitlines())) > LINES
    }
    assert long == {}


def test_every_file_ends_with_a_newline() -> None:
    """And none bears a byte-order mark or a carriage return."""
    found = [
        str(path)
        for path in tracked()
        if not _by_machine(path) and path.suffix in TEXT
        if (text := text_of(path)) and (not text.endswith("\n") or "\r" in text or text.startswith("\ufeff"))
    ]
    assert found == []


def test_what_is_built_is_not_tracked() -> None:
    """The export, environments and caches are made, each on its own machine."""
    built = ("src/twinwatch/hub/dashboard", "dashboard/out", "dashboard/.next", "node_modules", ".venv", ".stamps")
    assert [str(path) for path in tracked() if any(name in path.as_posix() for name in built)] == []


def _by_machine(path: Path) -> bool:
    return path.as_posix() in GENERATED or path.as_posix().startswith(RECORDED)
