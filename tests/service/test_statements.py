"""Every statement of ``hub/sql`` fits the schema, and the hot ones cost what they should."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from twinwatch.hub.statements import Statements
from twinwatch.testing.hub_stage import HubStage
from twinwatch.testing.postgres import Cluster

PLACEHOLDER = re.compile(r"%\((\w+)\)[sb]")
ROLE_OF_FILE = {"auth": "supabase_auth_admin"}
ROLE_OF_STATEMENT = {"accounts.add_user": "supabase_auth_admin"}


def nouns() -> list[str]:
    return sorted(path.name.removesuffix(".sql") for path in (files("twinwatch.hub") / "sql").iterdir())


ELSEWHERE = ("hypertable", "timescale")
"""Statements of a schema that most databases have not: tests/contract/test_store_timescale.py."""


def statements() -> list[tuple[str, str, str]]:
    found = []
    for noun in (one for one in nouns() if one not in ELSEWHERE):
        named = Statements(noun)
        found += [(noun, name, str(named[name])) for name in named.names()]
    return found


BEAT = {"skew": 0.1, "version": "1.0", "delivery": '{"pending": 1}', "life": "{}", "network": "203.0.113.0/24"}
"""What a heartbeat says besides who speaks."""


@pytest.fixture(scope="module")
def schema(cluster: Cluster) -> Iterator[psycopg.Connection]:
    url = cluster.database()
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection
    cluster.drop(url)


@pytest.mark.parametrize(("noun", "name", "text"), statements(), ids=lambda part: part if len(part) < 40 else "")
def test_every_statement_prepares_against_the_schema_as_the_role_that_says_it(
    schema: psycopg.Connection, noun: str, name: str, text: str
) -> None:
    numbers: dict[str, int] = {}
    numbered = PLACEHOLDER.sub(lambda found: f"${numbers.setdefault(found[1], len(numbers) + 1)}", text)
    assert "%" not in numbered, "a parameter that was not understood"
    with schema.transaction(force_rollback=True):
        role = ROLE_OF_FILE.get(noun, "service_role")
        schema.execute(f"set local role {role}".encode())
        schema.execute(f"prepare tested as {numbered}".encode())
        schema.execute(b"deallocate tested")


def test_statement_names_are_unique_within_their_file() -> None:
    for noun in nouns():
        names = Statements(noun).names()
        assert len(names) == len(set(names)), noun


class Plans:
    """Asks PostgreSQL how it would go about a statement."""

    def __init__(self, connection: psycopg.AsyncConnection) -> None:
        self._connection = connection

    async def of(self, noun: str, name: str, values: dict[str, Any]) -> list[dict[str, Any]]:
        """All nodes of the plan."""
        async with self._connection.transaction(force_rollback=True):
            await self._connection.execute("set local role service_role")
            statement = f"explain (format json) {Statements(noun)[name]}"
            row = await (await self._connection.execute(statement.encode(), values)).fetchone()
        assert row is not None
        return list(_nodes((json.loads(row[0]) if isinstance(row[0], str) else row[0])[0]["Plan"]))


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", []):
        yield from _nodes(inner)


def scans(nodes: list[dict[str, Any]], relation: str) -> list[str]:
    """How the plan reads a table."""
    of_relation = [node["Node Type"] for node in nodes if node.get("Relation Name", "").startswith(relation)]
    return [way for way in of_relation if way != "ModifyTable"]


@pytest.fixture
async def plans(stage: HubStage) -> Any:
    """Plans on a database of some size: 2,000 servers with 40 series each, half a week of partitions with rows."""
    async with await psycopg.AsyncConnection.connect(stage.owner_url, autocommit=True) as connection:
        organization = await stage.organization()
        since = datetime.fromtimestamp(stage.clock.now() / 1000, UTC)
        await connection.execute(
            "insert into public.servers (organization_id, install_id, name, agent_version)"
            " select %s, gen_random_uuid(), 'web-' || n, '1.0' from generate_series(1, 2000) n",
            (organization,),
        )
        await connection.execute(
            "insert into public.server_keys (organization_id, server_id, prefix, hash)"
            " select organization_id, id, 'tws_', sha256(id::text::bytea) from public.servers"
        )
        await connection.execute(
            "insert into public.series (organization_id, server_id, key, metric)"
            " select organization_id, s.id, decode(md5(n::text), 'hex'), 'metric.' || n % 10"
            " from public.servers s, generate_series(1, 10) n"
        )
        await connection.execute(
            "insert into public.shapes (organization_id, server_id, id, monitor, series_ids)"
            " select organization_id, server_id, lpad(to_hex(n), 16, '0'), 'm', array_agg(s.id)"
            " from public.series s, generate_series(1, 10) n group by organization_id, server_id, n"
        )
        await connection.execute(
            "insert into public.catalogues (organization_id, server_id, fingerprint, body)"
            " select organization_id, id, 'x', '{}' from public.servers"
        )
        await connection.execute(
            "insert into public.configurations (organization_id, server_id, version, body, updated_at)"
            " select organization_id, id, 1, '{}', now() from public.servers"
        )
        await connection.execute(
            "insert into public.reports"
            " (organization_id, server_id, digest, monitors, configuration, counts, updated_at)"
            " select organization_id, id, 'x', '[]', '{}', '{}', now() from public.servers"
        )
        await connection.execute(
            "insert into public.checks (organization_id, server_id, name, monitor, state, reason, message, since)"
            " select organization_id, id, 'systemd:' || n, 'systemd', 'up', '', '', now()"
            " from public.servers, generate_series(1, 20) n"
        )
        await connection.execute(
            "insert into public.server_changes (organization_id, server_id, changed_at, state)"
            " select organization_id, id, now() + n * interval '1 hour', 'up'"
            " from public.servers, generate_series(1, 20) n"
        )
        await connection.execute(
            "insert into public.check_changes (organization_id, server_id, name, changed_at, state)"
            " select organization_id, id, 'systemd:' || n, now(), 'up' from public.servers, generate_series(1, 20) n"
        )
        await connection.execute(
            "insert into samples.sample_log"
            " (organization_id, server_id, sequence, received_at, first_at, last_at, samples, body)"
            " select organization_id, id, n, %s::timestamptz + n * interval '1 hour', %s::timestamptz, %s::timestamptz,"
            " 1, 'x' from public.servers, generate_series(0, 20) n",
            (since, since, since),
        )
        await connection.execute("analyze")
        yield Plans(connection)


async def test_the_hot_statements_find_their_rows_by_index(stage: HubStage, plans: Plans) -> None:
    ((server, organization),) = await stage.execute("select id, organization_id from public.servers limit 1")
    now = datetime.fromtimestamp(stage.clock.now() / 1000, UTC)
    who = {"server": server, "organization": organization, "now": now}

    beat = await plans.of("agents", "heartbeat", {**who, **BEAT})
    assert scans(beat, "servers") == ["Index Scan"]
    for table in ("catalogues", "reports", "configurations"):
        assert "Seq Scan" not in scans(beat, table)

    speaker = await plans.of("agents", "speaker_of_key", {"hash": b"x" * 32})
    assert scans(speaker, "server_keys") == ["Index Scan"]

    of_metrics = {"servers": [server], "metrics": ["metric.1"], "labels": "{}", "limit": 501}
    of_metrics |= {"in_window": True, "used": now, "known": now}
    assert set(scans(await plans.of("queries", "series", of_metrics), "series")) <= {
        "Index Scan",
        "Bitmap Heap Scan",
    }


async def test_shapes_are_recalled_and_noted_by_index(stage: HubStage, plans: Plans) -> None:
    ((server,),) = await stage.execute("select id from public.servers limit 1")
    now = datetime.fromtimestamp(stage.clock.now() / 1000, UTC)
    asked = {"server": server, "ids": [f"{n:016x}" for n in range(1, 11)], "now": now, "since": now, "cut": now}
    for name in ("known", "use", "count_living", "end_shapes", "end_series"):
        nodes = await plans.of("shapes", name, asked)
        assert scans(nodes, "shapes"), name
        assert "Seq Scan" not in scans(nodes, "shapes") + scans(nodes, "series"), name


async def test_a_report_finds_its_checks_by_index(stage: HubStage, plans: Plans) -> None:
    ((server, organization),) = await stage.execute("select id, organization_id from public.servers limit 1")
    told = {
        "organization": organization,
        "server": server,
        "names": ["systemd:1", "systemd:new"],
        "monitors": ["systemd"] * 2,
        "states": ["down"] * 2,
        "reasons": ["failed"] * 2,
        "messages": [""] * 2,
        "sinces": [datetime.fromtimestamp(stage.clock.now() / 1000, UTC)] * 2,
    }
    for statement in ("keep_checks", "read"):
        nodes = await plans.of("reports", statement, told)
        assert "Seq Scan" not in scans(nodes, "checks"), statement
    now = datetime.fromtimestamp(stage.clock.now() / 1000, UTC)
    changed = await plans.of("reports", "note_changes", {**told, "now": now})
    for table in ("checks", "check_changes"):
        assert scans(changed, table)
        assert "Seq Scan" not in scans(changed, table), table


async def test_what_is_known_of_a_servers_uptime_is_found_by_index(stage: HubStage, plans: Plans) -> None:
    ((server,),) = await stage.execute("select id from public.servers limit 1")
    now = datetime.fromtimestamp(stage.clock.now() / 1000, UTC)
    asked = {"server": server, "since": now - timedelta(days=90), "to": now}
    for statement in ("server_changes", "check_changes"):
        ways = scans(await plans.of("history", statement, asked), statement)
        assert ways
        assert "Seq Scan" not in ways, statement


async def test_a_group_of_batches_raises_its_marks_without_reading_all_servers(stage: HubStage, plans: Plans) -> None:
    found = await stage.execute("select id, organization_id from public.servers limit 8")
    now = datetime.fromtimestamp(stage.clock.now() / 1000, UTC)
    rows = {
        "organizations": [organization for _, organization in found],
        "servers": [server for server, _ in found],
        "sequences": [1] * 8,
        "received": [now] * 8,
        "firsts": [now] * 8,
        "lasts": [now] * 8,
        "samples": [1] * 8,
        "bodies": [b"x"] * 8,
    }
    nodes = await plans.of("sample_log", "write", rows)
    assert "Seq Scan" not in scans(nodes, "servers")


async def test_a_read_opens_only_the_partitions_that_can_hold_the_window(stage: HubStage, plans: Plans) -> None:
    ((server,),) = await stage.execute("select id from public.servers limit 1")
    now = datetime.fromtimestamp(stage.clock.now() / 1000, UTC)
    since = now + timedelta(hours=18)
    asked = {"server": server, "arrived": since, "since": since, "to": since + timedelta(hours=1)}
    nodes = await plans.of("sample_log", "read", asked)
    read = {node["Relation Name"] for node in nodes if node.get("Relation Name", "").startswith("sample_log_")}
    early = {f"sample_log_{now + timedelta(hours=hour):%Y%m%d%H}" for hour in range(18)}
    assert read
    assert read & early == set()
    with_rows = {f"sample_log_{now + timedelta(hours=hour):%Y%m%d%H}" for hour in range(18, 21)}
    for node in nodes:
        if node.get("Relation Name") in with_rows:
            assert node["Node Type"] != "Seq Scan"


async def test_the_latest_batches_are_taken_from_the_end_without_sorting_the_log(stage: HubStage, plans: Plans) -> None:
    found = await stage.execute("select id from public.servers limit 3")
    nodes = await plans.of(
        "sample_log", "latest", {"servers": [server for (server,) in found], "batches": 4, "bytes": 1 << 20}
    )
    ways = {node["Node Type"] for node in nodes if node.get("Relation Name", "").startswith("sample_log_")}
    assert ways
    now = datetime.fromtimestamp(stage.clock.now() / 1000, UTC)
    full = {f"sample_log_{now + timedelta(hours=hour):%Y%m%d%H}" for hour in range(21)}
    read_whole = [node for node in nodes if node.get("Relation Name") in full and node["Node Type"] == "Seq Scan"]
    assert read_whole == []
    # One sort is lawful: that of the few batches found.
    assert sum(node["Node Type"] == "Sort" for node in nodes) <= 1


async def test_what_one_organization_keeps_is_counted_without_reading_what_others_do(
    stage: HubStage, plans: Plans
) -> None:
    nodes = await plans.of("blocks", "stats", {"organization": await stage.organization()})
    now = datetime.fromtimestamp(stage.clock.now() / 1000, UTC)
    full = {f"sample_log_{now + timedelta(hours=hour):%Y%m%d%H}" for hour in range(21)}
    ways = {node["Relation Name"]: node["Node Type"] for node in nodes if node.get("Relation Name") in full}
    assert ways.keys() == full
    assert "Seq Scan" not in ways.values()


async def test_what_is_past_keeping_is_found_by_its_hours_days_and_weeks(stage: HubStage, plans: Plans) -> None:
    """And not by going through a list for each row of everybody's."""
    now = datetime.fromtimestamp(stage.clock.now() / 1000, UTC)
    days = [now.date() - timedelta(days=one) for one in range(1, 100)]
    await stage.execute("select samples.make_days(%s::date[])", days)
    cut = now.date() - timedelta(days=90)
    asked = {"organizations": [uuid4() for _ in range(1000)], "since": cut - timedelta(days=3), "cut": cut}
    monday = cut - timedelta(days=cut.weekday())
    expected = {
        "expire_days": {f"days_{one}_{monday:%Y%m%d}" for one in ("short", "long")},
        "expire_segments": {f"segments_{cut - timedelta(days=one):%Y%m%d}" for one in (1, 2, 3)},
    }
    for name, partitions in expected.items():
        nodes = await plans.of("blocks", name, asked)
        assert {node["Relation Name"] for node in nodes if "Relation Name" in node} - {name[7:]} == partitions
        assert "SubPlan" not in {node.get("Parent Relationship") for node in nodes}
    hours = {"since": now, "cut": now + timedelta(hours=1), "arrived": now + timedelta(hours=3)}
    nodes = await plans.of("sample_log", "expire", {**asked, **hours})
    read = {node["Relation Name"] for node in nodes if "Relation Name" in node} - {"sample_log"}
    assert read == {f"sample_log_{now + timedelta(hours=one):%Y%m%d%H}" for one in range(3)}
    assert "SubPlan" not in {node.get("Parent Relationship") for node in nodes}


def test_unknown_statements_are_a_programming_error() -> None:
    with pytest.raises(KeyError):
        Statements("servers")[str(uuid4())]
