"""What waits to be committed: bounded, nobody's turn taken by another, and answered whatever becomes of the commit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from uuid import UUID, uuid4

import pytest

from twinwatch.hub.ingest import (
    COMMIT_SECONDS,
    GROUP_BATCHES,
    GROUP_BYTES,
    QUEUE_BATCHES,
    QUEUE_BYTES,
    SERVER_BATCHES,
    Ingest,
)
from twinwatch.hub.refusals import Refused
from twinwatch.hub.stores import Arrival, Verdict
from twinwatch.protocol.samples import BatchAccepted
from twinwatch.world.clock import SystemClock

PATIENCE_SECONDS = 20.0

Answer = BatchAccepted | BaseException


class _Gate:
    """A store that commits nothing before it may go on, and then whatever it is given, or fails."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.groups: list[list[Arrival]] = []
        self.fails: Exception | None = None
        self.deaf = False
        self.overdue = 0

    async def write(self, arrivals: Sequence[Arrival]) -> list[Verdict]:
        self.groups.append(list(arrivals))
        assert len({arrival.server_id for arrival in arrivals}) == len(arrivals)
        while not self.go_on.is_set():
            try:
                await self.go_on.wait()
            except asyncio.CancelledError:
                if not self.deaf:
                    raise
        fails, self.fails = self.fails, None
        if fails is not None:
            raise fails
        return [Verdict(arrival.sequence, fresh=True) for arrival in arrivals]

    async def tell_overdue(self) -> None:
        self.overdue += 1


@asynccontextmanager
async def taking(gate: _Gate, *, commit_seconds: float = COMMIT_SECONDS) -> AsyncIterator[Ingest]:
    """Ingest that runs, and has begun a commit that does not get on, so that what is pushed waits."""
    ingest = Ingest(
        SystemClock(),
        gate,  # type: ignore[arg-type]
        None,  # type: ignore[arg-type]
        lambda _: None,
        overdue=gate.tell_overdue,
        commit_seconds=commit_seconds,
    )
    running = asyncio.ensure_future(ingest.run())
    first = asyncio.ensure_future(ingest.take(arrival(uuid4(), 1)))
    await until(lambda: bool(gate.groups))
    try:
        yield ingest
    finally:
        gate.go_on.set()
        running.cancel()
        await asyncio.gather(running, first, return_exceptions=True)


def arrival(server_id: UUID, sequence: int, body: bytes = b"") -> Arrival:
    return Arrival(server_id, server_id, sequence, 0, 0, 0, 1, {}, body)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0)


async def pushed(ingest: Ingest, arrivals: Sequence[Arrival]) -> Awaitable[list[Answer]]:
    """All of them at once; what they are told is awaited apart."""
    pushes = [asyncio.ensure_future(ingest.take(one)) for one in arrivals]
    await asyncio.sleep(0)
    return asyncio.gather(*pushes, return_exceptions=True)


def refusals(answers: Sequence[Answer]) -> list[tuple[int, str, int | None]]:
    return [(one.status, one.slug, one.retry_after_seconds) for one in answers if isinstance(one, Refused)]


BUSY = (429, "rate-limited", 5)
AWAY = (503, "unavailable", 5)


async def test_a_full_queue_tells_agents_to_come_back_and_forgets_nobody() -> None:
    gate = _Gate()
    async with taking(gate) as ingest:
        answers = await pushed(ingest, [arrival(uuid4(), 1) for _ in range(QUEUE_BATCHES + 300)])
        gate.go_on.set()
        assert refusals(await answers) == [BUSY] * 300
    assert sum(map(len, gate.groups)) == 1 + QUEUE_BATCHES


async def test_the_queue_is_bounded_in_bytes_too() -> None:
    gate, body = _Gate(), bytes(1 << 20)
    async with taking(gate) as ingest:
        answers = await pushed(ingest, [arrival(uuid4(), 1, body) for _ in range(100)])
        gate.go_on.set()
        fit = QUEUE_BYTES // len(body)
        assert fit < 100
        assert refusals(await answers) == [BUSY] * (100 - fit)
        again = await pushed(ingest, [arrival(uuid4(), 2, body) for _ in range(fit)])
        assert refusals(await again) == [], "what was committed makes room"
    assert max(sum(len(one.body) for one in group) for group in gate.groups) <= GROUP_BYTES + len(body)


