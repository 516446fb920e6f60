"""Samples on their way in: exactly once, answered after the commit, refused by name."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import msgspec
import psycopg
import pytest
from psycopg import sql

from twinwatch.hub.ingest import QUEUE_BATCHES, Ingest
from twinwatch.hub.refusals import Refused
from twinwatch.hub.stores import Arrival, Verdict
from twinwatch.protocol import limits
from twinwatch.protocol.samples import Batch, Frame, SeriesKey, Shape, shape_of
from twinwatch.testing.hub_stage import Cast, HandClock, HubStage, Reply, Voice
from twinwatch.testing.postgres import Cluster

NaN, INF = float("nan"), float("inf")


async def logged(stage: HubStage) -> list[tuple[Any, ...]]:
    return await stage.execute("select server_id, sequence from samples.sample_log order by server_id, sequence")


async def values_of(
    stage: HubStage, cast: Cast, metric: str = "test.a", *, span_seconds: float = 600
) -> dict[int, Any]:
    """What people read of the cast's server: time → value."""
    now = stage.clock.now()
    since, to = now - round(span_seconds * 1000), now + 600_000
    target = f"/api/v1/servers/{cast.agent.server_id}/range?metric={metric}&since={since}&to={to}&points=2000"
    found = (await cast.viewer.client.get(target)).json()
    if not found["series"]:
        return {}
    return dict(zip(found["times"], found["series"][0]["values"], strict=True))


@asynccontextmanager
async def second_hub(stage: HubStage, tmp_path: Path) -> AsyncIterator[HubStage]:
    async with HubStage(stage.owner_url, tmp_path, clock=stage.clock) as other:
        yield other


@asynccontextmanager
async def holding(stage: HubStage, server_id: UUID) -> AsyncIterator[None]:
    """The server's row is locked by somebody else, so that a commit of its samples has to wait."""
    async with await psycopg.AsyncConnection.connect(stage.owner_url) as connection:
        await connection.execute("select from public.servers where id = %s for update", (server_id,))
        yield
        await connection.rollback()


async def until_waiting(stage: HubStage) -> None:
    """Until a statement of the hub waits for a lock."""
    asked = (
        "select pid from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
        " and application_name = 'twinwatch'"
    )
    async with asyncio.timeout(20):
        while not await stage.execute(asked):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


