"""What happens, told to whoever watches: a bounded queue per open stream.

Invariant: nobody who watches slowly holds up anyone else. A stream that falls behind is closed; the client connects
again and reads what it missed from the store.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

OF_ONE_SERVER = frozenset({"samples", "checks"})
"""Kinds of events that only a stream gets which asked for that server."""
QUEUE_EVENTS = 1_000
QUEUE_BYTES = 4 << 20
"""An event of a server with many series has a megabyte, and a backlog hundreds of them."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that concerns one server, or an organization as a whole. ``body`` is JSON."""

    kind: str
    organization_id: UUID
    server_id: UUID | None
    body: bytes


class Stream:
    """One person's view: events of their organizations, and the samples and checks of one server."""

    def __init__(self, organizations: frozenset[UUID], server_id: UUID | None) -> None:
        self._organizations = organizations
        self.server_id = server_id
        self._closed = False
        self._queued_bytes = 0
        self._events: asyncio.Queue[Event | None] = asyncio.Queue(QUEUE_EVENTS + 1)

    def offer(self, event: Event) -> None:
        """Queues the event if this stream wants it; a full queue closes the stream."""
        if self._closed or event.organization_id not in self._organizations:
            return
        if event.kind in OF_ONE_SERVER and event.server_id != self.server_id:
            return
        beyond = self._queued_bytes + len(event.body) > QUEUE_BYTES
        if self._events.qsize() >= QUEUE_EVENTS or (beyond and not self._events.empty()):
            self.close()
        else:
            self._queued_bytes += len(event.body)
            self._events.put_nowait(event)

    def close(self) -> None:
        """Ends the stream after nothing more."""
        self._closed = True
        while not self._events.empty():
            self._events.get_nowait()
        self._events.put_nowait(None)

    async def events(self, silence_seconds: float) -> AsyncIterator[Event | None]:
        """Events as they come; ``None`` after each silence, so that a dead connection is found out."""
        while True:
            try:
                async with asyncio.timeout(silence_seconds):
                    event = await self._events.get()
            except TimeoutError:
                yield None
                continue
            if event is None:
                return
            self._queued_bytes -= len(event.body)
            yield event


class Live:
    """The open streams of this process."""

    def __init__(self) -> None:
        self._streams: set[Stream] = set()
        self._watching: Counter[UUID] = Counter()
        """How many streams each organization has; asked for every batch of everybody."""
        self._closed = False

    @contextmanager
    def watch(self, organizations: frozenset[UUID], server_id: UUID | None) -> Iterator[Stream]:
        """A stream for as long as the context is open."""
        stream = Stream(organizations, server_id)
        self._streams.add(stream)
        self._watching.update(organizations)
        if self._closed:
            stream.close()
        try:
            yield stream
        finally:
            self._streams.discard(stream)
            self._watching -= Counter(organizations)

    def wants(self, server_id: UUID) -> bool:
        """Whether anyone watches this server's samples and checks."""
        return any(stream.server_id == server_id for stream in self._streams)

    def watched(self, organization_id: UUID | None = None) -> bool:
        """Whether anyone watches this organization; anything, where it is not known which one it is."""
        return bool(self._streams) if organization_id is None else organization_id in self._watching

    def publish(self, event: Event) -> None:
        """Offers the event to every stream."""
        for stream in list(self._streams):
            stream.offer(event)

    def close(self) -> None:
        """Ends all streams, and any that opens later: the hub is going down."""
        self._closed = True
        for stream in self._streams:
            stream.close()
