"""Words that are lawful on the wire and mean nothing: they are refused, and break nothing."""

from __future__ import annotations

from math import inf, nan
from urllib.parse import quote
from uuid import uuid4

import pytest

from tests.service.alert_desk import Desk, fired
from twinwatch.protocol.life import Goodbye


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
