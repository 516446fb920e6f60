"""What the loops of the uplink know together: whether the hub is there and what its clock says."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from twinwatch.world.clock import Clock

_log = logging.getLogger("twinwatch.agent.uplink")


@dataclass(frozen=True, slots=True)
class HubTime:
    """What one heartbeat's answer told of the hub's clock.

    ``ahead_seconds`` is how far this machine's clock was ahead of it, negative if behind.
    """

    received_at: int
    monotonic_seconds: float
    ahead_seconds: float


class Link:
    """The state of the line to the hub. A change of it is logged once."""

    def __init__(self, clock: Clock) -> None:
        self.returned = asyncio.Event()
        """Set when the hub answers for the first time, and when it answers again after it was away or refused."""
        self.heard = asyncio.Event()
        """Set at every answered heartbeat. Who wants to wait for the next one clears it first."""
        self.hub_time: HubTime | None = None
        self._clock = clock
        self._state = ""

    @property
    def up(self) -> bool:
        """Whether the last heartbeat was answered as it should be."""
        return self._state == "up"

    def hub_now(self) -> int | None:
        """The hub's clock, ms UTC, whatever has become of this machine's own; None before the first answer."""
        if self.hub_time is None:
            return None
        passed = self._clock.monotonic() - self.hub_time.monotonic_seconds
        return self.hub_time.received_at + round(passed * 1000)

    def become(self, state: str, level: int, message: str, *values: object) -> None:
        """Take on the state, and log the message if that is a change."""
        if state != self._state:
            self._state = state
            _log.log(level, message, *values)
