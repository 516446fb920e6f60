"""The DNS monitor: asks a name server and compares the answer."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from twinwatch.monitors import Finding, Moment, Options, Part, Reading
from twinwatch.monitors.options import lasting
from twinwatch.monitors.patience import Failures, Patience, Successes, Verdict, Window
from twinwatch.monitors.reach import ADDRESSES, CheckInterval, Timeout, Trip, failure, refuse_timeout, within
from twinwatch.monitors.tcp import refuse_twins
from twinwatch.protocol.durations import Duration
from twinwatch.protocol.metrics import Chart, Headline, Metric
from twinwatch.protocol.rules import Rule
from twinwatch.world.doors import World
from twinwatch.world.host import Missing, Refused
from twinwatch.world.net import NetFailed

RESOLVER = "/etc/resolv.conf"
ANSWERS = 100
BY = ("dns.query",)
PAYLOAD = 1232
"""Bytes that a datagram may have without being cut on its way (DNS Flag Day 2020)."""

Type = Literal["A", "AAAA", "CAA", "CNAME", "DS", "HTTPS", "MX", "NS", "PTR", "SOA", "SRV", "TLSA", "TXT"]
Rcode = Literal["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"]


class Query(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One question."""

    name: Annotated[
        str,
        Meta(min_length=1, max_length=253, pattern=r"^[\x21-\x7e]+$", title="Name", description="The name to ask for."),
    ]
    type: Annotated[Type, Meta(title="Type", description="The type of record.")] = "A"
    label: Annotated[
        str,
        Meta(max_length=100, title="Label", description="What its check is called; name and type if not set."),
    ] = ""
    server: Annotated[
        str,
        Meta(max_length=253, title="Server", description="The name server to ask; that of this host if not set."),
    ] = ""
    port: Annotated[int, Meta(ge=1, le=65535, title="Port", description="The name server's port.")] = 53
    check_interval: CheckInterval = None
    timeout: Timeout = lasting("5s")
    expected: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=500)], ...],
        Meta(max_length=50, title="Expected", description="Answers that must be there, as in a zone file."),
    ] = ()
    exact: Annotated[
        bool, Meta(title="Exact", description="Whether there must be no other answers than those expected.")
    ] = False
    rcode: Annotated[Rcode, Meta(title="Response code", description="What the server must say.")] = "NOERROR"
    slow: Annotated[
        Duration | None, Meta(title="Slow", description="Degraded when the answer takes longer than this.")
    ] = None
    failures_before_down: Failures = 1
    failures_within: Window = 0
    successes_before_up: Successes = 1

    def __post_init__(self) -> None:
        """Refuses what could not be run or shown."""
        refuse_timeout(self.timeout)
        if not self.label.isprintable():
            raise ValueError("label: expected no control characters")

    @property
    def shown(self) -> str:
        """What its check is called."""
        at = f" at {self.server}" if self.server else ""
        return self.label or f"{self.name} {self.type}{at}"[:200]


class DnsOptions(Options, frozen=True, kw_only=True):
    """What is asked for."""

    queries: Annotated[
        tuple[Query, ...], Meta(min_length=1, max_length=100, title="Queries", description="The questions to ask.")
    ]

    def __post_init__(self) -> None:
        """Refuses two checks of one name."""
        refuse_twins([query.shown for query in self.queries])


class Dns:
    """Asks name servers and compares what they answer.

    Each question is a check: up, degraded (slow, failures that are not enough yet to be down), down, or unknown where
    this host has no name server or no network.
    Source: RFC 1035, RFC 6891.
    Cost: a datagram, and a connection where the answer does not fit into one.
    Rights: none.
    """

    name: ClassVar[str] = "dns"
    title: ClassVar[str] = "DNS"
    Options: ClassVar[type[Options]] = DnsOptions
    interval_seconds: ClassVar[float] = 60.0
    deadline_seconds: ClassVar[float] = 60.0
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("dns.check.duration", "s", "How long the answer took.", good="low"),
        Metric("dns.check.answers", "{answer}", "How many records the answer has."),
        Metric("dns.soa.serial", "{serial}", "The serial number of the zone."),
    )
    charts: ClassVar[tuple[Chart, ...]] = (
        Chart("DNS response time", ("dns.check.duration",), by=BY),
        Chart("DNS answers", ("dns.check.answers",), by=BY),
        Chart("DNS zone serial", ("dns.soa.serial",), by=BY),
    )
    headlines: ClassVar[tuple[Headline, ...]] = ()
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("name not resolved", severity="critical", check="*", times=2),
        Rule("answer degraded", check="*", states=("degraded",), hold="5m"),
    )

    def __init__(self, options: DnsOptions) -> None:
        self._watched = [
            (one, Patience(one.failures_before_down, one.failures_within, one.successes_before_up))
            for one in options.queries
        ]

    @classmethod
    def split(cls, options: DnsOptions) -> Sequence[Part]:
        """A part per question: one that is not answered delays no other."""
        return [
            Part(one.shown, msgspec.structs.replace(options, queries=(_in_time(one),)), one.check_interval)
            for one in options.queries
        ]

    async def read(self, world: World, moment: Moment) -> list[Finding]:
        """Each question, once."""
        found: list[Finding] = []
        for query, patience in self._watched:
            readings, verdict = await _tried(world, query)
            found += [*readings, patience.check(query.shown, verdict)]
        return found


def _in_time(query: Query) -> Query:
    return msgspec.structs.replace(query, timeout=within(query.timeout, query.check_interval))


