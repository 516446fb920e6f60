"""What probing asks of the database again and again finds its rows by index, with many probes and a long history."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.service.test_statements import Plans, scans
from twinwatch.testing.hub_stage import HubStage

PROBES = 20_000


@pytest.fixture
async def plans(stage: HubStage) -> AsyncIterator[Plans]:
    """20,000 probes that are due at the end of the century, 200 of them with a history of 48 hours and 90 days."""
    async with await psycopg.AsyncConnection.connect(stage.owner_url, autocommit=True) as connection:
        organization = await stage.organization()
        await stage.agent(organization)
        await connection.execute(
            "insert into public.probes (organization_id, name, body, interval_seconds, next_at)"
            " select %s, 'p' || n, '{}', 60, timestamptz '2099-01-01 00:00+00' + n * interval '1 second'"
            " from generate_series(1, %s) n",
            (organization, PROBES),
        )
        await connection.execute(
            "insert into public.probe_hours (organization_id, probe_id, hour)"
            " select organization_id, id, date_trunc('hour', now(), 'UTC') - n * interval '1 hour'"
            " from (select * from public.probes limit 200) as p, generate_series(0, 47) n"
        )
        await connection.execute(
            "insert into public.probe_days (organization_id, probe_id, day)"
            " select organization_id, id, current_date - n"
            " from (select * from public.probes limit 200) as p, generate_series(0, 89) n"
        )
        await connection.execute(
            "insert into private.witness_questions"
            " (id, organization_id, server_id, probe, target, timeout_seconds, expires_at, sent_at)"
            " select gen_random_uuid(), organization_id, id, 'tcp', 'x:1', 5, now() + n * interval '1 ms', now()"
            " from public.servers, generate_series(1, 5000) n"
        )
        await connection.execute("analyze")
        yield Plans(connection)


def claiming() -> dict[str, Any]:
    now = datetime(2099, 1, 1, 0, 0, 20, tzinfo=UTC)
    return {
        "now": now,
        "until": now + timedelta(seconds=47),
        "many": 1000,
        "looked": 20_000,
        "full": [uuid4()],
        "busy": [uuid4()],
        "running": [3],
        "plans": ["free", "pro", "enterprise"],
        "at_once": [5, 25, 500],
    }


async def some(stage: HubStage, many: int) -> list[UUID]:
    return [row for (row,) in await stage.execute("select id from public.probes limit %s", many)]


async def test_who_is_due_is_found_without_a_look_at_all_probes(plans: Plans) -> None:
    nodes = await plans.of("probing", "claim", claiming())
    assert "Seq Scan" not in scans(nodes, "probes")
    assert "probes_next_at_idx" in {node.get("Index Name") for node in nodes}


async def test_what_was_tried_is_written_by_the_probes_own_rows(stage: HubStage, plans: Plans) -> None:
    ids = await some(stage, 100)
    now = datetime(2099, 1, 1, tzinfo=UTC)
    held = {"ids": ids, "leases": ids, "versions": [1] * 100}
    assert "Seq Scan" not in scans(await plans.of("probing", "held", held), "probes")
    written = {
        "ids": ids,
        "states": ["up"] * 100,
        "reasons": [""] * 100,
        "messages": [""] * 100,
        "sinces": [now] * 100,
        "ats": [now] * 100,
        "seconds": [0.1] * 100,
        "expires": [None] * 100,
        "memories": [b""] * 100,
        "agains": [None] * 100,
        "alone": [False] * 100,
    }
    assert "Seq Scan" not in scans(await plans.of("probing", "write", written), "probes")


async def test_uptime_and_history_read_the_asked_probes_rows_alone(stage: HubStage, plans: Plans) -> None:
    now = datetime.now(UTC)
    ids = await some(stage, 10)
    asked = {
        "probes": ids,
        "probe": ids[0],
        "day": now - timedelta(days=1),
        "week": now - timedelta(days=7),
        "month": (now - timedelta(days=30)).date(),
        "quarter": (now - timedelta(days=90)).date(),
        "since": now - timedelta(hours=2),
        "to": now,
        "limit": 200,
    }
    for statement, table in (
        ("uptime_hours", "probe_hours"),
        ("uptime_days", "probe_days"),
        ("tries", "probe_hours"),
        ("hours", "probe_hours"),
        ("changes", "probe_hours"),
    ):
        assert "Seq Scan" not in scans(await plans.of("probes", statement, asked), table), statement


async def test_what_was_not_said_yet_is_found_among_many_questions(stage: HubStage, plans: Plans) -> None:
    nodes = await plans.of("witnesses", "unsent", {"now": datetime.now(UTC)})
    assert "Seq Scan" not in scans(nodes, "witness_questions")
