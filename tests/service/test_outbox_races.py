"""The outbox in the moments that seldom happen: two transactions at once, an alert that is deleted, channels that
hang."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import psycopg

from tests.service.alert_desk import GAP, Desk, fired
from twinwatch.hub.alerting.outbox import SENDERS
from twinwatch.notify import Note, Outcome, Refused, Retry
from twinwatch.testing.client import PATIENCE_SECONDS
from twinwatch.testing.post_office import Said


async def test_a_message_that_is_born_while_its_channel_is_given_back_is_not_forgotten(desk: Desk) -> None:
    """The transaction that adds it has marked the channel and is not committed yet, when the outbox looks what else
    waits for the channel."""
    desk.office.delay_seconds = 0.3
    await desk.agent.events(fired(desk.agent))
    await _until_tried(desk, "ops")
    now = desk.stage.clock.now() / 1000
    async with await psycopg.AsyncConnection.connect(desk.stage.owner_url) as other:
        await other.execute(
            "insert into public.notifications (organization_id, channel_id, occasion, dedup, teller, state, due_at,"
            " created_at, body) values (%s, %s, 'test', %s, 'hub', 'waiting', to_timestamp(%s), to_timestamp(%s), %s)",
            (
                desk.cast.organization_id,
                desk.channels["ops"],
                uuid4().hex,
                now,
                now,
                '{"key": "k", "server": "s", "title": "born in between", "message": "m"}',
            ),
        )
        await other.execute(
            "update public.channels set ready_at = least(ready_at, to_timestamp(%s)) where id = %s",
            (now, desk.channels["ops"]),
        )
        await _until_blocked(desk)
        await other.commit()
    desk.office.delay_seconds = 0.0
    for _ in range(3):
        await desk.passes(GAP + 1)
    assert ("test", "born in between") in desk.told("ops")


async def test_a_channel_is_given_back_once_the_database_that_was_away_meanwhile_answers(desk: Desk) -> None:
    """Else it would say nothing until the lease ends by itself."""
    await desk.stage.execute("create sequence public.given_back; grant usage on public.given_back to public")
    await desk.stage.execute(
        "create function public.be_away() returns trigger language plpgsql as $$ begin"
        " if nextval('public.given_back') <= 2 then raise 'away' using errcode = 'admin_shutdown'; end if;"
        " return new; end $$"
    )
    await desk.stage.execute(
        "create trigger away before update on public.channels for each row"
        " when (old.lease is not null and new.lease is null) execute function public.be_away()"
    )
    first, second = fired(desk.agent, "systemd:a.service"), fired(desk.agent, "systemd:b.service")
    await desk.agent.events(first)
    await desk.passes(GAP + 1)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (3,) not in await desk.stage.execute("select least(last_value, 3) from public.given_back"):
            await desk.stage.hub.look()
            await asyncio.sleep(0.01)
    await desk.agent.events(second)
    await desk.passes(GAP + 1)
    assert desk.told("ops") == [("firing", first.title), ("firing", second.title)]


async def test_what_is_told_together_with_an_alert_that_is_deleted_meanwhile_is_told_once(desk: Desk) -> None:
    other = await desk.stage.agent(desk.cast.organization_id, "web-2")
    await other.heartbeat()
    desk.office.delay_seconds = 0.3
    first, second = fired(desk.agent, "systemd:a.service"), fired(other, "systemd:b.service")
    # Told as one, since both are there before the outbox looks.
    await desk.stage.execute("update public.channels set held_until = 'infinity'")
    await desk.agent.events(first)
    await other.events(second)
    await desk.stage.execute("update public.channels set held_until = null")
    desk.stage.clock.advance(1)
    await _until_tried(desk, "ops")
    await desk.cast.owner.client.request("DELETE", f"/api/v1/servers/{other.server_id}")
    desk.office.delay_seconds = 0.0
    for _ in range(20):
        await desk.passes(10)
    assert desk.told("ops").count(("firing", first.title)) == 1


async def test_tests_on_a_channel_that_hangs_neither_hold_up_nor_double_an_alert(desk: Desk) -> None:
    """Each of them takes as long as a message may; all of them together would outlast the lease."""
    office, take, clock = desk.office, desk.office.take, desk.stage.clock

    async def slow(kind: str, to: str, note: Note) -> Outcome:
        office.tried.append(Said(clock.now(), kind, to, note))
        if note.occasion == "test":
            clock.advance(14)
            return Retry("no answer")
        return await take(kind, to, note)

    office.take = slow  # type: ignore[method-assign]
    await desk.stage.execute("update public.channels set held_until = 'infinity'")
    at = clock.now() / 1000
    for number in range(9):
        await desk.stage.execute(
            "insert into public.notifications (organization_id, channel_id, occasion, dedup, teller, state, due_at,"
            " created_at, body) values (%s, %s, 'test', %s, 'hub', 'waiting', to_timestamp(%s), to_timestamp(%s), %s)",
            desk.cast.organization_id,
            desk.channels["ops"],
            f"test-{number}",
            at,
            at,
            '{"key": "k", "server": "s", "title": "t", "message": "m"}',
        )
    first = fired(desk.agent)
    await desk.agent.events(first)
    await desk.stage.execute("update public.channels set held_until = null")
    await desk.quiet()
    alerts = [one for one in office.tried if one.to == "ops" and one.occasion == "firing"]
    assert alerts[0].at / 1000 - at <= 1
    for _ in range(20):
        await desk.passes(10)
    assert desk.told("ops").count(("firing", first.title)) == 1
    assert len([one for one in office.tried if one.to == "ops" and one.occasion == "test"]) <= 9
    ((left,),) = await desk.stage.execute("select count(*) from public.notifications where done_at is null")
    assert left == 0


async def test_an_organization_whose_channels_hang_does_not_keep_anothers_messages_waiting(desk: Desk) -> None:
    hang = asyncio.Event()
    ((stranger,),) = await desk.stage.execute("select id from public.organizations where name = 'Other'")
    for number in range(SENDERS + 20):
        ((channel,),) = await desk.stage.execute(
            "insert into public.channels (organization_id, name, kind, settings) values (%s, %s, 'webhook', %s)"
            " returning id",
            stranger,
            f"hole-{number}",
            f'{{"to": "hole-{number}"}}',
        )
        await desk.stage.execute(
            "insert into public.notifications (organization_id, channel_id, occasion, dedup, teller, state, due_at,"
            " created_at, body) select organization_id, id, 'test', %s, 'hub', 'waiting', now(), now(), %s"
            " from public.channels where id = %s",
            uuid4().hex,
            '{"key": "k", "server": "s", "title": "t", "message": "m"}',
            channel,
        )
    office, take = desk.office, desk.office.take

    async def hanging(kind: str, to: str, note: Note) -> Outcome:
        if to.startswith("hole"):
            await hang.wait()
        return await take(kind, to, note)

    office.take = hanging  # type: ignore[method-assign]
    past = desk.stage.clock.now() / 1000 - 60
    await desk.stage.execute(
        "update public.notifications set due_at = to_timestamp(%s), created_at = to_timestamp(%s)", past, past
    )
    await desk.stage.execute(
        "update public.channels set ready_at = to_timestamp(%s) where organization_id = %s", past, stranger
    )
    first = fired(desk.agent)
    await desk.agent.events(first)
    try:
        async with asyncio.timeout(5):
            while ("firing", first.title) not in desk.told("ops"):
                await desk.stage.hub.look()
                await asyncio.sleep(0.05)
    finally:
        hang.set()


async def _until_tried(desk: Desk, to: str) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not any(one.to == to for one in desk.office.tried):
            await desk.stage.hub.look()
            await asyncio.sleep(0.01)


async def _until_blocked(desk: Desk) -> None:
    """Somebody waits for a lock on a channel."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            ((waiting,),) = await desk.stage.execute(
                "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
                " and query like '%%public.channels%%'"
            )
            if waiting:
                return
            await asyncio.sleep(0.01)