async def test_a_server_that_sends_much_at_once_keeps_no_others_from_their_turn() -> None:
    gate, greedy = _Gate(), uuid4()
    async with taking(gate) as ingest:
        flood = await pushed(ingest, [arrival(greedy, number) for number in range(1, 3_501)])
        others = await pushed(ingest, [arrival(uuid4(), 1) for _ in range(1_000)])
        gate.go_on.set()
        assert refusals(await others) == []
        assert refusals(await flood) == [BUSY] * (3_500 - SERVER_BATCHES)
    full = [len(group) for group in gate.groups[1:]]
    assert full[: 1_000 // GROUP_BATCHES] == [GROUP_BATCHES] * (1_000 // GROUP_BATCHES)
    assert sum(full) == 1_000 + SERVER_BATCHES
    turns = [one.sequence for group in gate.groups for one in group if one.server_id == greedy]
    assert turns == list(range(1, SERVER_BATCHES + 1)), "in its own order"


async def test_servers_with_several_batches_take_turns() -> None:
    gate, servers = _Gate(), [uuid4() for _ in range(GROUP_BATCHES + 10)]
    async with taking(gate) as ingest:
        answers = await pushed(ingest, [arrival(server, number) for number in (1, 2) for server in servers])
        gate.go_on.set()
        assert refusals(await answers) == []
    assert [len(group) for group in gate.groups[1:]] == [GROUP_BATCHES, GROUP_BATCHES, 20]
    assert {one.server_id for one in gate.groups[2][:10]} == set(servers[GROUP_BATCHES:]), "those that had no turn yet"


async def test_whatever_escapes_the_store_is_told_and_the_next_are_committed() -> None:
    gate, server = _Gate(), uuid4()
    async with taking(gate) as ingest:
        answers = await pushed(ingest, [arrival(server, 1), arrival(server, 2), arrival(uuid4(), 1)])
        gate.fails = ZeroDivisionError("nobody thought of it")
        gate.go_on.set()
        assert refusals(await answers) == [], "they came after the group that failed"
        gate.fails = ZeroDivisionError("nobody thought of it")
        async with asyncio.timeout(PATIENCE_SECONDS):
            failed = await (await pushed(ingest, [arrival(server, 3), arrival(server, 4), arrival(uuid4(), 1)]))
        assert [isinstance(one, Refused) for one in failed] == [True, False, True]
        assert refusals(failed) == [AWAY] * 2
        assert (await ingest.take(arrival(server, 5))).sequence_mark == 5


@pytest.mark.parametrize("deaf", [False, True], ids=["ends when told", "does not end"])
async def test_a_store_that_does_not_answer_in_time_holds_up_nobody(deaf: bool) -> None:
    gate, server = _Gate(), uuid4()
    gate.deaf = deaf
    async with taking(gate, commit_seconds=0.05) as ingest:
        async with asyncio.timeout(PATIENCE_SECONDS):
            answers = await (await pushed(ingest, [arrival(server, 1), arrival(server, 2), arrival(uuid4(), 1)]))
        assert refusals(answers) == [AWAY] * 3, "those behind it, too"
        assert (len(gate.groups), gate.overdue) == (1, 1)
        gate.go_on.set()
        assert (await ingest.take(arrival(server, 2))).sequence_mark == 2


async def test_who_waits_when_ingest_ends_is_told() -> None:
    gate = _Gate()
    async with taking(gate, commit_seconds=0.05) as ingest:
        answers = await pushed(ingest, [arrival(uuid4(), 1) for _ in range(GROUP_BATCHES * 2)])
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert refusals(await answers) == [AWAY] * (GROUP_BATCHES * 2)


async def test_what_is_slow_is_given_less_at_a_time_and_more_again_once_it_keeps_up() -> None:
    class Slow(_Gate):
        """It takes in eight batches in time, and no more."""

        least = 8

        async def write(self, arrivals: Sequence[Arrival]) -> list[Verdict]:
            self.groups.append(list(arrivals))
            if len(arrivals) > self.least:
                await asyncio.Event().wait()
            return [Verdict(arrival.sequence, fresh=True) for arrival in arrivals]

    gate = Slow()
    left = {uuid4() for _ in range(100)}
    async with taking(gate, commit_seconds=0.01) as ingest:

        async def push(server_id: UUID) -> None:
            with suppress(Refused):
                await ingest.take(arrival(server_id, 1))
                left.discard(server_id)

        async with asyncio.timeout(PATIENCE_SECONDS):
            while left:  # as agents do, all send again what was refused
                await asyncio.gather(*(push(one) for one in list(left)))
            gate.least = GROUP_BATCHES
            while max(map(len, gate.groups[-10:])) < 100:
                await asyncio.gather(*(push(uuid4()) for _ in range(100)))
    assert gate.overdue < 40
