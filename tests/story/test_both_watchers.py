"""Real agents before a real hub, in virtual time: drills down both kinds of paths, witnesses, a hub that is away."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from tests.story.test_delivery import server_of, staged_agent
from twinwatch.agent.watching.settings import HubWatchSettings
from twinwatch.hub.api.doors import Rooms
from twinwatch.hub.probing.kinds import Question
from twinwatch.testing.hub_stage import HubStage, Player
from twinwatch.testing.paper_net import PaperNet
from twinwatch.testing.story import StagedAgent, until

SOURCES = {
    "tcp 1.1.1.1:443": "",
    "tcp shop.example:80": "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
}
AWAY = "not reachable: hub"


class Place:
    """An organization with one channel that agents may speak on, and one agent."""

    def __init__(self, stage: HubStage, agent: StagedAgent, owner: Player, server: UUID) -> None:
        self.stage = stage
        self.agent = agent
        self.owner = owner
        self.server = server

    @property
    def rooms(self) -> Rooms:
        rooms: Rooms = self.stage.hub.api.state.rooms
        return rooms

    async def paths(self) -> dict[str, dict[str, Any]]:
        """By sender."""
        target = f"/api/v1/channels?organization_id={self.owner.organization_id}"
        (channel,) = (await self.owner.client.get(target)).json()["channels"]
        return {path["server"] or "hub": path for path in channel["paths"]}

    def told(self) -> list[tuple[str, str, str]]:
        """Teller, occasion and title of all that was said."""
        return [(one.teller, one.occasion, one.note.subjects[0].title) for one in self.stage.post_office.said]


@pytest.fixture
async def place(stage: HubStage, tmp_path: Path) -> Place:
    watch = HubWatchSettings(internet=("1.1.1.1:443",))
    net = PaperNet(SOURCES)
    agent, owner = await staged_agent(
        stage, tmp_path / "agent", post_office=stage.post_office, net=net, hub_watch=watch
    )
    server = await server_of(owner)
    body = {"organization_id": str(owner.organization_id), "name": "ops", "kind": "email", "settings": {"to": "ops"}}
    assert (await owner.client.post("/api/v1/channels", body)).status == 201
    await stage.default_policies(owner.organization_id)
    made = Place(stage, agent, owner, UUID(server["id"]))
    await until(lambda: made.rooms.controls.connected(made.server), 120)
    await asyncio.sleep(90)
    return made


async def test_a_drill_proves_the_hubs_path_and_the_agents(place: Place) -> None:
    reply = await place.owner.client.post("/api/v1/drills", {"organization_id": str(place.owner.organization_id)})
    assert (reply.status, reply.json()) == (202, {"paths": 2})
    await until(lambda: len(place.told()) == 2, 60)
    await asyncio.sleep(5)
    assert sorted(teller for teller, occasion, _ in place.told() if occasion == "drill") == ["agent", "hub"]
    paths = await place.paths()
    assert {sender: path["outcome"] for sender, path in paths.items()} == {"hub": "delivered", "web-1": "delivered"}
    assert all(path["proven_at"] for path in paths.values())
    await place.agent.stop()


async def test_a_witness_answers_the_hub_within_its_time(place: Place) -> None:
    ask = place.rooms.witnesses.ask
    organization = place.owner.organization_id
    seen = await ask(organization, Question("http", "http://shop.example/", {"keyword": "ok"}))
    assert seen == (("web-1",), ())
    assert await ask(organization, Question("tcp", "shop.example:81")) == ((), ("web-1",))
    assert await ask(organization, Question("http", "http://127.0.0.1/")) == ((), ())
    await place.agent.stop()


async def test_a_hub_that_is_away_is_told_by_its_agent_alone_and_kept_once_it_is_back(place: Place) -> None:
    place.agent.http.cut()
    await until(lambda: ("agent", "firing", AWAY) in place.told(), 300)
    await asyncio.sleep(120)
    assert [one for one in place.told() if one[2] == AWAY] == [("agent", "firing", AWAY)]
    place.agent.http.mend()
    await asyncio.sleep(180)
    assert [one for one in place.told() if one[2] == AWAY] == [("agent", "firing", AWAY), ("agent", "resolved", AWAY)]
    alerts = (await place.owner.client.get("/api/v1/alerts")).json()["alerts"]
    (away,) = (alert for alert in alerts if alert["thing"] == "twinwatch:hub")
    assert (away["state"], away["late"], away["severity"]) == ("resolved", True, "critical")
    await place.agent.stop()
