"""The hub's transactions: those in which nothing is waited for before the end, too, are whole or not at all."""

from __future__ import annotations

import psycopg
import pytest

from twinwatch.testing.hub_stage import HubStage


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
