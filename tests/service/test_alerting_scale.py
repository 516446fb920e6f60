"""What every look of the hub costs with 100,000 servers and 100,000 messages that wait."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from twinwatch.hub.alerting.outbox import CHANNELS
from twinwatch.hub.statements import Statements
from twinwatch.notify.grouping import SUBJECTS
from twinwatch.testing.alerting_crowd import crowd
from twinwatch.testing.hub_stage import HandClock, HubStage

SERVERS = 100_000
NOTES = 100_000


class Cost:
    """How PostgreSQL went about a statement."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self.nodes = list(_nodes(plan))

    def scans(self, relation: str) -> list[tuple[str, str, int]]:
        """How each part reads the table: way, index, rows looked at altogether."""
        return [
            (node["Node Type"], node.get("Index Name", ""), self._rows(node))
            for node in self.nodes
            if node.get("Relation Name") == relation and node["Node Type"] != "ModifyTable"
        ]

    def touched(self, relation: str) -> int:
        """Rows of the table that were looked at, those left aside included."""
        return sum(rows for _, _, rows in self.scans(relation))

    @staticmethod
    def _rows(node: dict[str, Any]) -> int:
        each = (
            node["Actual Rows"] + node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
        )
        return int(each * node["Actual Loops"])


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", []):
        yield from _nodes(inner)


class Crowded:
    """A crowded database, and what statements cost on it. Nothing that they do stays."""

    def __init__(self, connection: psycopg.AsyncConnection, now: int) -> None:
        self._connection = connection
        self.now = datetime.fromtimestamp(now / 1000, UTC)

    async def cost(self, noun: str, name: str, values: dict[str, Any]) -> Cost:
        async with self._connection.transaction(force_rollback=True):
            await self._connection.execute("set local role service_role")
            statement = f"explain (analyze, timing off, format json) {Statements(noun)[name]}"
            row = await (await self._connection.execute(statement.encode(), values)).fetchone()
        assert row is not None
        return Cost((json.loads(row[0]) if isinstance(row[0], str) else row[0])[0]["Plan"])

    async def channels(self, many: int) -> list[Any]:
        cursor = await self._connection.execute("select id from public.channels order by ready_at limit %s", (many,))
        return [row[0] for row in await cursor.fetchall()]


@pytest.fixture
async def crowded(database_url: str, tmp_path: Path, clock: HandClock) -> AsyncIterator[Crowded]:
    stage = HubStage(database_url, tmp_path, clock=clock)
    async with stage:
        await stage.stop()  # its workers would go about sending
        async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
            await crowd(connection, clock.now(), servers=SERVERS, notes=NOTES)
            yield Crowded(connection, clock.now())


async def test_every_look_costs_little_however_many_there_are(crowded: Crowded) -> None:
    now = crowded.now
    # The watchdog reads every server once and nothing else. An index on the last heartbeat would make it cheaper, and
    # every one of the 1,700 heartbeats a second dearer: they leave no index to be written.
    asked = {"now": now, "alarm": 90.0, "fast": now - timedelta(seconds=12)}
    looked = await crowded.cost("watchdog", "troubled", asked)
    assert looked.touched("servers") == SERVERS
    assert looked.touched("probes") == 0, "those are looked at for servers in fast mode alone"

    asked = {"silent": now - timedelta(seconds=62), "since": now - timedelta(minutes=10)}
    counted = await crowded.cost("watchdog", "everyone", asked)
    assert counted.touched("servers") == SERVERS
    assert max(node["Actual Rows"] for node in counted.nodes if node["Node Type"] == "Aggregate") <= 250

    asked = {"now": now, "until": now + timedelta(minutes=1), "lease": uuid4(), "many": CHANNELS, "full": []}
    claimed = await crowded.cost("notifications", "claim", asked)
    assert claimed.touched("channels") <= 4 * CHANNELS
    assert "Seq Scan" not in {way for way, _, _ in claimed.scans("channels")}

    ids = await crowded.channels(CHANNELS)
    taking = {
        **asked,
        "channels": ids,
        "most": SUBJECTS,
        "started": now,
        "patience": now - timedelta(seconds=120),
        "settled": now - timedelta(seconds=10),
    }
    taken = await crowded.cost("notifications", "take", taking)
    assert taken.touched("notifications") <= 4 * CHANNELS * SUBJECTS
    assert "Seq Scan" not in {way for way, _, _ in taken.scans("notifications")}

    lost = await crowded.cost("notifications", "lost", {"channels": ids, "now": now})
    assert lost.touched("notifications") <= CHANNELS
    assert "Seq Scan" not in {way for way, _, _ in lost.scans("notifications")}

    due = await crowded.cost("alerts", "due", {"now": now, "many": 100})
    assert due.touched("alerts") <= 200
