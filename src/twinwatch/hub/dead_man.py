"""A sign of life of the hub's own to somebody outside, who tells the operator when it stays away.

Invariants: it is given only while the hub does what it is for: the watchdog looks, the outbox looks and the database
answers. A hub that runs and watches nothing gives none. The address is a secret: whoever has it can give the sign.

Source: https://healthchecks.io/docs/http_api/ (any such service takes a GET).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from twinwatch.hub.db import Database, DatabaseAway
from twinwatch.world.clock import Clock
from twinwatch.world.http import Http, Unreachable

SIGN_SECONDS = 60.0
FIRST_SECONDS = 10.0
STALE_SECONDS = 30.0
"""A worker that has not looked for so long does not work."""
TIMEOUT_SECONDS = 20.0

log = logging.getLogger(__name__)


class DeadMan:
    """The worker. ``looks`` says of each worker that counts when it last looked, in monotonic seconds; None: never."""

    def __init__(
        self, clock: Clock, database: Database, http: Http, url: str, looks: Mapping[str, Callable[[], float | None]]
    ) -> None:
        self._clock = clock
        self._database = database
        self._http = http
        self._url = url
        self._looks = looks
        self._complaint = ""

    async def run(self) -> None:
        """Gives the sign every minute until cancelled, the first once the workers have had time to look."""
        await asyncio.sleep(FIRST_SECONDS)
        while True:
            await self.sign()
            await asyncio.sleep(SIGN_SECONDS)

    async def sign(self) -> str:
        """Gives the sign; the result is why not, empty if it was heard. Changes are logged, states are not."""
        complaint = await self._ill() or await self._given()
        if complaint != self._complaint:
            if complaint:
                log.warning("dead-man URL: %s", complaint)
            else:
                log.info("dead-man URL: heard again")
        self._complaint = complaint
        return complaint

    async def _ill(self) -> str:
        now = self._clock.monotonic()
        for name, looked in self._looks.items():
            at = looked()
            if at is None or now - at > STALE_SECONDS:
                return f"no sign is given: the {name} has not looked for {STALE_SECONDS:g} s"
        try:
            async with self._database.as_worker() as connection:
                await connection.execute("select 1")
        except DatabaseAway as err:
            return f"no sign is given: database away ({err})"
        return ""

    async def _given(self) -> str:
        try:
            answer = await self._http.request("GET", self._url, timeout_seconds=TIMEOUT_SECONDS)
        except Unreachable:
            return "it does not answer; the hub goes on"
        return "" if answer.status < 400 else f"it answers with status {answer.status}; the hub goes on"
