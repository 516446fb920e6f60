"""Words that are lawful on the wire and mean nothing: they are refused, and break nothing."""

from __future__ import annotations

import asyncio
from math import inf, nan
from urllib.parse import quote
from uuid import uuid4

import pytest

from tests.service.alert_desk import Desk, fired
from twinwatch.protocol.alerts import EVENTS, OPEN_ALERTS
from twinwatch.protocol.life import Goodbye
from twinwatch.testing.client import PATIENCE_SECONDS


@pytest.mark.parametrize("seconds", [nan, inf, -inf, -1e300, 1e300])
async def test_a_goodbye_for_no_time_at_all_is_refused_or_bounded(desk: Desk, seconds: float) -> None:
    reply = await desk.agent.say("goodbye", Goodbye("reboot", desk.stage.clock.now(), seconds))
    assert reply.status in (204, 422), reply


async def test_a_link_with_letters_that_no_token_has_is_nobodys(desk: Desk) -> None:
    first = fired(desk.agent)
    await desk.agent.events(first)
    stranger = desk.stage.client()
    seen = await stranger.get(f"/api/v1/alerts/linked?key={first.key}&token={quote('ü' * 32)}")
    assert seen.status == 404, seen
    pressed = await stranger.post("/api/v1/alerts/linked", {"key": first.key, "token": "ü" * 32})
    assert pressed.status == 404, pressed


async def test_a_page_before_all_time_is_none(desk: Desk) -> None:
    for before in (f"{9 * 10**30}-{uuid4()}", f"-{9 * 10**30}-{uuid4()}", f"{'9' * 40}-{uuid4()}"):
        reply = await desk.cast.viewer.client.get(f"/api/v1/alerts?before={before}")
        assert reply.status == 422, reply


async def test_a_persons_words_about_an_alert_are_ones_that_can_be_kept(desk: Desk) -> None:
    await desk.agent.events(fired(desk.agent))
    found = await desk.alert()
    for what in ("comment", "acknowledge", "resolve"):
        reply = await desk.cast.owner.client.post(f"/api/v1/alerts/{found['id']}/{what}", {"text": "a\0b"})
        assert reply.status == 422, (what, reply)
    assert (await desk.alert())["state"] == "firing"


async def test_an_agents_alert_about_a_thing_called_heartbeat_is_not_taken_for_the_watchdogs(desk: Desk) -> None:
    await desk.agent.events(fired(desk.agent, "heartbeat", severity="warning"))
    await desk.falls_silent()
    down = [one for one in desk.told("phone") if one[0] == "firing"]
    assert len(down) == 1, "and it was told of the silence"
    await desk.passes(20)
    ((left,),) = await desk.stage.execute(
        "select count(*) from public.alerts where origin = 'hub' and state <> 'resolved'"
    )
    assert left == 0
    ((agents,),) = await desk.stage.execute("select state from public.alerts where origin = 'agent'")
    assert agents == "firing", "that is for the agent to end"


async def test_tests_and_drills_are_forgotten_after_90_days(desk: Desk) -> None:
    assert (await desk.cast.owner.client.post(f"/api/v1/channels/{desk.channels['ops']}/test")).json()["delivered"]
    assert await desk.stage.execute("select id from public.notifications")
    await desk.stage.stop()
    desk.stage.clock.advance(91 * 86_400)
    await desk.stage.start()
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await desk.stage.execute("select id from public.notifications"):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_an_agent_that_fires_without_end_opens_a_thousand_alerts_and_no_more(desk: Desk) -> None:
    """Its key was stolen: ours counts what is beyond that, and does not send it."""
    wanted = {"organization_id": str(desk.cast.organization_id), "comment": "", "what": {}}
    assert (await desk.cast.owner.client.post("/api/v1/silences", wanted)).status == 201
    for part in range(OPEN_ALERTS // EVENTS + 1):
        things = range(part * EVENTS, (part + 1) * EVENTS)
        answers = await desk.agent.events(*(fired(desk.agent, f"systemd:{thing}.service") for thing in things))
    assert all(answer.unknown for answer in answers.answers)
    ((many,),) = await desk.stage.execute("select count(*) from public.alerts where state <> 'resolved'")
    assert many == OPEN_ALERTS
