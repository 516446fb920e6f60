"""Drills: a marked test down every path, from the hub to each channel and from agents to those that they may speak on;
and what came of it, so that a path that is broken is known before it is needed."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID, uuid4

import msgspec

from twinwatch.hub.agents import Speaker
from twinwatch.hub.alerting.engine import NOTES
from twinwatch.hub.alerting.queue import Queue
from twinwatch.hub.auth import Person
from twinwatch.hub.channels import ADMINS, SQL
from twinwatch.hub.db import Database
from twinwatch.hub.lawful import check_text
from twinwatch.hub.policies import SQL as POLICIES
from twinwatch.hub.refusals import forbidden, over_limit
from twinwatch.hub.statements import Statements
from twinwatch.hub.stores.log import instant
from twinwatch.protocol.control import DrillAsked, DrillResult
from twinwatch.world.clock import Clock

AUDIT = Statements("servers")["audit"]

RESULTS = 200


class Drills:
    """Begins them and takes what comes of them. ``ask`` sends a notice to a server's agent; whether it is connected."""

    def __init__(
        self, clock: Clock, database: Database, ask: Callable[[UUID, DrillAsked], bool], wake: Callable[[], None]
    ) -> None:
        self._clock = clock
        self._database = database
        self._ask = ask
        self._queue = Queue(database, wake)

    async def begin(self, person: Person, organization_id: UUID, servers: list[UUID]) -> int:
        """Sends the hub's tests and asks the agents for theirs; how many paths are tried is the result.

        Raises: Refused 403 for who may not.
        """
        now = self._clock.now()
        drill = uuid4()
        async with self._database.as_person(person.user_id) as connection:
            where = {"organization": organization_id}
            if await (await connection.execute(POLICIES["may_change"], where)).fetchone() is None:
                raise forbidden(ADMINS)
            done = {"user": person.user_id, "action": "drill.begin", "subject": "every path"}
            await connection.execute(AUDIT, {**done, **where})
            await self._database.become(connection, "service_role")
            channels = await (await connection.execute(SQL["list"], where)).fetchall()
            tried = [row for row in channels if row["enabled"]]
            for row in tried:
                body = {
                    "key": uuid4().hex,
                    "server": "Twinwatch hub",
                    "title": "This is a drill",
                    "message": f"{person.email} tests whether messages arrive. Nothing has happened.",
                }
                values = {
                    **where,
                    "channel": row["id"],
                    "occasion": "drill",
                    "dedup": f"drill:{drill}:{row['id']}",
                    "now": instant(now),
                    "body": msgspec.json.encode(body).decode(),
                }
                await connection.execute(SQL["test"], values)
            ids = [row["id"] for row in tried]
            self._queue.ready(connection, ids, now)
            known = {row["id"] for row in await (await connection.execute(SQL["servers_of"], where)).fetchall()}
            chosen = [server for server in known if not servers or server in servers]
            asked = [server for server in chosen if self._ask(server, DrillAsked(str(drill)))]
            cursor = await connection.execute(SQL["drilling"], {**where, "servers": asked, "now": instant(now)})
            return len(tried) + cursor.rowcount

    async def take(self, speaker: Speaker, result: DrillResult) -> None:
        """What came of an agent's part.

        Raises: Refused 422 beyond a bound.
        """
        if len(result.told) > RESULTS:
            raise over_limit(f"{len(result.told)} results; at most {RESULTS}", RESULTS)
        now = self._clock.now()
        async with self._database.as_worker() as connection:
            for told in result.told:
                check_text("reason", told.reason, 500, empty=True)
                try:
                    channel = UUID(told.channel)
                except ValueError:
                    continue  # one that only the agent's file has
                values = {
                    "organization": speaker.organization_id,
                    "channel": channel,
                    "server": speaker.server_id,
                    "at": instant(now),
                    "outcome": "delivered" if told.state == "delivered" else "refused",
                    "reason": told.reason,
                    "seconds": None,
                }
                await connection.execute(NOTES["proven"], values)
