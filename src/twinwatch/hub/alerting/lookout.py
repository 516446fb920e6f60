"""Looks at alerts whose time has come: a next step, a repetition, the end of a silence, an agent's try without end."""

from __future__ import annotations

import asyncio
import logging

from twinwatch.hub.alerting.engine import ALERTS, NOTES, Engine
from twinwatch.hub.db import Database, DatabaseAway
from twinwatch.hub.stores.log import instant
from twinwatch.world.clock import Clock

LOOK_SECONDS = 1.0
MANY = 100
"""Alerts of one transaction."""
KEPT_MILLISECONDS = 90 * 24 * 3600 * 1000
FORGET_SECONDS = 3600.0

log = logging.getLogger(__name__)


class Lookout:
    """The worker. Of several hubs each looks at what no other has in hand."""

    def __init__(self, clock: Clock, database: Database, engine: Engine) -> None:
        self._clock = clock
        self._database = database
        self._engine = engine

    async def run(self) -> None:
        """Looks until cancelled."""
        away = False
        forgotten = self._clock.monotonic() - FORGET_SECONDS
        while True:
            try:
                while await self.look():
                    pass
                if self._clock.monotonic() - forgotten >= FORGET_SECONDS:
                    forgotten = self._clock.monotonic()
                    await self._forget()
                away = False
            except DatabaseAway as err:
                if not away:
                    log.warning("escalation waits: database away (%s)", err)
                away = True
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> bool:
        """Looks at what is due; whether there was so much that more may be."""
        now = self._clock.now()
        async with self._database.as_worker() as connection:
            asked = {"now": instant(now), "many": MANY}
            due = await (await connection.execute(ALERTS["due"], asked)).fetchall()
            for one in due:
                row = await (await connection.execute(ALERTS["by_id"], {"id": one["id"]})).fetchone()
                if row is not None:
                    await self._engine.look(connection, row, now)
        return len(due) == MANY

    async def _forget(self) -> None:
        before = instant(self._clock.now() - KEPT_MILLISECONDS)
        async with self._database.as_worker() as connection:
            await connection.execute(ALERTS["forget_old"], {"before": before})
            await connection.execute(NOTES["forget_trials"], {"before": before})
