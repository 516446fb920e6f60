"""Alert events on their way to the hub, in order, and its answers on their way back.

Invariants: one request at a time; an event leaves the memory only once the hub has counted its number; one that the hub
will never take is dropped alone, and told; nothing is asked of a hub that refuses the key.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from twinwatch.agent.uplink.line import Line, Refused
from twinwatch.agent.uplink.link import Link
from twinwatch.protocol.alerts import EVENTS, AlertAnswers, AlertEvents
from twinwatch.protocol.heartbeat import HeartbeatAnswer
from twinwatch.world import backoff
from twinwatch.world.http import Unreachable
from twinwatch.world.secret import Secret

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
UNKNOWN_ROUTE_SECONDS = 600.0
REFUSED_SECONDS = 60.0

_log = logging.getLogger("twinwatch.agent.uplink")


class Source(Protocol):
    """Where events come from and answers go."""

    def on_news(self, callback: Callable[[], None]) -> None:
        """Call back when there is something to send."""
        ...

    async def message(self, most: int, *, all_open: bool) -> AlertEvents | None:
        """What to send now, at most so many events; None: nothing. ``all_open``: with the keys of all that is open, if
        nothing else waits."""
        ...

    async def answered(self, sent: AlertEvents, answers: AlertAnswers) -> None:
        """The hub's answer to what was sent."""
        ...

    async def drop(self, number: int) -> None:
        """The hub will never take the event of this number."""
        ...


class Alerts:
    """The loop."""

    def __init__(self, line: Line, key: Secret, source: Source, *, link: Link, seed: str) -> None:
        self._line = line
        self._key = key
        self._source = source
        self._seed = f"{seed}:alerts"
        self._woken = asyncio.Event()
        self._returned = asyncio.Event()
        self._failures = 0
        self._most = EVENTS
        self._reconcile = False
        self._said = False
        source.on_news(self._woken.set)
        link.on_answer(self._heard)
        link.on_return(self._returned.set)

    async def run(self) -> None:
        """Send what there is until cancelled."""
        self._woken.set()
        while True:
            await self._woken.wait()
            self._woken.clear()
            while (message := await self._source.message(self._most, all_open=self._reconcile)) is not None:
                self._returned.clear()
                await self._send(message)

    async def flush(self) -> None:
        """One last request with what waits."""
        message = await self._source.message(self._most, all_open=False)
        if message is not None:
            with suppress(Unreachable, Refused):
                await self._source.answered(message, await self._line.alerts(self._key, message))

    def _heard(self, answer: HeartbeatAnswer) -> None:
        if answer.reconcile:
            self._reconcile = True
            self._woken.set()

    async def _send(self, message: AlertEvents) -> None:
        try:
            answers = await self._line.alerts(self._key, message)
        except Unreachable as err:
            self._say("%s", err)
            await self._pause(0.0)
        except Refused as err:
            await self._refused(message, err)
        else:
            self._failures, self._said = 0, False
            self._most = min(self._most * 2, EVENTS)
            if message.open is not None:
                self._reconcile = False
            await self._source.answered(message, answers)

    async def _refused(self, message: AlertEvents, err: Refused) -> None:
        if err.status in (400, 413, 422) and message.events:
            if len(message.events) > 1:
                self._most = len(message.events) // 2
                return
            event = message.events[0]
            _log.error("the hub refuses what happened to %s (%s): it will not show it", event.title or event.rule, err)
            await self._source.drop(event.number)
        elif err.status in (404, 405, 501):
            await self._pause(UNKNOWN_ROUTE_SECONDS)
        elif err.retry_after_seconds is not None:
            await asyncio.sleep(err.retry_after_seconds)
        else:
            self._say("%s", err)
            await self._pause(REFUSED_SECONDS if err.status in (400, 401, 403, 413, 422) else 0.0)

    async def _pause(self, least_seconds: float) -> None:
        pause = backoff.delay(
            self._failures, self._seed, first_seconds=FIRST_PAUSE_SECONDS, most_seconds=LONGEST_PAUSE_SECONDS
        )
        self._failures += 1
        with suppress(TimeoutError):
            async with asyncio.timeout(max(pause, least_seconds)):
                await self._returned.wait()

    def _say(self, message: str, err: Exception) -> None:
        if not self._said:
            _log.warning(f"alert events do not get through: {message}; they are kept", err)
        self._said = True
