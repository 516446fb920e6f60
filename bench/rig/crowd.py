"""Many agents at once, simulated: each with its own server, key, connection and numbers, all from one process.

A batch is what a real agent sends in 30 s: two ticks of a system monitor's 150 series and of the monitor's own two,
with values of the kinds that a server has (shares, rates, counts of bytes), half of which stand still.
Invariant: the load is open. When a request is due was settled before the first was sent, and its latency counts from
then, so a hub (or a generator) that falls behind is seen to.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar
from urllib.parse import urlsplit
from uuid import UUID

from bench.rig import Failed
from bench.rig.line import Answer, Line
from twinwatch.protocol.codec import MSGPACK, decode, pack
from twinwatch.protocol.heartbeat import Heartbeat
from twinwatch.protocol.hello import Register, Registered
from twinwatch.protocol.metrics import Catalogue, Chart, Headline, Metric, MonitorFacts
from twinwatch.protocol.samples import Batch, BatchAccepted, Frame, SeriesKey, Shape, shape_of

T = TypeVar("T")

SERIES = 150
TICK_MILLISECONDS = 15_000
TICKS_PER_BATCH = 2
MARK = "bench.mark"
"""The series whose values tell ticks apart: a value is its tick's number."""

VERSION = "0.0.0-bench"
AT_ONCE = 16

SYSTEM = shape_of(
    "system",
    (
        SeriesKey(MARK),
        *(SeriesKey(f"bench.share.{number % 10}", {"cpu.logical_number": str(number)}) for number in range(1, 60)),
        *(SeriesKey(f"bench.rate.{number % 10}", {"system.device": f"dev{number}"}) for number in range(60, 100)),
        *(SeriesKey(f"bench.size.{number % 10}", {"system.device": f"dev{number}"}) for number in range(100, SERIES)),
    ),
)
OWN = shape_of("twinwatch", (SeriesKey("bench.duration"), SeriesKey("bench.up")))
CATALOGUE = Catalogue(
    agent_version=VERSION,
    monitors=(
        MonitorFacts(
            name="system",
            title="System",
            interval_seconds=TICK_MILLISECONDS / 1000,
            metrics=tuple(Metric(name, "1", "One of many.") for name in sorted({one.metric for one in SYSTEM.series})),
            charts=(Chart("Shares", ("bench.share.1",), by=("cpu.logical_number",)),),
            headlines=(Headline("Share", "bench.share.1"), Headline("Rate", "bench.rate.1"), Headline("Mark", MARK)),
        ),
    ),
)
SAMPLES_PER_BATCH = TICKS_PER_BATCH * (len(SYSTEM.series) + len(OWN.series))


class Due(NamedTuple):
    """A request to be sent: seconds after the start, which agent, what."""

    at: float
    agent: int
    kind: str


class Taken(NamedTuple):
    """A request that was sent: when it was due, seconds from then to its whole answer, and how late it was sent."""

    due: Due
    seconds: float
    late_seconds: float


@dataclass(slots=True)
class Simulated:
    """One agent. ``kept`` are the ticks that the hub has acknowledged: time in ms UTC to mark."""

    number: int
    line: Line
    server_id: str
    sequence: int
    chance: random.Random
    values: list[float]
    ticks: int = 0
    kept: dict[int, int] = field(default_factory=dict)
    last_batch: bytes = b""

    def batch(
        self, newest: int, *, shapes: Sequence[Shape] = (), ticks: int = TICKS_PER_BATCH
    ) -> tuple[bytes, dict[int, int]]:
        """The next batch, whose last tick is at ``newest`` (ms UTC), and the marks it holds."""
        times = [newest - TICK_MILLISECONDS * back for back in reversed(range(ticks))]
        marks = {}
        columns: list[list[float | None]] = [[] for _ in SYSTEM.series]
        for moment in times:
            self.ticks += 1
            marks[moment] = self.ticks
            self.live()
            columns[0].append(self.ticks)
            for column, value in zip(columns[1:], self.values, strict=True):
                column.append(value)
        own: list[list[float | None]] = [
            [round(self.chance.uniform(0.001, 0.003), 6) for _ in times],
            [1 for _ in times],
        ]
        self.sequence += 1
        frames = [Frame(SYSTEM.id, times, columns), Frame(OWN.id, times, own)]
        return pack(Batch(self.sequence, newest, frames, list(shapes))), marks

    def live(self) -> None:
        """Half of its values change."""
        chance = self.chance
        for place in range(SERIES - 1):
            if chance.random() < 0.5:
                if place < 59:
                    self.values[place] = round(chance.random(), 4)
                elif place < 99:
                    self.values[place] = float(f"{chance.lognormvariate(8, 3):.4g}")
                else:
                    self.values[place] = chance.randrange(1 << 36)

    async def push(self, body: bytes, marks: dict[int, int]) -> None:
        """Sends a batch, and notes what was acknowledged.

        Raises: Failed if it was not.
        """
        accepted = _understood(await self.line.post("samples", body))
        if accepted.duplicate:
            raise Failed(f"agent {self.number}: a batch that was sent once is said to be a duplicate")
        self.kept |= marks
        self.last_batch = body

    async def push_again(self) -> None:
        """Sends the last batch once more, as after a lost answer: the hub must know it."""
        if not _understood(await self.line.post("samples", self.last_batch)).duplicate:
            raise Failed(f"agent {self.number}: a batch that was sent twice is counted twice")

    async def beat(self) -> None:
        """Gives the sign of life.

        Raises: Failed if it was not taken.
        """
        answer = await self.line.post("heartbeat", pack(Heartbeat(self.server_id, now(), VERSION)))
        if answer.status != 200:
            raise Failed(f"agent {self.number}: heartbeat refused: {answer.status} {answer.body[:300]!r}")


