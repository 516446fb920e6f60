"""Up to which number a server's batches count: for engines that keep samples elsewhere than in the statement that
raises the mark, as the log does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from twinwatch.hub.db import Connection
from twinwatch.hub.statements import Statements
from twinwatch.hub.stores import Arrival, Verdict
from twinwatch.hub.stores.log import instant

SQL = Statements("marks")


async def marks_of(connection: Connection, arrivals: Sequence[Arrival]) -> dict[UUID, int]:
    """The mark of each server; none of one that is gone, or is another organization's."""
    asked = {
        "organizations": [one.organization_id for one in arrivals],
        "servers": [one.server_id for one in arrivals],
    }
    rows = await (await connection.execute(SQL["marks"], asked)).fetchall()
    return {row["id"]: row["sequence_mark"] for row in rows}


async def raise_marks(connection: Connection, arrivals: Sequence[Arrival]) -> set[UUID]:
    """Raises the marks that are below their arrival's number; of which servers.

    Another hub that has a batch of the same server waits for the transaction to end, and then finds the new mark.
    """
    asked = {
        "organizations": [one.organization_id for one in arrivals],
        "servers": [one.server_id for one in arrivals],
        "sequences": [one.sequence for one in arrivals],
        "lasts": [instant(one.last) for one in arrivals],
    }
    rows = await (await connection.execute(SQL["raise"], asked)).fetchall()
    return {row["id"] for row in rows}


def verdicts_of(arrivals: Sequence[Arrival], raised: set[UUID], marks: Mapping[UUID, int]) -> list[Verdict]:
    """What became of each arrival. ``marks`` are those of the servers that are not among the raised."""
    return [
        Verdict(one.sequence, fresh=True) if one.server_id in raised else Verdict(marks.get(one.server_id), fresh=False)
        for one in arrivals
    ]
