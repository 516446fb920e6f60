"""Drills: down every path that an agent has, at the hub's word or at that of somebody on the server."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from tests.story.alert_stage import BUNDLE, Scene
from twinwatch.agent.drilling import IN_AN_HOUR, TooOften
from twinwatch.notify import Outcome, Refused, Retry
from twinwatch.protocol.control import DrillAsked
from twinwatch.testing.story import until


def asked(identity: str, *channels: str) -> str:
    return msgspec.json.encode(DrillAsked(identity, channels)).decode()


async def test_the_hubs_drill_goes_down_every_path_and_it_hears_what_came_of_it(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    await scene.begin()
    await until(lambda: scene.hub.server.control is not None, 30)
    scene.hub.say(asked("d1"))
    assert await until(lambda: scene.hub.server.drills, 30) < 5
    assert [(one.to, one.occasion) for one in scene.office.said] == [("ops", "drill"), ("chat", "drill")]
    subject = scene.office.said[0].note.subjects[0]
    assert (subject.server, subject.title) == ("web-1", "This is a drill")
    assert scene.office.said[0].note.teller == "agent"
    (result,) = scene.hub.server.drills
    assert result.id == "d1"
    assert [(told.channel, told.state) for told in result.told] == [("c-ops", "delivered"), ("c-chat", "delivered")]
    scene.hub.say(asked("d2", "c-chat"))
    await until(lambda: len(scene.hub.server.drills) == 2, 30)
    assert [one.to for one in scene.office.said[2:]] == ["chat"]
    await scene.agent.stop()


async def test_a_path_that_is_broken_is_told_with_its_reason(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    await scene.begin()
    outcomes: dict[str, Outcome] = {"ops": Refused("the token is revoked"), "chat": Retry("no answer within 15 s")}
    scene.office.fails = lambda kind, to, note: outcomes[to]
    drilled = await scene.watchers.drill()
    assert [(one.name, one.outcome, one.reason) for one in drilled.paths] == [
        ("ops", "refused", "the token is revoked"),
        ("chat", "failed", "no answer within 15 s"),
    ]
    assert (drilled.well, drilled.reported) == (False, True)
    (result,) = scene.hub.server.drills
    assert [(told.state, told.reason) for told in result.told] == [
        ("refused", "the token is revoked"),
        ("refused", "no answer within 15 s"),
    ]
    await scene.agent.stop()


async def test_a_drill_works_while_the_hub_is_away_and_only_so_often(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    await scene.begin()
    scene.agent.http.cut()
    for _ in range(IN_AN_HOUR):
        drilled = await scene.watchers.drill()
        assert (drilled.well, drilled.reported) == (True, False)
    with pytest.raises(TooOften):
        await scene.watchers.drill()
    assert len(scene.office.said) == 2 * IN_AN_HOUR
    scene.agent.http.mend()
    await asyncio.sleep(400)  # the control connection is a new one by then
    assert scene.hub.server.control is not None
    scene.hub.say(asked("one too many"))
    await until(lambda: scene.hub.server.drills, 30)
    assert [told.state for told in scene.hub.server.drills[-1].told] == ["refused", "refused"]
    assert "within the last hour" in scene.hub.server.drills[-1].told[0].reason
    assert len(scene.office.said) == 2 * IN_AN_HOUR
    await scene.agent.stop()


async def test_without_a_channel_there_is_nothing_to_prove(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    await scene.begin(msgspec.structs.replace(BUNDLE, channels=()))
    drilled = await scene.watchers.drill()
    assert (drilled.paths, drilled.well) == ((), False)
    await scene.agent.stop()
