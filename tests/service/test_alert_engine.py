"""The hub's alerts on a real database: what agents' events open, who is told, once, and how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from twinwatch.alerts.episodes import key_of
from twinwatch.hub.alerting.engine import AGENT_MILLISECONDS
from twinwatch.hub.alerting.outbox import FALLBACK_ATTEMPTS
from twinwatch.notify import Refused, Retry
from twinwatch.protocol.alerts import AlertAnswer, AlertAnswers, AlertEvent, Evidence, Told, digest_of
from twinwatch.testing.client import PATIENCE_SECONDS
from twinwatch.testing.hub_stage import Cast, HandClock, HubStage, Voice

GAP = 10.0
"""Seconds between two messages of a channel of paper."""


class Desk:
    """A cast with channels: ``ops`` by email, ``chat`` by Slack, ``phone`` by SMS; default policies of a new
    organization."""

    def __init__(self, stage: HubStage, cast: Cast, channels: dict[str, str]) -> None:
        self.stage = stage
        self.cast = cast
        self.channels = channels
        self.office = stage.post_office

    @property
    def agent(self) -> Voice:
        return self.cast.agent

    async def passes(self, seconds: float, *, alive: bool = True) -> None:
        """Time passes at once, and the workers see it; the agent is still alive, or has not been heard."""
        self.stage.clock.advance(seconds)
        if alive:
            await self.agent.heartbeat()
        await self.quiet()

    async def falls_silent(self) -> None:
        """Time passes in which the agent is not heard, and the workers watch all the while."""
        for _ in range(30):
            await self.passes(5, alive=False)

    async def quiet(self) -> None:
        """Waits until nothing is due, nothing is being sent and every look was taken."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                await self.stage.hub.look()
                now = self.stage.clock.now() / 1000
                ((due,),) = await self.stage.execute(
                    "select (select count(*) from public.channels where ready_at <= to_timestamp(%s))"
                    " + (select count(*) from public.notifications where state = 'sending' and teller = 'hub')"
                    " + (select count(*) from public.alerts where look_at <= to_timestamp(%s))",
                    now,
                    now,
                )
                if not due:
                    return
                await asyncio.sleep(0.01)

    async def alert(self, place: int = 0) -> dict[str, Any]:
        alerts = (await self.cast.viewer.client.get("/api/v1/alerts")).json()["alerts"]
        found: dict[str, Any] = alerts[place]
        return found

    async def detail(self, place: int = 0) -> dict[str, Any]:
        found = await self.alert(place)
        detail: dict[str, Any] = (await self.cast.viewer.client.get(f"/api/v1/alerts/{found['id']}")).json()
        return detail

    async def policies(self, *policies: dict[str, Any]) -> None:
        target = f"/api/v1/policies?organization_id={self.cast.organization_id}"
        reply = await self.cast.owner.client.put(target, {"policies": list(policies)})
        assert reply.status == 200, reply

    def told(self, to: str) -> list[tuple[str, str]]:
        """Occasion and title of each alert that one has heard of, in order."""
        return [(occasion, subject.title) for occasion, subject in self.office.subjects(to)]


@pytest.fixture
async def desk(database_url: str, tmp_path: Path, clock: HandClock) -> AsyncIterator[Desk]:
    async with HubStage(database_url, tmp_path, clock=clock, public_url="https://hub.example") as stage:
        cast = await stage.cast()
        channels = {}
        for name, kind in (("ops", "email"), ("chat", "slack"), ("phone", "sms")):
            body = {"organization_id": str(cast.organization_id), "name": name, "kind": kind, "settings": {"to": name}}
            reply = await cast.owner.client.post("/api/v1/channels", body)
            assert reply.status == 201, reply
            channels[name] = reply.json()["id"]
        await stage.default_policies(cast.organization_id)
        for player in (cast.owner, cast.member, cast.viewer, cast.stranger):
            ((session,),) = await stage.execute("select id from auth.sessions where user_id = %s", player.user_id)
            days = stage.clock.now() // 1000 + 30 * 86_400
            player.client.token = stage.token(player.user_id, player.email, session, exp=days)
        await cast.agent.heartbeat()
        yield Desk(stage, cast, channels)