class Crowd:
    """``count`` registered agents of one hub. The same seed gives the same load."""

    def __init__(self, url: str, count: int, *, seed: int = 2) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        assert parts.port is not None
        self._host, self._port = parts.hostname, parts.port
        self._chance = random.Random(seed)
        self._count = count
        self.agents: list[Simulated] = []

    async def join(self, enrolment_key: str, *, seconds: float = math.inf) -> None:
        """Registers all of them, each with its catalogue, and lets the hub learn their series with a first batch.

        After so many seconds those who are not in are left out.
        """
        end = time.monotonic() + seconds
        candidates = [self.made(number) for number in range(self._count)]

        async def enter(agent: Simulated) -> None:
            hello = Register(str(UUID(int=self._chance.getrandbits(128))), f"bench-{agent.number:04}", VERSION)
            line = Line(self._host, self._port, enrolment_key)
            answer = await line.post("register", pack(hello))
            line.close()
            if answer.status != 201:
                raise Failed(f"registration refused: {answer.status} {answer.body[:300]!r}")
            registered = decode(answer.body, Registered, MSGPACK)
            agent.server_id = registered.server_uuid
            agent.line = Line(self._host, self._port, registered.server_key)
            await agent.beat()
            declared = await agent.line.post("catalogue", pack(CATALOGUE))
            if declared.status != 204:
                raise Failed(f"catalogue refused: {declared.status} {declared.body[:300]!r}")
            await agent.push(*agent.batch(now() - 10 * TICK_MILLISECONDS, shapes=(SYSTEM, OWN)))

        await each(itertools.takewhile(lambda _: time.monotonic() < end, candidates), enter)
        self.agents = [agent for agent in candidates if agent.server_id]

    def made(self, number: int) -> Simulated:
        """An agent that has not registered yet."""
        chance = random.Random(self._chance.getrandbits(64))
        agent = Simulated(number, Line(self._host, self._port, ""), "", 0, chance, [0.0] * (SERIES - 1))
        for _ in range(5):
            agent.live()
        return agent

    def schedule(self, seconds: float, push_seconds: float, heartbeat_seconds: float) -> list[Due]:
        """What is due when: each agent's own grid, begun at a moment of its own."""
        plan = []
        for agent in self.agents:
            for kind, interval in (("push", push_seconds), ("heartbeat", heartbeat_seconds)):
                at = self._chance.uniform(0, interval)
                while at < seconds:
                    plan.append(Due(at, agent.number, kind))
                    at += interval
        return sorted(plan)

    async def run(self, plan: Sequence[Due]) -> list[Taken]:
        """Sends what is due when it is due, whatever has become of the requests before.

        Raises: Failed if one was not answered as it should be.
        """
        taken: list[Taken] = []
        began = time.perf_counter()

        async def send(due: Due) -> None:
            agent = self.agents[due.agent]
            sent = time.perf_counter()
            if due.kind == "push":
                await agent.push(*agent.batch(now()))
            else:
                await agent.beat()
            ended = time.perf_counter()
            taken.append(Taken(due, ended - began - due.at, sent - began - due.at))

        async with asyncio.TaskGroup() as group:
            for due in plan:
                await asyncio.sleep(max(0.0, began + due.at - time.perf_counter()))
                group.create_task(send(due))
        return taken

    def close(self) -> None:
        """Closes all connections."""
        for agent in self.agents:
            agent.line.close()


async def each(many: Iterable[T], work: Callable[[T], Awaitable[None]], *, at_once: int = AT_ONCE) -> None:
    """The work for every one, such as an agent, some at a time; the first failure ends it."""
    waiting = iter(many)

    async def some() -> None:
        for one in waiting:
            await work(one)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(some())
    except* Failed as several:
        raise several.exceptions[0] from None


def now() -> int:
    """ms UTC."""
    return time.time_ns() // 1_000_000


def _understood(answer: Answer) -> BatchAccepted:
    if answer.status != 200:
        raise Failed(f"a batch was refused: {answer.status} {answer.body[:300]!r}")
    return decode(answer.body, BatchAccepted, MSGPACK)
