"""The hub's SQL: ``sql/<noun>.sql``, typed as psycopg wants statements that no input has touched."""

from __future__ import annotations

from typing import LiteralString

from twinwatch.world.statements import load_statements


class Statements:
    """The statements of one file, by name: ``Statements("servers")["list"]``."""

    def __init__(self, noun: str) -> None:
        self._named = load_statements("twinwatch.hub", f"sql/{noun}.sql")

    def __getitem__(self, name: str) -> LiteralString:
        # Packaged with the code and never made of input: as good as written in the code.
        return self._named[name]

    def names(self) -> list[str]:
        """Every name in the file, in order."""
        return list(self._named)