def event(agent: Voice, kind: str, of: AlertEvent, **fields: Any) -> AlertEvent:
    """Another event about the same episode."""
    return msgspec.structs.replace(of, kind=kind, at=agent.clock.now(), **fields)


def fired(agent: Voice, thing: str = "systemd:nginx.service", **fields: Any) -> AlertEvent:
    now = agent.clock.now()
    rule = fields.pop("rule", "systemd: unit failed")
    whole = {
        "number": 1,
        "key": key_of(str(agent.server_id), rule, thing, now),
        "kind": "fired",
        "at": now,
        "rule": rule,
        "thing": thing,
        "episode": now,
        "severity": "critical",
        "since": now,
        "title": f"{thing} failed",
        "message": f"{thing} failed: exit code 1",
        **fields,
    }
    return msgspec.convert(whole, AlertEvent)


def answer(found: AlertAnswers) -> AlertAnswer:
    (one,) = found.answers
    return one


async def test_a_critical_alert_that_the_agent_could_not_tell_is_told_by_the_hub_at_once(desk: Desk) -> None:
    first = fired(desk.agent)
    assert answer(await desk.agent.events(first)).accepted
    await desk.quiet()
    assert desk.told("ops") == desk.told("chat") == [("firing", first.title)]
    assert desk.told("phone") == [], "SMS is for servers that are down"
    note = desk.office.heard("ops")[0].note
    assert (note.teller, note.first, note.thread) == ("hub", True, first.key)
    assert note.subjects[0].server == "web-1"
    assert note.subjects[0].url.startswith("https://hub.example/alert/?id=")
    assert f"key={first.key}&token=" in note.subjects[0].acknowledge_url
    detail = await desk.detail()
    assert [one["kind"] for one in detail["timeline"]] == ["fired", "told", "told"]
    assert {(one["channel"], one["state"]) for one in detail["notifications"]} == {
        ("ops", "delivered"),
        ("chat", "delivered"),
    }
    assert detail["alert"]["told_at"] == desk.stage.clock.now()
    assert detail["policy"] == "Critical"


async def test_what_the_agent_has_told_is_not_told_again_and_its_end_is_the_agents_to_tell(desk: Desk) -> None:
    now = desk.stage.clock.now()
    first = fired(desk.agent, told=(Told(desk.channels["ops"], now, "delivered", reference="m1"),))
    await desk.agent.events(first)
    await desk.quiet()
    assert desk.told("ops") == []
    assert desk.told("chat") == [("firing", first.title)], "the agent did not reach this one"
    await desk.passes(60)
    await desk.agent.events(event(desk.agent, "resolved", first, why="recovered"))
    await desk.quiet()
    assert desk.told("ops") == []
    assert desk.told("chat") == [("firing", first.title), ("resolved", first.title)]
    assert desk.office.heard("chat")[1].note.reference == "slack-1"
    assert (await desk.alert())["state"] == "resolved"


async def test_a_try_of_the_agents_is_waited_for_and_made_good_when_it_fails_or_never_ends(desk: Desk) -> None:
    now = desk.stage.clock.now()
    trying = tuple(Told(desk.channels[name], now, "trying") for name in ("ops", "chat"))
    first = fired(desk.agent, told=trying)
    await desk.agent.events(first)
    await desk.passes(20)
    assert desk.told("ops") == desk.told("chat") == []
    refused = Told(desk.channels["ops"], now, "refused", reason="no such mailbox")
    await desk.agent.events(event(desk.agent, "told", first, told=(refused,)))
    await desk.quiet()
    assert desk.told("ops") == [("firing", first.title)], "the agent was refused: the hub tries itself"
    assert desk.told("chat") == []
    await desk.passes(15)
    assert desk.told("chat") == [("firing", first.title)], "nobody knows what became of the agent's try"
    delivered = Told(desk.channels["chat"], now, "delivered")
    await desk.agent.events(event(desk.agent, "told", first, told=(delivered,)))
    await desk.passes(60)
    assert desk.told("chat") == [("firing", first.title)]


