"""What people hear of a hub that is away, and what nobody hears while a server's own internet is down."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from tests.story.alert_stage import BUNDLE, Scene
from twinwatch.agent.watching.settings import HubWatchSettings
from twinwatch.protocol.bundle import DirectChannel
from twinwatch.testing.fake_hub import FakeHub
from twinwatch.testing.paper_net import PaperNet
from twinwatch.testing.post_office import PostOffice
from twinwatch.testing.story import StagedAgent, until

AWAY = "not reachable: hub"
REACHED = {"tcp 1.1.1.1:443": ""}
DUTY = DirectChannel("c-duty", "sms", "duty", {"to": "duty"})
WATCHED = msgspec.structs.replace(BUNDLE, hub_watch=(DUTY.id,), channels=(*BUNDLE.channels, DUTY))
WATCH = HubWatchSettings(internet=("1.1.1.1:443", "8.8.8.8:443"))


class Away(Scene):
    """A scene whose agent reaches the internet, or does not."""

    def __init__(self, tmp_path: Path) -> None:
        self.net = PaperNet(REACHED)
        super().__init__(tmp_path, net=self.net, hub_watch=WATCH)

    def internet(self, *, up: bool) -> None:
        self.net.sources = dict(REACHED) if up else {}


async def test_a_hub_that_is_away_is_told_once_on_its_own_channels_and_so_is_its_return(tmp_path: Path) -> None:
    scene = Away(tmp_path)
    await scene.begin(WATCHED)
    await asyncio.sleep(60)
    scene.agent.http.cut()
    took = await until(lambda: scene.told("duty"), 300)
    assert 120 <= took <= 200
    assert scene.told("duty") == [("firing", AWAY)]
    message = scene.office.heard("duty")[0].note.subjects[0].message
    assert message.startswith("hub http://hub.example: network is unreachable; ticks are kept and sent later.")
    assert message.endswith("The internet works from here: 1.1.1.1:443 can be reached.")
    await asyncio.sleep(6 * 3600)
    assert len(scene.office.said) == 1
    scene.agent.http.mend()
    await until(lambda: len(scene.told("duty")) == 2, 60)
    assert scene.told("duty")[1] == ("resolved", AWAY)
    await until(lambda: scene.events()[-1:] == ["told"] and "resolved" in scene.events(), 30)
    fired = scene.hub.server.events[0]
    assert (fired.kind, fired.thing, fired.severity) == ("fired", "twinwatch:hub", "critical")
    await asyncio.sleep(3600)
    assert len(scene.office.said) == 2
    await scene.agent.stop()


async def test_a_restart_within_the_outage_repeats_nothing_and_ends_what_was_said(tmp_path: Path) -> None:
    scene = Away(tmp_path)
    await scene.begin(WATCHED)
    scene.agent.http.cut()
    await until(lambda: scene.told("duty"), 300)
    for _ in range(2):
        await scene.agent.kill()
        await scene.agent.start()
        await asyncio.sleep(1800)
    assert scene.told("duty") == [("firing", AWAY)]
    scene.agent.http.mend()
    await until(lambda: len(scene.told("duty")) == 2, 60)
    assert scene.told("duty")[1] == ("resolved", AWAY)
    await scene.agent.stop()


async def test_nobody_hears_of_the_hub_while_the_own_internet_is_down_and_the_hub_has_it_later(tmp_path: Path) -> None:
    scene = Away(tmp_path)
    await scene.begin(WATCHED)
    await asyncio.sleep(60)
    scene.agent.http.cut()
    scene.internet(up=False)
    await asyncio.sleep(3600)
    scene.agent.http.mend()
    scene.internet(up=True)
    await until(lambda: "resolved" in scene.events(), 60)
    await asyncio.sleep(600)
    assert scene.office.said == []
    fired, resolved = (event for event in scene.hub.server.events if event.kind in ("fired", "resolved"))
    assert (fired.thing, fired.severity) == ("twinwatch:internet", "warning")
    assert resolved.at - fired.at > 3_400_000
    await scene.agent.stop()


async def test_a_hub_that_restarts_is_not_away(tmp_path: Path) -> None:
    scene = Away(tmp_path)
    await scene.begin(WATCHED)
    for _ in range(5):
        scene.agent.http.cut()
        await asyncio.sleep(70)
        scene.agent.http.mend()
        await asyncio.sleep(120)
    assert scene.office.said == []
    await scene.agent.stop()


async def test_of_several_agents_the_first_tells_and_the_others_hear_the_hub_again_before_they_would(
    tmp_path: Path,
) -> None:
    scene = Away(tmp_path / "first")
    (tmp_path / "first").mkdir()
    await scene.begin(WATCHED)
    second_office = PostOffice(scene.clock)
    second_hub = FakeHub(scene.clock)
    (tmp_path / "second").mkdir()
    second = StagedAgent(
        tmp_path / "second", second_hub, scene.clock, net=scene.net, post_office=second_office, hub_watch=WATCH
    )
    await second.start()
    await until(lambda: second_hub.servers and second_hub.server.heartbeats, 30)
    second_hub.give(msgspec.structs.replace(WATCHED, rank=1))
    await asyncio.sleep(90)
    scene.agent.http.cut()
    second.http.cut()
    await until(lambda: scene.told("duty"), 300)
    scene.agent.http.mend()
    second.http.mend()
    await asyncio.sleep(300)
    assert scene.told("duty") == [("firing", AWAY), ("resolved", AWAY)]
    assert second_office.said == []
    await scene.agent.stop()
    await second.stop()
