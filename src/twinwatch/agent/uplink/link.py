"""What the loops of the uplink know together: whether the hub is there, what its clock says, and what else it said."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from twinwatch.protocol.control import Notice
from twinwatch.protocol.heartbeat import HeartbeatAnswer
from twinwatch.world.clock import Clock

LinkState = Literal["new", "up", "away", "refused"]

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
        self.hub_time: HubTime | None = None
        self.state: LinkState = "new"
        self.since = clock.now()
        """When it took on that state, ms UTC."""
        self.error = ""
        """Why it is not up; empty while it is."""
        self.control = False
        """Whether the control connection is open."""
        self.last_batch_at: int | None = None
        """When the hub last took samples, ms UTC."""
        self._clock = clock
        self._on_answer: list[Callable[[HeartbeatAnswer], None]] = []
        self._on_notice: list[Callable[[Notice], None]] = []
        self._on_return: list[Callable[[], None]] = []

    @property
    def up(self) -> bool:
        """Whether the last heartbeat was answered as it should be."""
        return self.state == "up"

    @property
    def ahead_seconds(self) -> float | None:
        """How far this machine's clock is ahead of the hub's; None while unknown."""
        return self.hub_time.ahead_seconds if self.hub_time else None

    def hub_now(self) -> int | None:
        """The hub's clock, ms UTC, whatever has become of this machine's own; None before the first answer."""
        if self.hub_time is None:
            return None
        passed = self._clock.monotonic() - self.hub_time.monotonic_seconds
        return self.hub_time.received_at + round(passed * 1000)

    def on_answer(self, callback: Callable[[HeartbeatAnswer], None]) -> None:
        """Call back at every answered heartbeat."""
        self._on_answer.append(callback)

    def on_notice(self, callback: Callable[[Notice], None]) -> None:
        """Call back at every notice on the control connection."""
        self._on_notice.append(callback)

    def noticed(self, notice: Notice) -> None:
        """The hub has said something on the control connection."""
        for callback in self._on_notice:
            callback(notice)

    def on_return(self, callback: Callable[[], None]) -> None:
        """Call back whenever ``returned`` is set."""
        self._on_return.append(callback)

    def heard(self, answer: HeartbeatAnswer, *, returned: bool) -> None:
        """A heartbeat was answered; ``returned`` if the one before it was not."""
        for callback in self._on_answer:
            callback(answer)
        if returned:
            self.returned.set()
            for return_callback in self._on_return:
                return_callback()

    def become(self, state: LinkState, level: int, message: str, *values: object) -> None:
        """Take on the state, and log the message if that is a change."""
        self.error = "" if state in ("new", "up") else message % values
        if state != self.state:
            self.state = state
            self.since = self._clock.now()
            _log.log(level, message, *values)
