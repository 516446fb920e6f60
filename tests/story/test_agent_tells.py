"""How an agent tells: tries again, groups what comes together, keeps channels apart, with a hub and without."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec

from tests.story.alert_stage import BUNDLE, Scene
from twinwatch.agent.alerting.addressing import FileAlerts, FileChannel
from twinwatch.notify import Refused, Retry
from twinwatch.protocol.rules import Rule
from twinwatch.testing.story import until

FILE = FileAlerts((FileChannel("mine", "email", {"to": "mine"}),))


def failing(times: int, outcome: Any, to: str = "ops") -> Any:
    """Lets so many tries fail."""
    left = [times]

    def fails(kind: str, whom: str, note: Any) -> Any:
        if whom != to or not left[0]:
            return None
        left[0] -= 1
        return outcome

    return fails


async def test_what_a_provider_does_not_take_now_it_gets_when_it_asked_for_it(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    await scene.begin()
    scene.agent.http.cut()
    scene.office.fails = failing(2, Retry("429", after_seconds=40.0))
    scene.gauge.checks["pump"] = "down"
    await until(lambda: scene.told("chat"), 20)
    began = asyncio.get_running_loop().time()
    await until(lambda: scene.told("ops"), 200)
    assert 80 <= asyncio.get_running_loop().time() - began <= 100
    tries = [one for one in scene.office.tried if one.to == "ops"]
    assert len({one.note.id for one in tries}) == 1, "the same message, whatever happens meanwhile"
    await scene.agent.stop()


async def test_what_is_refused_is_not_tried_again_and_the_hub_hears_why(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    await scene.begin()
    scene.office.fails = failing(99, Refused("the bot token was revoked"), "chat")
    scene.gauge.checks["pump"] = "down"
    await until(lambda: len(scene.events()) == 3, 30)
    told = {told.channel: told for event in scene.hub.server.events[1:] for told in event.told}
    assert (told["c-chat"].state, told["c-chat"].reason) == ("refused", "the bot token was revoked")
    await asyncio.sleep(600)
    assert len([one for one in scene.office.tried if one.to == "chat"]) == 1
    scene.gauge.checks["pump"] = "up"
    await asyncio.sleep(60)
    assert [occasion for occasion, _ in scene.told("ops")] == ["firing", "resolved"]
    assert scene.told("chat") == []
    (chat,) = [one for one in scene.alerting.status().channels if one.name == "chat"]
    assert chat.trouble == "the bot token was revoked"
    await scene.agent.stop()


async def test_a_burst_is_few_messages_with_the_first_cause_on_top(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.gauge.checks = {f"unit-{number}": "up" for number in range(40)}
    await scene.begin()
    await asyncio.sleep(30)
    scene.gauge.checks = dict.fromkeys(scene.gauge.checks, "down")
    await until(lambda: len(scene.told("ops")) == 40, 60)
    notes = [one.note for one in scene.office.heard("ops")]
    assert len(notes) <= 2
    scene.gauge.checks = dict.fromkeys(scene.gauge.checks, "up")
    await until(lambda: len(scene.told("ops")) == 80, 60)
    assert len(scene.office.heard("ops")) <= 4
    await scene.agent.stop()


async def test_a_channel_that_hangs_holds_up_no_other_and_its_end_is_told_too(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    await scene.begin()
    scene.agent.http.cut()
    scene.office.fails = failing(1, Retry("no answer within 15 s"))
    scene.gauge.checks["pump"] = "down"
    await until(lambda: scene.told("chat"), 17)
    scene.gauge.checks["pump"] = "up"
    await until(lambda: len(scene.told("chat")) == 2, 40)
    await asyncio.sleep(60)
    heard = [occasion for occasion, _ in scene.told("ops")]
    assert heard in (["firing", "resolved"], ["resolved"]), "whether it had arrived is not known: the end is told"
    await scene.agent.stop()


async def test_what_keeps_coming_and_going_is_one_message_and_a_last_one(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    await scene.begin()
    for _ in range(12):
        scene.gauge.checks["pump"] = "down"
        await asyncio.sleep(40)
        scene.gauge.checks["pump"] = "up"
        await asyncio.sleep(40)
    await asyncio.sleep(15 * 60)
    assert [occasion for occasion, _ in scene.told("chat")] == [
        *("firing", "resolved", "firing", "resolved"),
        *("flapping", "resolved"),
    ]
    scene.gauge.checks["pump"] = "down"
    await asyncio.sleep(5)
    await scene.agent.stop()


async def test_an_agent_with_channels_of_its_own_tells_on_them_with_a_hub_and_without(tmp_path: Path) -> None:
    scene = Scene(tmp_path / "one")
    (tmp_path / "one").mkdir()
    scene.agent.configuration.alerts = FILE
    await scene.begin()
    scene.gauge.value = 0.95
    await until(lambda: scene.told("mine"), 20)
    scene.gauge.value = 0.1
    await until(lambda: len(scene.told("mine")) == 2, 40)
    assert scene.told("ops") == [], "a warning is the hub's to tell there"
    await scene.agent.stop()

    (tmp_path / "two").mkdir()
    alone = Scene(tmp_path / "two", hub="", enrolment_key=None)
    alone.agent.configuration.alerts = FILE
    await alone.agent.start()
    alone.gauge.value = 0.95
    await until(lambda: alone.told("mine"), 20)
    await alone.agent.kill()
    await alone.agent.start()
    await asyncio.sleep(60)
    assert len(alone.told("mine")) == 1
    alone.gauge.value = 0.1
    await until(lambda: len(alone.told("mine")) == 2, 40)
    await alone.agent.stop()


async def test_a_rule_of_the_bundle_stands_before_the_files_and_its_end_ends_what_it_fired(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.agent.configuration.rules = (Rule("gauge: almost full", metric="gauge.level", above=0.7),)
    await scene.begin()
    scene.gauge.value = 0.8
    await until(lambda: scene.events()[:2] == ["fired", "yielded"], 20)
    off = Rule("gauge: almost full", metric="gauge.level", above=0.7, enabled=False)
    scene.hub.give(BUNDLE)
    await asyncio.sleep(30)
    assert "resolved" not in scene.events()
    scene.hub.give(msgspec.structs.replace(BUNDLE, rules=(off,)))
    await until(lambda: scene.events()[-1] == "resolved", 90)
    assert scene.hub.server.events[-1].why == "changed"
    assert scene.agent.http.exchanges[-1].status == 200
    await scene.agent.stop()


async def test_an_agent_whose_memory_is_older_than_what_the_hub_has_counted_numbers_on(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    await scene.begin()
    scene.hub.server.event_mark = scene.clock.now() * 2
    scene.gauge.checks["pump"] = "down"
    await until(lambda: "fired" in scene.events(), 30)
    await asyncio.sleep(30)
    assert scene.events() == ["fired", "told", "told"]
    assert len(scene.office.said) == 2
    await scene.agent.stop()
