"""The process that compacts, beside the hub: ``python -P -m twinwatch.hub.compactor``.

A process of its own, and one that others go before: what it computes must not keep requests waiting. It may be killed
at any moment; whoever starts it again loses nothing. What it is to do stands in the environment, as a database's
address does that has a password.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys

import msgspec

from twinwatch.hub.child import Child
from twinwatch.hub.db import Database, DatabaseAway
from twinwatch.hub.plans import Plans
from twinwatch.hub.stores.compaction import Compaction
from twinwatch.world.clock import Clock, SystemClock

log = logging.getLogger(__name__)

ORDER = "COMPACTOR_ORDER"
ROUND_SECONDS = 30.0
NICE = 10


class Order(msgspec.Struct, frozen=True):
    """Where, as whom, for how long samples are kept in the plan that all begin with, and how often to look."""

    url: str
    retention_days: int
    round_seconds: float = ROUND_SECONDS


def child(url: str, retention_days: int) -> Child:
    """The compactor of this database, to be started and kept."""
    order = msgspec.json.encode(Order(url, retention_days)).decode()
    command = [sys.executable, "-P", "-m", "twinwatch.hub.compactor"]
    return Child("compactor", command, {**os.environ, ORDER: order}, log.warning, vital=False)


async def compact(clock: Clock, database: Database, plans: Plans, round_seconds: float) -> None:
    """Rounds until cancelled. A database that is away postpones them."""
    compaction = Compaction(database)
    while True:
        more = False
        try:
            done = await compaction.round(clock.now(), await plans.retention())
            more = done.more
            if done.batches or done.days:
                log.info("compacted: %d batches, %d server days", done.batches, done.days)
        except DatabaseAway as err:
            log.warning("compaction waits: database away (%s)", err)
        if not more:
            await asyncio.sleep(round_seconds)


async def _run(order: Order) -> None:
    going = asyncio.current_task()
    assert going is not None  # noqa: S101
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, going.cancel)
    database = Database(order.url, most=2)
    try:
        await database.open()
        await compact(SystemClock(), database, Plans(database, order.retention_days), order.round_seconds)
    finally:
        await database.close()


def main() -> int:
    """Runs until it is told to end."""
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO,
        format="%(asctime)s %(levelname)-7s %(message)s",
        datefmt="%Y-%m-%d %H:%M:%S",
    )
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
    os.nice(NICE)
    try:
        asyncio.run(_run(msgspec.json.decode(os.environ.pop(ORDER), type=Order)))
    except asyncio.CancelledError:
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
