"""Agents as witnesses: a second vantage point before an alert, evidence about a silent server, and who may answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal, cast
from uuid import UUID, uuid4

import msgspec
import pytest
from websockets.asyncio.client import connect

from tests.service.alert_desk import GAP, Desk, set_up
from tests.service.pages import net_world, page, serving
from tests.service.probe_desk import SHOP, MappedNet, ProbeDesk
from twinwatch.agent.watching.settings import WitnessSettings
from twinwatch.agent.watching.witness import Witness
from twinwatch.hub.probing.kinds import Outcome, Question, settings_of
from twinwatch.hub.probing.witnesses import Sighting, Witnesses
from twinwatch.protocol.control import WitnessAnswer, WitnessAsked
from twinwatch.protocol.version import AGENT_ROUTES
from twinwatch.testing.client import PATIENCE_SECONDS
from twinwatch.testing.hub_stage import HandClock, HubStage, Voice
from twinwatch.testing.ports import free_port
from twinwatch.testing.story import until

Said = Literal["up", "down", "unknown"]
PAGE = Question("http", "https://shop.example/")


class Eyes:
    """An agent that says of everything what ``outcome`` says; None: nothing at all."""

    def __init__(self, voice: Voice, outcome: Said | None) -> None:
        self.voice = voice
        self.outcome = outcome
        self.asked: list[WitnessAsked] = []

    @asynccontextmanager
    async def open(self, hub: str) -> AsyncIterator[None]:
        """With its control connection to the hub at this address."""
        url = f"{hub.replace('http', 'ws', 1)}{AGENT_ROUTES}/control"
        headers = {"authorization": f"Bearer {self.voice.client.token}"}
        await self.voice.heartbeat()
        async with connect(url, additional_headers=headers) as socket:

            async def look() -> None:
                async for frame in socket:
                    message = msgspec.json.decode(frame)
                    if message["kind"] != "witness":
                        continue
                    asked = msgspec.json.decode(frame, type=WitnessAsked)
                    self.asked.append(asked)
                    if self.outcome is not None:
                        reply = await self.voice.say("witness", WitnessAnswer(asked.id, self.outcome, "seen"))
                        assert reply.status == 204, reply

            looking = asyncio.create_task(look())
            try:
                yield
            finally:
                looking.cancel()
                await asyncio.gather(looking, return_exceptions=True)


@pytest.fixture
async def desk(database_url: str, tmp_path: Path, clock: HandClock) -> AsyncIterator[Desk]:
    stage = HubStage(database_url, tmp_path, clock=clock, public_url="https://hub.example", private_networks=True)
    async with stage:
        yield await set_up(stage)


def witnesses_of(stage: HubStage) -> Witnesses:
    return cast("Witnesses", stage.hub.api.state.rooms.witnesses)


async def is_connected(desk: Desk, voice: Voice) -> bool:
    view = (await desk.cast.viewer.client.get(f"/api/v1/servers/{voice.server_id}")).json()
    return bool(view["control"])


async def test_what_a_witness_reaches_is_not_down_until_it_does_not_either(desk: Desk) -> None:
    probes, eyes = ProbeDesk(desk), Eyes(desk.agent, "up")
    async with desk.stage.served() as hub, eyes.open(hub):
        probe = await probes.page(free_port())
        await probes.tried(probe, 3)
        (alert,) = await probes.alerts()
        assert (alert["severity"], alert["title"]) == ("warning", "Not reached from the hub, but from elsewhere")
        assert alert["verdict"].splitlines()[0] == "only from the hub: others reach it"
        assert "reached by other agents: web-1" in alert["verdict"]
        assert (await probes.seen(probe))["only_here"] is True
        (asked, *_) = eyes.asked
        assert (asked.probe, asked.target) == ("http", probe["settings"]["url"])
        assert asked.options["expected_status"] == "2xx"
        await desk.passes(GAP)
        eyes.outcome = "down"
        await probes.tried(probe)
        (alert,) = await probes.alerts()
        assert (alert["severity"], alert["title"].partition(":")[0]) == ("critical", "Down")
        assert "not reached by other agents either: web-1" in alert["verdict"]
        assert (await probes.seen(probe))["only_here"] is False
        await desk.passes(GAP)
        assert [occasion for occasion, _ in desk.told("ops")] == ["firing", "worse"]


async def test_a_witness_that_cannot_reach_it_confirms_the_alert(desk: Desk) -> None:
    probes, eyes = ProbeDesk(desk), Eyes(desk.agent, "down")
    async with desk.stage.served() as hub, eyes.open(hub):
        probe = await probes.page(free_port())
        await probes.tried(probe, 3)
    (alert,) = await probes.alerts()
    assert alert["severity"] == "critical"
    assert "not reached by other agents either: web-1" in alert["verdict"]


async def test_without_an_answer_the_hubs_own_tries_decide(desk: Desk) -> None:
    probes, eyes = ProbeDesk(desk), Eyes(desk.agent, None)
    async with desk.stage.served() as hub, eyes.open(hub):
        probe = await probes.page(free_port())
        await probes.tried(probe, 3)
    (alert,) = await probes.alerts()
    assert alert["severity"] == "critical"
    assert "no other agent could look" in alert["verdict"]
    assert eyes.asked


async def test_no_secret_goes_to_a_witness(desk: Desk) -> None:
    probes, eyes = ProbeDesk(desk), Eyes(desk.agent, "down")
    async with desk.stage.served() as hub, eyes.open(hub):
        probe = await probes.page(free_port(), bearer_token="hunter2", keyword="open")
        await probes.tried(probe, 3)
    (asked, *_) = eyes.asked
    assert "hunter2" not in repr(asked)
    assert asked.options["expected_status"] == "100-599"
    assert "keyword" not in asked.options


async def test_only_the_asked_servers_answer_counts_and_only_in_time(desk: Desk, clock: HandClock) -> None:
    eyes = Eyes(desk.agent, None)
    other = await desk.stage.agent(desk.cast.organization_id, "web-2")
    async with desk.stage.served() as hub, eyes.open(hub):
        asking = asyncio.create_task(witnesses_of(desk.stage).ask(desk.cast.organization_id, PAGE))
        await until(lambda: bool(eyes.asked), PATIENCE_SECONDS)
        (asked,) = eyes.asked
        for liar in (other, desk.cast.other_agent):
            assert (await liar.say("witness", WitnessAnswer(asked.id, "up"))).status == 204
        assert (await desk.agent.say("witness", WitnessAnswer(asked.id, "down"))).status == 204
        assert await asking == Sighting(down=("web-1",))
        assert (await desk.agent.say("witness", WitnessAnswer(asked.id, "up"))).status == 204
        stored = await desk.stage.execute("select outcome from private.witness_questions where id = %s", asked.id)
        assert stored == [("down",)]
        late = uuid4()
        await desk.stage.execute(
            "insert into private.witness_questions"
            " (id, organization_id, server_id, probe, target, timeout_seconds, expires_at)"
            " values (%s, %s, %s, 'tcp', 'x:1', 5, to_timestamp(%s))",
            late,
            desk.cast.organization_id,
            desk.agent.server_id,
            clock.now() / 1000 - 1,
        )
        await desk.agent.say("witness", WitnessAnswer(str(late), "up"))
        assert await desk.stage.execute("select outcome from private.witness_questions where id = %s", late) == [
            (None,)
        ]


@pytest.mark.parametrize(
    "answer",
    [
        WitnessAnswer("no-uuid", "up"),
        WitnessAnswer(str(UUID(int=1)), "up", "x" * 501),
        WitnessAnswer(str(UUID(int=1)), "up", seconds=-1.0),
    ],
)
async def test_an_unlawful_answer_is_refused(desk: Desk, answer: WitnessAnswer) -> None:
    assert (await desk.agent.say("witness", answer)).status == 422


async def test_a_witness_that_is_connected_to_another_hub_is_asked_by_that_one(
    desk: Desk, database_url: str, tmp_path: Path, clock: HandClock
) -> None:
    eyes = Eyes(desk.agent, "down")
    async with (
        HubStage(database_url, tmp_path / "other", clock=clock) as other,
        other.served() as hub,
        eyes.open(hub),
    ):
        assert not await is_connected(desk, desk.agent), "not here"
        seen = await witnesses_of(desk.stage).ask(desk.cast.organization_id, PAGE)
    assert seen == Sighting(down=("web-1",))
    (asked,) = eyes.asked
    assert asked.target == PAGE.target


async def test_only_so_many_are_asked_and_the_silent_ones_are_not(desk: Desk, clock: HandClock) -> None:
    organization = desk.cast.organization_id
    for number in range(5):
        await (await desk.stage.agent(organization, f"web-{number + 2}")).heartbeat()
    eyes = Eyes(desk.agent, "down")
    async with desk.stage.served() as hub, eyes.open(hub):
        await witnesses_of(desk.stage).ask(organization, PAGE, besides=[desk.agent.server_id])
        assert eyes.asked == [], "it is the one in question"
        rows = await desk.stage.execute("select count(*) from private.witness_questions")
        assert rows == [(3,)]
        clock.advance(100)
        await desk.agent.heartbeat()
        assert await witnesses_of(desk.stage).ask(organization, PAGE) == Sighting(down=("web-1",))


async def test_what_others_see_of_a_silent_server_stands_in_its_alert(desk: Desk) -> None:
    witness = await desk.stage.agent(desk.cast.organization_id, "web-2")
    eyes = Eyes(witness, "up")
    async with serving(page()) as port, desk.stage.served() as hub, eyes.open(hub):
        probes = ProbeDesk(desk)
        url = {"url": f"http://127.0.0.1:{port}/"}
        await probes.add("shop", "http", url, server_id=str(desk.agent.server_id))
        for _ in range(30):
            await witness.heartbeat()
            await desk.passes(5, alive=False)

        async def told() -> bool:
            (alert,) = [one for one in await probes.alerts() if one["thing"] == "heartbeat"]
            lines = alert["verdict"].splitlines()
            return {
                "probes from the hub: 0 fail, 1 succeed",
                "seen by other agents: 0 cannot reach it, 1 can",
                "Tailscale peers see it online",
            } <= set(lines)

        async with asyncio.timeout(PATIENCE_SECONDS):
            while not await told():  # noqa: ASYNC110
                await asyncio.sleep(0.1)
    assert {(one.probe, one.target) for one in eyes.asked} == {("http", f"http://127.0.0.1:{port}/"), ("peer", "web-1")}


async def test_in_fast_mode_a_failed_probe_shortens_the_wait(desk: Desk) -> None:
    probes = ProbeDesk(desk)
    probe = await probes.add(
        "shop", "tcp", {"host": "127.0.0.1", "port": free_port()}, server_id=str(desk.agent.server_id)
    )
    await desk.stage.execute("update public.servers set fast = true where id = %s", desk.agent.server_id)
    await probes.tried(probe, 3)
    for _ in range(4):
        await desk.passes(5)  # what nobody looked at counts for no silence, and a little after
    silent = 0
    while not [one for one in await probes.alerts() if one["severity"] == "down"]:
        assert silent < 20, "no later than that"
        await desk.passes(2, alive=False)
        silent += 2
    assert silent > 12, "evidence alone alerts nobody"
    view = (await desk.cast.viewer.client.get(f"/api/v1/servers/{desk.agent.server_id}")).json()
    assert view["state"] == "down"


@pytest.mark.parametrize(
    ("kind", "settings", "reason"),
    [
        (
            "http",
            {"url": "http://shop.example:%d/a?b=c", "expected_status": ["2xx", 404], "keyword": "fine"},
            "timeout",
        ),
        ("http", {"url": "http://shop.example:%d/", "method": "HEAD"}, "wrong-status"),
        ("http", {"url": "http://shop.example:%d/", "method": "POST", "body": "x"}, "timeout"),
        ("http", {"url": "http://shop.example:%d/", "headers": {"x-key": "hunter2"}}, "connect-timeout"),
        ("tcp", {"host": "shop.example", "port": 0}, "timeout"),
        ("ping", {"host": "shop.example"}, "no-answer"),
    ],
)
async def test_an_agent_understands_what_it_is_asked(kind: str, settings: dict[str, Any], reason: str) -> None:
    net = MappedNet({"shop.example": [[SHOP]]})
    async with serving(page(b"fine")) as port:
        given = {
            key: value % port if isinstance(value, str) and "%d" in value else value for key, value in settings.items()
        }
        if "port" in given:
            given["port"] = port
        question = settings_of(kind, given).question(Outcome("down", reason))
        assert question is not None
        frame = msgspec.json.encode(WitnessAsked("1", question.looking, question.target, 5.0, dict(question.options)))

        async def answered(answer: WitnessAnswer) -> None:
            raise AssertionError(answer)

        witness = Witness(net_world(net), WitnessSettings, answered)
        seen = await witness.seen(msgspec.json.decode(frame, type=WitnessAsked), 1.0)
    assert seen.reason != "not-understood", seen
    if kind != "ping":
        assert seen.outcome == "up", seen
