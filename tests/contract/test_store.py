"""What every sample store must do (HOUSE.md, section 3): the fake and the real ones, in one file.

A later engine joins by a subclass of ``Ground`` in ``GROUNDS``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, ClassVar
from uuid import UUID, uuid4

import numpy as np
import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from twinwatch.hub.db import Database
from twinwatch.hub.migrations import migrate
from twinwatch.hub.stores import Arrival, Last, Misused, Points, SampleStore, Window
from twinwatch.hub.stores.log import LogStore, step_for
from twinwatch.protocol.samples import Frame
from twinwatch.testing.fakes import EPOCH
from twinwatch.testing.postgres import SECRET, Cluster
from twinwatch.testing.stores import MemoryStore

Ticks = Sequence[tuple[int, Sequence[float | None]]]
HOUR, DAY = 3_600_000, 24 * 3_600_000


class Server:
    """One server on the ground: its shapes have one series per column, numbered from ``first_series``."""

    def __init__(self, ground: Ground, organization_id: UUID, server_id: UUID, series: list[int]) -> None:
        self.organization_id = organization_id
        self.id = server_id
        self.series = series
        self._ground = ground
        self._sequences = count(1)

    def arrival(self, *frames: tuple[str, Ticks], sequence: int | None = None, received_at: int = EPOCH) -> Arrival:
        made = [
            Frame(
                shape, [time for time, _ in ticks], [list(one) for one in zip(*(row for _, row in ticks), strict=True)]
            )
            for shape, ticks in frames
        ]
        return Arrival(
            organization_id=self.organization_id,
            server_id=self.id,
            sequence=next(self._sequences) if sequence is None else sequence,
            received_at=received_at,
            first=min(frame.times[0] for frame in made),
            last=max(frame.times[-1] for frame in made),
            samples=sum(value is not None for frame in made for column in frame.columns for value in column),
            frames=made,
        )

    async def push(self, *ticks: tuple[int, Sequence[float | None]], received_at: int = EPOCH) -> None:
        """One batch of one frame; its columns are the first of the server's series."""
        (verdict,) = await self._ground.store.write([self.arrival(("a" * 16, ticks), received_at=received_at)])
        assert verdict.fresh

    async def read(self, since: int, to: int, points: int = 10_000) -> Points:
        return await self._ground.store.read(self.id, self.series, Window(since, to, points))


class Ground:
    """A store and what it stands on: servers, and shapes ``aaaa…`` (all series) and ``bbbb…`` (all, backwards)."""

    store: SampleStore

    async def server(self, series: int = 2) -> Server:
        raise NotImplementedError

    async def gone(self, server: Server) -> None:
        """The server is deleted, and nobody has told the store."""
        raise NotImplementedError


class MemoryGround(Ground):
    name: ClassVar[str] = "memory"

    def __init__(self) -> None:
        self._servers: dict[UUID, Server] = {}
        self._numbers = count(1)
        self.store = MemoryStore(self._organization_of, self._series_of)

    @classmethod
    @asynccontextmanager
    async def open(cls, cluster: Cluster) -> AsyncIterator[MemoryGround]:
        yield cls()

    async def server(self, series: int = 2) -> Server:
        numbers = [next(self._numbers) for _ in range(series)]
        server = Server(self, uuid4(), uuid4(), numbers)
        self._servers[server.id] = server
        return server

    async def gone(self, server: Server) -> None:
        del self._servers[server.id]

    def _organization_of(self, server_id: UUID) -> UUID | None:
        server = self._servers.get(server_id)
        return server.organization_id if server else None

    def _series_of(self, server_id: UUID, shape: str) -> list[int]:
        series = self._servers[server_id].series
        return series if shape.startswith("a") else series[::-1]


