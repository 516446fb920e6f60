"""Drills at a hub: what ``twinwatch drill --hub`` asks for, what agents answer, and what people see of it."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

import pytest

from tests.service.alert_desk import Desk
from twinwatch.hub.auth import HASHER
from twinwatch.hub.rehearsal import HEAD, UNPROVEN_DAYS, NotDone, Path, Rehearsal, Rehearser, held
from twinwatch.notify import Refused
from twinwatch.protocol.alerts import Told
from twinwatch.protocol.control import DrillResult
from twinwatch.testing.fakes import AsgiHttp
from twinwatch.testing.paper import PaperHttp

HUB = "https://hub.example"
DAY = 86_400


async def while_working(desk: Desk, work: Any) -> Any:
    """The work's result, while the hub's workers work."""
    task = asyncio.ensure_future(work)
    while not task.done():
        await desk.quiet()
        await asyncio.sleep(0.01)
    return task.result()


def arguments(**given: Any) -> argparse.Namespace:
    return argparse.Namespace(**{"hub": HUB, "email": None, "organization": None, **given})


async def paths(desk: Desk) -> dict[tuple[str, str | None], dict[str, Any]]:
    target = f"/api/v1/channels?organization_id={desk.cast.organization_id}"
    found = (await desk.cast.owner.client.get(target)).json()["channels"]
    return {(channel["name"], path["server"]): path for channel in found for path in channel["paths"]}


async def test_a_drill_goes_down_every_path_of_the_hub_and_shows_what_arrives(desk: Desk) -> None:
    desk.office.fails = lambda kind, to, note: Refused("unknown number") if to == "phone" else None
    person = Rehearser(AsgiHttp(desk.stage.app), HUB)
    person.admit(desk.cast.owner.client.token or "")
    organization = await person.organization("")
    rehearsal: Rehearsal = await while_working(desk, person.rehearse(organization, look_seconds=0.05))
    assert (rehearsal.begun, rehearsal.well) == (3, False)
    assert [one.to for one in desk.office.tried] == ["ops", "chat", "phone"] or len(desk.office.tried) == 3
    assert {one.occasion for one in desk.office.tried} == {"drill"}
    now = desk.stage.clock.now()
    rows = {row[0]: row[2:] for row in rehearsal.rows(now)}
    assert rows["ops"][:2] == ("hub", "delivered")
    assert rows["ops"][3:] == ("just now", "")
    assert rows["phone"][1] == "refused"
    assert rows["phone"][3:] == ("never", "unknown number")
    assert len(HEAD) == len(rehearsal.rows(now)[0])
    assert "2 of 3 paths that were tried deliver" in rehearsal.summary()


async def test_what_an_agent_says_of_its_drill_is_when_its_path_was_last_proven(desk: Desk) -> None:
    told = (
        Told(desk.channels["chat"], desk.stage.clock.now(), "delivered"),
        Told(desk.channels["phone"], desk.stage.clock.now(), "refused", "no credit"),
        Told("file:mine", desk.stage.clock.now(), "delivered"),
    )
    reply = await desk.agent.say("drill", DrillResult("d1", told))
    assert reply.status == 204
    found = await paths(desk)
    (server,) = {server for _, server in found if server}
    assert found["chat", server]["proven_at"] == desk.stage.clock.now()
    assert (found["phone", server]["outcome"], found["phone", server]["reason"]) == ("refused", "no credit")
    assert found["phone", server]["proven_at"] is None


async def test_who_may_not_is_told_so_and_nothing_is_sent(desk: Desk) -> None:
    http = AsgiHttp(desk.stage.app)
    person = Rehearser(http, HUB)
    person.admit(desk.cast.viewer.client.token or "")
    with pytest.raises(NotDone, match="Only an owner or admin"):
        await person.rehearse(await person.organization(""))
    with pytest.raises(NotDone, match="which organization"):
        await person.organization("another")
    assert desk.office.tried == []


async def test_people_sign_in_with_their_password_or_a_token(desk: Desk) -> None:
    owner = desk.cast.owner
    await desk.stage.execute(
        "update auth.users set encrypted_password = %s where id = %s", HASHER.hash("a good one"), owner.user_id
    )
    http = AsgiHttp(desk.stage.app)
    asking = held(arguments(email=owner.email), {}, http=http, ask_password=lambda _: "a good one")
    rehearsal = await while_working(desk, asking)
    assert rehearsal.well
    with pytest.raises(NotDone, match="Invalid login credentials"):
        await held(arguments(email=owner.email), {"TWINWATCH_PASSWORD": "wrong"}, http=http)
    with pytest.raises(NotDone, match="who asks"):
        await held(arguments(), {}, http=http)
    again = held(arguments(), {"TWINWATCH_TOKEN": owner.client.token or ""}, http=http)
    desk.stage.clock.advance(60)  # a channel rests between two messages
    rehearsal = await while_working(desk, again)
    assert (rehearsal.begun, rehearsal.well) == (3, True)


@pytest.mark.parametrize("hub", ["hub.example", "ftp://hub.example", "http://hub.example"])
async def test_no_password_leaves_for_what_is_no_safe_address(hub: str) -> None:
    http = PaperHttp({})
    with pytest.raises(NotDone):
        await held(arguments(hub=hub, email="a@b.c"), {"TWINWATCH_PASSWORD": "x"}, http=http)
    assert http.asked == []


async def test_a_hub_that_is_away_or_none_is_told_apart_from_a_refusal() -> None:
    with pytest.raises(NotDone) as away:
        await held(arguments(), {"TWINWATCH_TOKEN": "t"}, http=PaperHttp({}))
    assert away.value.unreachable
    page = PaperHttp({f"GET {HUB}/api/v1/me": "200 OK\n\n<html>"})
    with pytest.raises(NotDone, match="not as a twinwatch hub"):
        await held(arguments(), {"TWINWATCH_TOKEN": "t"}, http=page)


def test_a_path_that_was_not_proven_for_thirty_days_is_shown() -> None:
    now = 100 * DAY * 1000
    old = Path("ops", "email", "hub", "retry", proven_at=now - (UNPROVEN_DAYS + 1) * DAY * 1000)
    assert old.is_unproven(now)
    assert Rehearsal("Acme", 1, (old,)).rows(now)[0][5:] == ("31 d ago", "unproven for 30 days")
    fresh = Path("ops", "email", "hub", "not tried", proven_at=now - 3_600_000)
    assert Rehearsal("Acme", 1, (fresh,)).rows(now)[0][5:] == ("today", "")
    assert not Rehearsal("Acme", 0, ()).well