class TestExactlyOnce:
    async def test_a_batch_that_arrives_twice_counts_once(self, stage: HubStage, cast: Cast) -> None:
        batch = cast.agent.batch((stage.clock.now(), (1.0, 2.0)))
        first, second = await cast.agent.send(batch), await cast.agent.send(batch)
        assert first.json() == {"sequence_mark": 1, "duplicate": False}
        assert second.json() == {"sequence_mark": 1, "duplicate": True}
        assert await logged(stage) == [(cast.agent.server_id, 1)]

    async def test_a_number_below_the_mark_changes_nothing(self, stage: HubStage, cast: Cast) -> None:
        now = stage.clock.now()
        await cast.agent.push((now, (1.0, 2.0)), sequence=1_000)
        reply = await cast.agent.push((now - 1, (3.0, 4.0)), sequence=999)
        assert reply.json() == {"sequence_mark": 1_000, "duplicate": True}
        assert await values_of(stage, cast) == {now: 1.0}

    async def test_numbers_may_leap(self, stage: HubStage, cast: Cast) -> None:
        for sequence in (5, 1_767_225_600_000, (1 << 62) - 1):
            reply = await cast.agent.push((stage.clock.now(), (1.0, 2.0)), sequence=sequence)
            assert reply.json() == {"sequence_mark": sequence, "duplicate": False}

    async def test_the_mark_outlives_the_hub(self, stage: HubStage, cast: Cast) -> None:
        batch = cast.agent.batch((stage.clock.now(), (1.0, 2.0)))
        await cast.agent.send(batch)
        await stage.stop()
        await stage.start()
        assert (await cast.agent.send(batch)).json()["duplicate"] is True

    async def test_servers_have_marks_of_their_own(self, stage: HubStage, cast: Cast) -> None:
        tick = (stage.clock.now(), (1.0, 2.0))
        assert (await cast.agent.push(tick, sequence=9)).json()["duplicate"] is False
        assert (await cast.other_agent.push(tick, sequence=3)).json()["duplicate"] is False

    async def test_many_batches_of_one_server_at_once_all_count(self, stage: HubStage, cast: Cast) -> None:
        now = stage.clock.now()
        batches = [cast.agent.batch((now - 1000 * (50 - n), (float(n), None))) for n in range(50)]
        await cast.agent.send(batches.pop(0))  # the shape is known from here on, so that the order is kept
        replies = await asyncio.gather(*map(cast.agent.send, batches))
        assert [reply.json() for reply in replies] == [
            {"sequence_mark": batch.sequence, "duplicate": False} for batch in batches
        ]
        assert list((await values_of(stage, cast)).values()) == [float(n) for n in range(50)]

    async def test_twins_that_arrive_at_once_count_once(self, stage: HubStage, cast: Cast) -> None:
        batch = cast.agent.batch((stage.clock.now(), (1.0, 2.0)))
        replies = await asyncio.gather(*(cast.agent.send(batch) for _ in range(20)))
        assert sorted(reply.json()["duplicate"] for reply in replies) == [False] + [True] * 19
        assert {reply.json()["sequence_mark"] for reply in replies} == {1}
        assert await logged(stage) == [(cast.agent.server_id, 1)]

    async def test_two_hubs_on_one_database_count_a_batch_once(
        self, stage: HubStage, cast: Cast, tmp_path: Path
    ) -> None:
        async with second_hub(stage, tmp_path) as other:
            elsewhere = Voice(other.client(cast.agent.client.token), stage.clock, cast.agent.server_id)
            for round_ in range(10):
                batch = cast.agent.batch((stage.clock.now() + round_, (1.0, 2.0)))
                replies = await asyncio.gather(
                    *(voice.send(batch) for voice in (cast.agent, elsewhere, cast.agent, elsewhere))
                )
                assert [reply.status for reply in replies] == [200] * 4
                assert sorted(reply.json()["duplicate"] for reply in replies) == [False, True, True, True]
                assert {reply.json()["sequence_mark"] for reply in replies} == {batch.sequence}
        assert len(await logged(stage)) == 10

    async def test_the_mark_in_an_answer_is_never_below_the_batchs_own_number(
        self, stage: HubStage, cast: Cast, tmp_path: Path
    ) -> None:
        """The loser of a race between two hubs learnt of the mark only after it had looked."""
        async with second_hub(stage, tmp_path) as other:
            elsewhere = Voice(other.client(cast.agent.client.token), stage.clock, cast.agent.server_id)
            await cast.agent.push((stage.clock.now(), (1.0, 2.0)))
            await elsewhere.push((stage.clock.now(), (1.0, 2.0)), sequence=1)
            batch = cast.agent.batch((stage.clock.now() + 1, (1.0, 2.0)))
            async with holding(stage, cast.agent.server_id):
                sending = [asyncio.ensure_future(voice.send(batch)) for voice in (cast.agent, elsewhere)]
                await until_waiting(stage)
                await asyncio.wait(sending, timeout=0.3)
            replies = [(await one).json() for one in sending]
        assert sorted(reply["duplicate"] for reply in replies) == [False, True]
        assert [reply["sequence_mark"] for reply in replies] == [batch.sequence] * 2

    async def test_batches_of_many_servers_in_one_group_each_count_for_their_own(
        self, stage: HubStage, cast: Cast
    ) -> None:
        voices = [await stage.agent(cast.organization_id, f"web-{n}") for n in range(12)]
        now = stage.clock.now()
        for n, voice in enumerate(voices):
            await voice.push((now, (float(n), None)))
        # The hub knows keys and shapes now, so those that follow wait for nothing and keep their order.
        sending = [voice.push((now + at, (float(n), None))) for at in (1, 2) for n, voice in enumerate(voices)]
        replies = await asyncio.gather(*sending)
        assert all(reply.json()["duplicate"] is False for reply in replies)
        for n, voice in enumerate(voices):
            newest = (await cast.viewer.client.get(f"/api/v1/servers/{voice.server_id}/latest")).json()["series"]
            assert [(one["metric"], one["value"], one["time"]) for one in newest] == [("test.a", float(n), now + 2)]


