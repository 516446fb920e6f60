"""Which series a frame's columns belong to: learnt once per server and shape, then answered from memory.

Series whose labels are names of containers or jobs come and go. A shape that was not used for longer than samples are
kept ends, and with it the series that are in no other.

Invariants: a batch is let in only if the database says of all its shapes that they were used within the hour, so who
ends what was not used for days ends none that a batch under way has, whichever hub let it in. A memory of a shape is
held against the database once an hour: one that has ended is learnt anew. Shapes of a server are learnt, and ended with
their series, by one at a time, so no shape names a series that is not there.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple
from uuid import UUID

import msgspec

from twinwatch.hub.db import Connection, Database
from twinwatch.hub.refusals import DELETED, Refused, over_limit, unauthorized
from twinwatch.hub.statements import Statements
from twinwatch.hub.stores import DAY_MILLISECONDS, Retention
from twinwatch.hub.stores.log import instant, milliseconds
from twinwatch.hub.stores.tending import left_to_others, turn
from twinwatch.protocol import limits
from twinwatch.protocol.samples import SeriesKey, Shape
from twinwatch.world.clock import Clock

SQL = Statements("shapes")

NOTED_MILLISECONDS = 3600 * 1000
"""A use is noted no more often."""
LIVING_MILLISECONDS = DAY_MILLISECONDS
"""For so long after its last use a shape's series count for those that a server may have."""
MARGIN_MILLISECONDS = limits.PAST_MILLISECONDS + DAY_MILLISECONDS
"""A shape ends so long after all that came with it is past keeping: samples may be late, clocks off, hubs asleep."""


class Remembered(NamedTuple):
    """The series of a shape, and when it was last noted as used, ms UTC."""

    series: tuple[int, ...]
    noted: int

    def is_due(self, now: int) -> bool:
        """Whether a use at this moment is to be noted; where the clock was set back too."""
        return abs(now - self.noted) >= NOTED_MILLISECONDS


Known = dict[str, Remembered]
"""By the id of a shape."""

REMEMBERED_SHAPES = limits.BATCH_SHAPES
"""Of one server. One whose series come and go has new shapes for ever; those that it has left are let go."""
REMEMBERED_SERVERS = 20_000
"""Servers whose shapes are kept in memory, about 2 kB each; the longest unheard goes first."""


