"""What one hub tells the others, while it is being told more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import msgspec
import pytest

from twinwatch.hub import relay as relay_module
from twinwatch.hub.db import DatabaseAway
from twinwatch.hub.relay import Relay
from twinwatch.testing.client import PATIENCE_SECONDS


class Wire:
    """A database that is away for the first transaction; while each of the first two is under way, more comes."""

    def __init__(self) -> None:
        self.told: list[list[str]] = []
        self.relay: Any = None
        self.begun = 0
        self.twice = asyncio.Event()

    @asynccontextmanager
    async def as_worker(self) -> AsyncIterator[Wire]:
        self.begun += 1
        number, self._letters = self.begun, list[str]()
        yield self
        if number == 1:
            self.relay.tell("server", "a")  # it has changed once more
            raise DatabaseAway("gone")
        if number == 2:
            self.relay.tell("server", "b")
        self.told.append(self._letters)
        if len(self.told) == 2:
            self.twice.set()

    async def execute(self, statement: str, asked: Mapping[str, str]) -> None:
        for _, about in msgspec.json.decode(asked["letter"])[1]:
            self._letters += about


async def test_what_is_told_while_it_is_being_told_is_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_module, "GATHER_SECONDS", 0.001)
    monkeypatch.setattr(relay_module, "AGAIN_SECONDS", 0.001)
    wire: Any = Wire()
    wire.relay = Relay(wire, "postgresql://nobody")
    telling = asyncio.create_task(wire.relay._telling())
    wire.relay.tell("server", "a")
    wire.relay.tell("server", "b")
    async with asyncio.timeout(PATIENCE_SECONDS):
        await wire.twice.wait()
    telling.cancel()
    with suppress(asyncio.CancelledError):
        await telling
    assert wire.told == [["a", "b"], ["b"]], "kept while the database was away, and once more what came meanwhile"
