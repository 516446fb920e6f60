"""The kinds of probes, what can be set on each, and one try of one. The trying itself is the agent's monitors'.

Only what is safe on a machine of ours can be set: no files of the hub's, and no patterns whose time a stranger decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Protocol

import msgspec
from msgspec import Meta

from twinwatch.monitors import Check, Finding, Moment, Options, Reading, SecretText, Unreadable
from twinwatch.monitors import ping as pinging
from twinwatch.monitors import tcp as connecting
from twinwatch.monitors.http.options import Condition, Endpoint, Method
from twinwatch.monitors.http.probe import Probe
from twinwatch.monitors.http.target import URL_CHARACTERS, target_of
from twinwatch.monitors.options import lasting
from twinwatch.monitors.reach import EXPIRES_IN, AddressFamily, Timeout, Verify
from twinwatch.monitors.tcp import Host
from twinwatch.protocol.checks import CheckState
from twinwatch.protocol.durations import Duration
from twinwatch.world.doors import World
from twinwatch.world.forms import filled, schema_for

BODY_BYTES = 256 << 10
"""Of an answer's body so much is read and judged."""
NEVER = Duration(0.0)
"""Days left on a certificate are the rules' matter; here only one that is over counts."""
LONGEST_SECONDS = 30.0

NETWORK_REASONS = frozenset(
    {
        *("dns-error", "connection-refused", "connect-timeout", "host-unreachable", "connection-reset", "timeout"),
        *("tls-failed", "no-answer", "loss", "our-dns-failed", "no-route", "our-socket-failed"),
    }
)
"""Failures that may lie on the way: another vantage point may see something else. A page that says 500 said so."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one try came to. ``expires_at`` is the certificate's end, ms UTC."""

    state: CheckState
    reason: str = ""
    message: str = ""
    seconds: float | None = None
    expires_at: int | None = None
    phases: Mapping[str, float] = field(default_factory=dict)

    @property
    def lies_on_the_way(self) -> bool:
        """Whether the failure may be the network's, or ours."""
        return self.reason in NETWORK_REASONS


class Question(NamedTuple):
    """How and at what a witness is to look, and what it is to expect; as ``WitnessAsked`` has it."""

    looking: Literal["http", "tcp", "ping", "peer"]
    target: str
    options: Mapping[str, Any] = MappingProxyType({})


class ProbeKind(Protocol):
    """What can be set on one kind of probe, and how it is tried."""

    kind: ClassVar[str]
    title: ClassVar[str]

    @property
    def timeout(self) -> Duration:
        """What all of one try may take; of a ping each request."""
        ...

    @property
    def shown(self) -> str:
        """What is tried, for people, without secrets."""
        ...

    @property
    def host(self) -> str:
        """The name or address that it goes to."""
        ...

    def question(self, outcome: Outcome) -> Question | None:
        """What a witness is to be asked about this failure; None: it could tell nothing. No secret is in it."""
        ...

    async def findings(self, world: World, moment: Moment) -> list[Finding]:
        """One try."""
        ...


