"""Marks channels as having something to send, as the last thing that a transaction does.

Invariants: whoever writes about alerts takes locks in one order: alerts, then their notifications, then channels, of
each kind by id. A transaction about many alerts comes upon channels in any order, so they are marked together at its
end: two hubs, or two agents of one organization, never wait for each other in a circle.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from uuid import UUID

from twinwatch.hub.db import Connection, Database
from twinwatch.hub.statements import Statements
from twinwatch.hub.stores.log import instant

SQL = Statements("notifications")


class Queue:
    """For one database. ``waiting`` is called once there may be something to send."""

    def __init__(self, database: Database, waiting: Callable[[], None]) -> None:
        self._database = database
        self._waiting = waiting

    def ready(self, connection: Connection, channels: Iterable[UUID], at: int) -> None:
        """Something is to be sent on these channels at this time, ms UTC: known when the transaction commits."""
        self._database.before_commit(connection, self._mark, [(channel, at) for channel in channels])

    async def _mark(self, connection: Connection, asked: list[tuple[UUID, int]]) -> None:
        earliest: dict[UUID, int] = {}
        for channel, at in asked:
            earliest[channel] = min(at, earliest.get(channel, at))
        if not earliest:
            return
        times = [instant(at) for at in earliest.values()]
        await connection.execute(SQL["ready"], {"channels": list(earliest), "times": times})
        self._database.after_commit(connection, self._waiting)
