"""A stream that nobody reads is closed before it costs much."""

from __future__ import annotations

from uuid import UUID, uuid4

from twinwatch.hub.live import QUEUE_BYTES, QUEUE_EVENTS, Event, Stream

ORGANIZATION, SERVER = uuid4(), uuid4()


def event(size_bytes: int = 10, organization_id: UUID = ORGANIZATION) -> Event:
    return Event("samples", organization_id, SERVER, b"x" * size_bytes)


def stream() -> Stream:
    return Stream(frozenset({ORGANIZATION}), SERVER)


async def told(stream: Stream) -> list[int]:
    """Sizes of what the stream yields until it ends, or falls silent."""
    sizes = []
    async for one in stream.events(silence_seconds=0):
        if one is None:
            break
        sizes.append(len(one.body))
    return sizes


async def test_many_events_that_nobody_reads_end_the_stream_and_are_let_go() -> None:
    slow = stream()
    for _ in range(QUEUE_EVENTS + 2):
        slow.offer(event())
    assert await told(slow) == []


async def test_large_events_that_nobody_reads_end_the_stream_sooner() -> None:
    slow = stream()
    for _ in range(3):
        slow.offer(event(QUEUE_BYTES // 2))
    assert await told(slow) == []


async def test_one_event_beyond_all_bounds_still_reaches_who_is_waiting() -> None:
    quick = stream()
    for _ in range(3):
        quick.offer(event(QUEUE_BYTES * 2))
        assert await told(quick) == [QUEUE_BYTES * 2]


async def test_what_was_read_makes_room() -> None:
    quick = stream()
    for _ in range(10):
        quick.offer(event(QUEUE_BYTES // 2))
        quick.offer(event(QUEUE_BYTES // 2))
        assert await told(quick) == [QUEUE_BYTES // 2] * 2
