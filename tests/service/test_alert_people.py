"""Alerts and people, on a real database: policies, silences, acknowledgements, what is found and seen."""

from __future__ import annotations

from tests.service.alert_desk import GAP, Desk, answer, event, fired
from twinwatch.notify import Refused, Retry
from twinwatch.protocol.alerts import Told


async def test_steps_follow_until_somebody_acknowledges(desk: Desk) -> None:
    await desk.policies(
        {
            "name": "Ladder",
            "steps": [
                {"channels": [desk.channels["ops"]]},
                {"after_seconds": 300, "channels": [desk.channels["chat"]]},
                {"after_seconds": 900, "channels": ["kind:sms"]},
            ],
            "repeat_seconds": 120,
        }
    )
    first = fired(desk.agent)
    await desk.agent.events(first)
    await desk.quiet()
    assert (len(desk.told("ops")), len(desk.told("chat"))) == (1, 0)
    await desk.passes(121)
    assert desk.told("ops")[1] == ("repeat", first.title)
    await desk.passes(180)
    assert desk.told("chat") == [("escalation", first.title)]
    alert = await desk.alert()
    reply = await desk.cast.member.client.post(f"/api/v1/alerts/{alert['id']}/acknowledge", {"text": "on it"})
    assert reply.status == 204
    before = len(desk.office.said)
    for _ in range(20):
        await desk.passes(60)
    assert [one.occasion for one in desk.office.said[before:]] == ["acknowledged"], "nobody further is told"
    assert desk.told("phone") == []
    await desk.agent.events(event(desk.agent, "resolved", first))
    await desk.passes(GAP)
    assert desk.told("ops")[-1] == desk.told("chat")[-1] == ("resolved", first.title)
    detail = await desk.detail()
    assert ("acknowledged", desk.cast.member.email, "on it") in [
        (one["kind"], one["actor"], one["text"]) for one in detail["timeline"]
    ]


async def test_where_it_is_no_message_of_its_own_everybody_sees_who_has_taken_it_on(desk: Desk) -> None:
    now = desk.stage.clock.now()
    first = fired(desk.agent, told=(Told(desk.channels["chat"], now, "delivered", reference="ts-7"),))
    await desk.agent.events(first)
    await desk.quiet()
    alert = await desk.alert()
    await desk.cast.member.client.post(f"/api/v1/alerts/{alert['id']}/acknowledge", {"text": ""})
    await desk.passes(GAP)
    assert desk.told("chat") == [("acknowledged", first.title)]
    note = desk.office.heard("chat")[0].note
    assert (note.reference, note.first, note.subjects[0].by) == ("ts-7", False, desk.cast.member.email)
    assert desk.told("ops") == [("firing", first.title)], "mail is not sent for that"


async def test_whoever_waits_to_be_next_in_line_is_left_in_peace(desk: Desk) -> None:
    steps = [{"channels": ["kind:email"]}, {"after_seconds": 60, "channels": ["kind:sms"]}]
    await desk.policies({"name": "P", "steps": steps})
    desk.office.fails = lambda kind, to, note: Retry("busy") if kind == "sms" else None
    first = fired(desk.agent)
    await desk.agent.events(first)
    await desk.passes(61)
    assert [one.to for one in desk.office.tried] == ["ops", "phone"]
    alert = await desk.alert()
    await desk.cast.member.client.post(f"/api/v1/alerts/{alert['id']}/acknowledge", {"text": ""})
    desk.office.fails = lambda kind, to, note: None
    for _ in range(20):
        await desk.passes(60)
    assert desk.told("phone") == []


async def test_a_viewer_may_look_and_nothing_else_and_a_stranger_not_even_that(desk: Desk) -> None:
    await desk.agent.events(fired(desk.agent))
    alert = await desk.alert()
    for verb in ("acknowledge", "comment", "resolve"):
        target = f"/api/v1/alerts/{alert['id']}/{verb}"
        assert (await desk.cast.viewer.client.post(target, {"text": "x"})).status == 403
        assert (await desk.cast.stranger.client.post(target, {"text": "x"})).status == 404
    assert (await desk.cast.stranger.client.get(f"/api/v1/alerts/{alert['id']}")).status == 404
    assert (await desk.cast.stranger.client.get("/api/v1/alerts")).json()["alerts"] == []


