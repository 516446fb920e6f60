"""What engines have in common in their hourly work: whose turn it is, and what is past keeping since the last time.

Invariant: a day of an organization is looked through when it passes the end of its keeping, and again as long as late
samples may have come to it; not every hour, since what is looked through is what everybody keeps.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from uuid import UUID

from twinwatch.hub.db import Connection, Database
from twinwatch.hub.statements import Statements
from twinwatch.hub.stores import DAY_MILLISECONDS, Retention
from twinwatch.protocol import limits

SQL = Statements("tending")
log = logging.getLogger(__name__)


class TendedElsewhere(Exception):
    """Another hub, or another process of this one, is at it."""


@asynccontextmanager
async def turn(database: Database, what: str = "samples") -> AsyncIterator[Connection]:
    """A transaction during which nobody else tends to this. Raises: TendedElsewhere."""
    async with database.as_worker() as connection:
        row = await (await connection.execute(SQL["turn"], {"what": what})).fetchone()
        if row is None or not row["is_ours"]:
            raise TendedElsewhere
        yield connection


@contextmanager
def left_to_others() -> Iterator[None]:
    """What another one is at need not be done here."""
    try:
        yield
    except TendedElsewhere:
        log.debug("another hub tends")


async def organizations_of(database: Database) -> list[UUID]:
    """Everybody who may have samples."""
    async with database.as_worker() as connection:
        return [row["id"] for row in await (await connection.execute(SQL["organizations"])).fetchall()]


@dataclass(frozen=True, slots=True)
class Past:
    """What these organizations have of ``[since, cut)``, ms UTC at the beginning of days, is to end."""

    organizations: list[UUID]
    since: int
    cut: int


class Ended:
    """What this process has ended already."""

    def __init__(self) -> None:
        self._cuts: dict[UUID, int] = {}
        """By organization: before which moment, ms UTC."""

    def past(self, now: int, retention: Retention, organizations: Iterable[UUID], oldest: int = 0) -> list[Past]:
        """What is past keeping and was not ended yet, from ``oldest`` on; who is alike is together."""
        alike: dict[tuple[int, int], list[UUID]] = defaultdict(list)
        for one in organizations:
            cut = retention.cut(now, one) // DAY_MILLISECONDS * DAY_MILLISECONDS
            ended = self._cuts.get(one, 0)
            if cut < ended:
                self._cuts[one] = cut  # a longer plan: what comes is not to be passed over when that is past
            # Late samples may have come to days that were ended before.
            since = max(oldest, ended - limits.PAST_MILLISECONDS)
            if max(since, ended) < cut:
                alike[since, cut].append(one)
        return [Past(some, since, cut) for (since, cut), some in sorted(alike.items())]

    def note(self, past: Past) -> None:
        """This was ended."""
        self._cuts.update(dict.fromkeys(past.organizations, past.cut))
