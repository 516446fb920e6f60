"""The control connection: a WebSocket that the agent keeps open where it can, to hear of changes at once.

Invariants: nothing waits for it; where it is blocked, one line says so and heartbeats bring the same news; what it says
is believed only as far as it is a lawful notice, and acted upon only by fetching.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

import msgspec

from twinwatch.agent.uplink.line import Line, retry_after
from twinwatch.agent.uplink.link import Link
from twinwatch.protocol.control import REPLACED_CODE, REVOKED_CODE, SILENCE_SECONDS, Notice
from twinwatch.world import backoff
from twinwatch.world.clock import Clock
from twinwatch.world.http import Closed, NotOpened, Socket, Unreachable
from twinwatch.world.secret import Secret

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 300.0
UNKNOWN_ROUTE_SECONDS = 600.0
REPLACED_SECONDS = 120.0
"""Pause after another connection with this key has taken the place of this one: two must not drive each other out."""
STEADY_SECONDS = 60.0
"""A connection that lasted so long was a good one: the next failure is a first one."""

_log = logging.getLogger("twinwatch.agent.uplink")


class Control:
    """The loop. ``hear`` is called with each notice, and must not take long over it."""

    def __init__(
        self, line: Line, key: Secret, hear: Callable[[Notice], None], *, link: Link, clock: Clock, seed: str
    ) -> None:
        self._line = line
        self._key = key
        self._hear = hear
        self._link = link
        self._clock = clock
        self._seed = f"{seed}:control"
        self._failures = 0
        self._quiet = False
        self._returned = asyncio.Event()
        link.on_return(self._returned.set)

    async def run(self) -> None:
        """Keep the connection open until cancelled."""
        while True:
            self._returned.clear()
            if not self._link.up:
                await self._returned.wait()
                continue
            began = self._clock.monotonic()
            try:
                least = await self._hold()
            except NotOpened as err:
                least = UNKNOWN_ROUTE_SECONDS if err.status == 404 else retry_after(err.headers) or 0.0
                self._say(err, known=err.status == 404)
            except Unreachable as err:
                least = 0.0
                self._say(err)
            if self._clock.monotonic() - began > STEADY_SECONDS:
                self._failures = 0
            pause = backoff.delay(
                self._failures, self._seed, first_seconds=FIRST_PAUSE_SECONDS, most_seconds=LONGEST_PAUSE_SECONDS
            )
            self._failures += 1
            # The hub's return is no reason to hurry: all its agents would come at once.
            await asyncio.sleep(max(pause, least))

    async def _hold(self) -> float:
        """Open and listen until it ends; the result is the least pause that follows."""
        socket = await self._line.control(self._key)
        self._link.control = True
        if self._quiet:
            _log.info("the control connection is open")
        self._quiet = False
        try:
            await self._listen(socket)
        except Closed as err:
            if err.code == REPLACED_CODE:
                _log.warning(
                    "another agent uses this server's key: has the state directory been copied to another machine?"
                )
                return REPLACED_SECONDS
            if err.code == REVOKED_CODE:
                return REPLACED_SECONDS
        except Unreachable as err:
            _log.debug("control connection: %s", err)
        finally:
            self._link.control = False
            with suppress(Unreachable):
                await socket.close()
        return 0.0

    async def _listen(self, socket: Socket) -> None:
        while True:
            text = await socket.receive(silence_seconds=SILENCE_SECONDS)
            try:
                notice = msgspec.json.decode(text, type=Notice)
            except (msgspec.MsgspecError, UnicodeError, RecursionError):
                continue  # of a newer hub, or no hub's at all
            self._hear(notice)

    def _say(self, err: Exception, *, known: bool = False) -> None:
        if not self._quiet and not known and self._link.up:
            _log.info("no control connection (%s): changes are heard of with heartbeats instead", err)
        self._quiet = not known