class Shapes:
    """The shapes of all servers. A shape never changes, so what is remembered stays true as long as there is one."""

    def __init__(self, clock: Clock, database: Database) -> None:
        self._clock = clock
        self._database = database
        self._known: OrderedDict[UUID, Known] = OrderedDict()

    async def series_of(
        self, organization_id: UUID, server_id: UUID, wanted: set[str], told: Sequence[Shape]
    ) -> dict[str, tuple[int, ...]]:
        """Series numbers of each wanted shape, learning those that the batch brings along.

        Raises: Refused 409 ``unknown-shapes`` with the ids that neither side has told; Refused 422 ``limit`` when
        the server would pass ``limits.SERIES_PER_SERVER`` living ones; Refused 401 if the server is gone.
        """
        now = self._clock.now()
        ids = wanted | {shape.id for shape in told}
        known = await self._recalled(server_id, ids, now)
        new = [shape for shape in told if shape.id not in known]
        if new:
            known = known | await self._learn(organization_id, server_id, new, now)
        self._remember(server_id, known, ids)
        missing = sorted(wanted - known.keys())
        if missing:
            detail = "Send these shapes with the batch: the hub does not know which series their columns are."
            raise Refused(409, "unknown-shapes", "Unknown shapes", detail, shapes=missing)
        return {shape: known[shape].series for shape in wanted}

    def forget(self, server_id: UUID) -> None:
        """The server is gone."""
        self._known.pop(server_id, None)

    async def tend(self, now: int, retention: Retention) -> None:
        """Ends shapes of which nothing is kept any more, and the series that are in no other."""
        everybody = retention.moment(now) - retention.days * DAY_MILLISECONDS
        asked = {
            "organizations": list(retention.special),
            "cuts": [instant(retention.cut(now, one) - MARGIN_MILLISECONDS) for one in retention.special],
            "cut": instant(everybody - MARGIN_MILLISECONDS),
        }
        with left_to_others():
            async with turn(self._database, "shapes") as connection:
                unused = await (await connection.execute(SQL["unused"], asked)).fetchall()
            for row in unused:
                which = {"server": row["server_id"], "cut": row["cut"]}
                async with turn(self._database, "shapes") as connection:
                    await _hold(connection, row["server_id"])
                    for name in ("end_shapes", "end_series"):
                        await connection.execute(SQL[name], which)

    async def _recalled(self, server_id: UUID, ids: set[str], now: int) -> Known:
        """What is known of the server, these of its shapes noted as used."""
        known = self._known.get(server_id, {})
        unsure = [one for one in ids if one not in known or known[one].is_due(now)]
        if not unsure:
            return known
        async with self._database.as_worker() as connection:
            cursor = await connection.execute(SQL["known"], {"server": server_id, "ids": unsure})
            found = {
                row["id"]: Remembered(tuple(row["series_ids"]), milliseconds(row["last_used_at"]))
                for row in await cursor.fetchall()
            }
            due = [shape for shape, one in found.items() if one.is_due(now)]
            if due:
                cursor = await connection.execute(SQL["use"], {"server": server_id, "ids": due, "now": instant(now)})
                used = {row["id"]: Remembered(found[row["id"]].series, now) for row in await cursor.fetchall()}
                found = {shape: one for shape, one in found.items() if not one.is_due(now)} | used
        return {shape: one for shape, one in known.items() if shape not in unsure} | found

    async def _learn(self, organization_id: UUID, server_id: UUID, new: list[Shape], now: int) -> Known:
        keys = {shape.id: [key_of(one) for one in shape.series] for shape in new}
        series = {key: one for shape in new for key, one in zip(keys[shape.id], shape.series, strict=True)}
        who = {"organization": organization_id, "server": server_id, "now": instant(now)}
        async with self._database.as_worker() as connection:
            # One learner per server at a time: the count below is then the truth.
            if not await _hold(connection, server_id):
                raise unauthorized(DELETED)
            told = {**who, "keys": list(series), "metrics": [one.metric for one in series.values()]}
            labels = [msgspec.json.encode(one.labels).decode() for one in series.values()]
            await connection.execute(SQL["add_series"], {**told, "labels": labels})
            cursor = await connection.execute(SQL["number_series"], told)
            numbers = {bytes(row["key"]): row["id"] for row in await cursor.fetchall()}
            learnt = {shape.id: Remembered(tuple(numbers[key] for key in keys[shape.id]), now) for shape in new}
            for shape in new:
                listed = list(learnt[shape.id].series)
                await connection.execute(
                    SQL["add_shape"], {**who, "id": shape.id, "monitor": shape.monitor, "series": listed}
                )
            count = await _living(connection, server_id, now)
            if count > limits.SERIES_PER_SERVER:
                raise over_limit(
                    f"this server would have {count} series within a day; at most {limits.SERIES_PER_SERVER}. "
                    "Watch fewer things, or drop the label that has the most values.",
                    limits.SERIES_PER_SERVER,
                )
        return learnt

    def _remember(self, server_id: UUID, known: Known, ids: set[str]) -> None:
        if len(known) > REMEMBERED_SHAPES:
            known = {shape: series for shape, series in known.items() if shape in ids}
        self._known[server_id] = known
        self._known.move_to_end(server_id)
        while len(self._known) > REMEMBERED_SERVERS:
            self._known.popitem(last=False)


async def _hold(connection: Connection, server_id: UUID) -> bool:
    """Until the transaction ends nobody else learns or ends shapes of the server, nor ends it; whether it is there."""
    await connection.execute(SQL["hold_shapes"], {"server": server_id})
    return await (await connection.execute(SQL["lock_server"], {"server": server_id})).fetchone() is not None


async def _living(connection: Connection, server_id: UUID, now: int) -> int:
    """How many series of the server were used within a day; all that it has if those are few, which is cheaper."""
    count = 0
    for name in ("count_series", "count_living"):
        asked = {"server": server_id, "since": instant(now - LIVING_MILLISECONDS)}
        row = await (await connection.execute(SQL[name], asked)).fetchone()
        count = 0 if row is None else int(row["count"])
        if count <= limits.SERIES_PER_SERVER:
            break
    return count


def key_of(series: SeriesKey) -> bytes:
    """Sixteen bytes that stand for metric and labels."""
    return blake2b(msgspec.msgpack.encode(series, order="deterministic"), digest_size=16).digest()