async def test_a_warning_is_told_by_the_hub_once_the_agent_has_left_it_to_the_hub(desk: Desk) -> None:
    first = fired(desk.agent, severity="warning", order="hub_first")
    found = answer(await desk.agent.events(first))
    assert (found.accepted, found.told, found.fence) == (True, False, 1)
    await desk.passes(5)
    assert desk.told("ops") == [], "the agent may not have heard the answer, and tell by itself"
    found = answer(await desk.agent.events(event(desk.agent, "yielded", first, fence=1)))
    assert found.will_notify_by == desk.stage.clock.now() + 30_000
    await desk.quiet()
    assert desk.told("ops") == [("firing", first.title)]
    assert desk.told("chat") == [], "a warning goes by email alone"
    assert answer(await desk.agent.events(ask=(first.key,))).told
    await desk.agent.events(event(desk.agent, "resolved", first))
    await desk.passes(GAP)
    assert desk.told("ops") == [("firing", first.title), ("resolved", first.title)]


async def test_a_warning_that_the_agent_told_without_an_answer_is_not_told_by_the_hub(desk: Desk) -> None:
    first = fired(desk.agent, severity="warning", order="hub_first")
    await desk.agent.events(first)  # and the answer is lost
    await desk.passes(9)
    told = Told(desk.channels["ops"], desk.stage.clock.now(), "delivered")
    await desk.agent.events(event(desk.agent, "told", first, told=(told,), fence=2))
    await desk.agent.heartbeat()
    for _ in range(10):
        await desk.passes(60)
    assert desk.told("ops") == []


async def test_a_warning_of_an_agent_that_is_heard_no_more_is_told_all_the_same(desk: Desk) -> None:
    first = fired(desk.agent, severity="warning", order="hub_first")
    await desk.agent.events(first)
    await desk.passes(AGENT_MILLISECONDS / 1000 - 1, alive=False)
    assert ("firing", first.title) not in desk.told("ops")
    await desk.passes(2 + GAP, alive=False)
    assert ("firing", first.title) in desk.told("ops")


async def test_a_hub_that_comes_back_late_lets_the_agent_say_first_what_it_told(desk: Desk) -> None:
    first = fired(desk.agent, severity="warning", order="hub_first")
    await desk.agent.events(first)
    desk.office.fails = lambda kind, to, note: Retry("the hub was cut off")
    await desk.agent.events(event(desk.agent, "yielded", first, fence=1))
    await desk.quiet()
    await desk.stage.stop()
    desk.stage.clock.advance(3600)
    desk.office.fails = lambda kind, to, note: None
    await desk.stage.start()
    await desk.quiet()
    assert desk.told("ops") == [], "the agent had its time, and has most likely told"
    told = Told(desk.channels["ops"], desk.stage.clock.now() - 3_500_000, "delivered")
    await desk.agent.heartbeat()
    await desk.agent.events(event(desk.agent, "told", first, told=(told,), fence=2))
    for _ in range(5):
        await desk.passes(60)
        await desk.agent.heartbeat()
    assert desk.told("ops") == []


async def test_a_history_out_of_a_backlog_is_shown_in_order_and_told_to_nobody(desk: Desk) -> None:
    first = fired(desk.agent)
    other = fired(desk.agent, "systemd:backup.service")
    desk.stage.clock.advance(1800)
    ended = event(desk.agent, "resolved", first, why="recovered")
    desk.stage.clock.advance(1800)
    await desk.agent.events(first, other, msgspec.structs.replace(ended))
    await desk.quiet()
    assert desk.told("chat") == [("firing", other.title)], "what is still open is told to whom nobody told"
    alerts = [await desk.alert(place) for place in range(2)]
    assert {(one["title"], one["state"], one["late"]) for one in alerts} == {
        (first.title, "resolved", True),
        (other.title, "firing", False),
    }
    assert all(one["true_at"] == first.at for one in alerts)


