"""A marked test on every channel that this agent may speak on, when the hub or a person on this machine asks: so that a
path that is broken is known before it is needed.

Invariants: a message of a drill says that it is one; a drill is never tried again by itself; only so many in an hour.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Literal
from uuid import uuid4

import msgspec

from twinwatch.agent.alerting.standing import ChannelStatus
from twinwatch.notify import Delivered, Outcome, Refused, Subject
from twinwatch.protocol.alerts import Told
from twinwatch.protocol.control import DrillAsked, DrillResult
from twinwatch.protocol.samples import Milliseconds
from twinwatch.world.clock import Clock

IN_AN_HOUR = 12
WAITING = 4

Say = Callable[..., Awaitable[dict[str, Outcome]]]

_log = logging.getLogger(__name__)


class PathTried(msgspec.Struct, frozen=True, omit_defaults=True):
    """One channel, and what came of it."""

    channel: str
    """Its id: the hub's, or ``file:<name>``."""
    name: str
    kind: str
    outcome: Literal["delivered", "refused", "failed"]
    """``failed``: not now; later it might be taken."""
    seconds: float = 0.0
    reason: str = ""


class Drilled(msgspec.Struct, frozen=True, omit_defaults=True):
    """A whole drill: from this server to each channel, ``at`` ms UTC."""

    server: str
    at: Milliseconds
    paths: tuple[PathTried, ...] = ()
    reported: bool = False
    """Whether the hub has noted it."""

    @property
    def well(self) -> bool:
        """Whether there is a path and each one delivers."""
        return bool(self.paths) and all(path.outcome == "delivered" for path in self.paths)


class TooOften(Exception):
    """There were ``IN_AN_HOUR`` drills within the last hour."""


class Drills:
    """``channels`` lists them, ``say`` is ``Alerting.say``, ``report`` brings the result to the hub; whether it took it
    is its result."""

    def __init__(
        self,
        clock: Clock,
        server: str,
        *,
        channels: Callable[[], Sequence[ChannelStatus]],
        say: Say,
        report: Callable[[DrillResult], Awaitable[bool]],
    ) -> None:
        self._clock = clock
        self._server = server
        self._channels = channels
        self._say = say
        self._report = report
        self._asked: asyncio.Queue[DrillAsked] = asyncio.Queue(WAITING)
        self._turn = asyncio.Lock()
        self._begun: deque[float] = deque()

    def ask(self, asked: DrillAsked) -> None:
        """The hub wants one."""
        if not self._asked.full():
            self._asked.put_nowait(asked)

    async def run(self) -> None:
        """Hold what the hub asks for until cancelled."""
        while True:
            asked = await self._asked.get()
            try:
                await self.hold(asked.id, asked.channels, by="The hub")
            except TooOften as err:
                # An answer all the same: the hub would show these paths as being tried for ever.
                now = self._clock.now()
                chosen = [one.id for one in self._channels() if not asked.channels or one.id in asked.channels]
                await self._report(DrillResult(asked.id, tuple(Told(one, now, "refused", str(err)) for one in chosen)))

    async def hold(
        self, drill: str = "", wanted: Collection[str] = (), *, by: str = "Somebody on this server"
    ) -> Drilled:
        """One drill on these channels, or on all; it is reported to the hub, where there is one.

        Raises: TooOften.
        """
        now = self._clock.monotonic()
        while self._begun and self._begun[0] <= now - 3600:
            self._begun.popleft()
        if len(self._begun) >= IN_AN_HOUR:
            raise TooOften(f"there were {IN_AN_HOUR} drills within the last hour; wait a while")
        self._begun.append(now)
        async with self._turn:
            drill = drill or uuid4().hex
            chosen = [one for one in self._channels() if not wanted or one.id in wanted]
            tried = await asyncio.gather(*(self._try(drill, one, by) for one in chosen))
            _log.info(
                "drill: %d of %d channels delivered", sum(one.outcome == "delivered" for one in tried), len(tried)
            )
            at = self._clock.now()
            result = DrillResult(drill, tuple(_told(one, at) for one in tried))
            return Drilled(self._server, at, tuple(tried), reported=await self._report(result))

    async def _try(self, drill: str, channel: ChannelStatus, by: str) -> PathTried:
        began = self._clock.monotonic()
        subject = Subject(
            key=drill,
            server=self._server,
            title="This is a drill",
            message=f"{by} tests whether messages of this server's agent arrive. Nothing has happened.",
            severity="warning",
            since=self._clock.now(),
            occasion="drill",
        )
        said = await self._say([channel.id], subject, note_id=f"{drill}:{channel.id}")
        outcome = said[channel.id]
        seconds = round(self._clock.monotonic() - began, 3)
        if isinstance(outcome, Delivered):
            return PathTried(channel.id, channel.name, channel.kind, "delivered", seconds, outcome.warning)
        kind: Literal["refused", "failed"] = "refused" if isinstance(outcome, Refused) else "failed"
        return PathTried(channel.id, channel.name, channel.kind, kind, seconds, outcome.reason)


def _told(path: PathTried, at: int) -> Told:
    state: Literal["delivered", "refused"] = "delivered" if path.outcome == "delivered" else "refused"
    return Told(path.channel, at, state, path.reason[:500])