class LogGround(Ground):
    name: ClassVar[str] = "log"

    def __init__(self, database: Database, owner: psycopg.AsyncConnection) -> None:
        self.store = LogStore(database)
        self.owner = owner

    @classmethod
    @asynccontextmanager
    async def open(cls, cluster: Cluster) -> AsyncIterator[LogGround]:
        url = cluster.database()
        database = Database(await migrate(url, SECRET))
        await database.open()
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as owner:
            yield cls(database, owner)
        await database.close()
        cluster.drop(url)

    async def server(self, series: int = 2) -> Server:
        organization = await self._one("insert into public.organizations (name) values ('x') returning id")
        server = await self._one(
            "insert into public.servers (organization_id, install_id, name, agent_version)"
            " values (%s, gen_random_uuid(), 'x', '1') returning id",
            organization,
        )
        cursor = await self.owner.execute(
            "insert into public.series (organization_id, server_id, key, metric)"
            " select %s, %s, decode(md5(n::text), 'hex'), 'm' from generate_series(1, %s) n returning id",
            (organization, server, series),
        )
        numbers = [row[0] for row in await cursor.fetchall()]
        for shape, order in (("a" * 16, numbers), ("b" * 16, numbers[::-1])):
            await self.owner.execute(
                "insert into public.shapes values (%s, %s, %s, 'x', %s)", (organization, server, shape, order)
            )
        return Server(self, organization, server, numbers)

    async def gone(self, server: Server) -> None:
        await self.owner.execute("delete from public.servers where id = %s", (server.id,))

    async def _one(self, statement: str, *values: object) -> Any:
        row = await (await self.owner.execute(statement.encode(), values)).fetchone()
        assert row is not None
        return row[0]


GROUNDS: list[Any] = [MemoryGround, LogGround]


@pytest.fixture(params=GROUNDS, ids=lambda kind: kind.name)
async def ground(request: pytest.FixtureRequest, cluster: Cluster) -> AsyncIterator[Ground]:
    async with request.param.open(cluster) as ground:
        yield ground


def listed(points: Points) -> list[list[float | None]]:
    """Rows of values, a gap as None."""
    return [[None if np.isnan(value) else float(value) for value in row] for row in points.values]


async def test_a_batch_written_twice_counts_once(ground: Ground) -> None:
    server = await ground.server()
    arrival = server.arrival(("a" * 16, [(EPOCH, (1.0, 2.0))]))
    (first,) = await ground.store.write([arrival])
    (second,) = await ground.store.write([arrival])
    assert (first.mark, first.fresh, second.mark, second.fresh) == (1, True, 1, False)
    assert (await ground.store.stats()).samples == 2


async def test_a_lower_number_changes_nothing(ground: Ground) -> None:
    server = await ground.server()
    await ground.store.write([server.arrival(("a" * 16, [(EPOCH, (1.0, 2.0))]), sequence=10)])
    (verdict,) = await ground.store.write([server.arrival(("a" * 16, [(EPOCH + 1, (3.0, 4.0))]), sequence=9)])
    assert (verdict.mark, verdict.fresh) == (10, False)
    assert list((await server.read(EPOCH, EPOCH + 10)).times) == [EPOCH]


async def test_a_server_that_is_gone_has_no_mark_and_others_of_the_group_are_kept(ground: Ground) -> None:
    here, gone = await ground.server(), await ground.server()
    await ground.gone(gone)
    arrivals = [one.arrival(("a" * 16, [(EPOCH, (1.0, 2.0))])) for one in (gone, here)]
    verdicts = await ground.store.write(arrivals)
    assert [(one.mark, one.fresh) for one in verdicts] == [(None, False), (1, True)]


async def test_a_server_of_another_organization_is_not_written_to(ground: Ground) -> None:
    mine, other = await ground.server(), await ground.server()
    crossed = Server(ground, mine.organization_id, other.id, other.series)
    (verdict,) = await ground.store.write([crossed.arrival(("a" * 16, [(EPOCH, (1.0, 2.0))]))])
    assert (verdict.mark, verdict.fresh) == (None, False)
    assert len((await other.read(EPOCH, EPOCH + 10)).times) == 0


async def test_servers_of_like_shape_never_meet(ground: Ground) -> None:
    one, other = await ground.server(), await ground.server()
    await one.push((EPOCH, (1.0, 2.0)))
    await other.push((EPOCH, (3.0, 4.0)))
    assert listed(await one.read(EPOCH, EPOCH + 1)) == [[1.0], [2.0]]
    assert listed(await other.read(EPOCH, EPOCH + 1)) == [[3.0], [4.0]]
    foreign = await ground.store.read(one.id, other.series, Window(EPOCH, EPOCH + 1, 10))
    assert listed(foreign) == [[], []]
    latest = await ground.store.latest([one.id, other.id])
    assert {server: sorted(last.value for last in some) for server, some in latest.items()} == {
        one.id: [1.0, 2.0],
        other.id: [3.0, 4.0],
    }


