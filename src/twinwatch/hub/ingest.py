"""Samples on their way in: checked, then committed together with whatever else arrives at the same moment.

Invariants: a batch is answered only after the transaction that holds it has committed; a number at or below the
server's mark changes nothing; what waits is bounded, and beyond it the agent is told to come back, since it has the
samples on disk and the hub would have them in memory only; of no server more than a few wait, and each has its turn, so
that none keeps the others from theirs; whatever becomes of a commit, nobody waits for ever.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from itertools import chain, islice
from math import isfinite
from uuid import UUID

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
QUEUE_BYTES = 64 << 20
SERVER_BATCHES = 4
"""An agent sends one at a time; after a restart, or a timeout of its own, an earlier one may be waiting still."""
SPARE_BYTES, SAMPLE_BYTES = 512, 16
"""A body that is larger than that beside its samples is packed anew: it is badly packed, or says things twice."""
GROUP_BATCHES = 256
"""A commit's cost is mostly its own: more batches in one make each cheaper, until the statement itself takes long."""
GROUP_BYTES = 16 << 20
"""What goes to PostgreSQL within the deadline over a slow line, too; one batch more than that at most."""
COMMIT_SECONDS = 10.0
"""An agent waits 30 s for its answer; its batch may have come when a commit had just begun."""
ALONE = 2
"""A commit of one batch has so many times as long: there is no smaller one."""
AGAIN_SECONDS = 5


@dataclass(slots=True)
class _Waiting:
    arrival: Arrival
    verdict: asyncio.Future[Verdict]


class Ingest:
    """The one way in for samples: ``check``, then ``take``, which ``run`` must be running for.

    ``published`` is called with each arrival that is durable.
    """

    def __init__(
        self,
        clock: Clock,
        store: SampleStore,
        shapes: Shapes,
        published: Callable[[Arrival], None],
        *,
        overdue: Callable[[], Awaitable[None]] | None = None,
        commit_seconds: float = COMMIT_SECONDS,
    ) -> None:
        """``overdue`` is called when the store has not answered within ``commit_seconds``."""
        self._clock = clock
        self._store = store
        self._shapes = shapes
        self._published = published
        self._overdue = overdue
        self._commit_seconds = commit_seconds
        self._queues: dict[UUID, deque[_Waiting]] = {}
        """Of each server that has something waiting; whose turn comes first stands first."""
        self._queued_batches = 0
        self._queued_bytes = 0
        self._queued = asyncio.Event()
        self._room = GROUP_BATCHES
        """How many batches are committed at once: fewer after a commit that did not end in time, until one does."""
        self._writing: set[asyncio.Future[list[Verdict]]] = set()

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

        Raises: Refused 429 when too much is waiting, of this server or of all; 503 when the database does not answer;
        401 if the server is gone.
        """
        waiting = _Waiting(arrival, asyncio.get_running_loop().create_future())
        self._enqueue(waiting)
        verdict = await waiting.verdict
        if verdict.mark is None:
            raise unauthorized(DELETED)
        return BatchAccepted(sequence_mark=verdict.mark, duplicate=not verdict.fresh)

    def _enqueue(self, waiting: _Waiting) -> None:
        arrival = waiting.arrival
        queue = self._queues.get(arrival.server_id)
        if queue is not None and len(queue) >= SERVER_BATCHES:
            raise too_many(
                f"{SERVER_BATCHES} batches of this server wait already: send one at a time, and this one again.",
                AGAIN_SECONDS,
            )
        if self._queued_batches >= QUEUE_BATCHES or self._queued_bytes + len(arrival.body) > QUEUE_BYTES:
            raise too_many("The hub is taking in samples as fast as it can; send this batch again.", AGAIN_SECONDS)
        if queue is None:
            queue = self._queues[arrival.server_id] = deque()
        queue.append(waiting)
        self._queued_batches += 1
        self._queued_bytes += len(arrival.body)
        self._queued.set()

    async def run(self) -> None:
        """Commits what waits, group by group, until cancelled; what is in hand is finished first."""
        try:
            while True:
                await self._queued.wait()
                committing = asyncio.ensure_future(self._commit(self._group()))
                try:
                    await asyncio.shield(committing)
                except asyncio.CancelledError:
                    await committing
                    raise
        finally:
            while self._queues:
                _refuse(self._group())

    def _group(self) -> list[_Waiting]:
        """What is committed now: the oldest of as many servers as there is room for, in turn.

        One of each server, since a statement raises a server's mark once.
        """
        group: list[_Waiting] = []
        size_bytes = 0
        for server_id in list(islice(self._queues, self._room)):
            queue = self._queues.pop(server_id)
            waiting = queue.popleft()
            group.append(waiting)
            size_bytes += len(waiting.arrival.body)
            if queue:
                self._queues[server_id] = queue  # now the last
            if size_bytes > GROUP_BYTES * self._room // GROUP_BATCHES:
                break
        self._queued_batches -= len(group)
        self._queued_bytes -= size_bytes
        if not self._queues:
            self._queued.clear()
        return group

    async def _commit(self, group: list[_Waiting]) -> None:
        try:
            verdicts = await self._written([waiting.arrival for waiting in group])
            self._room = min(GROUP_BATCHES, self._room * 2)
            for waiting, verdict in zip(group, verdicts, strict=True):
                if not waiting.verdict.done():
                    waiting.verdict.set_result(verdict)
                if verdict.fresh:
                    self._published(waiting.arrival)
        except DatabaseAway:
            # Those that wait, too, can send again: they would wait for as long, a group after the other.
            while self._queues:
                group += self._group()
        except Exception:
            log.exception("a group of %d batches was not committed", len(group))
        finally:
            _refuse(group)

    async def _written(self, arrivals: list[Arrival]) -> list[Verdict]:
        """The store's verdicts.

        Raises: DatabaseAway if there are none in time. They may have been committed all the same: who sends them again
        is told so.
        """
        writing = asyncio.ensure_future(self._store.write(arrivals))
        self._writing.add(writing)
        writing.add_done_callback(self._ended)
        try:
            seconds = self._commit_seconds * (ALONE if len(arrivals) == 1 else 1)
            await asyncio.wait({writing}, timeout=seconds)
        finally:
            in_time = writing.done()
            # Its end is not waited for: psycopg asks the server to stop first, which takes seconds if nobody answers.
            writing.cancel()
        if not in_time:
            # What is slow, and not away, takes in smaller groups: the same ones come again.
            self._room = max(1, min(self._room, len(arrivals)) // 2)
            if self._overdue is not None:
                await self._overdue()
            raise DatabaseAway(f"no answer within {self._commit_seconds:g} s")
        return writing.result()

    def _ended(self, writing: asyncio.Future[list[Verdict]]) -> None:
        self._writing.discard(writing)
        if not writing.cancelled():
            writing.exception()  # whoever waited has been told


def _refuse(group: Iterable[_Waiting]) -> None:
    """Tells those that have no answer yet to send again."""
    for waiting in group:
        if not waiting.verdict.done():
            refused = unavailable("The database did not take the samples; send them again.", AGAIN_SECONDS)
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
