"""Samples on their way in: checked, then committed together with whatever else arrives at the same moment.

Invariants: a batch is answered only after the transaction that holds it has committed; a number at or below the
server's mark changes nothing; the queue is bounded, and beyond it the agent is told to come back, since it has the
samples on disk and the hub would have them in memory only.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from math import isfinite
from uuid import UUID

import psycopg

from twinwatch.hub.db import DatabaseAway
from twinwatch.hub.lawful import check_batch, check_columns
from twinwatch.hub.refusals import DELETED, too_many, unauthorized, unavailable
from twinwatch.hub.shapes import Shapes
from twinwatch.hub.stores import Arrival, SampleStore, Verdict
from twinwatch.hub.stores.batches import pack_frames
from twinwatch.protocol.samples import Batch, BatchAccepted, Frame
from twinwatch.world.clock import Clock

log = logging.getLogger(__name__)

QUEUE_BATCHES = 4_000
SPARE_BYTES, SAMPLE_BYTES = 512, 16
"""A body that is larger than that beside its samples is packed anew: it is badly packed, or says things twice."""
GROUP_BATCHES = 256
"""A commit's cost is mostly its own: more batches in one make each cheaper, until the statement itself takes long."""


@dataclass(slots=True)
class _Waiting:
    arrival: Arrival
    verdict: asyncio.Future[Verdict]


class Ingest:
    """The one way in for samples: ``check``, then ``take``, which ``run`` must be running for.

    ``published`` is called with each arrival that is durable.
    """

    def __init__(self, clock: Clock, store: SampleStore, shapes: Shapes, published: Callable[[Arrival], None]) -> None:
        self._clock = clock
        self._store = store
        self._shapes = shapes
        self._published = published
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue(QUEUE_BATCHES)

    async def check(self, organization_id: UUID, server_id: UUID, batch: Batch, sent: bytes = b"") -> Arrival:
        """The batch as it will be kept, to be given to ``take``.

        ``sent`` is the body that it is all of (``batches.plain_batch``): it is kept as it came, unless something of it
        had to be changed.

        Raises: Refused with the bound that it breaks; 409 with the shapes to send.
        """
        now = self._clock.now()
        check_batch(batch, now)
        series = await self._shapes.series_of(
            organization_id, server_id, {frame.shape for frame in batch.frames}, batch.shapes
        )
        for frame in batch.frames:
            check_columns(frame, len(series[frame.shape]))
        samples, changed = _tidy(batch.frames)
        as_sent = sent and not changed and len(sent) <= SPARE_BYTES + samples * SAMPLE_BYTES
        return Arrival(
            organization_id=organization_id,
            server_id=server_id,
            sequence=batch.sequence,
            received_at=now,
            first=min(frame.times[0] for frame in batch.frames),
            last=max(frame.times[-1] for frame in batch.frames),
            samples=samples,
            series=series,
            body=sent if as_sent else pack_frames(batch.frames),
        )

    async def take(self, arrival: Arrival) -> BatchAccepted:
        """Commits what was checked, or finds that it already was.

        Raises: Refused 429 when too much is waiting; 503 when the database does not answer; 401 if the server is gone.
        """
        waiting = _Waiting(arrival, asyncio.get_running_loop().create_future())
        try:
            self._queue.put_nowait(waiting)
        except asyncio.QueueFull:
            raise too_many("The hub is taking in samples as fast as it can; send this batch again.", 5) from None
        verdict = await waiting.verdict
        if verdict.mark is None:
            raise unauthorized(DELETED)
        return BatchAccepted(sequence_mark=verdict.mark, duplicate=not verdict.fresh)

    async def run(self) -> None:
        """Commits what waits, group by group, until cancelled; what is in hand is finished first."""
        held: list[_Waiting] = []
        while True:
            first = held or [await self._queue.get()]
            group, held = self._group(first)
            committing = asyncio.ensure_future(self._commit(group))
            try:
                await asyncio.shield(committing)
            except asyncio.CancelledError:
                await committing
                raise

    def _group(self, first: list[_Waiting]) -> tuple[list[_Waiting], list[_Waiting]]:
        """What is committed now, and what must wait: a statement raises a server's mark once."""
        waiting = [*first]
        while len(waiting) < GROUP_BATCHES and not self._queue.empty():
            waiting.append(self._queue.get_nowait())
        group: dict[UUID, _Waiting] = {}
        held = [one for one in waiting if group.setdefault(one.arrival.server_id, one) is not one]
        return list(group.values()), held

    async def _commit(self, group: list[_Waiting]) -> None:
        try:
            verdicts = await self._store.write([waiting.arrival for waiting in group])
            for waiting, verdict in zip(group, verdicts, strict=True):
                if not waiting.verdict.done():
                    waiting.verdict.set_result(verdict)
                if verdict.fresh:
                    self._published(waiting.arrival)
        except DatabaseAway:
            pass  # told below, to those who can send again
        except psycopg.Error:
            log.exception("a group of %d batches was not committed", len(group))
        finally:
            # Whatever happened, nobody waits for ever.
            for waiting in group:
                if not waiting.verdict.done():
                    refused = unavailable("The database did not take the samples; send them again.")
                    waiting.verdict.set_exception(refused)


def _tidy(frames: list[Frame]) -> tuple[int, bool]:
    """Turns what is not a finite number into *no sample*, in place; how many samples there are, whether any was not."""
    samples, changed = 0, False
    for frame in frames:
        try:
            if isfinite(sum(chain.from_iterable(frame.columns))):  # type: ignore[arg-type]
                samples += len(frame.columns) * len(frame.times)
                continue
        except TypeError:
            pass  # there is a gap
        for column in frame.columns:
            for place, value in enumerate(column):
                if value is None:
                    continue
                if isfinite(value):
                    samples += 1
                else:
                    column[place] = None
                    changed = True
    return samples, changed