class TestDurability:
    async def test_an_answer_waits_for_the_commit(self, stage: HubStage, cast: Cast) -> None:
        await cast.agent.push((stage.clock.now(), (1.0, 2.0)))
        async with holding(stage, cast.agent.server_id):
            pushing = asyncio.ensure_future(cast.agent.push((stage.clock.now() + 1, (3.0, 4.0))))
            await until_waiting(stage)
            assert not pushing.done()
            assert len(await logged(stage)) == 1
        assert (await pushing).json() == {"sequence_mark": 2, "duplicate": False}
        assert len(await logged(stage)) == 2

    async def test_a_connection_that_dies_in_the_commit_loses_nothing(self, stage: HubStage, cast: Cast) -> None:
        await cast.agent.push((stage.clock.now(), (1.0, 2.0)))
        batch = cast.agent.batch((stage.clock.now() + 1, (3.0, 4.0)))
        async with holding(stage, cast.agent.server_id):
            pushing = asyncio.ensure_future(cast.agent.send(batch))
            await until_waiting(stage)
            await stage.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = current_database() and wait_event_type = 'Lock'"
            )
            reply = await pushing
        assert reply.problem.slug == "unavailable"
        assert int(reply.headers["retry-after"]) > 0
        assert len(await logged(stage)) == 1
        assert (await cast.agent.send(batch)).json() == {"sequence_mark": 2, "duplicate": False}

    async def test_a_server_deleted_while_its_batch_waits_is_told_so(self, stage: HubStage, cast: Cast) -> None:
        await cast.agent.push((stage.clock.now(), (1.0, 2.0)))
        async with await psycopg.AsyncConnection.connect(stage.owner_url) as connection:
            await connection.execute("delete from public.servers where id = %s", (cast.agent.server_id,))
            pushing = asyncio.ensure_future(cast.agent.push((stage.clock.now() + 1, (1.0, 2.0))))
            beating = asyncio.ensure_future(cast.agent.heartbeat())
            await until_waiting(stage)
            await connection.commit()
        assert (await beating).problem.slug == "unauthorized"
        assert (await pushing).problem.slug == "unauthorized"

    async def test_while_the_database_is_away_agents_are_told_to_come_back(
        self, cluster: Cluster, stage: HubStage, cast: Cast
    ) -> None:
        await cast.agent.push((stage.clock.now(), (1.0, 2.0)))
        name = psycopg.conninfo.conninfo_to_dict(stage.owner_url)["dbname"]
        async with await psycopg.AsyncConnection.connect(cluster.url, autocommit=True) as outside:

            async def let_in(allowed: bool) -> None:
                verb = sql.SQL("alter database {} with allow_connections {}")
                await outside.execute(verb.format(sql.Identifier(str(name)), sql.Literal(allowed)))

            await let_in(False)
            await outside.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = %s and application_name = 'twinwatch'",
                (name,),
            )
            batch = cast.agent.batch((stage.clock.now() + 1, (3.0, 4.0)))
            replies: Sequence[Reply] = await asyncio.gather(
                cast.agent.send(batch),
                cast.agent.heartbeat(),
                cast.viewer.client.get("/api/v1/servers"),
                stage.client().get("/api/v1/status"),
                stage.client("tws_new").get("/api/v1/me"),
            )
            for reply in replies[:4]:
                assert reply.problem.slug == "unavailable", reply
                assert int(reply.headers["retry-after"]) > 0
            assert replies[4].status == 401, "who is not signed in needs no database to be told so"
            await let_in(True)
        async with asyncio.timeout(60):
            while (reply := await cast.agent.send(batch)).status == 503:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        assert reply.json() == {"sequence_mark": 2, "duplicate": False}
        assert len(await logged(stage)) == 2

    async def test_a_machine_that_slept_for_days_takes_samples_at_once(self, stage: HubStage, cast: Cast) -> None:
        """The hourly round has made no partition for the hour in which it wakes."""
        stage.clock.advance(9 * 24 * 3600)
        tick = (stage.clock.now(), (1.0, 2.0))
        assert (await cast.agent.push(tick)).json() == {"sequence_mark": 1, "duplicate": False}
        assert await logged(stage) == [(cast.agent.server_id, 1)]


