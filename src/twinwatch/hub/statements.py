"""The hub's SQL: statements live in ``sql/<noun>.sql`` under ``-- name: <name>``, beside no Python."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import LiteralString, cast

NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


class Statements:
    """The statements of one file, by name: ``Statements("servers")["list"]``."""

    def __init__(self, noun: str) -> None:
        text = (files("twinwatch.hub") / "sql" / f"{noun}.sql").read_text(encoding="utf-8")
        parts = NAME.split(text)
        self._named = {name: body.strip() for name, body in zip(parts[1::2], parts[2::2], strict=True)}

    def __getitem__(self, name: str) -> LiteralString:
        # Packaged with the code and never made of input: as good as written in the code.
        return cast("LiteralString", self._named[name])

    def names(self) -> list[str]:
        """Every name in the file, in order."""
        return list(self._named)