async def test_an_event_counts_once_and_a_strange_key_not_at_all(desk: Desk) -> None:
    first = fired(desk.agent)
    await desk.agent.events(first)
    desk.agent.event_number = 0
    await desk.agent.events(first)
    await desk.passes(30)
    assert desk.told("ops") == [("firing", first.title)]
    theirs = msgspec.structs.replace(first, key=key_of(str(desk.cast.other_agent.server_id), "r", "t", 1))
    reply = await desk.agent.say("alerts", {"events": [msgspec.to_builtins(theirs)]})
    assert reply.problem.slug == "invalid"
    assert "does not follow" in reply.problem.detail


async def test_heartbeats_compare_what_is_open_and_the_agents_word_counts(desk: Desk) -> None:
    first = fired(desk.agent)
    await desk.agent.events(first)
    await desk.quiet()
    assert not (await desk.agent.beat(alerts=digest_of([first.key]))).reconcile
    assert (await desk.agent.beat(alerts="")).reconcile
    await desk.agent.events(open=())
    await desk.passes(GAP)
    assert (await desk.alert())["resolved_why"] == "unknown"
    assert desk.told("ops")[-1] == ("resolved", first.title), "whoever was told is told that it is over"
    assert not (await desk.agent.beat(alerts="")).reconcile
    strange = answer(await desk.agent.events(open=("0" * 32,)))
    assert strange.unknown


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
    assert len(desk.office.said) == before, "acknowledged: nobody further is told"
    assert desk.told("phone") == []
    await desk.agent.events(event(desk.agent, "resolved", first))
    await desk.passes(GAP)
    assert desk.told("ops")[-1] == desk.told("chat")[-1] == ("resolved", first.title)
    detail = await desk.detail()
    assert ("acknowledged", desk.cast.member.email, "on it") in [
        (one["kind"], one["actor"], one["text"]) for one in detail["timeline"]
    ]


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
    assert [occasion for occasion, title in desk.told("ops") if "is down" in title], "the server fell silent"
    await desk.passes(7 * 3600)
    assert ("firing", first.title) in desk.told("ops")


async def test_a_burst_for_one_channel_is_two_messages_with_the_first_cause_on_top(desk: Desk) -> None:
    events = []
    for number in range(40):
        desk.stage.clock.time += 1
        events.append(fired(desk.agent, f"systemd:app-{number}.service"))
    await desk.agent.events(*events)
    await desk.passes(GAP + 1)
    messages = desk.office.heard("ops")
    assert len(messages) <= 2
    assert sum(len(one.note.subjects) for one in messages) == 40
    assert messages[0].note.subjects[0].title == events[0].title


async def test_a_channel_that_fails_is_tried_again_and_then_another_is_told_as_well(desk: Desk) -> None:
    body = {
        "organization_id": str(desk.cast.organization_id),
        "name": "backup",
        "kind": "webhook",
        "settings": {"to": "backup"},
        "fallback": True,
    }
    assert (await desk.cast.owner.client.post("/api/v1/channels", body)).status == 201
    await desk.policies({"name": "P", "steps": [{"channels": ["kind:email"]}]})
    desk.office.fails = lambda kind, to, note: Retry("503 from there") if to == "ops" else None
    first = fired(desk.agent)
    await desk.agent.events(first)
    for _ in range(40):
        await desk.passes(5)
    assert len([one for one in desk.office.tried if one.to == "ops"]) >= FALLBACK_ATTEMPTS
    assert desk.told("backup") == [("firing", first.title)]
    (subject,) = desk.office.heard("backup")[0].note.subjects
    assert ("Told here instead", "ops did not take it: 503 from there") in subject.facts
    desk.office.fails = lambda kind, to, note: None
    for _ in range(70):
        await desk.passes(10)
    assert desk.told("ops") == [("firing", first.title)]
    detail = await desk.detail()
    (of_ops,) = [one for one in detail["notifications"] if one["channel"] == "ops"]
    assert [one["outcome"] for one in of_ops["attempts"]] == ["retry"] * (len(of_ops["attempts"]) - 1) + ["delivered"]