class _Slow:
    """A store that does not get on, and shapes that are known."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.groups: list[int] = []

    async def write(self, arrivals: Sequence[Arrival]) -> list[Verdict]:
        await self.go_on.wait()
        self.groups.append(len(arrivals))
        assert len({arrival.server_id for arrival in arrivals}) == len(arrivals)
        return [Verdict(arrival.sequence, fresh=True) for arrival in arrivals]

    async def series_of(self, *_: object) -> dict[str, tuple[int, ...]]:
        return {"0" * 16: (1,)}


async def test_a_full_queue_tells_agents_to_come_back_and_forgets_nobody(clock: HandClock) -> None:
    slow = _Slow()
    ingest = Ingest(clock, slow, slow, lambda _: None)  # type: ignore[arg-type]
    running = asyncio.ensure_future(ingest.run())
    organization, servers = uuid4(), [uuid4() for _ in range(100)]

    def push(number: int) -> asyncio.Future[Any]:
        batch = Batch(number + 1, clock.now(), [Frame("0" * 16, [clock.now()], [[1.0]])])
        return asyncio.ensure_future(ingest.take(organization, servers[number % 100], batch))

    pushes = [push(number) for number in range(QUEUE_BATCHES + 300)]
    answers = asyncio.gather(*pushes, return_exceptions=True)
    while not any(one.done() for one in pushes):  # noqa: ASYNC110
        await asyncio.sleep(0)
    slow.go_on.set()
    refused = [one for one in await answers if isinstance(one, Refused)]
    assert 0 < len(refused) <= 300
    assert {(one.status, one.slug, one.retry_after_seconds) for one in refused} == {(429, "rate-limited", 5)}
    assert sum(slow.groups) == len(pushes) - len(refused)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


class TestShapes:
    async def test_a_shape_is_told_once_and_known_from_then_on(self, stage: HubStage, cast: Cast) -> None:
        now = stage.clock.now()
        await cast.agent.push((now, (1.0, 2.0)))
        untold = msgspec.structs.replace(cast.agent.batch((now + 1, (3.0, 4.0))), shapes=[])
        assert (await cast.agent.send(untold)).status == 200
        await stage.stop()
        await stage.start()
        untold = msgspec.structs.replace(cast.agent.batch((now + 2, (5.0, 6.0))), shapes=[])
        assert (await cast.agent.send(untold)).status == 200
        assert await values_of(stage, cast) == {now: 1.0, now + 1: 3.0, now + 2: 5.0}

    async def test_unknown_shapes_are_asked_for_by_id_and_nothing_is_kept(self, stage: HubStage, cast: Cast) -> None:
        batch = cast.agent.batch((stage.clock.now(), (1.0, 2.0)))
        problem = (await cast.agent.send(msgspec.structs.replace(batch, shapes=[]))).problem
        assert (problem.status, problem.slug, problem.shapes) == (409, "unknown-shapes", [cast.agent.shape.id])
        assert await logged(stage) == []
        assert (await cast.agent.send(batch)).json() == {"sequence_mark": 1, "duplicate": False}

    async def test_a_shape_of_another_server_is_unknown(self, stage: HubStage, cast: Cast) -> None:
        tick = (stage.clock.now(), (1.0, 2.0))
        await cast.other_agent.push(tick)
        batch = msgspec.structs.replace(cast.agent.batch(tick), shapes=[])
        assert (await cast.agent.send(batch)).problem.slug == "unknown-shapes"

    async def test_two_hubs_learn_the_same_shape_at_once(self, stage: HubStage, cast: Cast, tmp_path: Path) -> None:
        async with second_hub(stage, tmp_path) as other:
            elsewhere = Voice(other.client(cast.agent.client.token), stage.clock, cast.agent.server_id)
            shapes = [
                shape_of(f"m{n}", tuple(SeriesKey("m", {"n": str(k)}) for k in range(n, n + 30))) for n in range(10)
            ]
            now = stage.clock.now()
            sending = []
            for n, shape in enumerate(shapes):
                frame = Frame(shape.id, [now + n], [[float(n)]] * 30)
                sending += [voice.send(Batch(n + 1, now, [frame], [shape])) for voice in (cast.agent, elsewhere)]
            replies = await asyncio.gather(*sending)
        assert {reply.status for reply in replies} == {200}
        ((count, distinct),) = await stage.execute("select count(*), count(distinct labels) from public.series")
        assert count == distinct == 39

    async def test_the_order_of_labels_does_not_matter(self, stage: HubStage, cast: Cast) -> None:
        now = stage.clock.now()
        for n, labels in enumerate(({"a": "1", "b": "2"}, {"b": "2", "a": "1"})):
            cast.agent.shape = shape_of("m", (SeriesKey("m", labels),))
            assert (await cast.agent.push((now + n, (float(n),)))).status == 200
        assert await values_of(stage, cast, "m") == {now: 0.0, now + 1: 1.0}

    @pytest.mark.parametrize("part", ["id", "monitor", "series"])
    async def test_an_id_that_does_not_follow_from_its_content_is_refused(
        self, stage: HubStage, cast: Cast, part: str
    ) -> None:
        other = shape_of("other", (SeriesKey("test.a"), SeriesKey("test.c")))
        forged = msgspec.structs.replace(cast.agent.shape, **{part: getattr(other, part)})
        batch = msgspec.structs.replace(cast.agent.batch((stage.clock.now(), (1.0, 2.0))), shapes=[forged])
        assert (await cast.agent.send(batch)).problem.slug == "invalid"

    async def test_a_server_has_so_many_series_and_no_more(self, stage: HubStage, cast: Cast) -> None:
        now = stage.clock.now()
        width = 2_500

        def shape(n: int) -> Shape:
            return shape_of("m", tuple(SeriesKey("m", {"n": f"{n}.{k}"}) for k in range(width)))

        for n in range(limits.SERIES_PER_SERVER // width):
            cast.agent.shape = shape(n)
            assert (await cast.agent.push((now + n, (1.0,) * width))).status == 200
        cast.agent.shape = shape_of("m", (SeriesKey("one.more"),))
        problem = (await cast.agent.push((now + 9, (1.0,)))).problem
        assert (problem.status, problem.slug, problem.limit) == (422, "limit", limits.SERIES_PER_SERVER)
        cast.agent.shape = shape(0)
        assert (await cast.agent.push((now + 10, (1.0,) * width))).status == 200, "what is known goes on"
        assert (await cast.other_agent.push((now, (1.0, 2.0)))).status == 200, "others are not concerned"
        ((count,),) = await stage.execute(
            "select count(*) from public.series where server_id = %s", cast.agent.server_id
        )
        assert count == limits.SERIES_PER_SERVER


def series(**labels: str) -> Shape:
    return shape_of("m", (SeriesKey("m", labels),))


def frames(shape: Shape, *times: int, count: int = 1) -> list[Frame]:
    return [Frame(shape.id, list(times), [[1.0] * len(times)] * len(shape.series))] * count


class TestBounds:
    @pytest.mark.parametrize(
        ("name", "slug", "limit"),
        [
            ("no frames", "invalid", None),
            ("no times", "invalid", None),
            ("too many frames", "limit", limits.BATCH_FRAMES),
            ("too many shapes", "limit", limits.BATCH_SHAPES),
            ("too many samples", "limit", limits.BATCH_SAMPLES),
            ("too many series in a shape", "limit", limits.SERIES_PER_SHAPE),
            ("too many labels", "limit", limits.LABELS_PER_SERIES),
            ("a label's name too long", "limit", limits.LABEL_NAME_CHARACTERS),
            ("a label's value too long", "limit", limits.LABEL_VALUE_CHARACTERS),
            ("a metric's name too long", "limit", limits.METRIC_NAME_CHARACTERS),
            ("a monitor's name too long", "limit", limits.METRIC_NAME_CHARACTERS),
            ("a metric without a name", "invalid", None),
            ("a label without a name", "invalid", None),
            ("a control character in a value", "invalid", None),
            ("a zero in a metric", "invalid", None),
            ("a zero in a monitor", "invalid", None),
            ("a shape without series", "invalid", None),
            ("a series twice in a shape", "invalid", None),
            ("a shape's id of another form", "invalid", None),
            ("times that stand still", "invalid", None),
            ("times that fall", "invalid", None),
            ("a column too short", "invalid", None),
            ("a column too few", "invalid", None),
            ("a column too many", "invalid", None),
            ("from the future", "clock-skew", limits.FUTURE_MILLISECONDS),
            ("from long ago", "clock-skew", limits.PAST_MILLISECONDS),
            ("from the beginning of time", "clock-skew", limits.PAST_MILLISECONDS),
            ("from the end of time", "clock-skew", limits.FUTURE_MILLISECONDS),
        ],
    )
    async def test_each_bound_is_refused_by_name_and_nothing_is_kept(
        self, stage: HubStage, cast: Cast, name: str, slug: str, limit: int | None
    ) -> None:
        now = stage.clock.now()
        a, b = series(a="1"), shape_of("m", (SeriesKey("m", {"a": "1"}), SeriesKey("n")))
        many = {str(n): "" for n in range(limits.LABELS_PER_SERIES + 1)}
        wide = shape_of("m", tuple(SeriesKey("m", {"n": str(n)}) for n in range(limits.SERIES_PER_SHAPE + 1)))
        full = list(range(now - limits.BATCH_SAMPLES, now + 1))

        def told(shape: Shape) -> Batch:
            return Batch(1, now, frames(shape, now), [shape])

        def framed(times: list[int], columns: list[list[float | None]], shape: Shape = b) -> Batch:
            return Batch(1, now, [Frame(shape.id, times, columns)], [shape])

        unlawful = {
            "no frames": Batch(1, now, [], [a]),
            "no times": framed([], [[], []]),
            "too many frames": Batch(1, now, frames(a, now, count=limits.BATCH_FRAMES + 1), [a]),
            "too many shapes": Batch(1, now, frames(a, now), [a] * (limits.BATCH_SHAPES + 1)),
            "too many samples": framed(full, [[1.0] * len(full)], a),
            "too many series in a shape": told(wide),
            "too many labels": told(series(**many)),
            "a label's name too long": told(series(**{"n" * (limits.LABEL_NAME_CHARACTERS + 1): ""})),
            "a label's value too long": told(series(a="x" * (limits.LABEL_VALUE_CHARACTERS + 1))),
            "a metric's name too long": told(shape_of("m", (SeriesKey("m" * (limits.METRIC_NAME_CHARACTERS + 1)),))),
            "a monitor's name too long": told(shape_of("m" * (limits.METRIC_NAME_CHARACTERS + 1), (SeriesKey("m"),))),
            "a metric without a name": told(shape_of("m", (SeriesKey(""),))),
            "a label without a name": told(shape_of("m", (SeriesKey("m", {"": "x"}),))),
            "a control character in a value": told(series(a="\x1b[31m")),
            "a zero in a metric": told(shape_of("m", (SeriesKey("\0"),))),
            "a zero in a monitor": told(shape_of("\0", (SeriesKey("m"),))),
            "a shape without series": Batch(1, now, frames(a, now), [a, shape_of("m", ())]),
            "a series twice in a shape": told(shape_of("m", (SeriesKey("m"), SeriesKey("m")))),
            "a shape's id of another form": Batch(1, now, [Frame("\0" * 16, [now], [[1.0]])]),
            "times that stand still": framed([now, now], [[1.0, 2.0]] * 2),
            "times that fall": framed([now, now - 1], [[1.0, 2.0]] * 2),
            "a column too short": framed([now, now + 1], [[1.0, 2.0], [1.0]]),
            "a column too few": framed([now], [[1.0]]),
            "a column too many": framed([now], [[1.0]] * 3),
            "from the future": Batch(1, now, frames(a, now, now + limits.FUTURE_MILLISECONDS + 1), [a]),
            "from long ago": Batch(1, now, frames(a, now - limits.PAST_MILLISECONDS - 1, now), [a]),
            "from the beginning of time": Batch(1, now, frames(a, 0), [a]),
            "from the end of time": Batch(1, now, frames(a, 1 << 53), [a]),
        }
        problem = (await cast.agent.send(unlawful[name])).problem
        assert (problem.status, problem.slug, problem.limit) == (422, slug, limit), problem
        assert await logged(stage) == []
        assert (await cast.agent.push((now, (1.0, 2.0)), sequence=1)).json()["duplicate"] is False

    async def test_everything_at_its_bound_is_taken(self, stage: HubStage, cast: Cast) -> None:
        now = stage.clock.now()
        labels = {
            str(n).rjust(limits.LABEL_NAME_CHARACTERS, "n"): "🦊" * limits.LABEL_VALUE_CHARACTERS
            for n in range(limits.LABELS_PER_SERIES)
        }
        widest = shape_of(
            "m" * limits.METRIC_NAME_CHARACTERS, (SeriesKey("m" * limits.METRIC_NAME_CHARACTERS, labels),)
        )
        assert (
            await cast.agent.send(
                Batch(
                    1, now, frames(widest, now - limits.PAST_MILLISECONDS, now + limits.FUTURE_MILLISECONDS), [widest]
                )
            )
        ).status == 200
        small = series()
        batch = Batch(2, now, frames(small, now, count=limits.BATCH_FRAMES), [small] * limits.BATCH_SHAPES)
        assert (await cast.agent.send(batch)).status == 200
        full = list(range(now - limits.BATCH_SAMPLES + 1, now + 1))
        batch = Batch(3, now, [Frame(small.id, full, [[1.0] * len(full)])])
        assert (await cast.agent.send(batch)).status == 200

    @pytest.mark.parametrize("raw", ["0", "-1", str((1 << 62) + 1), str(1 << 64), "1.5", '"1"', "null", "true"])
    async def test_a_number_that_is_none_is_refused(self, stage: HubStage, cast: Cast, raw: str) -> None:
        lawful = msgspec.json.encode(cast.agent.batch((stage.clock.now(), (1.0, 2.0)), sequence=77))
        body = lawful.replace(b'"sequence":77', b'"sequence":' + raw.encode())
        problem = (await cast.agent.client.post("/api/v1/agent/samples", body)).problem
        assert problem.slug in ("undecodable", "invalid")
        assert await logged(stage) == []

    async def test_what_is_not_a_finite_number_becomes_a_gap(self, stage: HubStage, cast: Cast) -> None:
        now = stage.clock.now()
        await cast.agent.push(*((now + n, (value, 1.0)) for n, value in enumerate((1.0, NaN, INF, -INF, None, -0.0))))
        assert await values_of(stage, cast) == {now: 1.0, now + 5: 0.0}
        ((samples,),) = await stage.execute("select samples from samples.sample_log")
        assert samples == 8
        assert list((await values_of(stage, cast, "test.b")).values()) == [1.0] * 6

    async def test_a_batch_of_gaps_only_is_taken_and_shows_nothing(self, stage: HubStage, cast: Cast) -> None:
        assert (await cast.agent.push((stage.clock.now(), (None, NaN)))).status == 200
        assert await values_of(stage, cast) == {}
        latest = (await cast.viewer.client.get(f"/api/v1/servers/{cast.agent.server_id}/latest")).json()
        assert latest["series"] == []

    async def test_numbers_keep_every_bit(self, stage: HubStage, cast: Cast) -> None:
        now = stage.clock.now()
        numbers = [0.1, 1e308, 5e-324, -1.7976931348623157e308, 9007199254740993.0, 1 / 3]
        await cast.agent.push(*((now + n, (number, None)) for n, number in enumerate(numbers)))
        assert list((await values_of(stage, cast)).values()) == numbers
