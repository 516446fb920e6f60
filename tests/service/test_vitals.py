"""What the hub tells an operator's Prometheus: of its samples, of compaction's lag; and to nobody without the token.
Of a long lag it warns in its log."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest
from prometheus_client.parser import text_string_to_metric_families

from twinwatch import __version__
from twinwatch.hub.db import DatabaseAway
from twinwatch.hub.holdings import FRESH_SECONDS, SHARE, Holdings
from twinwatch.hub.stores import Retention, Stats
from twinwatch.hub.stores.blocks import BlocksStore
from twinwatch.hub.stores.compaction import MARGIN_MILLISECONDS, Compaction
from twinwatch.hub.stores.steps import HOUR
from twinwatch.hub.vitals import LAG_SECONDS, Vitals
from twinwatch.testing.hub_stage import Cast, HandClock, HubStage
from twinwatch.testing.stores import MemoryStore
from twinwatch.testing.story import until
from twinwatch.world.secret import Secret

TOKEN = "of-the-operators-own-choice-12345"


@pytest.fixture
async def stage(database_url: str, tmp_path: Path, clock: HandClock) -> AsyncIterator[HubStage]:
    async with HubStage(database_url, tmp_path, clock=clock, metrics_token=Secret(TOKEN)) as stage:
        yield stage


async def figures(stage: HubStage) -> dict[str, float]:
    """The page's samples by name, read as Prometheus reads them."""
    reply = await stage.client(TOKEN).get("/metrics")
    assert reply.status == 200, reply
    assert reply.headers["content-type"].startswith("text/plain")
    families = list(text_string_to_metric_families(reply.body.decode()))
    assert all(one.documentation and one.type == "gauge" for one in families)
    return {sample.name: sample.value for one in families for sample in one.samples}


async def test_the_lag_of_compaction_and_what_is_kept_are_told(stage: HubStage, cast: Cast) -> None:
    before = await figures(stage)
    assert before["twinwatch_database_up"] == 1
    assert (before["twinwatch_compaction_lag_seconds"], before["twinwatch_samples"]) == (0, 0)
    assert "twinwatch_samples_oldest_timestamp_seconds" not in before
    begin = stage.clock.now()
    await cast.agent.push((begin, (1.0, 2.0)), (begin + 1_000, (3.0, None)))
    closed = begin // HOUR * HOUR + HOUR + MARGIN_MILLISECONDS
    stage.clock.advance((closed - begin) / 1000 + 90)
    found = await figures(stage)
    assert found["twinwatch_compaction_lag_seconds"] == 90
    assert found["twinwatch_samples"] == 3
    assert found["twinwatch_samples_bytes"] > 0
    assert found["twinwatch_samples_oldest_timestamp_seconds"] == begin / 1000


async def test_long_lag_is_a_warning_once_and_its_end_is_told(
    stage: HubStage, cast: Cast, caplog: pytest.LogCaptureFixture
) -> None:
    """The stage has no compactor, as a hub has none that gave it up: the warning must not depend on it."""
    caplog.set_level(logging.INFO, logger="twinwatch.hub.vitals")
    begin = stage.clock.now()
    await cast.agent.push((begin, (1.0, 2.0)))
    closed = begin // HOUR * HOUR + HOUR + MARGIN_MILLISECONDS
    stage.clock.advance((closed - begin) / 1000 + LAG_SECONDS)
    await stage.hub.vitals.look()
    assert caplog.messages == []
    stage.clock.advance(60)
    await stage.hub.vitals.look()
    await stage.hub.vitals.look()
    ((_, level, said),) = caplog.record_tuples
    assert (level, said.partition(":")[0]) == (logging.WARNING, "compaction is 3660 s behind")
    heading = said.rpartition("('")[2].removesuffix("')")
    assert f"### {heading}\n" in (Path(__file__).parents[2] / "docs/storage.md").read_text()
    await Compaction(stage.hub.database).round(stage.clock.now(), Retention(7))
    await stage.hub.vitals.look()
    await stage.hub.vitals.look()
    assert caplog.messages[1:] == ["compaction keeps up again"]


