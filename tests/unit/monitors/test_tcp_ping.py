"""The tcp and ping monitors on a network of paper."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinwatch.monitors import Check, Finding, Moment, Monitor, Reading, Unreadable
from twinwatch.monitors.options import options_of
from twinwatch.monitors.ping import Ping
from twinwatch.monitors.tcp import Tcp
from twinwatch.testing.paper import paper_world
from twinwatch.testing.paper_net import PaperNet


def run(kind: type[Monitor], options: dict[str, Any], sources: dict[str, str]) -> list[Finding]:
    monitor = kind(options_of(kind, options))
    return list(asyncio.run(_read(monitor, sources)))


async def _read(monitor: Monitor, sources: dict[str, str]) -> Any:
    return await monitor.read(paper_world(net=PaperNet(sources)), Moment(0, 0.0))


def check(found: list[Finding]) -> Check:
    (one,) = [one for one in found if isinstance(one, Check)]
    return one


def values(found: list[Finding]) -> dict[str, float]:
    return {one.metric.removeprefix("ping."): one.value for one in found if isinstance(one, Reading)}


def ping(times: str, **options: Any) -> list[Finding]:
    host = {"host": "h.example", "pause": "0s", **options}
    return run(Ping, {"hosts": [host]}, {"ping h.example": times})


def test_a_ping_says_loss_times_and_their_spread() -> None:
    found = ping("0.010 0.030 - 0.020", count=4)
    expected = {"loss": 0.25, "rtt.average": 0.02, "rtt.min": 0.01, "rtt.max": 0.03, "jitter": 0.015}
    assert values(found) == pytest.approx(expected)
    assert check(found) == Check("h.example", "up")


@pytest.mark.parametrize(
    ("times", "options", "state", "reason"),
    [
        ("- - -", {}, "down", "no-answer"),
        ("0.01 - -", {}, "degraded", "loss"),
        ("0.01 - -", {"loss_down": 0.5}, "down", "loss"),
        ("0.30 0.30 0.30", {"slow": "100ms"}, "degraded", "slow"),
        ("3.0 3.0 3.0", {}, "down", "no-answer"),
        ("error no-route network is unreachable", {}, "unknown", "no-route"),
    ],
)
def test_a_ping_is_judged(times: str, options: dict[str, Any], state: str, reason: str) -> None:
    found = check(ping(times, **options))
    assert (found.state, found.reason) == (state, reason)


def test_who_may_not_ping_is_told_how_to() -> None:
    with pytest.raises(Unreadable, match="ping_group_range"):
        ping("error not-permitted allow it with sysctl net.ipv4.ping_group_range")


@given(st.binary(max_size=200))
def test_whatever_a_server_says_is_a_banner_or_none(said: bytes) -> None:
    target = {"host": "h.example", "port": 25, "expect": "220 "}
    found = check(run(Tcp, {"targets": [target]}, {"tcp h.example:25": said.decode("utf-8", "surrogateescape")}))
    assert (found.state == "up") == (b"220 " in said)
    assert found.message.isprintable()


def test_each_target_is_a_part_with_an_interval_of_its_own() -> None:
    options = options_of(Tcp, {"targets": [{"host": "a", "port": 1, "check_interval": "5s"}, {"host": "b", "port": 2}]})
    assert [(part.name, part.interval_seconds) for part in Tcp.split(options)] == [("a:1", 5), ("b:2", None)]
    hosts = options_of(Ping, {"hosts": [{"host": "a"}, {"host": "b", "name": "bee"}]})
    assert [part.name for part in Ping.split(hosts)] == ["a", "bee"]


@pytest.mark.parametrize(
    "targets",
    [
        [{"host": "a b", "port": 1}],
        [{"host": "a", "port": 70000}],
        [{"host": "a", "port": 1, "name": "x\ny"}],
        [{"host": "a", "port": 1}, {"host": "a", "port": 1}],
        [],
    ],
)
def test_unlawful_targets_are_refused(targets: list[dict[str, Any]]) -> None:
    with pytest.raises(msgspec.ValidationError):
        options_of(Tcp, {"targets": targets})


def test_a_timeout_fits_into_its_interval() -> None:
    """A run that its interval cuts off could not say that the host is down."""
    (part,) = Tcp.split(options_of(Tcp, {"targets": [{"host": "a", "port": 1, "check_interval": "5s"}]}))
    assert part.options.targets[0].timeout == 4.5
    for wrong in ({"timeout": "0s"}, {"timeout": "2m"}, {"check_interval": "5s", "timeout": "3s"}):
        with pytest.raises(msgspec.ValidationError, match="timeout"):
            options_of(Ping, {"hosts": [{"host": "a", **wrong}]})
