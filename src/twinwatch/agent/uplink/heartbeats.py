"""The loop that gives signs of life: every interval and at start, behind nothing else.

While the hub is away a heartbeat is tried again within seconds, so that the other loops learn of its return soon.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from twinwatch import __version__
from twinwatch.agent.identity import Registration
from twinwatch.agent.uplink.line import Line, Refused
from twinwatch.agent.uplink.link import HubTime, Link
from twinwatch.protocol import limits
from twinwatch.protocol.heartbeat import Delivery, Heartbeat
from twinwatch.protocol.life import Life
from twinwatch.world import backoff
from twinwatch.world.clock import Clock
from twinwatch.world.http import Unreachable

RECONNECT_SECONDS = 8.0
"""Longest pause while the hub is away."""
ACCOUNTS_SECONDS = 2.0
LEAST_INTERVAL_SECONDS = 5.0
"""The hub may want heartbeats sooner, but not sooner than this."""
REFUSED_FIRST_SECONDS = 5.0
REFUSED_SECONDS = 300.0
"""After a 401 or 403 the pauses grow from the one to the other: only a person can mend a refused key."""

_log = logging.getLogger("twinwatch.agent.uplink")


class Heartbeats:
    """The loop. ``delivery`` reads the accounts that go along, ``life`` says what the agent knows of its own life;
    ``alerts`` and ``bundle`` give the digests of what is open and of what is held."""

    def __init__(
        self,
        line: Line,
        registration: Registration,
        *,
        delivery: Callable[[], Awaitable[Delivery]],
        life: Callable[[], Life] | None = None,
        link: Link,
        clock: Clock,
        interval_seconds: float,
        seed: str,
        identity_file: Path,
        alerts: Callable[[], str] = str,
        bundle: Callable[[], str] = str,
    ) -> None:
        self._alerts = alerts
        self._bundle = bundle
        self._line = line
        self._delivery = delivery
        self._life = life
        self._accounts: Delivery | None = None
        self._identity_file = identity_file
        self._hub = registration.hub
        self._server_uuid = registration.server_uuid
        self._key = registration.key
        self._link = link
        self._clock = clock
        self._interval = self._own_interval = interval_seconds
        self._seed = seed
        self._skewed = False

    async def run(self) -> None:
        """Send heartbeats until cancelled."""
        failures = 0
        due = self._clock.monotonic()
        while True:
            try:
                await self._beat(recovered=failures > 0)
            except Unreachable as err:
                self._link.become("away", logging.WARNING, "hub %s: %s; ticks are kept and sent later", self._hub, err)
                pause = self._pause(failures)
            except Refused as err:
                pause = self._refused(err, failures)
            else:
                failures = 0
                due = max(due + self._interval, self._clock.monotonic())
                await asyncio.sleep(due - self._clock.monotonic())
                continue
            failures += 1
            await asyncio.sleep(pause)
            due = self._clock.monotonic()

    async def _beat(self, *, recovered: bool) -> None:
        await self._read_accounts()
        sent, began = self._clock.now(), self._clock.monotonic()
        message = Heartbeat(
            self._server_uuid,
            sent,
            __version__,
            self._accounts,
            alerts=self._alerts(),
            bundle=self._bundle(),
            life=self._life() if self._life else None,
        )
        answer = await self._line.heartbeat(self._key, message)
        self._interval = self._own_interval
        if answer.interval_seconds > 0:
            self._interval = min(max(answer.interval_seconds, LEAST_INTERVAL_SECONDS), self._own_interval)
        half = (self._clock.monotonic() - began) / 2
        first = self._link.hub_time is None
        ahead = sent / 1000 + half - answer.received_at / 1000
        self._link.hub_time = HubTime(answer.received_at, began + half, ahead)
        self._link.become("up", logging.INFO, "connected to %s", self._hub)
        self._judge_skew(ahead)
        self._link.heard(answer, returned=first or recovered)

    async def _read_accounts(self) -> None:
        # A disk that hangs must not look like a dead server: the accounts of the heartbeat before it will do.
        try:
            async with asyncio.timeout(ACCOUNTS_SECONDS):
                self._accounts = await self._delivery()
        except TimeoutError:
            return

    def _judge_skew(self, ahead_seconds: float) -> None:
        ahead = ahead_seconds * 1000
        skewed = ahead > limits.FUTURE_MILLISECONDS or -ahead > limits.PAST_MILLISECONDS
        if skewed and not self._skewed:
            _log.error(
                "this machine's clock is %s %s the hub's: its ticks are held back until it is right. "
                "Set the clock, for example with: timedatectl set-ntp true",
                _span(abs(ahead_seconds)),
                "ahead of" if ahead > 0 else "behind",
            )
        elif self._skewed and not skewed:
            _log.info("this machine's clock agrees with the hub's again")
        self._skewed = skewed

    def _refused(self, err: Refused, failures: int) -> float:
        if err.status in (401, 403):
            self._link.become(
                "refused",
                logging.ERROR,
                "%s refuses this server's key (%s). Was the server removed there? To enrol it again, stop the agent, "
                "move %s away and start it with an enrolment key",
                self._hub,
                err,
                self._identity_file,
            )
            pause = backoff.delay(
                failures, self._seed, first_seconds=REFUSED_FIRST_SECONDS, most_seconds=REFUSED_SECONDS
            )
            return max(pause, err.retry_after_seconds or 0.0)
        self._link.become("away", logging.WARNING, "hub %s: heartbeat answered %s; trying on", self._hub, err)
        return max(self._pause(failures), err.retry_after_seconds or 0.0)

    def _pause(self, failures: int) -> float:
        return backoff.delay(failures, self._seed, most_seconds=min(RECONNECT_SECONDS, self._interval))


def _span(seconds: float) -> str:
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {left} s" if minutes else f"{left} s"