async def _tried(world: World, query: Query) -> tuple[list[Reading], Verdict]:
    import dns.exception  # noqa: PLC0415 - only where DNS is watched
    import dns.message  # noqa: PLC0415
    import dns.rcode  # noqa: PLC0415

    trip = Trip.begun(world.clock, query.timeout)
    try:
        asked = dns.message.make_query(query.name, query.type, use_edns=0, payload=PAYLOAD)
        question = asked.to_wire()
    except (dns.exception.DNSException, ValueError):
        return [], Verdict("down", "name-unlawful", f"{query.name} is no lawful name to ask for")
    try:
        servers = await _servers(world, trip, query)
        if not servers:
            return [], Verdict("unknown", "no-server", f"{RESOLVER} names no name server; set server")
        with trip.phase("query"):
            answer = await _asked(world, trip, servers, query.port, question)
        response = dns.message.from_wire(answer, ignore_trailing=True)
        if not asked.is_response(response):
            raise ValueError("it answers another question")
    except NetFailed as err:
        if err.reason == "timeout":
            return [], Verdict("down", "timeout", f"no answer from {_place(query)} within {query.timeout:g} s")
        return [], failure(err)
    except (dns.exception.DNSException, ValueError, IndexError, OverflowError) as err:
        told = f"the answer of {_place(query)} is no lawful DNS: {str(err) or type(err).__name__}"
        return [], Verdict("down", "bad-answer", told)
    labels = {"dns.query": query.shown}
    records, serial = _records(response, query.type)
    took = trip.phases["query"]
    readings = [
        Reading("dns.check.duration", round(took, 6), labels),
        Reading("dns.check.answers", len(records), labels),
    ]
    if serial is not None:
        readings.append(Reading("dns.soa.serial", serial, labels))
    return readings, _judged(query, dns.rcode.to_text(response.rcode()), records, took)


async def _servers(world: World, trip: Trip, query: Query) -> list[str]:
    """Addresses to ask, the first one first."""
    if query.server:
        return list(await world.net.resolve(query.server, timeout_seconds=trip.left))
    try:
        lines = world.host.read_text(RESOLVER).splitlines()
    except (Missing, Refused):
        return []
    words = [line.split() for line in lines]
    found = [line[1] for line in words if len(line) > 1 and line[0] == "nameserver" and _is_address(line[1])]
    return found[:ADDRESSES]


async def _asked(world: World, trip: Trip, servers: Sequence[str], port: int, question: bytes) -> bytes:
    """The answer of the first server that gives one; over a connection where a datagram does not hold it."""
    failed: NetFailed | None = None
    for number, server in enumerate(servers):
        share = trip.left / (len(servers) - number)
        try:
            answer = await world.net.query(server, port, question, timeout_seconds=share)
            if len(answer) > 2 and answer[2] & 0x02:  # cut off: TC
                return await _asked_again(world, trip, server, port, question)
        except NetFailed as err:
            failed = err
        else:
            return answer
    raise failed or NetFailed("query", "timeout", "no server")


async def _asked_again(world: World, trip: Trip, server: str, port: int, question: bytes) -> bytes:
    stream = await world.net.connect(server, port, timeout_seconds=trip.left)
    try:
        await stream.send(len(question).to_bytes(2, "big") + question, timeout_seconds=trip.left)
        heard = bytearray()
        while len(heard) < 2 or len(heard) < 2 + int.from_bytes(heard[:2], "big"):
            piece = await stream.receive(timeout_seconds=trip.left)
            if not piece:
                raise NetFailed("receive", "connection-reset", f"{server}: closed before its answer was complete")
            heard += piece
        return bytes(heard[2 : 2 + int.from_bytes(heard[:2], "big")])
    finally:
        stream.close()


def _records(response: Any, wanted: str) -> tuple[list[str], int | None]:
    """The answers of the type that was asked for, as in a zone file, and the serial number of a zone."""
    import dns.rdatatype  # noqa: PLC0415

    found: list[str] = []
    serial = None
    for records in response.answer:
        if dns.rdatatype.to_text(records.rdtype) == wanted:
            for record in records:
                found.append(record.to_text())
                serial = getattr(record, "serial", None) if wanted == "SOA" else None
    return found[:ANSWERS], serial


def _judged(query: Query, rcode: str, records: list[str], took: float) -> Verdict:
    if rcode != query.rcode:
        return Verdict("down", "wrong-rcode", f"expected {query.rcode}, seen {rcode}")
    seen = {_plain(record) for record in records}
    wanted = {_plain(record): record for record in query.expected}
    listed = ", ".join(records[:5]) or "none"
    for plain, record in wanted.items():
        if plain not in seen:
            return Verdict("down", "answer-missing", f"expected {record}, seen {listed}")
    if query.exact and seen - wanted.keys():
        return Verdict(
            "down", "answer-unexpected", f"expected only {', '.join(query.expected) or 'none'}, seen {listed}"
        )
    if query.rcode == "NOERROR" and not records and not query.exact:
        return Verdict("down", "no-answer", f"expected a record of type {query.type}, seen none")
    if query.slow is not None and took > query.slow:
        return Verdict("degraded", "slow", f"expected an answer within {query.slow:g} s, it took {took:.2f} s")
    return Verdict("up")


def _plain(record: str) -> str:
    """Two spellings of one record are the same: case, quotes, and the dot at the end."""
    return record.strip().strip('"').rstrip(".").lower()


def _place(query: Query) -> str:
    return query.server or "this host's name server"


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return True
