"""SQL kept in a file of its own beside the module that runs it, each statement under a name."""

from __future__ import annotations

from importlib.resources import files

_NAME = "-- name:"


def load_statements(package: str, file: str) -> dict[str, str]:
    """The statements of a packaged ``.sql`` file by name. Text before the first ``-- name:`` is ignored."""
    statements: dict[str, str] = {}
    for part in f"\n{files(package).joinpath(file).read_text(encoding='utf-8')}".split(f"\n{_NAME}")[1:]:
        name, _, text = part.partition("\n")
        statements[name.strip()] = text.strip()
    return statements
