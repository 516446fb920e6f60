"""Which series a frame's columns belong to: learnt once per server and shape, then answered from memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b
from uuid import UUID

import msgspec

from twinwatch.hub.db import Database
from twinwatch.hub.refusals import DELETED, Refused, over_limit, unauthorized
from twinwatch.hub.statements import Statements
from twinwatch.protocol import limits
from twinwatch.protocol.samples import SeriesKey, Shape

SQL = Statements("shapes")

Known = dict[str, tuple[int, ...]]
"""Series numbers by the id of a shape."""

REMEMBERED_SHAPES = limits.BATCH_SHAPES
"""Of one server. One whose series come and go has new shapes for ever; those that it has left are let go."""
REMEMBERED_SERVERS = 20_000
"""Servers whose shapes are kept in memory, about 2 kB each; the longest unheard goes first."""


class Shapes:
    """The shapes of all servers. A shape never changes, so what is remembered stays true."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: OrderedDict[UUID, Known] = OrderedDict()

    async def series_of(
        self, organization_id: UUID, server_id: UUID, wanted: set[str], told: Sequence[Shape]
    ) -> dict[str, tuple[int, ...]]:
        """Series numbers of each wanted shape, learning those that the batch brings along.

        Raises: Refused 409 ``unknown-shapes`` with the ids that neither side has told; Refused 422 ``limit`` when
        the server would pass ``limits.SERIES_PER_SERVER``; Refused 401 if the server is gone.
        """
        ids = wanted | {shape.id for shape in told}
        known = await self._recalled(server_id, ids)
        new = [shape for shape in told if shape.id not in known]
        if new:
            known = known | await self._learn(organization_id, server_id, new)
        self._remember(server_id, known, ids)
        missing = sorted(wanted - known.keys())
        if missing:
            detail = "Send these shapes with the batch: the hub does not know which series their columns are."
            raise Refused(409, "unknown-shapes", "Unknown shapes", detail, shapes=missing)
        return {shape: known[shape] for shape in wanted}

    def forget(self, server_id: UUID) -> None:
        """The server is gone."""
        self._known.pop(server_id, None)

    async def _recalled(self, server_id: UUID, ids: set[str]) -> Known:
        known = self._known.get(server_id, {})
        forgotten = list(ids - known.keys())
        if not forgotten:
            return known
        async with self._database.as_worker() as connection:
            cursor = await connection.execute(SQL["known"], {"server": server_id, "ids": forgotten})
            return known | {row["id"]: tuple(row["series_ids"]) for row in await cursor.fetchall()}

    async def _learn(self, organization_id: UUID, server_id: UUID, new: list[Shape]) -> Known:
        keys = {shape.id: [key_of(one) for one in shape.series] for shape in new}
        series = {key: one for shape in new for key, one in zip(keys[shape.id], shape.series, strict=True)}
        who = {"organization": organization_id, "server": server_id}
        async with self._database.as_worker() as connection:
            # One learner per server at a time: the count below is then the truth.
            if await (await connection.execute(SQL["lock_server"], who)).fetchone() is None:
                raise unauthorized(DELETED)
            told = {**who, "keys": list(series), "metrics": [one.metric for one in series.values()]}
            labels = [msgspec.json.encode(one.labels).decode() for one in series.values()]
            await connection.execute(SQL["add_series"], {**told, "labels": labels})
            count = await (await connection.execute(SQL["count_series"], who)).fetchone()
            if count is not None and count["count"] > limits.SERIES_PER_SERVER:
                raise over_limit(
                    f"this server would have {count['count']} series; at most {limits.SERIES_PER_SERVER}. "
                    "Watch fewer things, or drop the label that has the most values.",
                    limits.SERIES_PER_SERVER,
                )
            cursor = await connection.execute(SQL["number_series"], told)
            numbers = {bytes(row["key"]): row["id"] for row in await cursor.fetchall()}
            learnt = {shape.id: tuple(numbers[key] for key in keys[shape.id]) for shape in new}
            for shape in new:
                listed = list(learnt[shape.id])
                await connection.execute(
                    SQL["add_shape"], {**who, "id": shape.id, "monitor": shape.monitor, "series": listed}
                )
        return learnt

    def _remember(self, server_id: UUID, known: Known, ids: set[str]) -> None:
        if len(known) > REMEMBERED_SHAPES:
            known = {shape: series for shape, series in known.items() if shape in ids}
        self._known[server_id] = known
        self._known.move_to_end(server_id)
        while len(self._known) > REMEMBERED_SERVERS:
            self._known.popitem(last=False)


def key_of(series: SeriesKey) -> bytes:
    """Sixteen bytes that stand for metric and labels."""
    return blake2b(msgspec.msgpack.encode(series, order="deterministic"), digest_size=16).digest()
