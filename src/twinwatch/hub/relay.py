"""What one hub process tells the others of the same database: PostgreSQL's LISTEN and NOTIFY.

Invariants: what is told is news that a process may miss (whoever watches reads the truth from the database when the
connection is there again); telling is a transaction of its own and gathers what comes within a quarter of a second, so
that no commit of samples waits for it; a process does not hear itself.

Source: NOTIFY in PostgreSQL's manual: payloads are shorter than 8000 bytes, and alike ones of a transaction are one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec
import psycopg

from twinwatch.hub.db import Database, DatabaseAway, connect
from twinwatch.hub.statements import Statements

SQL = Statements("relay")
log = logging.getLogger(__name__)

CHANNEL = "twinwatch"
PAYLOAD_BYTES = 7_000
GATHER_SECONDS = 0.25
AGAIN_SECONDS = 2.0
WAITING_NEWS = 20_000
"""Beyond that, news are dropped while the database does not take them."""


class News(msgspec.Struct, frozen=True, array_like=True):
    """One piece: what kind, and what it is about, as text."""

    kind: str
    about: tuple[str, ...]


class _Letter(msgspec.Struct, frozen=True, array_like=True):
    sender: str
    news: list[News]


class Relay:
    """Tells and hears. Without ``url`` it is alone: nothing is told, nobody is heard."""

    def __init__(self, database: Database, url: str = "") -> None:
        self._database = database
        self._url = url
        self._sender = secrets.token_hex(4)
        self._news: dict[News, None] = {}
        self._wake = asyncio.Event()
        self._ears: dict[str, Callable[[News], None]] = {}

    def hear(self, kinds: Iterable[str], ear: Callable[[News], None]) -> None:
        """Calls this with every piece of news of these kinds from elsewhere; it passes over what it does not know."""
        self._ears.update(dict.fromkeys(kinds, ear))

    def tell(self, kind: str, *about: object) -> None:
        """Tells all others, in a moment."""
        if self._url and len(self._news) < WAITING_NEWS:
            self._news[News(kind, tuple(map(str, about)))] = None
            self._wake.set()

    async def run(self) -> None:
        """Tells and hears until cancelled; a database that is away postpones both."""
        if not self._url:
            await asyncio.Event().wait()
        async with asyncio.TaskGroup() as both:
            both.create_task(self._telling())
            both.create_task(self._hearing())

    async def _telling(self) -> None:
        while True:
            await self._wake.wait()
            await asyncio.sleep(GATHER_SECONDS)
            self._wake.clear()
            # What is told from here on is told anew, the same news too: what they are about may have changed again.
            news, self._news = self._news, {}
            try:
                async with self._database.as_worker() as connection:
                    for letter in letters(self._sender, list(news)):
                        await connection.execute(SQL["tell"], {"channel": CHANNEL, "letter": letter})
            except DatabaseAway:
                self._news = news | self._news
                self._wake.set()
                await asyncio.sleep(AGAIN_SECONDS)

    async def _hearing(self) -> None:
        while True:
            with contextlib.suppress(psycopg.OperationalError):
                async with await connect(self._url, "twinwatch-relay") as connection:
                    await connection.execute(f"listen {CHANNEL}".encode())
                    async for notice in connection.notifies():
                        self._heard(notice.payload)
            await asyncio.sleep(AGAIN_SECONDS)

    def _heard(self, payload: str) -> None:
        try:
            letter = msgspec.json.decode(payload, type=_Letter)
        except msgspec.MsgspecError:
            return  # of a hub of another version, or of somebody else
        if letter.sender != self._sender:
            for news in letter.news:
                ear = self._ears.get(news.kind)
                if ear is not None:
                    ear(news)


def letters(sender: str, news: Sequence[News]) -> Iterator[str]:
    """The news in as few payloads as hold them; one that fits into none is left out."""
    some: list[News] = []
    size = 0
    for one in news:
        length = len(msgspec.json.encode(one)) + 1
        if length > PAYLOAD_BYTES:
            log.warning("news of kind %s are too long to be told to other hubs", one.kind)
            continue
        if some and size + length > PAYLOAD_BYTES:
            yield msgspec.json.encode(_Letter(sender, some)).decode()
            some, size = [], 0
        some.append(one)
        size += length
    if some:
        yield msgspec.json.encode(_Letter(sender, some)).decode()
