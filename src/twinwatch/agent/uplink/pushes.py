"""The loop that empties the buffer into the hub. What each answer to a batch means:

===========================  ==================================================================================
200                          the batch is durable: acknowledged; the next one follows after a short pause
409 ``unknown-shapes``       the same batch again, with the shapes that the hub asks for
413, 422, ``undecodable``    the hub took nothing of it: its ticks wait again, for a batch half as large; a tick
                             that is refused alone is set aside and counted
422 ``clock-skew``           its ticks wait again; the next round chooses by what the hub's time is then known to be
401, 403                     the same batch after a pause that grows to minutes, or when a heartbeat is answered
any with ``Retry-After``     the same batch after the pause that it asks for, whatever returns meanwhile
anything else, no answer     the same batch after a pause that grows, or when the hub returns
===========================  ==================================================================================
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass

from twinwatch.agent.buffer import BATCH_TICKS, Buffer, Parcel
from twinwatch.agent.uplink.line import Line, Refused
from twinwatch.agent.uplink.link import Link
from twinwatch.agent.worker import Worker
from twinwatch.protocol import limits
from twinwatch.protocol.codec import pack
from twinwatch.protocol.samples import Batch, BatchAccepted
from twinwatch.world import backoff
from twinwatch.world.clock import Clock
from twinwatch.world.http import Unreachable
from twinwatch.world.secret import Secret

WARM_SECONDS = 6.0
"""How long the first push waits for the first rates."""
BYTES_PER_SECOND = 1 << 20
"""How fast a backlog leaves."""
SETTLE_SECONDS = 1.0
"""Mean pause before a round: the ticks of one moment go together, and agents do not move in step."""
POLITE_SECONDS = 0.25
"""Between two batches of a backlog, so that neither the hub nor this server feels it."""
LONGEST_PAUSE_SECONDS = 60.0
LONGEST_REFUSED_SECONDS = 300.0
EDGE_MILLISECONDS = 10_000
"""Kept from the hub's bounds on time, because its clock is known to within a request's length only."""
RESENDS = 3

_log = logging.getLogger("twinwatch.agent.uplink")


@dataclass(frozen=True, slots=True)
class _Next:
    """What follows a request: another one after ``pause_seconds`` (which the hub's return cuts short, but not below
    ``least_seconds``), or nothing."""

    ends: bool = False
    fails: bool = False
    pause_seconds: float = POLITE_SECONDS
    least_seconds: float = 0.0


class Pushes:
    """The loop, and a last round for the end."""

    def __init__(
        self,
        line: Line,
        key: Secret,
        *,
        buffer: Buffer,
        worker: Worker,
        link: Link,
        clock: Clock,
        interval_seconds: float,
        seed: str,
        bytes_per_second: float = BYTES_PER_SECOND,
    ) -> None:
        self._line = line
        self._key = key
        self._buffer = buffer
        self._worker = worker
        self._link = link
        self._clock = clock
        self._interval = interval_seconds
        self._seed = seed
        self._bytes_per_second = bytes_per_second
        self._ticks = BATCH_TICKS
        self._failures = 0
        self._resends = 0
        self._lonely = 0
        self._poisoned: set[str] = set()
        self._trouble = ""

    async def run(self, warm: asyncio.Event) -> None:
        """Push soon after ``warm``, then every interval, and when the hub returns. Until cancelled."""
        with suppress(TimeoutError):
            async with asyncio.timeout(WARM_SECONDS):
                await warm.wait()
        await self._link.returned.wait()
        while True:
            began = self._clock.monotonic()
            self._link.returned.clear()
            await asyncio.sleep(SETTLE_SECONDS * (0.5 + backoff.fraction(self._seed, round(began * 1000))))
            await self._drain()
            await self._wait(began + self._interval - self._clock.monotonic())

    async def flush(self) -> None:
        """One last round: send what waits, and stop at the first failure."""
        while True:
            following = await self._push()
            if following.ends or following.fails:
                return

    async def _drain(self) -> None:
        while True:
            self._link.returned.clear()
            following = await self._push()
            if following.ends:
                return
            await asyncio.sleep(following.least_seconds)
            await self._wait(following.pause_seconds - following.least_seconds)

    async def _wait(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(max(seconds, 0.0)):
                await self._link.returned.wait()

    async def _push(self) -> _Next:
        since, until = self._bounds()
        parcel = await self._worker.do(self._buffer.next_batch, ticks=self._ticks, since=since, until=until)
        return _Next(ends=True) if parcel is None else await self._send(parcel)

    async def _send(self, parcel: Parcel) -> _Next:
        body = pack(Batch(parcel.sequence, self._clock.now(), parcel.frames, parcel.shapes))
        if len(body) > limits.BODY_BYTES:
            return await self._divide(parcel, f"{len(body)} bytes compressed, at most {limits.BODY_BYTES}")
        try:
            answer = await self._line.samples(self._key, body)
        except Unreachable as err:
            return self._failed(f"samples do not get through: {err}")
        except Refused as err:
            return await self._refused(parcel, err)
        return await self._accepted(parcel, answer, len(body))

    async def _accepted(self, parcel: Parcel, answer: BatchAccepted, size_bytes: int) -> _Next:
        if answer.duplicate and answer.sequence_mark > parcel.sequence and not parcel.inherited:
            # This buffer is older than what the hub knows (restored, or lost with a clock in the past): renumber.
            # Not so if the batch was under way when this process began: it may have arrived, and is not brought twice.
            _log.warning("the hub holds batches up to %d; numbering on from there", answer.sequence_mark)
            await self._worker.do(self._buffer.raise_sequence, answer.sequence_mark)
            await self._worker.do(self._buffer.release)
            return _Next()
        await self._worker.do(self._buffer.acknowledged, parcel.sequence)
        if self._trouble:
            _log.info("samples get through again")
        self._trouble = ""
        self._failures = self._resends = self._lonely = 0
        self._ticks = min(self._ticks * 2, BATCH_TICKS)
        self._link.last_batch_at = self._clock.now()
        return _Next(ends=not parcel.more, pause_seconds=max(POLITE_SECONDS, size_bytes / self._bytes_per_second))

    async def _refused(self, parcel: Parcel, err: Refused) -> _Next:
        if err.slug == "unknown-shapes" and self._resends < RESENDS:
            self._resends += 1
            asked = err.problem.shapes or [frame.shape for frame in parcel.frames]
            await self._worker.do(self._buffer.forget_announced, asked)
            return _Next()
        if err.slug == "clock-skew":
            await self._worker.do(self._buffer.release)
            self._say("clock-skew", "the hub refuses the time of samples (%s); they wait", err)
            return _Next(fails=True, ends=True)
        if err.status in (413, 422) or err.slug == "undecodable":
            return await self._divide(parcel, str(err))
        if err.status in (401, 403):
            return self._failed(f"the hub refuses samples: {err}", most_seconds=LONGEST_REFUSED_SECONDS)
        following = self._failed(f"the hub does not take samples: {err}")
        least = err.retry_after_seconds or 0.0
        return _Next(fails=True, pause_seconds=max(following.pause_seconds, least), least_seconds=least)

    async def _divide(self, parcel: Parcel, reason: str) -> _Next:
        if parcel.ticks > 1:
            self._ticks = parcel.ticks // 2
            await self._worker.do(self._buffer.release)
            return _Next()
        frame = parcel.frames[0]
        if frame.shape not in self._poisoned:
            _log.error(
                "the hub refuses a tick of %d series (shape %s): %s. It is set aside; more like it are only counted",
                len(frame.columns),
                frame.shape,
                reason,
            )
        if len(self._poisoned) < limits.BATCH_SHAPES:
            self._poisoned.add(frame.shape)
        await self._worker.do(self._buffer.set_aside)
        self._lonely += 1
        pause = backoff.delay(
            self._lonely, self._seed, first_seconds=POLITE_SECONDS, most_seconds=LONGEST_REFUSED_SECONDS
        )
        return _Next(fails=True, pause_seconds=pause)

    def _failed(self, reason: str, *, most_seconds: float = LONGEST_PAUSE_SECONDS) -> _Next:
        if self._link.up and self._failures:
            self._say("failing", "%s; trying on", reason)
        pause = backoff.delay(self._failures, self._seed, most_seconds=most_seconds)
        self._failures += 1
        return _Next(fails=True, pause_seconds=pause)

    def _say(self, trouble: str, message: str, *values: object) -> None:
        if trouble != self._trouble:
            _log.warning(message, *values)
        self._trouble = trouble

    def _bounds(self) -> tuple[int, int]:
        """Between which times a tick is welcome at the hub, ms UTC."""
        hub_now = self._link.hub_now()
        now = self._clock.now() if hub_now is None else hub_now
        return now - limits.PAST_MILLISECONDS + EDGE_MILLISECONDS, now + limits.FUTURE_MILLISECONDS - EDGE_MILLISECONDS
