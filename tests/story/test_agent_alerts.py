"""What people hear from an agent, and what its hub hears: agent first, hub first, outages, restarts."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.story.alert_stage import Scene
from twinwatch.protocol.alerts import AlertAnswer
from twinwatch.testing.story import until


async def test_a_critical_alert_is_told_by_the_agent_at_once_and_so_is_its_end(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    await scene.begin()
    scene.gauge.checks["pump"] = "down"
    await until(lambda: scene.told("ops") and scene.told("chat"), 16)
    assert scene.told("ops") == scene.told("chat") == [("firing", "failed: pump")]
    note = scene.office.heard("chat")[0].note
    assert (note.teller, note.sender, note.organization, note.first) == ("agent", "web-1", "Acme", True)
    assert note.subjects[0].message == "pump is down"
    assert note.subjects[0].acknowledge_url.startswith("https://hub.example/acknowledge/?key=")
    await until(lambda: len(scene.events()) == 3, 5)
    assert scene.events() == ["fired", "told", "told"]
    assert scene.states(0) == [("c-ops", "trying"), ("c-chat", "trying")]
    scene.gauge.checks["pump"] = "up"
    await until(lambda: len(scene.told("chat")) == 2, 30)
    assert scene.told("ops") == [("firing", "failed: pump"), ("resolved", "failed: pump")]
    resolved = scene.office.heard("chat")[1].note
    assert (resolved.thread, resolved.reference, resolved.first) == (note.thread, "slack-2", False)
    await until(lambda: len(scene.events()) == 6, 5)
    assert scene.events()[3:] == ["resolved", "told", "told"]
    await asyncio.sleep(600)
    assert len(scene.office.said) == 4
    assert scene.hub.server.heartbeats[-1].alerts == ""
    await scene.agent.stop()


async def test_a_warning_is_left_to_a_hub_that_answers(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    await scene.begin()
    answers = {"told": False}
    scene.hub.answers = lambda key, server: AlertAnswer(key, fence=1, told=answers["told"], will_notify_by=0)
    scene.gauge.value = 0.95
    await until(lambda: scene.events() == ["fired", "yielded"], 20)
    assert [event.fence for event in scene.hub.server.events] == [0, 1]
    assert scene.hub.server.events[0].message == "gauge.level is 95 %, above 90 %"
    answers["told"] = True
    await asyncio.sleep(300)
    assert scene.office.said == []
    scene.gauge.value = 0.1
    await until(lambda: scene.events() == ["fired", "yielded", "resolved"], 30)
    await asyncio.sleep(60)
    assert scene.office.said == []
    await scene.agent.stop()


async def test_a_warning_without_an_answer_is_told_by_the_agent_after_eight_seconds(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    await scene.begin()
    scene.agent.http.cut()
    scene.gauge.value = 0.95
    took = await until(lambda: scene.told("ops"), 40)
    assert 8 <= took <= 25
    assert scene.told("ops") == [("firing", "almost full")]
    assert scene.told("chat") == []
    scene.gauge.value = 0.1
    await until(lambda: len(scene.told("ops")) == 2, 40)
    scene.agent.http.mend()
    await until(lambda: "resolved" in scene.events(), 60)
    await asyncio.sleep(120)
    kinds = [(event.kind, event.fence, [told.state for told in event.told]) for event in scene.hub.server.events]
    assert kinds[:4] == [
        ("fired", 0, []),
        ("told", 2, ["trying"]),
        ("told", 2, ["delivered"]),
        ("resolved", 2, ["trying"]),
    ]
    assert len(scene.office.said) == 2
    await scene.agent.stop()


async def test_what_the_hub_accepted_and_has_not_told_in_time_the_agent_tells(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    await scene.begin()
    scene.hub.answers = lambda key, server: AlertAnswer(key, fence=1)
    scene.gauge.value = 0.95
    took = await until(lambda: scene.told("ops"), 90)
    assert 38 <= took <= 65
    asked = [message for message in scene.hub.server.asked if message.ask]
    assert len(asked) >= 4, "it asked again before it told"
    assert scene.hub.server.events[2].fence == 2
    await scene.agent.stop()


async def test_an_agent_killed_while_an_alert_is_open_repeats_nothing_and_forgets_nothing(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    await scene.begin()
    scene.gauge.checks["pump"] = "down"
    await until(lambda: len(scene.office.said) == 2, 20)
    await asyncio.sleep(1)
    await scene.agent.kill()
    await asyncio.sleep(120)
    await scene.agent.start()
    await asyncio.sleep(120)
    assert len(scene.office.said) == 2
    assert scene.hub.server.heartbeats[-1].alerts != ""
    await scene.agent.kill()
    scene.gauge.checks["pump"] = "up"
    await scene.agent.start()
    await until(lambda: len(scene.office.said) == 4, 60)
    assert [one.occasion for one in scene.office.said] == ["firing", "firing", "resolved", "resolved"]
    keys = {event.key for event in scene.hub.server.events}
    assert len(keys) == 1
    await scene.agent.stop()


async def test_a_hub_that_was_away_hears_everything_in_order(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    await scene.begin()
    scene.agent.http.cut()
    for _ in range(2):
        scene.gauge.checks["pump"] = "down"
        await asyncio.sleep(60)
        scene.gauge.checks["pump"] = "up"
        await asyncio.sleep(60)
    scene.gauge.checks["pump"] = "down"
    await asyncio.sleep(60)
    before = len(scene.office.said)
    scene.agent.http.mend()
    await until(lambda: scene.events().count("fired") == 3, 60)
    await asyncio.sleep(60)
    assert len(scene.office.said) == before
    numbers = [event.number for event in scene.hub.server.events]
    assert numbers == sorted(numbers)
    assert [kind for kind in scene.events() if kind != "told"] == ["fired", "resolved", "fired", "resolved", "fired"]
    await scene.agent.stop()


async def test_a_hub_that_asks_is_told_all_that_is_open_and_one_that_forgot_is_told_again(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    await scene.begin()
    scene.gauge.checks["pump"] = "down"
    await until(lambda: scene.events() == ["fired", "told", "told"], 20)
    key = scene.hub.server.events[0].key
    scene.hub.reconciles = True
    scene.hub.answers = lambda key, server: AlertAnswer(key, unknown=len(server.events) == 3)
    await until(lambda: len(scene.events()) == 4, 70)
    scene.hub.reconciles = False
    assert [message.open for message in scene.hub.server.asked if message.open is not None] == [(key,)]
    again = scene.hub.server.events[3]
    assert (again.kind, again.key, [told.state for told in again.told]) == ("fired", key, ["delivered", "delivered"])
    assert len(scene.office.said) == 2
    await scene.agent.stop()


async def test_what_was_resolved_by_hand_is_nobodys_matter_until_it_fires_anew(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    await scene.begin()
    scene.gauge.checks["pump"] = "down"
    await until(lambda: scene.events() == ["fired", "told", "told"], 20)
    scene.hub.answers = lambda key, server: AlertAnswer(key, closed=True)
    scene.hub.reconciles = True
    await until(lambda: not scene.alerting.open_alerts, 150)
    scene.hub.reconciles = False
    scene.hub.answers = lambda key, server: AlertAnswer(key, told=True)
    await asyncio.sleep(60)
    scene.gauge.checks["pump"] = "up"
    await asyncio.sleep(60)
    assert len(scene.office.said) == 2, "the hub tells those whom the agent had told"
    scene.gauge.checks["pump"] = "down"
    await until(lambda: len(scene.office.said) == 4, 30)
    await scene.agent.stop()
