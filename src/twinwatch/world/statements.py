"""SQL kept in a file of its own beside the module that runs it, each statement under ``-- name: <name>``."""

from __future__ import annotations

import re
from importlib.resources import files

NAME = re.compile(r"^-- name: *(\w+) *$", re.MULTILINE)


def load_statements(package: str, file: str) -> dict[str, str]:
    """The statements of a packaged ``.sql`` file by name, in its order. Text before the first name is ignored."""
    parts = NAME.split(files(package).joinpath(file).read_text(encoding="utf-8"))
    return {name: text.strip() for name, text in zip(parts[1::2], parts[2::2], strict=True)}