async def test_an_empty_store_answers_with_nothing(ground: Ground) -> None:
    server = await ground.server()
    points = await server.read(EPOCH, EPOCH + DAY)
    assert points.times.shape == (0,)
    assert points.values.shape == (2, 0)
    assert points.step == 0
    none = await ground.store.read(server.id, [], Window(EPOCH, EPOCH + DAY, 10))
    assert none.values.shape == (0, 0)
    assert await ground.store.latest([server.id]) == {server.id: []}
    assert await ground.store.latest([]) == {}
    assert await ground.store.write([]) == []
    stats = await ground.store.stats()
    assert (stats.samples, stats.oldest) == (0, None)


async def test_samples_come_back_in_the_order_of_time_however_they_came(ground: Ground) -> None:
    server = await ground.server()
    await server.push((EPOCH + 30, (3.0, 30.0)), (EPOCH + 40, (4.0, 40.0)))
    await server.push((EPOCH + 10, (1.0, 10.0)), (EPOCH + 50, (5.0, 50.0)))
    await server.push((EPOCH + 20, (2.0, 20.0)))
    points = await server.read(EPOCH, EPOCH + 100)
    assert list(points.times - EPOCH) == [10, 20, 30, 40, 50]
    assert listed(points) == [[1.0, 2.0, 3.0, 4.0, 5.0], [10.0, 20.0, 30.0, 40.0, 50.0]]


async def test_series_are_answered_in_the_order_in_which_they_were_asked(ground: Ground) -> None:
    server = await ground.server()
    await server.push((EPOCH, (1.0, 2.0)))
    points = await ground.store.read(server.id, server.series[::-1], Window(EPOCH, EPOCH + 1, 10))
    assert listed(points) == [[2.0], [1.0]]


async def test_shapes_that_share_a_series_are_one_line(ground: Ground) -> None:
    server = await ground.server()
    frames = [("a" * 16, [(EPOCH, (1.0, 10.0))]), ("b" * 16, [(EPOCH + 1, (20.0, 2.0))])]
    await ground.store.write([server.arrival(*frames)])
    assert listed(await server.read(EPOCH, EPOCH + 2)) == [[1.0, 2.0], [10.0, 20.0]]


async def test_gaps_stay_gaps(ground: Ground) -> None:
    server = await ground.server()
    await server.push((EPOCH, (1.0, None)), (EPOCH + 1, (None, None)), (EPOCH + 2, (None, 2.0)))
    points = await server.read(EPOCH, EPOCH + 10)
    assert list(points.times) == [EPOCH, EPOCH + 2], "where there is no sample at all there is no point"
    assert listed(points) == [[1.0, None], [None, 2.0]]


async def test_a_window_holds_its_start_and_not_its_end(ground: Ground) -> None:
    server = await ground.server(1)
    await server.push(*((EPOCH + n, (float(n),)) for n in range(5)))
    assert listed(await server.read(EPOCH + 1, EPOCH + 4)) == [[1.0, 2.0, 3.0]]
    assert listed(await server.read(EPOCH + 1, EPOCH + 2)) == [[1.0]]
    assert listed(await server.read(EPOCH - 1, EPOCH)) == [[]]


@pytest.mark.parametrize("window", [(1, 1, 1), (2, 1, 1), (0, 1, 0), (0, 1, -1)])
def test_a_window_without_meaning_is_refused(window: tuple[int, int, int]) -> None:
    with pytest.raises(Misused):
        Window(*window)


async def test_late_samples_are_read_at_their_own_time(ground: Ground) -> None:
    server = await ground.server(1)
    arrived = EPOCH + 40 * HOUR
    await server.push((arrived, (2.0,)), received_at=arrived)
    await server.push((EPOCH, (1.0,)), received_at=arrived + 1)
    assert listed(await server.read(EPOCH, EPOCH + HOUR)) == [[1.0]]
    assert listed(await server.read(EPOCH, arrived + 1)) == [[1.0, 2.0]]


async def test_a_sample_from_a_clock_ahead_is_found_too(ground: Ground) -> None:
    server = await ground.server(1)
    ahead = EPOCH + 300_000
    await server.push((ahead, (1.0,)), received_at=EPOCH)
    assert listed(await server.read(ahead, ahead + 1)) == [[1.0]]


async def test_the_first_of_two_samples_at_one_time_stays(ground: Ground) -> None:
    server = await ground.server(1)
    await server.push((EPOCH, (1.0,)), received_at=EPOCH)
    await server.push((EPOCH, (2.0,)), received_at=EPOCH + 1)
    assert listed(await server.read(EPOCH, EPOCH + 1)) == [[1.0]]