class HttpProbe(Options, frozen=True, kw_only=True):
    """Asks for a page and judges status, body, certificate and time. Each try is a new connection."""

    kind: ClassVar[str] = "http"
    title: ClassVar[str] = "HTTP(S)"

    url: Annotated[
        str, Meta(min_length=1, max_length=URL_CHARACTERS, title="URL", description="Where to ask; http or https.")
    ]
    method: Annotated[Method, Meta(title="Method", description="How to ask.")] = "GET"
    expected_status: Annotated[
        int | str | tuple[int | str, ...],
        Meta(title="Expected status", description="A status, a class such as 2xx, a range 200-299, or a list."),
    ] = "2xx"
    keyword: Annotated[
        str, Meta(max_length=500, title="Keyword", description="Must occur in the body, letter for letter.")
    ] = ""
    keyword_absent: Annotated[
        str, Meta(max_length=500, title="Forbidden keyword", description="Must not occur in the body.")
    ] = ""
    json: Annotated[
        tuple[Condition, ...],
        Meta(max_length=20, title="JSON conditions", description='Each must hold, such as $.status == "ok".'),
    ] = ()
    headers: Annotated[
        dict[str, SecretText], Meta(title="Headers", description="Sent with the request; the values are kept secret.")
    ] = msgspec.field(default_factory=dict)
    body: Annotated[str, Meta(max_length=16384, title="Body", description="Sent with the request.")] = ""
    username: Annotated[str, Meta(max_length=200, title="User", description="For basic authentication.")] = ""
    password: Annotated[
        SecretText | None, Meta(title="Password", description="For basic authentication, with the user.")
    ] = None
    bearer_token: Annotated[
        SecretText | None, Meta(title="Bearer token", description="Sent as Authorization: Bearer.")
    ] = None
    follow_redirects: Annotated[
        bool,
        Meta(
            title="Follow redirects",
            description="Where the status is not expected. Headers, body and credentials go to no other host.",
        ),
    ] = True
    max_redirects: Annotated[
        int, Meta(ge=0, le=10, title="Redirects at most", description="More in a row are a failure.")
    ] = 5
    verify: Verify = True
    slow: Annotated[
        Duration | None, Meta(title="Slow", description="Degraded when the whole answer takes longer than this.")
    ] = None
    timeout: Timeout = lasting("10s")
    family: AddressFamily = "any"

    def __post_init__(self) -> None:
        """Refuses what could not be tried."""
        _refuse_timeout(self.timeout)
        self._endpoint()

    @property
    def shown(self) -> str:
        """The URL; of its query only the names."""
        return target_of(self.url).shown

    @property
    def host(self) -> str:
        """The URL's host."""
        return target_of(self.url).host

    def question(self, outcome: Outcome) -> Question | None:
        """The same page with the same expectations; only whether it answers, where those need what is secret."""
        told = bool(self.headers or self.body or self.username or self.bearer_token or self.password)
        options: dict[str, Any] = {"verify": self.verify, "family": self.family}
        if told or self.method not in ("GET", "HEAD"):
            options |= {"expected_status": "100-599", "follow_redirects": False}
            return Question("http", self.url, options) if outcome.lies_on_the_way else None
        if outcome.reason == "json-mismatch":
            return None
        options |= {
            "method": self.method,
            "expected_status": self.expected_status,
            "keyword": self.keyword,
            "keyword_absent": self.keyword_absent,
            "follow_redirects": self.follow_redirects,
        }
        return Question("http", self.url, options)

    async def findings(self, world: World, moment: Moment) -> list[Finding]:
        """One try, as the agent's monitor makes it."""
        return await Probe(self._endpoint()).run(world, moment)

    def _endpoint(self) -> Endpoint:
        return Endpoint(
            url=self.url,
            timeout=self.timeout,
            expected_status=self.expected_status,
            slow=self.slow,
            method=self.method,
            headers=self.headers,
            body=self.body,
            username=self.username,
            password=self.password,
            bearer_token=self.bearer_token,
            keyword=self.keyword,
            keyword_absent=self.keyword_absent,
            json=self.json,
            follow_redirects=self.follow_redirects,
            max_redirects=self.max_redirects,
            max_body=BODY_BYTES,
            verify=self.verify,
            certificate_warning=NEVER,
            family=self.family,
        )


class TcpProbe(Options, frozen=True, kw_only=True):
    """Connects to a port, agrees on TLS if asked to, and looks for what the server says."""

    kind: ClassVar[str] = "tcp"
    title: ClassVar[str] = "TCP port"

    host: Host
    port: Annotated[int, Meta(ge=1, le=65535, title="Port", description="The TCP port.")]
    tls: Annotated[bool, Meta(title="TLS", description="Whether the server speaks TLS from the first byte.")] = False
    server_name: Annotated[
        str, Meta(max_length=253, title="Server name", description="The name in its certificate; the host if not set.")
    ] = ""
    verify: Verify = True
    send: Annotated[
        str, Meta(max_length=4096, title="Send", description="Said to the server once it is connected.")
    ] = ""
    expect: Annotated[
        str, Meta(max_length=500, title="Expect", description="Must occur in what the server says, letter for letter.")
    ] = ""
    timeout: Timeout = lasting("5s")
    family: AddressFamily = "any"

    def __post_init__(self) -> None:
        """Refuses what could not be tried."""
        _refuse_timeout(self.timeout)
        self._target()

    @property
    def shown(self) -> str:
        """Host and port."""
        return self._target().shown

    def question(self, outcome: Outcome) -> Question | None:
        """The same port; what is said to it is left out."""
        options: dict[str, Any] = {"tls": self.tls, "verify": self.verify, "family": self.family}
        options |= {"server_name": self.server_name, "expect": "" if self.send else self.expect}
        if self.send and outcome.reason == "banner-mismatch":
            return None
        return Question("tcp", self.shown, options)

    async def findings(self, world: World, moment: Moment) -> list[Finding]:
        """One try, as the agent's monitor makes it."""
        return await connecting.Tcp(connecting.TcpOptions(targets=(self._target(),))).read(world, moment)

    def _target(self) -> connecting.Target:
        return connecting.Target(
            host=self.host,
            port=self.port,
            timeout=self.timeout,
            send=self.send,
            expect=self.expect,
            tls=self.tls,
            server_name=self.server_name,
            verify=self.verify,
            certificate_warning=NEVER,
            family=self.family,
        )


