"""What an agent answers when the hub asks whether something can be reached from there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest

from twinwatch.agent.configuration.settings import Remote
from twinwatch.agent.watching.settings import WitnessSettings
from twinwatch.agent.watching.witness import AT_A_TIME, IN_A_MINUTE, Witness
from twinwatch.protocol.control import WitnessAnswer, WitnessAsked
from twinwatch.testing.fake_hub import FakeHub
from twinwatch.testing.fakes import VirtualClock
from twinwatch.testing.paper import PaperCommands, paper_world
from twinwatch.testing.paper_net import PaperNet
from twinwatch.testing.story import StagedAgent, until

PAGE = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"
SOURCES = {
    "tcp web.example:80": PAGE,
    "tcp 10.0.0.7:80": PAGE,
    "tcp 10.0.0.8:80": "error connection-refused 10.0.0.8:80: connection refused",
    "tcp gone.example:80": "error connection-refused gone.example:80: connection refused",
    "tcp far.example:80": "error no-route no route to far.example",
    "tcp old.example:80": "HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/latest\r\ncontent-length: 0\r\n\r\n",
    "tcp sly.example:80": "HTTP/1.1 302 Found\r\nlocation: http://web.corp/\r\ncontent-length: 0\r\n\r\n",
    "name local.example": "127.0.0.1",
    "tcp 127.0.0.1:80": PAGE,
    "tcp 169.254.169.254:80": PAGE,
    "tcp db.example:5432": "",
    "ping db.example": "0.002 0.003 0.002",
    "ping dead.example": "x x x",
    "tcp web.corp:80": PAGE,
}
OWN = "10.0.0.9"
"""An address of the machine on which the agent runs."""
PEERS = {
    "BackendState": "Running",
    "Peer": {
        "a": {"DNSName": "web-1.tail.ts.net.", "HostName": "web-1", "Online": True},
        "b": {"DNSName": "db-1.tail.ts.net.", "HostName": "db-1", "Online": False},
    },
}


class Bench:
    """A witness on a network of paper, and what it answered."""

    def __init__(self, sources: Mapping[str, str] = SOURCES, *, hangs: bool = False) -> None:
        self.settings = WitnessSettings()
        self.answers: list[WitnessAnswer] = []
        commands = PaperCommands({"$ tailscale status --json": f"exit 0\n{json.dumps(PEERS)}"})
        self.net = PaperNet(sources, hangs=hangs)
        self.world = paper_world(clock=VirtualClock(), net=self.net, commands=commands)
        self.witness = Witness(self.world, lambda: self.settings, self._take, is_own=OWN.__eq__)

    async def _take(self, answer: WitnessAnswer) -> None:
        self.answers.append(answer)

    async def look(self, *asked: WitnessAsked) -> list[WitnessAnswer]:
        running = asyncio.create_task(self.witness.run())
        wanted = len(self.answers) + len(asked)
        for one in asked:
            self.witness.ask(one)
        await until(lambda: len(self.answers) >= wanted, 60, every_seconds=0.01)
        running.cancel()
        await asyncio.wait({running})
        return self.answers

    async def see(
        self, probe: Literal["http", "tcp", "ping", "peer"], target: str, **options: Any
    ) -> tuple[str, str, str]:
        self.answers.clear()
        (answer,) = await self.look(WitnessAsked("q1", probe, target, 5.0, options))
        assert answer.id == "q1"
        return answer.outcome, answer.reason, answer.message


async def test_what_can_be_reached_is_up_and_what_refuses_is_down() -> None:
    bench = Bench()
    assert await bench.see("http", "http://web.example/health") == ("up", "", "")
    assert await bench.see("http", "http://10.0.0.7/") == ("up", "", "")
    assert await bench.see("tcp", "db.example:5432") == ("up", "", "")
    assert await bench.see("ping", "db.example") == ("up", "", "")
    assert await bench.see("peer", "Web-1") == ("up", "", "")
    outcome, reason, message = await bench.see("http", "http://gone.example/")
    assert (outcome, reason) == ("down", "connection-refused")
    assert "refused" in message
    assert (await bench.see("tcp", "nobody.example:1"))[:2] == ("down", "dns-error")
    assert (await bench.see("ping", "dead.example"))[0] == "down"
    assert (await bench.see("peer", "db-1"))[:2] == ("down", "offline")


async def test_a_page_is_judged_as_the_hub_expects_it() -> None:
    bench = Bench()
    assert (await bench.see("http", "http://web.example/", keyword="hello", expected_status="2xx"))[0] == "up"
    assert (await bench.see("http", "http://web.example/", keyword="bye"))[:2] == ("down", "keyword-missing")
    assert (await bench.see("http", "http://web.example/", expected_status=503))[:2] == ("down", "wrong-status")


async def test_a_fault_of_its_own_network_says_nothing_of_the_target() -> None:
    assert (await Bench().see("http", "http://far.example/"))[:2] == ("unknown", "no-route")


@pytest.mark.parametrize(
    ("probe", "target"),
    [
        ("http", "http://127.0.0.1/"),
        ("http", "http://local.example/"),
        ("http", "http://169.254.169.254/latest/meta-data"),
        ("http", "http://[::ffff:169.254.169.254]/"),
        ("http", "http://old.example/"),
        ("tcp", "127.0.0.1:22"),
        ("tcp", "[fe80::1]:22"),
        ("ping", "127.0.0.1"),
    ],
)
async def test_neither_itself_nor_metadata_are_touched_whatever_leads_there(
    probe: Literal["http", "tcp", "ping"], target: str
) -> None:
    bench = Bench()
    assert (await bench.see(probe, target))[:2] == ("unknown", "forbidden")
    assert not [place for place, _ in bench.net.sent if place.startswith(("127.", "169.254."))]


@pytest.mark.parametrize(
    ("probe", "target"),
    [
        ("http", "http://10.0.0.7/"),
        ("http", "http://web.corp/"),
        ("http", "http://WEB.corp./"),
        ("http", "http://sly.example/"),
        ("tcp", "10.1.2.3:80"),
        ("peer", "db-1"),
    ],
)
async def test_what_the_file_forbids_is_not_touched(probe: Literal["http", "tcp", "peer"], target: str) -> None:
    bench = Bench()
    bench.settings = WitnessSettings(forbid=("10.0.0.0/8", "*.corp", "db-*"))
    assert (await bench.see(probe, target))[:2] == ("unknown", "forbidden")
    assert not [place for place, _ in bench.net.sent if place.startswith("10.") or "corp" in place]
    assert (await bench.see("http", "http://web.example/"))[0] == "up"


async def test_an_owner_may_let_it_look_at_nothing() -> None:
    bench = Bench()
    bench.settings = WitnessSettings(enabled=False)
    assert (await bench.see("http", "http://web.example/"))[:2] == ("unknown", "forbidden")
    assert bench.net.sent == []


@pytest.mark.parametrize(
    ("probe", "target", "options"),
    [
        ("http", "ftp://web.example/", {}),
        ("http", "http://web.example/", {"headers": {"a": "b"}}),
        ("http", "http://web.example/", {"method": "DELETE"}),
        ("http", "http://web.example/", {"expected_status": {"no": 1}}),
        ("http", "http://web.example/" + "a" * 3_000, {}),
        ("tcp", "web.example", {}),
        ("tcp", "web.example:99999", {}),
        ("tcp", "web.example:1", {"send": "x"}),
        ("ping", "-f web.example", {}),
        ("ping", "web.example", {"count": "many"}),
        ("peer", "*", {}),
        ("peer", "tag:db", {}),
        ("peer", "web-1", {"a": 1}),
    ],
)
async def test_what_it_does_not_understand_it_does_not_do(
    probe: Literal["http", "tcp", "ping", "peer"], target: str, options: dict[str, Any]
) -> None:
    bench = Bench()
    outcome, reason, _ = await bench.see(probe, target, **options)
    if options.get("count") == "many":  # counted as it sees fit
        assert outcome == "down"
    else:
        assert (outcome, reason) == ("unknown", "not-understood")
    assert bench.net.sent == []


async def test_who_is_no_peer_or_has_no_tailscale_says_so() -> None:
    bench = Bench()
    assert (await bench.see("peer", "mail-1"))[:2] == ("unknown", "not-a-peer")
    bench.world.commands.sources.clear()  # type: ignore[attr-defined]
    assert (await bench.see("peer", "web-1"))[:2] == ("unknown", "no-tailscale")


async def test_no_look_takes_longer_than_it_may() -> None:
    bench = Bench(hangs=True)
    began = asyncio.get_running_loop().time()
    (answer,) = await bench.look(WitnessAsked("q", "http", "http://web.example/", 3.0))
    assert answer.outcome == "unknown"
    assert answer.seconds == pytest.approx(3.0, abs=0.1)
    *_, answer = await bench.look(WitnessAsked("q", "tcp", "web.example:80", 9e9))
    assert asyncio.get_running_loop().time() - began < 24
    assert answer.outcome == "unknown"


async def test_only_so_many_looks_are_taken_at_a_time_and_in_a_minute() -> None:
    bench = Bench(hangs=True)
    asked = [WitnessAsked(str(number), "tcp", "web.example:80", 5.0) for number in range(AT_A_TIME + 3)]
    answers = await bench.look(*asked)
    assert sorted(one.reason for one in answers if one.reason == "busy") == ["busy"] * 3
    bench = Bench()
    for number in range(IN_A_MINUTE + 5):
        await bench.look(WitnessAsked(str(number), "tcp", "db.example:5432", 5.0))
    assert [one.outcome for one in bench.answers].count("up") == IN_A_MINUTE
    await asyncio.sleep(61)
    assert (await bench.see("tcp", "db.example:5432"))[0] == "up"


async def test_the_hub_asks_over_the_control_connection_and_hears_at_once(tmp_path: Path) -> None:
    clock = VirtualClock()
    hub = FakeHub(clock)
    agent = StagedAgent(tmp_path, hub, clock, net=PaperNet(SOURCES))
    await agent.start()
    await until(lambda: hub.servers and hub.server.control is not None, 10)
    for number, url in enumerate(("http://10.0.0.7/", "http://10.0.0.8/", "http://127.0.0.1/")):
        hub.say(msgspec.json.encode(WitnessAsked(str(number), "http", url)).decode())
    assert await until(lambda: len(hub.server.sightings) == 3, 5) < 1
    outcomes = {one.id: one.outcome for one in hub.server.sightings}
    assert outcomes == {"0": "up", "1": "down", "2": "unknown"}
    await agent.stop()


async def test_an_agent_that_takes_nothing_from_the_hub_looks_at_nothing_for_it(tmp_path: Path) -> None:
    clock = VirtualClock()
    hub = FakeHub(clock)
    agent = StagedAgent(tmp_path, hub, clock, net=PaperNet(SOURCES), remote=Remote(taken=False))
    await agent.start()
    await until(lambda: hub.servers and hub.server.control is not None, 10)
    hub.say(msgspec.json.encode(WitnessAsked("0", "http", "http://web.example/")).decode())
    await until(lambda: hub.server.sightings, 5)
    assert [one.reason for one in hub.server.sightings] == ["forbidden"]
    await agent.stop()


async def test_an_address_of_this_machine_is_not_looked_at_by_whatever_network_it_is_reached() -> None:
    bench = Bench({f"tcp {OWN}:80": PAGE})
    assert (await bench.see("http", f"http://{OWN}/"))[:2] == ("unknown", "forbidden")
