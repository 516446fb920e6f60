"""What the hub tells of itself to whoever runs it, as Prometheus reads it.

All of it is asked of the database, so that of several processes and hubs each gives the same answer. There is nothing
in it about an organization. That compaction is long behind is told in the log too, by the hub and not by the compactor:
it may be the one that is gone, or at a round that does not end.

Source: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

import asyncio
import logging

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from twinwatch import __version__
from twinwatch.hub.db import Database, DatabaseAway
from twinwatch.hub.holdings import Holdings
from twinwatch.hub.statements import Statements
from twinwatch.hub.stores.compaction import Compaction
from twinwatch.hub.stores.log import instant
from twinwatch.world.clock import Clock

log = logging.getLogger(__name__)

SQL = Statements("vitals")

ANSWERS = "Whether PostgreSQL answers."
COUNTS = "Whether what keeps the samples answers, PostgreSQL or another."
LOOK_SECONDS = 60.0
LAG_SECONDS = 3600.0
"""Compaction that is behind by more than that is told in the log."""
BEHIND = (
    "compaction is %.0f s behind: nothing is lost, samples wait in the log, where they take more room; "
    "what stands above of the compactor says why, docs/storage.md what to do ('When compaction is behind')"
)


class Vitals:
    """The figures. ``engine`` is the name of what keeps samples, ``look_seconds`` how often the lag is looked at."""

    def __init__(
        self,
        clock: Clock,
        database: Database,
        holdings: Holdings,
        engine: str,
        *,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self._clock = clock
        self._database = database
        self._holdings = holdings
        self._engine = engine
        self._compaction = Compaction(database)
        self._look_seconds = look_seconds
        self._behind = False

    async def run(self) -> None:
        """A look every minute or so until cancelled. A database that is away postpones it; those who need it tell."""
        while True:
            await asyncio.sleep(self._look_seconds)
            try:
                await self.look()
            except DatabaseAway:
                continue

    async def look(self) -> None:
        """Tells, once each, that compaction is behind and that it keeps up again. Raises: DatabaseAway."""
        lag = await self._compaction.lag_seconds(self._clock.now())
        if self._behind == (lag > LAG_SECONDS):
            return
        self._behind = not self._behind
        if self._behind:
            log.warning(BEHIND, lag)
        else:
            log.info("compaction keeps up again")

    async def exposition(self) -> bytes:
        """The page, in Prometheus' text format. A database that is away leaves ``twinwatch_database_up 0``, and what
        keeps the samples elsewhere ``twinwatch_store_up 0`` beside the other figures."""
        registry = CollectorRegistry()

        def gauge(name: str, says: str, value: float) -> None:
            Gauge(name, says, registry=registry).set(value)

        build = Gauge(
            "twinwatch_build_info", "1, by version and sample store.", ["version", "store"], registry=registry
        )
        build.labels(__version__, self._engine).set(1)
        try:
            now = self._clock.now()
            lag = await self._compaction.lag_seconds(now)
            async with self._database.as_worker() as connection:
                row = await (await connection.execute(SQL["messages"], {"now": instant(now)})).fetchone()
        except DatabaseAway:
            gauge("twinwatch_database_up", ANSWERS, 0)
            return generate_latest(registry)
        assert row is not None  # noqa: S101
        gauge("twinwatch_database_up", ANSWERS, 1)
        gauge("twinwatch_compaction_lag_seconds", "For how long samples could have been compacted that are not.", lag)
        gauge("twinwatch_messages_due", "Messages that should have been sent by now.", row["due"])
        gauge("twinwatch_messages_delay_seconds", "For how long the oldest of them has been due.", row["delay"])
        try:
            stats = await self._holdings.of()
        except DatabaseAway:
            gauge("twinwatch_store_up", COUNTS, 0)
            return generate_latest(registry)
        gauge("twinwatch_store_up", COUNTS, 1)
        gauge("twinwatch_samples", "Samples that are kept.", stats.samples)
        gauge("twinwatch_samples_bytes", "Bytes that they take, indexes included.", stats.size_bytes)
        if stats.oldest is not None:
            gauge("twinwatch_samples_oldest_timestamp_seconds", "Time of the oldest.", stats.oldest / 1000)
        return generate_latest(registry)
