"""SQL kept in a file of its own beside the module that runs it, each statement under ``-- name: <name>``."""

from __future__ import annotations

import pkgutil
import re

NAME = re.compile(r"^-- name: *(\w+) *$", re.MULTILINE)


def load_statements(package: str, file: str) -> dict[str, str]:
    """The statements of a packaged ``.sql`` file by name, in its order. Text before the first name is ignored."""
    # Not importlib.resources, which brings a megabyte of zip files and the like into every agent.
    content = pkgutil.get_data(package, file)
    if content is None:
        raise FileNotFoundError(f"{package}/{file}")
    parts = NAME.split(content.decode())
    return {name: text.strip() for name, text in zip(parts[1::2], parts[2::2], strict=True)}