async def test_a_silence_holds_messages_back_and_what_is_open_at_its_end_is_told(desk: Desk) -> None:
    silence = {
        "organization_id": str(desk.cast.organization_id),
        "comment": "upgrade",
        "what": {"servers": [str(desk.agent.server_id)]},
        "ends_at": desk.stage.clock.now() + 3_600_000,
    }
    assert (await desk.cast.member.client.post("/api/v1/silences", silence)).status == 201
    first, other = fired(desk.agent), fired(desk.agent, "systemd:backup.service")
    found = await desk.agent.events(first, other)
    assert all(one.told for one in found.answers), "nobody is to be told, and the agent neither"
    await desk.quiet()
    await desk.agent.events(event(desk.agent, "resolved", other))
    await desk.passes(1800)
    assert desk.office.said == []
    assert (await desk.alert())["silenced_until"] == silence["ends_at"]
    await desk.passes(1801)
    assert desk.told("ops") == [("firing", first.title)]


async def test_a_silence_that_is_made_and_ended_while_an_alert_is_open(desk: Desk) -> None:
    await desk.policies({"name": "P", "steps": [{"channels": ["kind:email"]}], "repeat_seconds": 60})
    await desk.agent.events(fired(desk.agent))
    await desk.quiet()
    silence = {"organization_id": str(desk.cast.organization_id)}
    reply = await desk.cast.member.client.post("/api/v1/silences", silence)
    (made,) = reply.json()
    assert made["active"]
    for _ in range(5):
        await desk.passes(60)
    assert len(desk.told("ops")) == 1
    assert (await desk.cast.member.client.delete(f"/api/v1/silences/{made['id']}")).status == 204
    for _ in range(3):
        await desk.passes(60)
    assert len(desk.told("ops")) > 1


async def test_quiet_hours_hold_back_all_but_servers_that_are_down(desk: Desk) -> None:
    # The stage's clock begins at midnight UTC.
    quiet = {"zone": "UTC", "start": "22:00", "end": "07:00"}
    await desk.policies({"name": "Night", "steps": [{"channels": ["kind:email"]}], "quiet": quiet})
    first = fired(desk.agent)
    await desk.agent.events(first)
    await desk.falls_silent()
    assert ("firing", first.title) not in desk.told("ops")
    assert [occasion for occasion, title in desk.told("ops") if title.startswith("down")], "the server fell silent"
    await desk.passes(7 * 3600)
    assert ("firing", first.title) in desk.told("ops")


async def test_resolving_by_hand_tells_everybody_and_the_agent(desk: Desk) -> None:
    now = desk.stage.clock.now()
    first = fired(desk.agent, told=(Told(desk.channels["ops"], now, "delivered"),))
    await desk.agent.events(first)
    await desk.quiet()
    alert = await desk.alert()
    reply = await desk.cast.member.client.post(f"/api/v1/alerts/{alert['id']}/resolve", {"text": "known"})
    assert reply.status == 204
    await desk.passes(GAP)
    assert desk.told("ops") == [("resolved", first.title)], "the agent told its beginning and will not tell its end"
    assert desk.told("chat") == [("firing", first.title), ("resolved", first.title)]
    assert answer(await desk.agent.events(ask=(first.key,))).closed
    assert {one.note.subjects[0].by for one in desk.office.heard("ops", "resolved")} == {desk.cast.member.email}


async def test_what_the_agent_has_told_proves_its_path(desk: Desk) -> None:
    now = desk.stage.clock.now()
    told = (
        Told(desk.channels["ops"], now, "delivered"),
        Told(desk.channels["chat"], now, "refused", reason="no such channel"),
    )
    await desk.agent.events(fired(desk.agent, told=told))
    shown = (await desk.cast.viewer.client.get(f"/api/v1/channels?organization_id={desk.cast.organization_id}")).json()
    paths = {
        channel["name"]: {path["server"]: (path["outcome"], path["reason"]) for path in channel["paths"]}
        for channel in shown["channels"]
    }
    assert paths["ops"]["web-1"] == ("delivered", "")
    assert paths["chat"]["web-1"] == ("refused", "no such channel")


async def test_a_link_shows_the_alert_and_only_a_press_of_the_button_acknowledges(desk: Desk) -> None:
    await desk.agent.events(fired(desk.agent))
    await desk.quiet()
    url = desk.office.heard("ops")[0].note.subjects[0].acknowledge_url
    query = url.partition("?")[2]
    stranger = desk.stage.client()
    for _ in range(3):
        seen = await stranger.get(f"/api/v1/alerts/linked?{query}")
        assert seen.json()["state"] == "firing", "what looks into mails opens links"
    key, token = (part.partition("=")[2] for part in query.split("&"))
    wrong = {"key": key, "token": "0" * 32}
    assert (await stranger.post("/api/v1/alerts/linked", wrong)).status == 404
    assert (await desk.alert())["state"] == "firing"
    reply = await stranger.post("/api/v1/alerts/linked", {"key": key, "token": token, "name": "Kim"})
    assert reply.json()["state"] == "acknowledged"
    assert (await desk.alert())["acknowledged_by"] == "Kim (by link)"


