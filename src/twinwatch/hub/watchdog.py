"""Who is alive: from the time of the last heartbeat to a state, and a regular look at whose state has changed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Literal
from uuid import UUID

from twinwatch.hub.db import Database, DatabaseAway
from twinwatch.hub.settings import Patience
from twinwatch.hub.statements import Statements
from twinwatch.world.clock import Clock

State = Literal["new", "up", "late", "down"]

SQL = Statements("watchdog")
log = logging.getLogger(__name__)


def state_of(last_heartbeat_at: int | None, now: int, patience: Patience) -> State:
    """The state that a silence amounts to. ``new``: registered, and not heard yet. Times are ms UTC, the hub's own."""
    if last_heartbeat_at is None:
        return "new"
    silent_seconds = (now - last_heartbeat_at) / 1000
    if silent_seconds > patience.down_seconds:
        return "down"
    return "late" if silent_seconds > patience.late_seconds else "up"


class Watchdog:
    """Looks every few seconds and tells of each server whose state is another than at the last look."""

    def __init__(
        self, clock: Clock, database: Database, patience: Patience, changed: Callable[[UUID], Awaitable[None]]
    ) -> None:
        self._clock = clock
        self._database = database
        self._patience = patience
        self._changed = changed
        self._states: dict[UUID, State] | None = None

    async def run(self) -> None:
        """Looks until cancelled. A database that is away postpones the look, it does not end it."""
        look_seconds = min(2.0, self._patience.late_seconds / 4)
        seeing = True
        while True:
            try:
                await self.look()
                if not seeing:
                    log.info("the watchdog sees again")
                seeing = True
            except DatabaseAway as err:
                if seeing:
                    log.warning("the watchdog cannot look: database away (%s)", err)
                seeing = False
            await asyncio.sleep(look_seconds)

    async def look(self) -> None:
        """One look. The first one only takes note: a hub that starts has no change to tell."""
        async with self._database.as_worker() as connection:
            cursor = await connection.execute(SQL["signs"])
            now = self._clock.now()
            states = {row["id"]: state_of(row["heard"], now, self._patience) for row in await cursor.fetchall()}
        before, self._states = self._states, states
        if before is None:
            return
        for server_id, state in states.items():
            if before.get(server_id) != state:
                await self._changed(server_id)