async def test_the_latest_is_the_newest_sample_of_each_series(ground: Ground) -> None:
    server = await ground.server()
    await server.push((EPOCH, (1.0, 10.0)), received_at=EPOCH)
    await server.push((EPOCH + 2, (3.0, None)), received_at=EPOCH + 1)
    await server.push((EPOCH + 1, (2.0, None)), (EPOCH + 3, (None, None)), received_at=EPOCH + 2)
    a, b = server.series
    found = (await ground.store.latest([server.id]))[server.id]
    assert sorted(found, key=lambda one: one.series_id) == [Last(a, EPOCH + 2, 3.0), Last(b, EPOCH, 10.0)]


async def test_a_gap_at_the_end_of_a_frame_does_not_hide_what_came_before_it(ground: Ground) -> None:
    server = await ground.server(1)
    await server.push((EPOCH, (1.0,)), (EPOCH + 1, (None,)))
    assert await ground.store.latest([server.id]) == {server.id: [Last(server.series[0], EPOCH, 1.0)]}


async def test_the_latest_of_some_series_is_of_no_other(ground: Ground) -> None:
    one, other = await ground.server(), await ground.server()
    await one.push((EPOCH, (1.0, 10.0)))
    await other.push((EPOCH, (2.0, 20.0)))
    asked = [one.series[1], other.series[0]]
    assert await ground.store.latest([one.id, other.id], asked) == {
        one.id: [Last(one.series[1], EPOCH, 10.0)],
        other.id: [Last(other.series[0], EPOCH, 2.0)],
    }
    assert await ground.store.latest([one.id], []) == {one.id: []}


async def test_what_is_forgotten_is_gone_and_others_are_kept(ground: Ground) -> None:
    one, other = await ground.server(1), await ground.server(1)
    await one.push((EPOCH, (1.0,)))
    await other.push((EPOCH, (2.0,)))
    await ground.store.forget(one.id)
    assert listed(await one.read(EPOCH, EPOCH + 1)) == [[]]
    assert await ground.store.latest([one.id]) == {one.id: []}
    assert listed(await other.read(EPOCH, EPOCH + 1)) == [[2.0]]


async def test_stats_tell_how_much_is_kept_and_since_when(ground: Ground) -> None:
    server = await ground.server()
    await server.push((EPOCH - 50, (1.0, None)), (EPOCH, (2.0, 3.0)))
    stats = await ground.store.stats()
    assert (stats.samples, stats.oldest) == (3, EPOCH - 50)
    assert stats.size_bytes > 0


async def test_tending_ends_what_is_past_keeping_and_nothing_else(ground: Ground) -> None:
    server = await ground.server(1)
    for day in range(5):
        now = EPOCH + day * DAY
        await ground.store.tend(now, 400)
        await server.push((now, (float(day),)), received_at=now)
    await ground.store.tend(EPOCH + 4 * DAY, 2)
    kept = listed(await server.read(EPOCH, EPOCH + 5 * DAY))[0]
    assert kept[-2:] == [3.0, 4.0]
    assert 0.0 not in kept
    assert 1.0 not in kept
    await ground.store.tend(EPOCH + 4 * DAY, 2)
    assert listed(await server.read(EPOCH, EPOCH + 5 * DAY))[0] == kept


TIMES = st.integers(0, 3 * DAY).map(lambda offset: EPOCH - 3 * DAY + offset)
VALUES = st.none() | st.floats(-1e9, 1e9, allow_nan=False)
WINDOWS = st.tuples(TIMES, st.integers(1, 4 * DAY), st.integers(1, 300))


@st.composite
def batches(draw: st.DrawFn) -> list[list[tuple[str, Ticks]]]:
    """Up to six batches of up to three frames of two columns."""
    made: list[list[tuple[str, Ticks]]] = []
    for _ in range(draw(st.integers(1, 6))):
        frames: list[tuple[str, Ticks]] = []
        for _ in range(draw(st.integers(1, 3))):
            start, step = draw(TIMES), draw(st.sampled_from([1, 1_000, 15_000, 60_001]))
            rows = draw(st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=40))
            frames.append((draw(st.sampled_from("ab")) * 16, [(start + n * step, row) for n, row in enumerate(rows)]))
        made.append(frames)
    return made


TWO_SHAPES_AT_ONE_TIME: list[list[tuple[str, Ticks]]] = [
    [("a" * 16, [(EPOCH, (None, None))])],
    [("b" * 16, [(EPOCH + 1, (None, 1.0))]), ("a" * 16, [(EPOCH + 1, (0.0, None))])],
]