class PingProbe(Options, frozen=True, kw_only=True):
    """Sends ICMP echo requests, where the hub's system lets it."""

    kind: ClassVar[str] = "ping"
    title: ClassVar[str] = "Ping (ICMP)"

    host: Host
    count: Annotated[int, Meta(ge=1, le=5, title="Count", description="How many requests are sent in a try.")] = 3
    timeout: Timeout = lasting("2s")
    family: AddressFamily = "any"

    def __post_init__(self) -> None:
        """Refuses what could not be tried."""
        _refuse_timeout(self.timeout)
        self._target()

    @property
    def shown(self) -> str:
        """The host."""
        return self.host

    def question(self, outcome: Outcome) -> Question | None:
        """The same host."""
        return Question("ping", self.host, {"count": self.count, "family": self.family})

    async def findings(self, world: World, moment: Moment) -> list[Finding]:
        """One try, as the agent's monitor makes it."""
        return await pinging.Ping(pinging.PingOptions(hosts=(self._target(),))).read(world, moment)

    def _target(self) -> pinging.Target:
        return pinging.Target(host=self.host, count=self.count, timeout=self.timeout, family=self.family)


KINDS: dict[str, type[HttpProbe] | type[TcpProbe] | type[PingProbe]] = {
    kind.kind: kind for kind in (HttpProbe, TcpProbe, PingProbe)
}
SCHEMAS: dict[str, dict[str, Any]] = {name: schema_for(kind) for name, kind in KINDS.items()}
"""The JSON Schema of each kind's settings."""


def settings_of(kind: str, given: Mapping[str, Any]) -> ProbeKind:
    """The probe that these settings mean.

    Raises: ValueError for an unknown kind or what is not lawful, without a secret in its message.
    """
    form = KINDS.get(kind)
    if form is None:
        raise ValueError(f"kind: expected one of {', '.join(KINDS)}")
    try:
        return filled(form, given)
    except msgspec.ValidationError as err:
        raise ValueError(f"settings: {str(err).replace('`', '')}") from None


async def tried(probe: ProbeKind, world: World, now: int) -> Outcome:
    """One try of a probe at this time, ms UTC. It ends within its timeout and a little."""
    moment = Moment(now, world.clock.monotonic())
    try:
        found = await probe.findings(world, moment)
    except Unreadable as err:
        return Outcome("unknown", "not-permitted", str(err))
    (check,) = [one for one in found if isinstance(one, Check)]
    readings = [one for one in found if isinstance(one, Reading)]
    values = {one.metric: one.value for one in readings}
    took = next(
        (values[name] for name in ("http.check.duration", "tcp.check.duration", "ping.rtt.average") if name in values),
        None,
    )
    phases = {
        one.labels[label]: one.value for one in readings for label in ("http.phase", "tcp.phase") if label in one.labels
    }
    left = values.get(EXPIRES_IN.name)
    expires_at = None if left is None else now + round(left * 1000)
    return Outcome(check.state, check.reason, check.message, took, expires_at, phases)


def _refuse_timeout(seconds: float) -> None:
    if not 0 < seconds <= LONGEST_SECONDS:
        raise ValueError(f"timeout: expected more than 0s and at most {LONGEST_SECONDS:g}s")
