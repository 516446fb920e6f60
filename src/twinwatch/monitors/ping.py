"""The ping monitor: ICMP echo requests, their losses and their times."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from twinwatch.monitors import Finding, Moment, Options, Part, Reading, Unreadable
from twinwatch.monitors.options import lasting
from twinwatch.monitors.patience import Failures, Patience, Successes, Verdict, Window
from twinwatch.monitors.reach import LONGEST, AddressFamily, CheckInterval, failure, refuse_timeout
from twinwatch.monitors.tcp import Host, refuse_twins
from twinwatch.protocol.durations import Duration
from twinwatch.protocol.metrics import Chart, Headline, Metric
from twinwatch.protocol.rules import Rule
from twinwatch.world.doors import World
from twinwatch.world.net import NetFailed

BY = ("ping.target",)

Loss = Annotated[float, Meta(gt=0, le=1)]


class Target(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One host to ping."""

    host: Host
    name: Annotated[
        str, Meta(max_length=100, title="Name", description="What its check is called; the host if not set.")
    ] = ""
    check_interval: CheckInterval = None
    count: Annotated[int, Meta(ge=1, le=20, title="Count", description="How many requests are sent in a run.")] = 3
    pause: Annotated[Duration, Meta(title="Pause", description="Between two requests.")] = lasting("200ms")
    timeout: Annotated[Duration, Meta(title="Timeout", description="A later answer counts as lost.")] = lasting("2s")
    loss_degraded: Annotated[
        Loss, Meta(title="Loss for degraded", description="Degraded when such a share of the requests is lost, 0 to 1.")
    ] = 0.3
    loss_down: Annotated[
        Loss, Meta(title="Loss for down", description="Down when such a share of the requests is lost, 0 to 1.")
    ] = 1.0
    slow: Annotated[
        Duration | None, Meta(title="Slow", description="Degraded when the average time is longer than this.")
    ] = None
    family: AddressFamily = "any"
    failures_before_down: Failures = 1
    failures_within: Window = 0
    successes_before_up: Successes = 1

    def __post_init__(self) -> None:
        """Refuses what could not be run or shown."""
        refuse_timeout(self.timeout)
        whole = 2 * self.timeout + (self.count - 1) * self.pause  # the name has a timeout of its own
        if whole > (self.check_interval or LONGEST):
            raise ValueError(f"timeout: twice it, and the pauses, take {whole:g} s; expected less than the interval")
        if not self.name.isprintable():
            raise ValueError("name: expected no control characters")

    @property
    def shown(self) -> str:
        """What its check is called."""
        return self.name or self.host[:200]


class PingOptions(Options, frozen=True, kw_only=True):
    """Which hosts are pinged."""

    hosts: Annotated[
        tuple[Target, ...], Meta(min_length=1, max_length=100, title="Hosts", description="The hosts to ping.")
    ]

    def __post_init__(self) -> None:
        """Refuses two checks of one name."""
        refuse_twins([target.shown for target in self.hosts])


class Ping:
    """Pings hosts: whether they answer, how many requests are lost, how long the answers take and how much that varies.

    Source: ICMP echo, RFC 792 and RFC 4443.
    Cost: a packet of 48 bytes per request.
    Rights: a group within sysctl net.ipv4.ping_group_range, or CAP_NET_RAW.
    """

    name: ClassVar[str] = "ping"
    title: ClassVar[str] = "Ping"
    Options: ClassVar[type[Options]] = PingOptions
    interval_seconds: ClassVar[float] = 60.0
    deadline_seconds: ClassVar[float] = 60.0
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("ping.loss", "1", "The share of requests that were not answered.", good="low"),
        Metric("ping.rtt.average", "s", "The average time to the answer.", good="low"),
        Metric("ping.rtt.min", "s", "The shortest time to an answer.", good="low"),
        Metric("ping.rtt.max", "s", "The longest time to an answer.", good="low"),
        Metric("ping.jitter", "s", "How much the time of one answer differs from that of the next.", good="low"),
    )
    charts: ClassVar[tuple[Chart, ...]] = (
        Chart("Ping time", ("ping.rtt.average",), by=BY),
        Chart("Ping loss", ("ping.loss",), by=BY, top=1.0),
        Chart("Ping jitter", ("ping.jitter",), by=BY),
        Chart("Ping extremes", ("ping.rtt.min", "ping.rtt.max"), by=BY),
    )
    headlines: ClassVar[tuple[Headline, ...]] = ()
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("host unreachable", severity="critical", check="*", times=2),
        Rule("packets lost", check="*", states=("degraded",), hold="5m"),
    )

    def __init__(self, options: PingOptions) -> None:
        self._watched = [
            (one, Patience(one.failures_before_down, one.failures_within, one.successes_before_up))
            for one in options.hosts
        ]

    @classmethod
    def split(cls, options: PingOptions) -> Sequence[Part]:
        """A part per host: one that is silent delays no other."""
        return [
            Part(target.shown, msgspec.structs.replace(options, hosts=(target,)), target.check_interval)
            for target in options.hosts
        ]

    async def read(self, world: World, moment: Moment) -> list[Finding]:
        """A few requests to each host.

        Raises: Unreadable if this user may not ping.
        """
        found: list[Finding] = []
        for target, patience in self._watched:
            readings, verdict = await _tried(world, target)
            found += [*readings, patience.check(target.shown, verdict)]
        return found


async def _pinged(world: World, target: Target, address: str, number: int) -> float | None:
    if number:
        await asyncio.sleep(number * target.pause)
    return await world.net.ping(address, number, timeout_seconds=target.timeout)


async def _tried(world: World, target: Target) -> tuple[list[Reading], Verdict]:
    try:
        addresses = await world.net.resolve(target.host, family=target.family, timeout_seconds=target.timeout)
        # Side by side: the answers of a host that is silent are not waited for one after another.
        pinged = (_pinged(world, target, addresses[0], number) for number in range(target.count))
        outcomes = await asyncio.gather(*pinged, return_exceptions=True)
        times: list[float | None] = []
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
            times.append(outcome)
    except NetFailed as err:
        if err.reason == "not-permitted":
            raise Unreadable(str(err)) from err
        return [], failure(err)
    answered = [took for took in times if took is not None]
    loss = 1 - len(answered) / len(times)
    labels = {"ping.target": target.shown, "server.address": target.host}
    readings = [Reading("ping.loss", loss, labels)]
    if not answered:
        return readings, Verdict("down", "no-answer", f"none of {len(times)} requests was answered")
    average = sum(answered) / len(answered)
    pairs = list(pairwise(answered))
    jitter = sum(abs(one - other) for one, other in pairs) / len(pairs) if pairs else 0.0
    readings += [
        Reading("ping.rtt.average", round(average, 6), labels),
        Reading("ping.rtt.min", round(min(answered), 6), labels),
        Reading("ping.rtt.max", round(max(answered), 6), labels),
        Reading("ping.jitter", round(jitter, 6), labels),
    ]
    lost = f"{len(times) - len(answered)} of {len(times)} requests were lost"
    if loss >= target.loss_down:
        return readings, Verdict("down", "loss", lost)
    if loss >= target.loss_degraded:
        return readings, Verdict("degraded", "loss", lost)
    if target.slow is not None and average > target.slow:
        told = f"expected {target.slow * 1000:g} ms at most, seen {average * 1000:.1f} ms"
        return readings, Verdict("degraded", "slow", told)
    return readings, Verdict("up")