async def test_what_was_under_way_when_an_alert_became_worse_is_not_told_beside_what_follows(desk: Desk) -> None:
    under_way, end = asyncio.Event(), asyncio.Event()
    take = desk.office.take

    async def fail_once(kind: str, to: str, note: Note) -> Outcome:
        if to != "ops" or end.is_set():
            return await take(kind, to, note)
        under_way.set()
        await end.wait()
        return Retry("503")

    desk.office.take = fail_once  # type: ignore[method-assign]
    while not await desk.stage.execute("select from public.alerts"):
        desk.stage.clock.advance(5)
        await desk.stage.hub.look()
    async with asyncio.timeout(PATIENCE_SECONDS):
        await under_way.wait()
    while not await desk.stage.execute("select from public.alerts where severity = 'down'"):
        desk.stage.clock.advance(5)
        await desk.stage.hub.look()
    end.set()
    await desk.quiet()  # within the lease of what was under way, and not after a leap of the clock beyond it
    await desk.passes(60, alive=False)
    await desk.passes(60, alive=False)
    heard = [subject.severity for _, subject in desk.office.subjects("ops")]
    assert heard == ["down"]


async def test_a_fallback_that_hears_of_it_anyhow_is_not_told_besides(desk: Desk) -> None:
    await desk.stage.execute("update public.channels set fallback = true where name = 'ops'")
    desk.office.fails = lambda kind, to, note: Refused("gone") if to == "chat" else None
    await desk.agent.events(fired(desk.agent))
    for _ in range(3):
        await desk.passes(GAP + 1)
    assert sorted(one.to for one in desk.office.tried) == ["chat", "ops"]
    assert [occasion for occasion, _ in desk.told("ops")] == ["firing"]
