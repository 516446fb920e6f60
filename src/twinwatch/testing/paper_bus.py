"""A D-Bus made of text."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from twinwatch.world.bus import BusUnavailable, Heard


class PaperBus:
    """Answers from ``sources`` whose names begin with ``bus ``. Nobody is on it yet."""

    def __init__(self, sources: Mapping[str, str], *, hangs: bool = False) -> None:
        self.sources = dict(sources)
        self.hangs = hangs

    async def call(
        self,
        destination: str,
        path: str,
        interface: str,
        member: str,
        signature: str = "",
        body: Sequence[Any] = (),
        *,
        timeout_seconds: float,
    ) -> list[Any]:
        """See ``Bus``."""
        if self.hangs:
            await asyncio.Event().wait()
        raise BusUnavailable("no system bus")

    @asynccontextmanager
    async def listen(self, rule: str, heard: Callable[[Heard], None]) -> AsyncIterator[None]:
        """See ``Bus``."""
        if self.sources:
            yield
        raise BusUnavailable("no system bus")
