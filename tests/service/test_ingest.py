"""Samples on their way in: exactly once, answered after the commit, refused by name."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import msgspec
import psycopg
import pytest
import zstandard
from psycopg import sql

from twinwatch.hub.ingest import SERVER_BATCHES
from twinwatch.hub.stores.batches import plain_batch, whole_frames
from twinwatch.protocol import codec, limits
from twinwatch.protocol.samples import Batch, Frame, SeriesKey, Shape, shape_of
from twinwatch.protocol.version import AGENT_ROUTES
from twinwatch.testing.client import Reply
from twinwatch.testing.hub_stage import Cast, HubStage, Voice
from twinwatch.testing.postgres import Cluster

from .kept import logged, values_of


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

    async def test_batches_of_one_server_at_once_all_count(self, stage: HubStage, cast: Cast) -> None:
        now = stage.clock.now()
        batches = [cast.agent.batch((now - 1000 * (50 - n), (float(n), None))) for n in range(1 + SERVER_BATCHES)]
        await cast.agent.send(batches.pop(0))  # the shape is known from here on, so that the order is kept
        replies = await asyncio.gather(*map(cast.agent.send, batches))
        assert [reply.json() for reply in replies] == [
            {"sequence_mark": batch.sequence, "duplicate": False} for batch in batches
        ]
        assert list((await values_of(stage, cast)).values()) == [float(n) for n in range(1 + SERVER_BATCHES)]

    async def test_a_server_that_sends_many_at_once_is_told_to_come_back(self, stage: HubStage, cast: Cast) -> None:
        now = stage.clock.now()
        await cast.agent.push((now, (0.0, None)))
        batches = [cast.agent.batch((now + n, (float(n), None))) for n in range(1, 51)]
        async with holding(stage, cast.agent.server_id):
            committing = asyncio.ensure_future(cast.agent.send(batches.pop(0)))
            await until_waiting(stage)
            sending = [asyncio.ensure_future(cast.agent.send(batch)) for batch in batches]
            async with asyncio.timeout(20):
                while sum(one.done() for one in sending) < len(batches) - SERVER_BATCHES:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            other = asyncio.ensure_future(cast.other_agent.push((now, (1.0, 2.0))))
        assert (await other).status == 200, "others are not concerned"
        assert (await committing).status == 200
        refused = [reply for reply in await asyncio.gather(*sending) if reply.status != 200]
        assert len(refused) == len(batches) - SERVER_BATCHES
        assert {(reply.problem.slug, reply.headers["retry-after"]) for reply in refused} == {("rate-limited", "5")}

    async def test_twins_that_arrive_at_once_count_once(self, stage: HubStage, cast: Cast) -> None:
        batch = cast.agent.batch((stage.clock.now(), (1.0, 2.0)))
        replies = await asyncio.gather(*(cast.agent.send(batch) for _ in range(SERVER_BATCHES)))
        assert sorted(reply.json()["duplicate"] for reply in replies) == [False] + [True] * (SERVER_BATCHES - 1)
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


class TestAtRest:
    """A batch is kept as it was sent, unless something of it had to be changed or does not belong there."""

    async def kept(self, stage: HubStage) -> bytes:
        rows = await stage.execute("select body from samples.sample_log order by sequence desc limit 1")
        return bytes(rows[0][0])

    async def sent(self, cast: Cast, body: bytes) -> None:
        headers = {"content-type": codec.MSGPACK, "content-encoding": codec.ZSTD}
        reply = await cast.agent.client.request("POST", f"{AGENT_ROUTES}/samples", body, headers=headers)
        assert reply.status == 200, reply

    def batch(self, cast: Cast, now: int, values: list[float | None], **more: object) -> dict[str, object]:
        frame = {"shape": cast.agent.shape.id, "times": [now], "columns": [[value] for value in values]}
        return {"sequence": now, "sent_at": now, "frames": [frame], **more}

    async def test_the_bytes_are_those_that_were_sent(self, stage: HubStage, cast: Cast) -> None:
        now = stage.clock.now()
        await cast.agent.push((now - 1, (1.0, 2.0)))
        body = codec.pack(self.batch(cast, now, [3.0, None]))
        await self.sent(cast, body)
        assert await self.kept(stage) == body
        assert await values_of(stage, cast) == {now - 1: 1.0, now: 3.0}

    @pytest.mark.parametrize("levels", [0, 900])
    async def test_what_a_later_version_adds_is_not_kept_however_deep(
        self, stage: HubStage, cast: Cast, levels: int
    ) -> None:
        now = stage.clock.now()
        await cast.agent.push((now - 1, (1.0, 2.0)))
        added: list[object] = []
        for _ in range(levels):
            added = [added]
        await self.sent(cast, codec.pack(self.batch(cast, now, [3.0, 4.0], added=added)))
        assert b"added" not in codec.inflate(await self.kept(stage))
        assert await values_of(stage, cast) == {now - 1: 1.0, now: 3.0}

    async def test_shapes_are_not_kept_with_it(self, stage: HubStage, cast: Cast) -> None:
        await cast.agent.push((stage.clock.now(), (1.0, 2.0)))
        assert b"test.b" not in codec.inflate(await self.kept(stage))

    async def test_what_is_no_number_is_not_kept(self, stage: HubStage, cast: Cast) -> None:
        now = stage.clock.now()
        await cast.agent.push((now - 1, (1.0, 2.0)))
        await self.sent(cast, codec.pack(self.batch(cast, now, [float("inf"), 4.0])))
        (frame,) = whole_frames(await self.kept(stage))
        assert frame.columns == [[None], [4.0]]
        assert await values_of(stage, cast) == {now - 1: 1.0}

    async def test_what_comes_as_json_is_kept_packed(self, stage: HubStage, cast: Cast) -> None:
        now = stage.clock.now()
        await cast.agent.push((now - 1, (1.0, 2.0)))
        body = msgspec.json.encode(self.batch(cast, now, [3.0, 4.0]))
        headers = {"content-type": codec.JSON}
        assert (await cast.agent.client.request("POST", f"{AGENT_ROUTES}/samples", body, headers=headers)).status == 200
        (frame,) = whole_frames(await self.kept(stage))
        assert (frame.times, frame.columns) == ([now], [[3.0], [4.0]])

    async def test_what_is_large_for_its_samples_is_packed_anew(self, stage: HubStage, cast: Cast) -> None:
        now = stage.clock.now()
        await cast.agent.push((now - 1, (1.0, 2.0)))
        numbers = random.Random(1)
        freight = [
            {"shape": cast.agent.shape.id, "times": [numbers.getrandbits(50) for _ in range(9_000)], "columns": []}
        ]
        twice = msgspec.msgpack.encode({"before": freight, **self.batch(cast, now, [3.0, 4.0])})
        body = zstandard.ZstdCompressor().compress(twice.replace(b"\xa6before", b"\xa6frames"))
        assert plain_batch(body) is not None
        await self.sent(cast, body)
        assert len(await self.kept(stage)) < 200
        assert await values_of(stage, cast) == {now - 1: 1.0, now: 3.0}


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
                shape_of(f"m{n}", tuple(SeriesKey("m", {"n": str(k)}) for k in range(n, n + 30)))
                for n in range(SERVER_BATCHES)
            ]
            now = stage.clock.now()
            sending = []
            for n, shape in enumerate(shapes):
                frame = Frame(shape.id, [now + n], [[float(n)]] * 30)
                sending += [voice.send(Batch(n + 1, now, [frame], [shape])) for voice in (cast.agent, elsewhere)]
            replies = await asyncio.gather(*sending)
        assert {reply.status for reply in replies} == {200}
        ((count, distinct),) = await stage.execute("select count(*), count(distinct labels) from public.series")
        assert count == distinct == 29 + SERVER_BATCHES

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
