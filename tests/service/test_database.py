"""The hub's transactions: those in which nothing is waited for before the end, too, are whole or not at all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from twinwatch.hub.db import Database, connect, reaching
from twinwatch.testing.hub_stage import HubStage


@asynccontextmanager
async def opened(database: Database) -> AsyncIterator[Database]:
    """It, for a while."""
    await database.open()
    try:
        yield database
    finally:
        await database.close()


async def test_what_is_asked_at_once_is_answered_at_the_end(stage: HubStage) -> None:
    async with stage.hub.database.as_worker_at_once() as connection:
        first = await connection.execute("select current_user::text as who, txid_current() as number")
        second = await connection.execute("select txid_current() as number")
    told, again = await first.fetchone(), await second.fetchone()
    assert told is not None
    assert again is not None
    assert (told["who"], told["number"]) == ("service_role", again["number"])


async def test_a_failure_among_what_is_asked_at_once_undoes_all_of_it_and_is_told(stage: HubStage) -> None:
    async def fail() -> None:
        async with stage.hub.database.as_worker_at_once() as connection:
            await connection.execute("insert into public.organizations (name, plan) values ('half', 'free')")
            await connection.execute("insert into public.organizations (name, plan) values (null, 'free')")

    with pytest.raises(psycopg.errors.NotNullViolation):
        await fail()
    assert await stage.execute("select from public.organizations where name = 'half'") == []
    async with stage.hub.database.as_worker_at_once() as connection:
        cursor = await connection.execute("select 1 as one")
    assert await cursor.fetchall() == [{"one": 1}]


async def test_days_and_hours_are_those_of_utc_whatever_the_zone_of_the_server(stage: HubStage) -> None:
    url = make_conninfo(stage.serving_url, options="-c TimeZone=America/New_York")
    asked = "select current_setting('TimeZone') as zone, date_trunc('day', timestamptz '2026-01-01 01:00+00') as day"
    told = {"zone": "UTC", "day": datetime(2026, 1, 1, tzinfo=UTC)}
    async with opened(Database(url)) as database:
        for transaction in (database.as_worker, database.as_auth, partial(database.as_person, uuid4())):
            async with transaction() as connection:
                assert await (await connection.execute(asked)).fetchone() == told
        async with database.as_worker_at_once() as connection:
            cursor = await connection.execute(asked)
        assert await cursor.fetchone() == told
    async with await connect(url, "test") as alone:
        assert await (await alone.execute(asked)).fetchone() == tuple(told.values())


async def test_a_machine_that_vanishes_is_found_out_on_every_connection(stage: HubStage) -> None:
    url = make_conninfo(stage.serving_url, keepalives_idle=60, tcp_user_timeout=90_000)
    expected = {"keepalives_idle": "60", "tcp_user_timeout": "90000"}  # as the address says
    expected |= {"connect_timeout": "5", "keepalives": "1", "keepalives_interval": "5", "keepalives_count": "3"}
    async with (
        opened(Database(url)) as database,
        database.as_worker() as pooled,
        await connect(url, "test") as alone,
    ):
        for connection in (pooled, alone):
            # libpq does not tell what is as it would have it anyway
            assert expected.items() - {("keepalives", "1")} <= connection.info.get_parameters().items()
    assert conninfo_to_dict(reaching("postgresql://hub@db/twinwatch"))["tcp_user_timeout"] == "15000"
    assert conninfo_to_dict(reaching(url)).items() >= expected.items()
