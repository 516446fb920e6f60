"""When the hub doubts its own sight."""

from __future__ import annotations

from typing import cast

from twinwatch.hub.probing.sight import ANSWERED_SECONDS, FRESH_SECONDS, LONGEST_SECONDS, Sight
from twinwatch.testing.hub_stage import HandClock
from twinwatch.world.net import HostNet, NetFailed, Stream


class Line:
    """An open connection that is only ever closed."""

    def close(self) -> None:
        pass


class CutNet(HostNet):
    """Addresses in ``cut`` are not reached, those in ``shut`` refuse."""

    def __init__(self) -> None:
        super().__init__()
        self.cut: set[str] = set()
        self.shut: set[str] = set()
        self.looks = 0

    async def connect(self, address: str, port: int, *, timeout_seconds: float) -> Stream:
        self.looks += 1
        if address in self.cut:
            raise NetFailed("connect", "connect-timeout", "no connection")
        if address in self.shut:
            raise NetFailed("connect", "connection-refused", "refused")
        return cast("Stream", Line())


ADDRESSES = [f"198.51.{number}.1" for number in range(4)]


def sighted(count: int = 4) -> tuple[Sight, CutNet, HandClock]:
    """One that has reached so many networks."""
    clock, net = HandClock(), CutNet()
    sight = Sight(clock, net)
    for number in range(count):
        sight.reached(f"198.51.{number}.0/24", (ADDRESSES[number], 443))
    return sight, net, clock


async def test_it_is_doubtful_when_nothing_answers_of_what_lately_did() -> None:
    sight, net, _ = sighted()
    net.cut = set(ADDRESSES)
    assert await sight.is_doubtful("198.51.0.0/24")


async def test_one_that_answers_or_refuses_shows_that_the_hub_sees() -> None:
    sight, net, clock = sighted()
    net.cut = set(ADDRESSES[:3])
    assert not await sight.is_doubtful("198.51.0.0/24")
    clock.advance(FRESH_SECONDS)
    net.cut, net.shut = set(ADDRESSES[:3]), {ADDRESSES[3]}
    assert not await sight.is_doubtful("198.51.0.0/24")


async def test_a_hub_that_knows_hardly_any_other_network_does_not_doubt_itself() -> None:
    sight, net, _ = sighted(2)
    net.cut = set(ADDRESSES)
    assert not await sight.is_doubtful("198.51.0.0/24")
    assert net.looks == 0


async def test_what_is_down_for_certain_and_what_answered_long_ago_say_nothing() -> None:
    sight, net, clock = sighted()
    net.cut = set(ADDRESSES)
    for number in (1, 2):
        sight.lost(f"198.51.{number}.0/24")
    assert not await sight.is_doubtful("198.51.0.0/24")
    sight, net, clock = sighted()
    net.cut = set(ADDRESSES)
    clock.advance(ANSWERED_SECONDS + 1)
    assert not await sight.is_doubtful()


async def test_one_look_stands_for_all_that_fail_meanwhile() -> None:
    sight, net, clock = sighted()
    net.cut = set(ADDRESSES)
    for _ in range(100):
        assert await sight.is_doubtful("198.51.0.0/24")
    assert net.looks == 3
    clock.advance(FRESH_SECONDS)
    net.cut = set()
    assert not await sight.is_doubtful("198.51.0.0/24")


async def test_a_doubt_that_lasts_too_long_is_an_outage() -> None:
    sight, net, clock = sighted()
    net.cut = set(ADDRESSES)
    assert await sight.is_doubtful()
    clock.advance(LONGEST_SECONDS - 1)
    assert await sight.is_doubtful()
    clock.advance(2)
    assert not await sight.is_doubtful()
