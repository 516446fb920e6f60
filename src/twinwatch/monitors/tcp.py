"""The TCP monitor: connects, agrees on TLS if asked to, and looks for what the server says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from twinwatch.monitors import Finding, Moment, Options, Part
from twinwatch.monitors.options import lasting
from twinwatch.monitors.patience import Failures, Patience, Successes, Verdict, Window, printable
from twinwatch.monitors.reach import (
    EXPIRES_IN,
    AddressFamily,
    CaFile,
    CheckInterval,
    ExpiryWarning,
    Place,
    Timeout,
    Trip,
    Verify,
    expiry,
    failure,
    judged_expiry,
    reach,
    refuse_timeout,
    unverified,
    within,
)
from twinwatch.protocol.metrics import Chart, Headline, Metric
from twinwatch.protocol.rules import Rule
from twinwatch.world.doors import World
from twinwatch.world.net import NetFailed, Stream, TlsWanted

BANNER_BYTES = 64 << 10
SHOWN = 80
BY = ("tcp.target",)

Host = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=253,
        pattern=r"^[A-Za-z0-9._:%-]+$",
        title="Host",
        description="A name or an address.",
    ),
]


class Target(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One port to connect to."""

    host: Host
    port: Annotated[int, Meta(ge=1, le=65535, title="Port", description="The TCP port.")]
    name: Annotated[
        str, Meta(max_length=100, title="Name", description="What its check is called; host and port if not set.")
    ] = ""
    check_interval: CheckInterval = None
    timeout: Timeout = lasting("5s")
    send: Annotated[
        str, Meta(max_length=4096, title="Send", description="Said to the server once it is connected.")
    ] = ""
    expect: Annotated[
        str, Meta(max_length=500, title="Expect", description="Must occur in what the server says, letter for letter.")
    ] = ""
    tls: Annotated[bool, Meta(title="TLS", description="Whether the server speaks TLS from the first byte.")] = False
    server_name: Annotated[
        str, Meta(max_length=253, title="Server name", description="The name in its certificate; the host if not set.")
    ] = ""
    verify: Verify = True
    ca_file: CaFile = ""
    certificate_warning: ExpiryWarning = lasting("21d")
    family: AddressFamily = "any"
    failures_before_down: Failures = 1
    failures_within: Window = 0
    successes_before_up: Successes = 1

    def __post_init__(self) -> None:
        """Refuses what could not be run or shown."""
        refuse_timeout(self.timeout)
        if not self.name.isprintable():
            raise ValueError("name: expected no control characters")

    @property
    def shown(self) -> str:
        """What its check is called."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.name or f"{host}:{self.port}"[:200]


class TcpOptions(Options, frozen=True, kw_only=True):
    """Which ports are connected to."""

    targets: Annotated[
        tuple[Target, ...], Meta(min_length=1, max_length=100, title="Targets", description="The ports to connect to.")
    ]

    def __post_init__(self) -> None:
        """Refuses two checks of one name."""
        refuse_twins([target.shown for target in self.targets])


def refuse_twins(names: Sequence[str]) -> None:
    """Raises: ValueError if a name stands twice."""
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two are called {name}; give each a name of its own")


class Tcp:
    """Connects to TCP ports, with TLS or without, and looks for what the server says.

    Each port is a check: up, degraded (certificate expires soon, failures that are not enough yet to be down), down,
    or unknown where this host's own name server or network failed.
    Cost: a connection per port and run.
    Rights: none.
    """

    name: ClassVar[str] = "tcp"
    title: ClassVar[str] = "TCP ports"
    Options: ClassVar[type[Options]] = TcpOptions
    interval_seconds: ClassVar[float] = 60.0
    deadline_seconds: ClassVar[float] = 60.0
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("tcp.check.duration", "s", "How long it took from the name to what was expected.", good="low"),
        Metric("tcp.check.phase.duration", "s", "How long each phase took.", good="low"),
        EXPIRES_IN,
    )
    charts: ClassVar[tuple[Chart, ...]] = (
        Chart("TCP time to connect", ("tcp.check.duration",), by=BY),
        Chart("TCP phases", ("tcp.check.phase.duration",), by=(*BY, "tcp.phase")),
        Chart("Certificate valid for", (EXPIRES_IN.name,), by=BY),
    )
    headlines: ClassVar[tuple[Headline, ...]] = ()
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("port down", severity="critical", check="*"),
        Rule("port degraded", check="*", states=("degraded",), hold="5m"),
    )

    def __init__(self, options: TcpOptions) -> None:
        self._watched = [
            (one, Patience(one.failures_before_down, one.failures_within, one.successes_before_up))
            for one in options.targets
        ]

    @classmethod
    def split(cls, options: TcpOptions) -> Sequence[Part]:
        """A part per port: one that hangs delays no other."""
        return [
            Part(one.shown, msgspec.structs.replace(options, targets=(_in_time(one),)), one.check_interval)
            for one in options.targets
        ]

    async def read(self, world: World, moment: Moment) -> list[Finding]:
        """One try of each port."""
        found: list[Finding] = []
        for target, patience in self._watched:
            found += await _tried(world, moment, target, patience)
        return found


def _in_time(target: Target) -> Target:
    return msgspec.structs.replace(target, timeout=within(target.timeout, target.check_interval))


async def _tried(world: World, moment: Moment, target: Target, patience: Patience) -> list[Finding]:
    trip = Trip.begun(world.clock, target.timeout)
    tls = TlsWanted(target.server_name or target.host.partition("%")[0], target.verify, target.ca_file)
    place = Place(target.host, target.port, target.family, tls if target.tls else None)
    labels = {"tcp.target": target.shown, "server.address": target.host, "server.port": str(target.port)}
    complete = False
    try:
        stream = await reach(world.net, trip, place)
        try:
            verdict = await _spoken_with(stream, trip, target)
        finally:
            stream.close()
        complete = verdict is None
    except NetFailed as err:
        verdict = failure(err)
        if err.reason.startswith("tls-") and trip.facts is None:
            trip.facts = await unverified(world.net, trip, place)
    if verdict is None:
        verdict = judged_expiry(trip.facts, moment.time, target.certificate_warning) or Verdict("up")
        if verdict.state == "down" and not target.verify:
            verdict = Verdict("degraded", verdict.reason, verdict.message)
    durations = trip.readings("tcp.check.duration", "tcp.check.phase.duration", "tcp.phase", labels)
    found: list[Finding] = [*durations[0 if complete else 1 :], *expiry(trip.facts, moment.time, labels)]
    return [*found, patience.check(target.shown, verdict)]


async def _spoken_with(stream: Stream, trip: Trip, target: Target) -> Verdict | None:
    """What is wrong with what the server says; None if nothing is."""
    if not (target.send or target.expect):
        return None
    heard = bytearray()
    with trip.phase("answer"):
        try:
            if target.send:
                await stream.send(target.send.encode(), timeout_seconds=trip.left)
            while target.expect and target.expect.encode() not in heard:
                piece = await stream.receive(timeout_seconds=trip.left)
                if not piece or len(heard) > BANNER_BYTES:
                    told = f"expected {target.expect!r}, seen {_shown(heard)}"
                    return Verdict("down", "banner-mismatch", told)
                heard += piece
        except NetFailed as err:
            if err.reason != "timeout" or not target.expect:
                raise
            told = f"expected {target.expect!r} within {target.timeout:g} s, seen {_shown(heard)}"
            return Verdict("down", "timeout" if not heard else "banner-mismatch", told)
    return None


def _shown(heard: bytearray) -> str:
    if not heard:
        return "nothing"
    text = printable(bytes(heard[:SHOWN]).decode("utf-8", "replace"))
    return repr(text) + ("…" if len(heard) > SHOWN else "")
