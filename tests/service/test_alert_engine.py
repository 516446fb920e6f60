"""The hub's alerts on a real database: what agents' events open, who is told, once, and how it ends."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.service.alert_desk import GAP, Desk, answer, event, fired
from twinwatch.alerts.episodes import key_of
from twinwatch.hub.alerting.engine import AGENT_MILLISECONDS
from twinwatch.hub.alerting.outbox import FALLBACK_ATTEMPTS
from twinwatch.hub.lawful import LAST_INSTANT
from twinwatch.notify import Note, Refused, Retry
from twinwatch.protocol.alerts import Evidence, Told, digest_of
from twinwatch.testing.client import PATIENCE_SECONDS
from twinwatch.testing.hub_stage import HubStage


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
    found = answer(await desk.agent.events(ask=(first.key,)))
    assert (found.accepted, found.told) == (True, False), "it will be told here, but was not"
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
    await desk.agent.events(event(desk.agent, "resolved", first, why="recovered"))
    await desk.passes(GAP)
    assert desk.told("ops") == [("firing", first.title), ("resolved", first.title)]
    assert desk.told("chat") == [("firing", first.title)], "both have told it of the beginning: the agent says its end"


async def test_while_a_try_of_the_agents_is_in_doubt_the_hub_has_not_told_whoever_else_has_it(desk: Desk) -> None:
    now = desk.stage.clock.now()
    told = (Told(desk.channels["ops"], now, "delivered"), Told(desk.channels["chat"], now, "trying"))
    first = fired(desk.agent, told=told)
    await desk.agent.events(first)
    await desk.passes(26)
    assert desk.told("ops") == desk.told("chat") == []
    found = answer(await desk.agent.events(ask=(first.key,)))
    assert (found.told, found.on) == (False, ()), "if it ends now, its agent says so in chat"
    await desk.passes(9)
    assert desk.told("chat") == [("firing", first.title)], "nobody knows what became of the agent's try"
    found = answer(await desk.agent.events(ask=(first.key,)))
    chat = desk.channels["chat"]
    assert (found.accepted, found.told, found.on) == (True, True, (chat,)), "from now on its end in chat is the hub's"


async def test_a_beginning_that_is_under_way_when_the_agent_says_the_end_has_an_end_of_its_own(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, take = desk.stage.clock.now(), desk.office.take
    under_way, goes_on = asyncio.Event(), asyncio.Event()

    async def slowly(kind: str, to: str, note: Note) -> Any:
        if to == "chat":
            under_way.set()
            await goes_on.wait()
        return await take(kind, to, note)

    monkeypatch.setattr(desk.office, "take", slowly)
    first = fired(desk.agent, told=(Told(desk.channels["chat"], now, "trying"),))
    await desk.agent.events(first)
    desk.stage.clock.advance(32)
    await desk.stage.hub.look()
    async with asyncio.timeout(PATIENCE_SECONDS):
        await under_way.wait()
    delivered = Told(desk.channels["chat"], now, "delivered")
    await desk.agent.events(event(desk.agent, "told", first, told=(delivered,)))
    await desk.agent.events(event(desk.agent, "resolved", first, why="recovered"))
    goes_on.set()
    for _ in range(2):  # a channel rests between two messages
        await desk.passes(GAP)
    assert [occasion for occasion, _ in desk.told("chat")] == ["firing", "resolved"]


async def test_where_tries_of_both_are_in_doubt_one_says_the_end(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    take = desk.office.take

    async def busy(kind: str, to: str, note: Note) -> Any:
        return Retry("busy") if note.subjects[0].occasion == "firing" else await take(kind, to, note)

    monkeypatch.setattr(desk.office, "take", busy)
    first = fired(desk.agent)
    await desk.agent.events(first)
    await desk.passes(2 * GAP)
    found = answer(await desk.agent.events(ask=(first.key,)))
    assert (found.told, found.on) == (False, ()), "it has tried, and nobody has heard: its agent may have to tell"
    now = desk.stage.clock.now()
    ends = (Told(desk.channels["chat"], now, "trying", occasion="resolved"),)
    await desk.agent.events(event(desk.agent, "resolved", first, why="recovered", told=ends))
    await desk.passes(2 * GAP)
    assert desk.told("chat") == [], "its agent says it there, whose try may have arrived as well"
    assert desk.told("ops") == [("resolved", first.title)]


async def test_where_the_hub_has_told_it_says_the_end_whatever_comes_of_the_agents(desk: Desk) -> None:
    first = fired(desk.agent)
    await desk.agent.events(first)
    await desk.quiet()
    now = desk.stage.clock.now()
    ends = (Told(desk.channels["chat"], now, "trying", occasion="resolved"),)
    await desk.agent.events(event(desk.agent, "resolved", first, why="recovered", told=ends))
    await desk.passes(2 * GAP)
    assert [occasion for occasion, _ in desk.told("chat")] == ["firing", "resolved"]


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


async def test_evidence_is_kept_and_bounded(desk: Desk) -> None:
    evidence = Evidence(desk.stage.clock.now(), {"Journal": ["line 1", "line 2"]})
    await desk.agent.events(fired(desk.agent, evidence=evidence))
    await desk.quiet()
    assert (await desk.detail())["evidence"] == {"Journal": ["line 1", "line 2"]}
    assert desk.office.heard("ops")[0].note.subjects[0].evidence == ("Journal:", "  line 1", "  line 2")
    huge = Evidence(desk.stage.clock.now(), {"Journal": ["x" * 1000] * 40})
    reply = await desk.agent.fire("r", "t", evidence=huge)
    assert reply.problem.slug == "limit"
    reply = await desk.agent.fire("r", "t", evidence=Evidence(LAST_INSTANT + 1, {"Journal": ["line 1"]}))
    assert reply.problem.slug == "invalid"


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


async def test_what_comes_while_a_message_is_under_way_waits_for_its_end_and_a_pause(desk: Desk) -> None:
    under_way, end = asyncio.Event(), asyncio.Event()
    take = desk.office.take

    async def slow(kind: str, to: str, note: Any) -> Any:
        if to == "ops":
            under_way.set()
            await end.wait()
        return await take(kind, to, note)

    desk.office.take = slow  # type: ignore[method-assign]
    await desk.agent.events(fired(desk.agent))
    await asyncio.wait_for(under_way.wait(), PATIENCE_SECONDS)
    desk.stage.clock.time += 1
    await desk.agent.events(fired(desk.agent, "systemd:postgresql.service"))
    await desk.stage.hub.look()
    end.set()
    await desk.quiet()
    assert desk.told("ops") == [("firing", "systemd:nginx.service failed")]
    desk.stage.clock.advance(GAP)
    await desk.quiet()
    assert desk.told("ops")[1:] == [("firing", "systemd:postgresql.service failed")]


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
