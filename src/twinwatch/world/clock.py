"""The door to time. Waiting is ``asyncio``'s own (``sleep``, ``timeout``); only reading the time needs a door."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Two clocks: one that people set, one that only runs."""

    def now(self) -> int:
        """Wall clock, ms UTC. May jump in either direction."""
        ...

    def monotonic(self) -> float:
        """Seconds since an arbitrary start; never jumps. The event loop's clock, so that tests can bend both."""
        ...


class SystemClock:
    """The clock of this machine."""

    def now(self) -> int:
        """Wall clock, ms UTC."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """The running loop's clock, in seconds."""
        return asyncio.get_running_loop().time()
