"""The hub's copy of the report is kept the agent's own: sent when it changes, and when the hub names another digest."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from twinwatch.agent.uplink.errand import Errand
from twinwatch.agent.uplink.line import Line
from twinwatch.agent.uplink.link import Link
from twinwatch.protocol.checks import Report
from twinwatch.protocol.heartbeat import HeartbeatAnswer
from twinwatch.world.clock import Clock
from twinwatch.world.secret import Secret

GATHER_SECONDS = 0.2
"""Changes that come together go together."""
APART_SECONDS = 1.0
"""Between two reports, however things flap."""


class Reports:
    """``report`` makes the whole report; it is called when something may have changed, and at each heartbeat."""

    def __init__(
        self, line: Line, key: Secret, report: Callable[[], Report], *, link: Link, clock: Clock, seed: str
    ) -> None:
        self._line = line
        self._key = key
        self._report = report
        self._clock = clock
        self._held: str | None = None
        self._next = report()
        self._sent_seconds: float | None = None
        self._errand = Errand(
            "the hub did not take the report", do=self._send, wanted=self._is_wanted, link=link, seed=seed
        )
        self.run = self._errand.run
        link.on_answer(self._heard)

    def changed(self) -> None:
        """The report may be another now."""
        self._errand.wake()

    def _heard(self, answer: HeartbeatAnswer) -> None:
        self._held = answer.report
        self._errand.wake()

    def _is_wanted(self) -> bool:
        if self._held is None:
            return False
        report = self._report()
        self._next = msgspec.structs.replace(report, digest=report.fingerprint())
        return self._next.digest != self._held

    async def _send(self) -> None:
        if self._sent_seconds is not None:
            due = self._sent_seconds + APART_SECONDS - self._clock.monotonic()
            await asyncio.sleep(max(due, GATHER_SECONDS))
            if not self._is_wanted():
                return
        sent = self._next
        self._sent_seconds = self._clock.monotonic()
        await self._line.report(self._key, sent)
        self._held = sent.digest
