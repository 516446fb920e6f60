"""SQL kept in a file of its own beside the module that runs it, each statement under ``-- name: <name>``."""

from __future__ import annotations

import re

from twinwatch.world.packaged import read_packaged

NAME = re.compile(r"^-- name: *(\w+) *$", re.MULTILINE)


def load_statements(package: str, file: str) -> dict[str, str]:
    """The statements of a packaged ``.sql`` file by name, in its order. Text before the first name is ignored."""
    parts = NAME.split(read_packaged(package, file).decode())
    return {name: text.strip() for name, text in zip(parts[1::2], parts[2::2], strict=True)}