async def test_the_hub_looks_at_the_lag_again_and_again(
    stage: HubStage, cast: Cast, caplog: pytest.LogCaptureFixture
) -> None:
    assert "vitals" in {task.get_name() for task in asyncio.all_tasks()}
    database = stage.hub.database
    vitals = Vitals(stage.clock, database, Holdings(stage.clock, BlocksStore(database)), "blocks", look_seconds=0.02)
    looking = asyncio.create_task(vitals.run())
    await cast.agent.push((stage.clock.now(), (1.0, 2.0)))
    stage.clock.advance(3 * LAG_SECONDS)
    await until(lambda: "behind" in caplog.text, 20)
    looking.cancel()
    await asyncio.wait([looking])


async def test_what_is_kept_is_counted_once_a_minute_only(stage: HubStage, cast: Cast) -> None:
    await figures(stage)
    await cast.agent.push((stage.clock.now(), (1.0, 2.0)))
    assert (await figures(stage))["twinwatch_samples"] == 0
    stage.clock.advance(FRESH_SECONDS + 1)
    assert (await figures(stage))["twinwatch_samples"] == 2


async def test_a_count_that_takes_long_is_of_use_for_long(clock: HandClock) -> None:
    class Slow(MemoryStore):
        counted = 0

        async def stats(self, organization_id: UUID | None = None) -> Stats:
            self.counted += 1
            clock.advance(5)
            return await super().stats(organization_id)

    store = Slow(lambda _: None)
    holdings = Holdings(clock, store)
    for after, counted in ((0, 1), (FRESH_SECONDS + 1, 1), (5 * SHARE - FRESH_SECONDS - 2, 1), (2, 2)):
        clock.advance(after)
        await holdings.of()
        assert store.counted == counted


async def test_what_keeps_the_samples_may_be_away_alone(stage: HubStage) -> None:
    class Away(MemoryStore):
        async def stats(self, organization_id: UUID | None = None) -> Stats:
            raise DatabaseAway("VictoriaMetrics: connection refused")

    vitals = Vitals(stage.clock, stage.hub.database, Holdings(stage.clock, Away(lambda _: None)), "victoriametrics")
    page = (await vitals.exposition()).decode()
    assert "twinwatch_database_up 1.0" in page
    assert "twinwatch_store_up 0.0" in page
    assert "twinwatch_messages_due 0.0" in page
    assert "twinwatch_samples" not in page


async def test_messages_that_are_due_and_not_sent_are_told(stage: HubStage, cast: Cast) -> None:
    await stage.execute(
        "with c as (insert into public.channels (organization_id, name, kind, settings) values (%s, 'c', 'paper', '{}')"
        " returning id, organization_id)"
        " insert into public.notifications"
        " (organization_id, channel_id, occasion, dedup, teller, state, due_at, created_at)"
        " select organization_id, id, 'test', id::text, 'hub', 'waiting',"
        " to_timestamp(%s::float8 / 1000) - interval '40 s', now() from c",
        cast.organization_id,
        stage.clock.now(),
    )
    found = await figures(stage)
    assert (found["twinwatch_messages_due"], found["twinwatch_messages_delay_seconds"]) == (1, 40)


async def test_version_and_store_are_labels(stage: HubStage) -> None:
    page = (await stage.client(TOKEN).get("/metrics")).body.decode()
    assert f'twinwatch_build_info{{store="automatic",version="{__version__}"}} 1.0' in page


async def test_only_the_token_opens_it(stage: HubStage, cast: Cast) -> None:
    for client in (stage.client(), stage.client(TOKEN + "6"), stage.client(TOKEN[:-1]), cast.owner.client):
        reply = await client.get("/metrics")
        assert reply.status == 401
        assert "TWINWATCH_METRICS_TOKEN" in reply.json()["detail"]


async def test_there_is_no_such_page_where_no_token_was_chosen(
    database_url: str, tmp_path: Path, clock: HandClock
) -> None:
    async with HubStage(database_url, tmp_path, clock=clock) as stage:
        assert (await stage.client().get("/metrics")).status == 404


async def test_a_database_that_is_away_is_a_figure_too(stage: HubStage) -> None:
    await stage.hub.database.close()
    found = await figures(stage)
    assert found["twinwatch_database_up"] == 0
    assert "twinwatch_samples" not in found
