"""What an agent says of its hub and of its internet: looks at a network of paper, in virtual time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

from twinwatch.agent.uplink.link import Link
from twinwatch.agent.watching.hub import CALM_SECONDS, LOOK_SECONDS, HubWatch
from twinwatch.agent.watching.internet import CONNECT_SECONDS, InternetSight
from twinwatch.agent.watching.judgement import OFFLINE_SECONDS, RANK_SECONDS
from twinwatch.agent.watching.settings import HubWatchSettings, place_of
from twinwatch.monitors import Check
from twinwatch.testing.fakes import VirtualClock
from twinwatch.testing.paper import PaperHost, paper_world
from twinwatch.testing.paper_net import PaperNet
from twinwatch.testing.story import until

TARGETS = ("1.1.1.1:443", "8.8.8.8:443")
REACHED = {f"tcp {target}": "" for target in TARGETS}
AFTER = 120.0
ROUTE = (
    "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
    "eth0\t0000A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
    "eth0\t00000000\t0100A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
)


class Bench:
    """A watch whose hub and internet a test switches on and off, and the checks that it has said."""

    def __init__(self, *, rank: int = 0) -> None:
        self.clock = VirtualClock()
        self.net = PaperNet(REACHED)
        self.host = PaperHost({"/proc/net/route": ROUTE})
        self.world = paper_world(self.host, clock=self.clock, net=self.net)
        self.link = Link(self.clock)
        self.said: dict[str, Check] = {}
        self.history: list[tuple[str, str]] = []
        self.rank = rank
        self.task = asyncio.create_task(
            HubWatch(
                self.world,
                HubWatchSettings(after_seconds=AFTER, internet=TARGETS),
                self.link,
                hub="https://hub.example",
                rank=lambda: self.rank,
                see=self._see,
            ).run()
        )

    def _see(self, check: Check) -> None:
        before = self.said.get(check.name)
        if before is None or before.state != check.state:
            self.history.append((check.name, check.state))
        self.said[check.name] = check

    def hub(self, *, up: bool) -> None:
        self.link.become("up" if up else "away", logging.INFO, "hub https://hub.example: connection refused")

    def internet(self, *, up: bool) -> None:
        self.net.sources = dict(REACHED) if up else {}

    def state(self, name: str) -> str:
        return self.said[name].state


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    bench.hub(up=True)
    await asyncio.sleep(60)
    yield bench
    bench.task.cancel()


async def test_a_hub_that_is_away_while_the_internet_works_is_told_after_two_minutes(bench: Bench) -> None:
    assert bench.history == [("hub", "unknown"), ("internet", "unknown"), ("hub", "up"), ("internet", "up")]
    bench.hub(up=False)
    took = await until(lambda: bench.state("hub") == "down", 300)
    assert took == pytest.approx(AFTER, abs=LOOK_SECONDS + 1)
    assert bench.said["hub"].message == (
        "hub https://hub.example: connection refused. It has not answered for 2 min. "
        "The internet works from here: 1.1.1.1:443, 8.8.8.8:443 can be reached."
    )
    bench.hub(up=True)
    assert await until(lambda: bench.state("hub") == "up", 60) <= LOOK_SECONDS + 1
    assert bench.said["hub"].message == ""


async def test_an_agent_of_a_later_rank_says_so_later(bench: Bench) -> None:
    bench.rank = 3
    bench.hub(up=False)
    took = await until(lambda: bench.state("hub") == "down", 600)
    assert took == pytest.approx(AFTER + 3 * RANK_SECONDS, abs=LOOK_SECONDS + 1)


async def test_without_internet_it_says_that_and_nothing_of_the_hub(bench: Bench) -> None:
    bench.net.sources["ping 192.168.0.1"] = "x"
    bench.internet(up=False)
    bench.hub(up=False)
    took = await until(lambda: bench.state("internet") == "down", 300)
    assert OFFLINE_SECONDS <= took <= OFFLINE_SECONDS + 2 * LOOK_SECONDS
    said = "None of 1.1.1.1:443, 8.8.8.8:443 takes a connection; its gateway 192.168.0.1 does not answer."
    assert bench.said["internet"].message == said
    await asyncio.sleep(6 * 3600)
    assert bench.state("hub") == "up"
    assert bench.said["internet"].message == said
    bench.internet(up=True)
    await until(lambda: bench.state("internet") == "up", 60)
    assert await until(lambda: bench.state("hub") == "down", 300) > AFTER - 2 * LOOK_SECONDS
    assert bench.history[-1] == ("hub", "down")


async def test_targets_that_were_never_reached_while_the_hub_was_say_nothing() -> None:
    bench = Bench()
    bench.internet(up=False)
    bench.hub(up=True)
    await asyncio.sleep(60)
    bench.hub(up=False)
    took = await until(lambda: bench.state("hub") == "down", 600)
    assert took == pytest.approx(2 * AFTER, abs=LOOK_SECONDS + 1)
    assert "cannot be told" in bench.said["hub"].message
    assert bench.state("internet") == "up", "nothing was learned of it"
    bench.task.cancel()


async def test_after_a_restart_it_says_nothing_until_it_knows() -> None:
    bench = Bench()
    bench.hub(up=False)
    await asyncio.sleep(AFTER - LOOK_SECONDS)
    assert bench.history == [("hub", "unknown"), ("internet", "unknown"), ("internet", "up")]
    bench.task.cancel()


async def test_clocks_that_jump_make_nothing_late(bench: Bench) -> None:
    bench.hub(up=False)
    for hours in (5, -20, 100):
        bench.clock.wrong_by_ms += hours * 3_600_000
        await asyncio.sleep(20)
        assert bench.state("hub") == "up"


async def test_a_refused_key_is_not_a_hub_that_is_away(bench: Bench) -> None:
    bench.link.become("refused", logging.ERROR, "the key is refused")
    await asyncio.sleep(3600)
    assert bench.state("hub") == "up"


async def test_while_the_hub_is_there_the_internet_is_hardly_ever_asked(bench: Bench) -> None:
    looks = 0
    resolve = bench.net.resolve

    async def counted(host: str, **given: object) -> tuple[str, ...]:
        nonlocal looks
        looks += 1
        return await resolve(host, **given)  # type: ignore[arg-type]

    bench.net.resolve = counted  # type: ignore[method-assign]
    await asyncio.sleep(2 * CALM_SECONDS + 60)
    assert looks == 2 * len(TARGETS)


async def test_an_internet_that_swallows_everything_is_down_within_the_time_of_a_connection(bench: Bench) -> None:
    sight = InternetSight(paper_world(net=PaperNet({}, hangs=True)), TARGETS)
    began = asyncio.get_running_loop().time()
    assert await sight.look(hub=False) == "down"
    assert asyncio.get_running_loop().time() - began == pytest.approx(CONNECT_SECONDS, abs=0.1)


@pytest.mark.parametrize(
    ("files", "sources", "words"),
    [
        ({"/proc/net/route": ROUTE}, {"ping 192.168.0.1": "0.001"}, "answers, so the fault is beyond it"),
        (
            {"/proc/net/route": ROUTE},
            {"ping 192.168.0.1": "error not-permitted no rights"},
            "its gateway is 192.168.0.1",
        ),
        ({"/proc/net/route": ROUTE.partition("\n")[0] + "\n"}, {}, "no default route"),
        ({}, {}, "no default route"),
        ({"/proc/net/route": "x\nrubbish\n\n0 00000000 zz 0003 0 0 0 00000000\n"}, {}, "no default route"),
        (
            {"/proc/net/ipv6_route": f"{'0' * 32} 00 {'0' * 32} 00 fe80{'0' * 27}1 00000400 1 0 00000003 eth0\n"},
            {},
            "its gateway fe80::1%eth0 does not answer",
        ),
    ],
)
async def test_the_evidence_says_where_the_way_ends(files: dict[str, str], sources: dict[str, str], words: str) -> None:
    sight = InternetSight(paper_world(PaperHost(files), net=PaperNet(sources)), TARGETS)
    assert words in await sight.evidence()


@pytest.mark.parametrize("text", ["host", "host:", "host:0", "host:99999", "a:1/x", "u@h:1", "[::1]", ":1", ""])
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        place_of(text)


def test_places_are_hosts_and_ports() -> None:
    assert place_of("1.1.1.1:443") == ("1.1.1.1", 443)
    assert place_of("[2606:4700::1111]:53") == ("2606:4700::1111", 53)
    assert place_of("Example.org:80") == ("example.org", 80)
