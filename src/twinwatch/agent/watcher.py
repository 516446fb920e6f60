"""Keeps a monitor's ``watch`` running beside its runs: started again with back-off whenever it ends.

Invariant: whatever ``watch`` does, the monitor is read by interval all the same; one kind of trouble is logged once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from twinwatch.agent.plain import plain
from twinwatch.monitors import Absent, Monitor
from twinwatch.protocol import limits
from twinwatch.world import backoff
from twinwatch.world.doors import World

LONGEST_PAUSE_SECONDS = 60.0
SETTLED_SECONDS = 60.0
"""A watch that lasted so long was in order: the next trouble is a new one."""

_log = logging.getLogger("twinwatch.agent.scheduler")


async def keep_watching(monitor: Monitor, world: World, changed: Callable[[], None], *, label: str, seed: str) -> None:
    """Watch until cancelled. Returns at once if the monitor has no ``watch``."""
    watch: Any = getattr(monitor, "watch", None)
    if watch is None:
        return
    failures = 0
    said = ""
    while True:
        began = world.clock.monotonic()
        reason, level = await _ended(watch, world, changed)
        if world.clock.monotonic() - began >= SETTLED_SECONDS:
            failures, said = 0, ""
        if reason != said:
            _log.log(level, "monitor %s: no longer watched, only read by interval: %s", label, reason)
            said = reason
        await asyncio.sleep(backoff.delay(failures, f"{seed}:{label}:watch", most_seconds=LONGEST_PAUSE_SECONDS))
        failures += 1


async def _ended(watch: Any, world: World, changed: Callable[[], None]) -> tuple[str, int]:
    """Why it ended, and how grave that is."""
    try:
        await watch(world, changed)
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        return "its watch cancelled itself", logging.WARNING
    except Absent as err:
        return str(err) or "nothing to watch", logging.DEBUG
    except Exception as err:  # noqa: BLE001 - the supervisor of one monitor's watch
        return plain(f"{type(err).__name__}: {err}", limits.MESSAGE_CHARACTERS), logging.WARNING
    return "its watch ended", logging.WARNING