async def test_a_refused_message_goes_to_the_fallback_and_the_agent_hears_that_it_must_tell(desk: Desk) -> None:
    await desk.policies({"name": "P", "steps": [{"channels": ["kind:email"]}]})
    desk.office.fails = lambda kind, to, note: Refused("no such mailbox")
    first = fired(desk.agent, severity="warning", order="hub_first")
    await desk.agent.events(first)
    await desk.agent.events(event(desk.agent, "yielded", first, fence=1))
    await desk.quiet()
    assert not answer(await desk.agent.events(ask=(first.key,))).accepted
    assert [one["kind"] for one in (await desk.detail())["timeline"]] == ["fired", "refused"]


async def test_what_is_resolved_before_it_was_sent_is_never_told(desk: Desk) -> None:
    desk.office.fails = lambda kind, to, note: Retry("not now") if note.occasion == "firing" else None
    await desk.policies(
        {
            "name": "P",
            "steps": [{"channels": ["kind:email"]}],
            "quiet": {"zone": "UTC", "start": "22:00", "end": "07:00"},
        }
    )
    first = fired(desk.agent)
    await desk.agent.events(first)
    await desk.passes(30)
    await desk.agent.events(event(desk.agent, "resolved", first))
    await desk.passes(60)
    assert ("resolved", first.title) not in desk.told("ops")
    (note,) = (await desk.detail())["notifications"]
    assert (note["state"], note["reason"]) == ("cancelled", "it was resolved before it was sent")


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


async def test_evidence_is_kept_and_bounded(desk: Desk) -> None:
    evidence = Evidence(desk.stage.clock.now(), {"Journal": ["line 1", "line 2"]})
    await desk.agent.events(fired(desk.agent, evidence=evidence))
    await desk.quiet()
    assert (await desk.detail())["evidence"] == {"Journal": ["line 1", "line 2"]}
    assert desk.office.heard("ops")[0].note.subjects[0].evidence == ("Journal:", "  line 1", "  line 2")
    huge = Evidence(desk.stage.clock.now(), {"Journal": ["x" * 1000] * 40})
    reply = await desk.agent.fire("r", "t", evidence=huge)
    assert reply.problem.slug == "limit"


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


async def test_two_hubs_on_one_database_tell_everything_once(desk: Desk, tmp_path: Path) -> None:
    second = HubStage(desk.stage.owner_url, tmp_path / "second", clock=desk.stage.clock)
    second.post_office = desk.office
    async with second:
        for number in range(30):
            desk.stage.clock.time += 1
            await desk.agent.events(fired(desk.agent, f"systemd:app-{number}.service"))
        for _ in range(5):
            desk.stage.clock.advance(GAP)
            await asyncio.gather(desk.stage.hub.look(), second.hub.look())
            await desk.quiet()
        titles = [title for _, title in desk.told("ops")]
        assert sorted(titles) == sorted(set(titles))
        assert len(titles) == 30


async def test_a_hub_killed_in_the_middle_of_sending_sends_again_and_says_that_it_did(desk: Desk) -> None:
    hanging = asyncio.Event()
    take = desk.office.take

    async def hang(kind: str, to: str, note: Any) -> Any:
        hanging.set()
        await asyncio.Event().wait()

    desk.office.take = hang  # type: ignore[method-assign]
    await desk.agent.events(fired(desk.agent))
    await asyncio.wait_for(hanging.wait(), PATIENCE_SECONDS)
    await desk.stage.crash()
    desk.office.take = take  # type: ignore[method-assign]
    await desk.stage.start()
    await desk.passes(120)
    assert len(desk.told("ops")) == 1
    detail = await desk.detail()
    (of_ops,) = [one for one in detail["notifications"] if one["channel"] == "ops"]
    assert [one["outcome"] for one in of_ops["attempts"]] == ["lost", "delivered"]


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
    assert (await client.get("/api/v1/alerts?state=resolved")).json()["alerts"] == []
    assert (await client.get("/api/v1/alerts?before=x")).status == 422


async def test_an_open_stream_is_told_of_alerts(desk: Desk) -> None:
    async with desk.cast.viewer.client.stream("/api/v1/live") as live:
        await live.next("hello")
        first = fired(desk.agent)
        await desk.agent.events(first)
        _, told = await live.next("alert")
        assert (told["title"], told["state"]) == (first.title, "firing")


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
