"""Samples from one engine to another, while hubs run on either.

Invariants: what the target has already stays; a piece counts as copied once the target has given it back, with the same
count and checksum; a day of a server is written down as done when nothing can come to it any more, so whoever is ended
at any moment goes on where it was, and days that were still open are looked at anew.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import numpy as np

from twinwatch.hub.db import Database
from twinwatch.hub.plans import Plans
from twinwatch.hub.statements import Statements
from twinwatch.hub.stores import DAY_MILLISECONDS, Points, SampleStore, Window
from twinwatch.hub.stores.log import milliseconds
from twinwatch.hub.stores.steps import HOUR
from twinwatch.protocol import limits
from twinwatch.world.clock import Clock

SQL = Statements("copying")

PIECE_MILLISECONDS = 6 * HOUR
PIECE_SERIES = 200
EVERY_POINT = 1 << 40
"""More than there are: a piece has the samples as they came."""
SERVERS = 2
"""At a time."""
UNVERIFIED = 4
"""Pieces of a server that are written and not yet read back: some engines show a sample only a second later."""
SHOWN_SECONDS = 15.0
AGAIN_SECONDS = 0.25
NEAR = 1e-9


class Day(msgspec.Struct, frozen=True):
    """A day of a server that is copied and verified. ``day`` counts from 1970; ``checksum`` is of times and values."""

    server: UUID
    day: int
    samples: int
    checksum: str


@dataclass(slots=True)
class Progress:
    """How far it is, in days of servers; ``differing`` are those of which the target gives back something else."""

    days: int = 0
    of_days: int = 0
    samples: int = 0
    differing: list[tuple[UUID, int]] = field(default_factory=list)


class Ledger:
    """Days that are done, a line of JSON each, in a file that is only added to."""

    def __init__(self, path: Path) -> None:
        """Raises: OSError if the file can neither be read nor made."""
        self._path = path
        self._done: set[tuple[UUID, int]] = set()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        for line in path.read_bytes().split(b"\n"):
            try:
                one = msgspec.json.decode(line, type=Day)
            except msgspec.DecodeError:
                continue  # cut off in the middle when somebody was killed
            self._done.add((one.server, one.day))

    def __contains__(self, day: tuple[UUID, int]) -> bool:
        return day in self._done

    def add(self, day: Day) -> None:
        """Writes it down, on disk when this returns."""
        with self._path.open("ab") as file:
            file.write(b"\n" + msgspec.json.encode(day) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self._done.add((day.server, day.day))


@dataclass(frozen=True, slots=True)
class Piece:
    """Some series of a server for some hours, as the source has them."""

    series: Sequence[int]
    since: int
    to: int
    points: Points


class Copying:
    """One way from a source to a target. ``is_exact``: the target gives values back to the last bit."""

    def __init__(
        self,
        clock: Clock,
        database: Database,
        plans: Plans,
        source: SampleStore,
        target: SampleStore,
        ledger: Ledger,
        told: Callable[[Progress], None],
        *,
        is_exact: bool,
        shown_seconds: float = SHOWN_SECONDS,
    ) -> None:
        """``shown_seconds`` is how long the target may take to show what it has."""
        self._shown_seconds = shown_seconds
        self._clock = clock
        self._database = database
        self._plans = plans
        self._source = source
        self._target = target
        self._ledger = ledger
        self._told = told
        self._is_exact = is_exact
        self._progress = Progress()

    async def run(self) -> Progress:
        """Copies all that the organizations' plans keep, and that was there when it began.

        Raises: DatabaseAway if one side is; what was verified stays so.
        """
        now = self._clock.now()
        async with self._database.as_worker() as connection:
            servers = await (await connection.execute(SQL["servers"])).fetchall()
        wanted = {server["id"]: self._days_of(server, now) for server in servers}
        self._progress.of_days = sum(len(days) for days in wanted.values())
        free = asyncio.Semaphore(SERVERS)

        async def one(server: dict[str, Any]) -> None:
            async with free:
                await self._server(server["organization_id"], server["id"], wanted[server["id"]], now)

        going = [asyncio.create_task(one(server)) for server in servers]
        try:
            await asyncio.gather(*going)
        finally:
            for task in going:
                task.cancel()
            await asyncio.gather(*going, return_exceptions=True)
        return self._progress

    def _days_of(self, server: dict[str, Any], now: int) -> range:
        kept = now - self._plans.days_of(server) * DAY_MILLISECONDS
        first = max(kept, milliseconds(server["registered_at"]) - limits.PAST_MILLISECONDS)
        return range(first // DAY_MILLISECONDS, (now + limits.FUTURE_MILLISECONDS) // DAY_MILLISECONDS + 1)

    async def _server(self, organization_id: UUID, server_id: UUID, days: range, now: int) -> None:
        async with self._database.as_worker() as connection:
            rows = await (await connection.execute(SQL["series"], {"server": server_id})).fetchall()
        series = [row["id"] for row in rows]
        for day in days:
            if (server_id, day) not in self._ledger:
                await self._day(organization_id, server_id, series, day, now)
            self._progress.days += 1
            self._told(self._progress)

    async def _day(self, organization_id: UUID, server_id: UUID, series: Sequence[int], day: int, now: int) -> None:
        digest, samples, is_same = blake2b(digest_size=16), 0, True
        waiting: deque[Piece] = deque()

        async def verify() -> None:
            nonlocal samples, is_same
            piece = waiting.popleft()
            count, checksum = tally(piece.points)
            digest.update(checksum)
            samples += count
            is_same = await self._is_there(server_id, piece) and is_same

        async for piece in self._pieces(server_id, series, day):
            await self._target.fill(organization_id, server_id, piece.series, piece.points)
            waiting.append(piece)
            if len(waiting) == UNVERIFIED:
                await verify()
        while waiting:
            await verify()
        self._progress.samples += samples
        if not is_same:
            self._progress.differing.append((server_id, day))
        elif (day + 1) * DAY_MILLISECONDS + limits.PAST_MILLISECONDS + HOUR < now:
            await asyncio.to_thread(self._ledger.add, Day(server_id, day, samples, digest.hexdigest()))

    async def _pieces(self, server_id: UUID, series: Sequence[int], day: int) -> AsyncIterator[Piece]:
        begin = day * DAY_MILLISECONDS
        for since in range(begin, begin + DAY_MILLISECONDS, PIECE_MILLISECONDS):
            to = since + PIECE_MILLISECONDS
            for at in range(0, len(series), PIECE_SERIES):
                some = series[at : at + PIECE_SERIES]
                points = await self._source.read(server_id, some, Window(since, to, EVERY_POINT))
                if len(points.times):
                    yield Piece(some, since, to, points)

    async def _is_there(self, server_id: UUID, piece: Piece) -> bool:
        """Whether the target gives the piece back, within the time that it may take to show it."""
        end = self._clock.monotonic() + self._shown_seconds
        while True:
            found = await self._target.read(server_id, piece.series, Window(piece.since, piece.to, EVERY_POINT))
            if is_held(piece.points, found, is_exact=self._is_exact):
                return True
            if self._clock.monotonic() >= end:
                return False
            await asyncio.sleep(AGAIN_SECONDS)


def tally(points: Points, *, with_values: bool = True) -> tuple[int, bytes]:
    """How many samples there are, and a checksum of their times, which series have one, and their values. Pure."""
    there = ~np.isnan(points.values)
    digest = blake2b(points.times.astype("<i8").tobytes(), digest_size=16)
    digest.update(np.packbits(there, axis=1).tobytes())
    if with_values:
        digest.update(points.values[there].astype("<f8").tobytes())
    return int(there.sum()), digest.digest()


def is_held(expected: Points, found: Points, *, is_exact: bool) -> bool:
    """Whether every expected sample was found, whatever was found besides. Pure.

    Where values need not be exact they are near: a billionth of the series' greatest at most apart.
    """
    held = np.full(expected.values.shape, np.nan)
    _, here, there = np.intersect1d(expected.times, found.times, assume_unique=True, return_indices=True)
    held[:, here] = found.values[:, there]
    held[np.isnan(expected.values)] = np.nan
    given_back = Points(expected.times, held, 0)
    if tally(expected, with_values=is_exact) != tally(given_back, with_values=is_exact):
        return False
    greatest = np.nanmax(np.abs(expected.values), axis=1, initial=0.0, keepdims=True)
    with np.errstate(invalid="ignore"):
        apart = np.abs(held - expected.values) > NEAR * greatest
    return not apart.any()