@given(batches(), st.lists(WINDOWS, min_size=1, max_size=4))
@example(TWO_SHAPES_AT_ONE_TIME, [(EPOCH, 2, 1)])
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_whatever_came_in_every_window_reads_as_the_plain_model_does(
    ground: Ground, made: list[list[tuple[str, Ticks]]], windows: list[tuple[int, int, int]]
) -> None:
    server = await ground.server()
    series = {"a" * 16: server.series, "b" * 16: server.series[::-1]}
    model = MemoryStore(lambda _: server.organization_id, lambda _, shape: series[shape])
    for at, frames in enumerate(made):
        arrival = server.arrival(*frames, received_at=EPOCH + at)
        for store in (ground.store, model):
            await store.write([arrival])
    for since, length, points in windows:
        window = Window(since, since + length, points)
        found = await ground.store.read(server.id, server.series, window)
        expected = await model.read(server.id, server.series, window)
        assert found.step == expected.step
        np.testing.assert_array_equal(found.times, expected.times)
        np.testing.assert_allclose(found.values, expected.values, rtol=1e-9, atol=1e-6)
        assert len(found.times) <= points
        assert (np.diff(found.times) > 0).all()
        if found.step:
            assert (found.times % found.step == 0).all()
        else:
            assert ((found.times >= window.since) & (found.times < window.to)).all()


@given(st.integers(0, 1 << 45), st.integers(1, 1 << 45), st.integers(1, 2_000))
@settings(max_examples=500, deadline=None)
def test_a_step_covers_any_window_with_at_most_the_points_asked_for(since: int, length: int, points: int) -> None:
    window = Window(since, since + length, points)
    step = step_for(window)
    assert step >= 1_000
    assert (window.to - 1) // step - window.since // step + 1 <= points


class TestLog:
    """What only the log on PostgreSQL promises."""

    @pytest.fixture
    async def log(self, cluster: Cluster) -> AsyncIterator[LogGround]:
        async with LogGround.open(cluster) as ground:
            yield ground

    async def partitions(self, log: LogGround) -> list[str]:
        cursor = await log.owner.execute(
            "select inhrelid::regclass::text from pg_inherits where inhparent = 'samples.sample_log'::regclass"
            " order by 1"
        )
        return [name for (name,) in await cursor.fetchall()]

    async def test_a_group_of_which_one_cannot_be_kept_is_not_kept_at_all(self, log: LogGround) -> None:
        good, bad = await log.server(1), await log.server(1)
        arrival = bad.arrival(("a" * 16, [(EPOCH, (1.0,))]))
        object.__setattr__(arrival, "samples", 1 << 40)
        with pytest.raises(psycopg.DataError):
            await log.store.write([good.arrival(("a" * 16, [(EPOCH, (1.0,))]), sequence=1), arrival])
        assert (await log.store.stats()).samples == 0
        (verdict,) = await log.store.write([good.arrival(("a" * 16, [(EPOCH, (1.0,))]), sequence=1)])
        assert verdict.fresh

    async def test_partitions_are_made_ahead_and_dropped_when_they_are_past(self, log: LogGround) -> None:
        for name in await self.partitions(log):
            await log.owner.execute(f"drop table {name}".encode())
        await log.store.tend(EPOCH, 7)
        names = await self.partitions(log)
        assert names[0] == "samples.sample_log_2025123123"
        assert len(names) == 48
        await log.store.tend(EPOCH, 7)
        assert await self.partitions(log) == names, "a second round finds nothing to do"
        await log.store.tend(EPOCH + 8 * DAY, 7)
        left = await self.partitions(log)
        assert left[0] == "samples.sample_log_2026010200"
        assert left[-1] == "samples.sample_log_2026011022"

    async def test_two_hubs_tend_at_the_same_time(self, log: LogGround) -> None:
        for name in await self.partitions(log):
            await log.owner.execute(f"drop table {name}".encode())
        await asyncio.gather(*(log.store.tend(EPOCH + n * HOUR, 7) for n in range(6)))
        assert len(await self.partitions(log)) == 53

    async def test_a_batch_for_which_there_is_no_partition_gets_one(self, log: LogGround) -> None:
        server = await log.server(1)
        late = EPOCH + 30 * DAY
        await server.push((late, (1.0,)), received_at=late)
        assert listed(await server.read(late, late + 1)) == [[1.0]]
