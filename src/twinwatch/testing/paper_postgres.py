"""A PostgreSQL made of text."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec

from twinwatch.world.postgres import PostgresAway, PostgresRefused
from twinwatch.world.secret import Secret

REFUSAL = "error "


class PaperPostgres:
    """Answers from ``sources``: by ``sql NAME`` a JSON list of rows, or ``error SQLSTATE message``."""

    def __init__(self, sources: Mapping[str, str], *, hangs: bool = False) -> None:
        self.sources = dict(sources)
        self.hangs = hangs

    async def query(
        self, connection: Secret, name: str, statement: str, *, timeout_seconds: float
    ) -> list[dict[str, Any]]:
        """See ``Postgres``."""
        if self.hangs:
            await asyncio.Event().wait()
        text = self.sources.get(f"sql {name}")
        if text is None:
            raise PostgresAway("connection refused")
        if text.startswith(REFUSAL):
            sqlstate, _, message = text.removeprefix(REFUSAL).partition(" ")
            raise PostgresRefused(f"{name}: {message.strip()}", sqlstate)
        try:
            return msgspec.json.decode(text, type=list[dict[str, Any]])
        except (msgspec.MsgspecError, RecursionError) as err:
            raise PostgresAway("the connection was closed within the answer") from err
