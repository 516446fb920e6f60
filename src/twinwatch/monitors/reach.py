"""The way to a server, shared by the monitors that go there: name, connection, TLS, with the time of each.

Also what they all say of certificates.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated

import msgspec
from msgspec import Meta

from twinwatch.monitors import Reading
from twinwatch.monitors.patience import Verdict
from twinwatch.protocol.durations import Duration
from twinwatch.protocol.metrics import Metric
from twinwatch.world.clock import Clock
from twinwatch.world.net import Family, Net, NetFailed, Stream, TlsFacts, TlsWanted

ADDRESSES = 4
"""So many addresses of a name are tried."""
DAY = 86_400
LONGEST = 55.0
"""Seconds that one try may take: a run is cut off after a minute, and a try that is cut off says nothing."""

EXPIRES_IN = Metric(
    "tls.certificate.expires_in", "s", "How long the server's certificate is still valid; negative once it is not.",
    good="high",
)  # fmt: skip

AddressFamily = Annotated[
    Family, Meta(title="Address family", description="Which kind of address is used: any, ipv4 or ipv6.")
]
Timeout = Annotated[Duration, Meta(title="Timeout", description="What all of one try may take.")]
CheckInterval = Annotated[
    Duration | None, Meta(title="Interval", description="How often it is tried; the monitor's own interval if not set.")
]
Verify = Annotated[
    bool, Meta(title="Verify", description="Whether the server's certificate must be valid and for this name.")
]
CaFile = Annotated[
    str, Meta(title="CA file", description="A PEM file of authorities that are trusted in place of the system's.")
]
ExpiryWarning = Annotated[
    Duration,
    Meta(title="Certificate warning", description="Degraded when the certificate is valid for less than this."),
]


def refuse_timeout(seconds: float) -> None:
    """Raises: ValueError if no try could take so long."""
    if not 0 < seconds <= LONGEST:
        raise ValueError(f"timeout: expected more than 0s and at most {LONGEST:g}s")


def within(timeout: Duration, interval: Duration | None) -> Duration:
    """The timeout, shortened to what the interval leaves: the next run must not find this one at work."""
    return timeout if interval is None else Duration(min(timeout, interval * 0.9))


class Place(msgspec.Struct, frozen=True):
    """Where to go."""

    host: str
    port: int
    family: Family = "any"
    tls: TlsWanted | None = None


@dataclass
class Trip:
    """One try: its deadline, and the seconds of each phase so far. Phases of several hops add up."""

    clock: Clock
    until: float
    seconds: float
    phases: dict[str, float] = field(default_factory=dict)
    facts: TlsFacts | None = None
    """Of the first server that TLS was agreed with."""

    @classmethod
    def begun(cls, clock: Clock, seconds: float) -> Trip:
        """One that begins now and has so long."""
        return cls(clock, clock.monotonic() + seconds, seconds)

    @property
    def left(self) -> float:
        """Seconds that remain; never quite nothing, so that a step fails by its own deadline."""
        return max(self.until - self.clock.monotonic(), 0.001)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """The time of what happens within."""
        began = self.clock.monotonic()
        try:
            yield
        finally:
            self.phases[name] = self.phases.get(name, 0.0) + max(self.clock.monotonic() - began, 0.0)

    def readings(self, total: str, each: str, phase_label: str, labels: dict[str, str]) -> list[Reading]:
        """The duration of everything and of every phase."""
        found = [Reading(each, round(took, 6), {**labels, phase_label: name}) for name, took in self.phases.items()]
        return [Reading(total, round(sum(self.phases.values()), 6), labels), *found]


async def reach(net: Net, trip: Trip, place: Place) -> Stream:
    """An open connection to the first of its addresses that takes one, TLS agreed if it is wanted.

    Raises: NetFailed.
    """
    if place.tls is not None:
        await net.prepare(place.tls)
    with trip.phase("resolve"):
        addresses = await net.resolve(place.host, family=place.family, timeout_seconds=trip.left)
    with trip.phase("connect"):
        stream = await _connected(net, trip, addresses[:ADDRESSES], place.port)
    if place.tls is None:
        return stream
    try:
        with trip.phase("tls"):
            facts = await stream.tls(place.tls, timeout_seconds=trip.left)
    except BaseException:
        stream.close()
        raise
    trip.facts = trip.facts or facts
    return stream


async def unverified(net: Net, trip: Trip, place: Place) -> TlsFacts | None:
    """The facts of a certificate that is not valid: its date is what one wants to know. None if there is no way."""
    if place.tls is None:
        return None
    lenient = msgspec.structs.replace(place, tls=TlsWanted(place.tls.server_name, verify=False))
    aside = Trip(trip.clock, trip.until, trip.seconds)
    try:
        (await reach(net, aside, lenient)).close()
    except NetFailed:
        return None
    return aside.facts


async def _connected(net: Net, trip: Trip, addresses: tuple[str, ...], port: int) -> Stream:
    failed: NetFailed | None = None
    for number, address in enumerate(addresses):
        # The first ones must not use up what the last ones need.
        share = trip.left / (len(addresses) - number)
        try:
            return await net.connect(address, port, timeout_seconds=share)
        except NetFailed as err:
            if failed is None or failed.ours:  # what another host said tells more than that there is no route
                failed = err
    raise failed or NetFailed("resolve", "dns-error", "no address")


def failure(err: NetFailed) -> Verdict:
    """What a failed step means for the check: down, or unknown where the fault is on this side."""
    return Verdict("unknown" if err.ours else "down", err.reason, str(err))


def expiry(facts: TlsFacts | None, now: int, labels: dict[str, str]) -> list[Reading]:
    """How long the certificate is still valid."""
    if facts is None or facts.not_after is None:
        return []
    return [Reading(EXPIRES_IN.name, round((facts.not_after - now) / 1000, 3), labels)]


def judged_expiry(facts: TlsFacts | None, now: int, warning_seconds: float) -> Verdict | None:
    """Down if the certificate is over, degraded if it soon will be; None if it is good or unknown."""
    if facts is None or facts.not_after is None:
        return None
    left = (facts.not_after - now) / 1000
    who = f"the certificate of {facts.subject or 'the server'}"
    if left <= 0:
        return Verdict("down", "tls-expired", f"{who} expired {_days(-left)} ago")
    if left < warning_seconds:
        return Verdict("degraded", "tls-expires-soon", f"{who} expires in {_days(left)}")
    return None


def _days(seconds: float) -> str:
    if seconds >= 2 * DAY:
        return f"{seconds / DAY:.0f} days"
    return f"{seconds / 3600:.0f} hours" if seconds >= 7200 else f"{seconds / 60:.0f} minutes"