async def test_a_mask_is_no_credential_of_a_new_channel(desk: Desk) -> None:
    """As when somebody saves anew what another has deleted meanwhile."""
    wanted = {"organization_id": str(desk.cast.organization_id), "kind": "slack"}
    settings = {"to": "chat", "token": "hunter2"}
    made = await desk.cast.owner.client.post("/api/v1/channels", {**wanted, "name": "first", "settings": settings})
    hidden = made.json()["settings"]
    assert hidden == {"to": "chat", "token": "***"}
    again = await desk.cast.owner.client.post("/api/v1/channels", {**wanted, "name": "again", "settings": hidden})
    assert (again.status, again.problem.slug) == (422, "invalid")
    assert "settings.token: no secret is kept here" in again.problem.detail


async def test_a_test_button_says_what_became_of_the_message(desk: Desk) -> None:
    target = f"/api/v1/channels/{desk.channels['ops']}/test"
    good = await desk.cast.owner.client.post(target)
    assert good.json()["delivered"]
    assert desk.office.heard("ops")[0].occasion == "test"
    desk.stage.clock.advance(GAP)
    desk.office.fails = lambda kind, to, note: Refused("no such mailbox")
    bad = (await desk.cast.owner.client.post(target)).json()
    assert (bad["delivered"], bad["reason"]) == (False, "no such mailbox")
    shown = (await desk.cast.viewer.client.get(f"/api/v1/channels?organization_id={desk.cast.organization_id}")).json()
    (ops,) = [one for one in shown["channels"] if one["name"] == "ops"]
    assert ops["paths"][0]["outcome"] == "refused"
    assert ops["paths"][0]["proven_at"] is not None


async def test_alerts_are_found_by_state_server_words_and_page(desk: Desk) -> None:
    for number in range(7):
        desk.stage.clock.time += 1000
        await desk.agent.events(fired(desk.agent, f"systemd:app-{number}.service"))
    client = desk.cast.viewer.client
    pages, before = [], ""
    while True:
        page = (await client.get(f"/api/v1/alerts?limit=3&before={before}")).json()
        pages.append([one["thing"] for one in page["alerts"]])
        if page["next"] is None:
            break
        before = page["next"]
    assert [len(page) for page in pages] == [3, 3, 1]
    newest_first = [f"systemd:app-{number}.service" for number in reversed(range(7))]
    assert [thing for page in pages for thing in page] == newest_first
    found = (await client.get("/api/v1/alerts?text=app-3&state=open")).json()["alerts"]
    assert [one["thing"] for one in found] == ["systemd:app-3.service"]
    assert (await client.get("/api/v1/alerts?text=100%25")).json()["alerts"] == []
    rule = found[0]["rule"].replace(" ", "%20")
    assert len((await client.get(f"/api/v1/alerts?rule={rule}&text=app-3")).json()["alerts"]) == 1
    assert (await client.get(f"/api/v1/alerts?rule={rule[:-1]}")).json()["alerts"] == []
    assert (await client.get("/api/v1/alerts?state=resolved")).json()["alerts"] == []
    assert (await client.get("/api/v1/alerts?before=x")).status == 422


async def test_an_open_stream_is_told_of_alerts(desk: Desk) -> None:
    async with desk.cast.viewer.client.stream("/api/v1/live") as live:
        await live.next("hello")
        first = fired(desk.agent)
        await desk.agent.events(first)
        _, told = await live.next("alert")
        assert (told["title"], told["state"]) == (first.title, "firing")


async def test_an_open_stream_is_told_when_somebody_was_told_and_when_a_rule_silence_or_channel_changes(
    desk: Desk,
) -> None:
    await desk.agent.events(fired(desk.agent))
    async with desk.cast.viewer.client.stream("/api/v1/live") as live:
        await live.next("hello")
        await desk.quiet()
        while (await live.next("alert"))[1]["told_at"] is None:
            pass
        silence = {"organization_id": str(desk.cast.organization_id), "comment": "for a while"}
        assert (await desk.cast.owner.client.post("/api/v1/silences", silence)).status == 201
        await live.next("bundle")


async def test_latency_is_a_figure(desk: Desk) -> None:
    first = fired(desk.agent)
    desk.stage.clock.advance(2)
    await desk.agent.events(first)
    await desk.quiet()
    target = f"/api/v1/alerts/latency?organization_id={desk.cast.organization_id}&days=1"
    assert (await desk.cast.viewer.client.get(target)).json() == {
        "days": 1,
        "count": 1,
        "p50": 2.0,
        "p95": 2.0,
        "longest": 2.0,
    }
