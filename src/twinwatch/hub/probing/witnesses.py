"""Agents asked to look: a second vantage point before an alert, and evidence about a server that is silent.

A question is a row. The hub that holds the asked agent's control connection says it, whichever that is, and the answer
comes by a request that any hub may take; who asked looks at the row until it has one. So it is all one with how many
hubs there are, and goes through any pooler.

Invariants: only the asked server's answer counts, once and in time; who asks waits a bounded time, and only so many
questions are open.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from typing import NamedTuple
from uuid import UUID, uuid4

import msgspec
from psycopg.rows import DictRow

from twinwatch.hub.agents import Speaker
from twinwatch.hub.db import Database, DatabaseAway
from twinwatch.hub.lawful import check_text
from twinwatch.hub.probing.kinds import Question
from twinwatch.hub.refusals import invalid
from twinwatch.hub.statements import Statements
from twinwatch.hub.stores.log import instant
from twinwatch.protocol.control import WitnessAnswer, WitnessAsked
from twinwatch.world.clock import Clock

log = logging.getLogger(__name__)

SQL = Statements("witnesses")

MANY = 3
"""So many agents are asked."""
LOOK_TIMEOUT_SECONDS = 5.0
WAIT_SECONDS = 7.0
"""For their answers: what a look takes, and the way there and back."""
POLL_SECONDS = 0.2
RELAY_SECONDS = 0.5
AT_ONCE = 50
"""Most questions that this process waits for; who finds no place does without."""
PER_ORGANIZATION = 10
HEARD_MILLISECONDS = 90_000
KEPT_MILLISECONDS = 3_600_000
TIDY_SECONDS = 600.0
TARGET_CHARACTERS = 2048
MESSAGE_CHARACTERS = 500
REASON_CHARACTERS = 128


class Sighting(NamedTuple):
    """Names of the servers whose agents could reach it, and could not. Both empty: nobody has looked."""

    up: tuple[str, ...] = ()
    down: tuple[str, ...] = ()


class Witnesses:
    """Asks, relays and takes answers. ``connected``: whether a server's agent has its control connection here; ``say``
    sends it a notice."""

    def __init__(
        self,
        clock: Clock,
        database: Database,
        connected: Callable[[UUID], bool],
        say: Callable[[UUID, WitnessAsked], object],
    ) -> None:
        self._clock = clock
        self._database = database
        self._connected = connected
        self._say = say
        self._asking: dict[UUID, int] = {}

    async def ask(self, organization_id: UUID, question: Question, *, besides: Collection[UUID] = ()) -> Sighting:
        """What up to ``MANY`` agents of the organization see, those of other networks than the servers ``besides``
        first. Empty if there are none, or too much is being asked.

        Raises: DatabaseAway.
        """
        busy = sum(self._asking.values()) >= AT_ONCE or self._asking.get(organization_id, 0) >= PER_ORGANIZATION
        if busy or len(question.target) > TARGET_CHARACTERS:
            return Sighting()
        self._asking[organization_id] = self._asking.get(organization_id, 0) + 1
        try:
            asked = await self._asked(organization_id, question, list(besides))
            return await self._heard(asked) if asked else Sighting()
        finally:
            self._asking[organization_id] -= 1
            if not self._asking[organization_id]:
                del self._asking[organization_id]

    async def take(self, speaker: Speaker, answer: WitnessAnswer) -> None:
        """An agent's answer. One to what it was not asked, or too late, is passed over.

        Raises: Refused 422 beyond a bound.
        """
        check_text("message", answer.message, MESSAGE_CHARACTERS, empty=True)
        check_text("reason", answer.reason, REASON_CHARACTERS, empty=True)
        try:
            identity = UUID(answer.id)
        except ValueError:
            raise invalid("id: expected that of a question") from None
        if not 0 <= answer.seconds <= 3600:
            raise invalid("seconds: expected 0 to 3600")
        values = {
            "id": identity,
            "server": speaker.server_id,
            "outcome": answer.outcome,
            "message": answer.message,
            "reason": answer.reason,
            "seconds": answer.seconds,
            "now": instant(self._clock.now()),
        }
        async with self._database.as_worker() as connection:
            await connection.execute(SQL["answer"], values)

    async def run(self) -> None:
        """Says to the agents that are connected here what other hubs want to know, until cancelled."""
        away = False
        tidied = self._clock.monotonic()
        while True:
            try:
                await self.relay()
                if self._clock.monotonic() - tidied >= TIDY_SECONDS:
                    tidied = self._clock.monotonic()
                    await self._tidy()
                away = False
            except DatabaseAway as err:
                if not away:
                    log.warning("witnesses are not asked: database away (%s)", err)
                away = True
            await asyncio.sleep(RELAY_SECONDS)

    async def relay(self) -> None:
        """One look at what nobody could say so far."""
        now = instant(self._clock.now())
        async with self._database.as_worker() as connection:
            rows = await (await connection.execute(SQL["unsent"], {"now": now})).fetchall()
            here = [row["id"] for row in rows if self._connected(row["server_id"])]
            taken: list[DictRow] = []
            if here:
                taken = await (await connection.execute(SQL["take"], {"ids": here, "now": now})).fetchall()
        for row in taken:
            asked = WitnessAsked(str(row["id"]), row["probe"], row["target"], row["timeout_seconds"], row["options"])
            self._say(row["server_id"], asked)

    async def _asked(self, organization_id: UUID, question: Question, besides: list[UUID]) -> dict[UUID, str]:
        now = self._clock.now()
        asked: dict[UUID, str] = {}
        saying: list[tuple[UUID, UUID]] = []
        async with self._database.as_worker() as connection:
            cursor = await connection.execute(SQL["network"], {"servers": besides})
            networks = [row["network"] for row in await cursor.fetchall()]
            wanted = {
                "organization": organization_id,
                "since": instant(now - HEARD_MILLISECONDS),
                "besides": besides,
                "networks": networks,
                "many": MANY,
            }
            for row in await (await connection.execute(SQL["candidates"], wanted)).fetchall():
                identity = uuid4()
                if here := self._connected(row["id"]):
                    saying.append((row["id"], identity))
                values = {
                    "id": identity,
                    "organization": organization_id,
                    "server": row["id"],
                    "probe": question.looking,
                    "target": question.target,
                    "options": msgspec.json.encode(dict(question.options)).decode(),
                    "timeout": LOOK_TIMEOUT_SECONDS,
                    "expires": instant(now + round(WAIT_SECONDS * 1000)),
                    "sent": instant(now) if here else None,
                }
                await connection.execute(SQL["ask"], values)
                asked[identity] = row["name"]
        # Not before it is committed: an answer may be here at once.
        options = dict(question.options)
        for server_id, identity in saying:
            asking = WitnessAsked(str(identity), question.looking, question.target, LOOK_TIMEOUT_SECONDS, options)
            self._say(server_id, asking)
        return asked

    async def _heard(self, asked: dict[UUID, str]) -> Sighting:
        """Waits for the answers. One that reaches it is enough: then it is not down everywhere."""
        outcomes: dict[UUID, str] = {}
        deadline = asyncio.get_running_loop().time() + WAIT_SECONDS
        pause = POLL_SECONDS
        while len(outcomes) < len(asked) and "up" not in outcomes.values():
            if asyncio.get_running_loop().time() >= deadline:
                break
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 1.0)
            async with self._database.as_worker() as connection:
                cursor = await connection.execute(SQL["answers"], {"ids": list(asked)})
                rows = await cursor.fetchall()
            outcomes = {row["id"]: row["outcome"] for row in rows if row["outcome"] is not None}
        up = sorted(asked[identity] for identity, outcome in outcomes.items() if outcome == "up")
        down = sorted(asked[identity] for identity, outcome in outcomes.items() if outcome == "down")
        return Sighting(tuple(up), tuple(down))

    async def _tidy(self) -> None:
        before = instant(self._clock.now() - KEPT_MILLISECONDS)
        async with self._database.as_worker() as connection:
            await connection.execute(SQL["forget"], {"before": before})
