"""What the browser API answers with: the shapes that the OpenAPI document and the dashboard's types are made of.

Times are int ms UTC.
"""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from twinwatch.hub.watchdog import State
from twinwatch.protocol.checks import CheckState
from twinwatch.protocol.limits import MONITORS_PER_SERVER, RULES_PER_SERVER
from twinwatch.protocol.rules import Aggregate, BadState, Order, Severity

Role = Literal["owner", "admin", "member", "viewer"]
Good = Literal["low", "high", "none"]


class Status(BaseModel):
    """What anyone may know about a hub."""

    version: str
    needs_setup: bool = Field(description="No owner yet: open the set-up link that `twinwatch up` prints.")


class Headline(BaseModel):
    """A figure that stands for the server: the highest of its series."""

    title: str
    metric: str
    unit: str
    good: Good
    value: float | None
    labels: dict[str, str]


class Delivery(BaseModel):
    """What became of the ticks that the agent collected: ``collected = delivered + pending + dropped``."""

    collected: int
    delivered: int
    pending: int
    dropped: int = Field(description="Lost for good: by age, by the buffer's size, by a full disk, or refused.")
    buffer_bytes: int
    oldest_pending: int | None
    at: int = Field(description="When the agent said so, ms UTC by the hub's clock.")


class CheckCounts(BaseModel):
    """How many of a server's checks are in each state."""

    up: int = 0
    degraded: int = 0
    down: int = 0
    unknown: int = 0


class Server(BaseModel):
    """One monitored machine as a member sees it."""

    id: UUID
    organization_id: UUID
    name: str
    state: State
    registered_at: int
    last_heartbeat_at: int | None
    last_sample_at: int | None
    agent_version: str
    clock_skew_seconds: float | None
    host: dict[str, str]
    tags: list[str]
    fast: bool = Field(description="Whether it sends heartbeats every few seconds.")
    life: dict[str, Any] | None = Field(description="What its agent said of its boot, its start and the life before.")
    headlines: list[Headline]
    checks: CheckCounts
    delivery: Delivery | None = Field(description="Null: an agent that does not say.")
    control: bool = Field(description="Whether its control connection is open: changes reach it within a second.")


class Servers(BaseModel):
    """All servers of the person's organizations, and the hub's clock to judge their times by."""

    hub_time: int
    servers: list[Server]


class Rename(BaseModel):
    """A new name for a server."""

    name: str = Field(min_length=1, max_length=200)


class LatestSeries(BaseModel):
    """The newest sample of one series."""

    id: int
    metric: str
    labels: dict[str, str]
    time: int
    value: float


class Latest(BaseModel):
    """The newest sample of every series of a server."""

    hub_time: int
    series: list[LatestSeries]


class RangeSeries(BaseModel):
    """One series of a range; ``values`` are in the order of the range's times, null where there is no sample."""

    id: int
    metric: str
    labels: dict[str, str]
    values: list[float | None]


class Range(BaseModel):
    """Series on one axis of times. ``step_seconds`` is null where points are the samples as they came."""

    since: int
    to: int
    step_seconds: float | None
    times: list[int]
    series: list[RangeSeries]


class Rule(BaseModel):
    """When a sample, a check, a probe or a silence becomes an alert: exactly one of these is named."""

    model_config = ConfigDict(extra="forbid")

    name: str
    severity: Severity = "warning"
    metric: str = ""
    labels: dict[str, str] = Field({}, description="Label to value; `*` stands for anything, a leading `!` for not.")
    above: float | None = None
    below: float | None = Field(None, description="With `above` too: outside of the range between them.")
    above_clear: float | None = Field(None, description="Well again at or below this; null: at or below `above`.")
    below_clear: float | None = Field(None, description="Well again at or above this; null: at or above `below`.")
    aggregate: Aggregate = Field("last", description="What the samples of `window` come to.")
    window: str = ""
    target: float | None = Field(None, description="Of a forecast: judged is how many seconds until it is met.")
    no_data: str = Field("", description="Alert when there has been no sample for so long.")
    check: str = Field("", description="A check's name, or a pattern with `*`.")
    probe: str = Field("", description="A probe's name, or a pattern with `*`.")
    states: list[BadState] = ["down"]
    times: int = Field(1, description="So many bad outcomes …")
    of: int = Field(0, description="… among the last so many; 0: in a row.")
    recover: int = Field(1, description="So many good outcomes in a row before it is well again.")
    silent: str = Field("", description="Alert when the server gives no sign of life for so long.")
    hold: str = Field("", description="How long it must be so before it alerts, such as `5m`; empty: at once.")
    clear_hold: str = Field("", description="How long it must be well before it is resolved; empty: at once.")
    message: str = Field("", description="Template of the message; empty: what fits the condition.")
    order: Order = Field("", description="Who tells first; empty: as the severity has it.")
    enabled: bool = Field(True, description="False switches off a rule of this name that was declared elsewhere.")


class CatalogueMetric(BaseModel):
    """One metric that a monitor declares. Units are UCUM."""

    name: str
    unit: str
    help: str
    good: Good = "none"


class CatalogueChart(BaseModel):
    """How to draw metrics of one unit."""

    title: str
    metrics: list[str]
    by: list[str] = []
    style: Literal["line", "area", "stack"] = "line"
    mirror: list[str] = []
    top: float | None = None


class CatalogueHeadline(BaseModel):
    """A metric that stands for the server."""

    title: str
    metric: str


class CatalogueMonitor(BaseModel):
    """One monitor as the agent runs it."""

    name: str
    title: str
    interval_seconds: float
    metrics: list[CatalogueMetric]
    charts: list[CatalogueChart] = []
    headlines: list[CatalogueHeadline] = []
    rules: list[Rule] = Field([], description="What alerts by default, without the monitor's name before it.")


class Catalogue(BaseModel):
    """Everything that a server's agent declares."""

    fingerprint: str
    agent_version: str
    host: dict[str, str] = {}
    monitors: list[CatalogueMonitor]


class Check(BaseModel):
    """A named state on a server. ``unknown``: it could not be judged."""

    name: str
    monitor: str
    state: CheckState
    reason: str = Field(description="A slug for programs; empty while up.")
    message: str
    since: int = Field(description="When it took on this state and reason, ms UTC by the agent's clock.")


class MonitorStanding(BaseModel):
    """One configured monitor as the agent runs it."""

    name: str
    type: str
    origin: Literal["default", "file", "hub"]
    state: Literal["new", "ok", "absent", "failing"]
    reason: str = Field("", description="Why it is absent or failing.")
    interval_seconds: float = 0.0
    since: int = 0


class Checks(BaseModel):
    """How a server's checks and monitors stood at its agent's newest report; ``reported_at`` null: there was none."""

    server_id: UUID
    hub_time: int
    reported_at: int | None
    checks: list[Check]
    monitors: list[MonitorStanding]


class MonitorKind(BaseModel):
    """A type of monitor that the agent could run."""

    type: str
    title: str
    help: str
    interval_seconds: float
    options: dict[str, Any] = Field({}, description="JSON Schema of its options, with `$defs`.")


class ConfigurationMonitor(BaseModel):
    """One monitor that shall run, or with ``enabled`` false shall not."""

    model_config = ConfigDict(extra="forbid")

    type: str
    name: str = Field("", description="Tells two of one type apart; empty: the type.")
    enabled: bool = True
    interval: str = Field("", description="Such as `30s`, from 5s to 1h; empty: the monitor's own.")
    timeout: str = Field("", description="What one run may take; empty: the monitor's own.")
    options: dict[str, Any] = Field({}, description="Secret values read `***`; written back so, they stay as they are.")


class ConfigurationStanding(BaseModel):
    """What became of the configuration at the agent, as of its newest report."""

    version: int = Field(0, description="The hub's version in force; 0: none.")
    refused: int = Field(0, description="A newer version that the agent could not take; 0: none.")
    problems: list[str] = []


class Configuration(BaseModel):
    """What a server's agent shall watch, how it took it, and what it could run."""

    version: int = Field(description="0: nothing was saved yet.")
    monitors: list[ConfigurationMonitor]
    rules: list[Rule]
    updated_at: int | None
    updated_by: str | None = Field(description="The e-mail of who saved it.")
    secrets_lost: bool = Field(
        description="The hub's secret was changed since: the secret values must be entered again, the agent gets none."
    )
    standing: ConfigurationStanding | None = Field(description="Null: the agent has not reported yet.")
    reported_at: int | None
    kinds: list[MonitorKind]


class SaveConfiguration(BaseModel):
    """The whole new configuration. ``version`` is the one that was read and changed."""

    model_config = ConfigDict(extra="forbid")

    version: int = Field(ge=0, le=1 << 53)
    monitors: list[ConfigurationMonitor] = Field(max_length=MONITORS_PER_SERVER)
    rules: list[Rule] = Field(max_length=RULES_PER_SERVER)


class User(BaseModel):
    """The signed-in person."""

    id: UUID
    email: str


class Organization(BaseModel):
    """An organization and the person's role in it."""

    id: UUID
    name: str
    plan: Literal["free", "pro", "enterprise"]
    role: Role


class Me(BaseModel):
    """Who is signed in, and where they belong."""

    user: User
    organizations: list[Organization]


class Setup(BaseModel):
    """The first owner's choice."""

    token: str = Field(max_length=200)
    email: str = Field(max_length=254)
    password: str = Field(min_length=10, max_length=200)
    organization: str = Field(min_length=1, max_length=100)


class EnrolmentKey(BaseModel):
    """A key that lets servers join, without the key."""

    id: UUID
    name: str
    prefix: str
    created_at: int
    last_used_at: int | None


class NewEnrolmentKey(BaseModel):
    """What to name a new key, and for whom it is."""

    organization_id: UUID
    name: str = Field(min_length=1, max_length=100)


class InstallStep(BaseModel):
    """One command for the new server's terminal."""

    title: str
    command: str


class IssuedKey(BaseModel):
    """The key, shown this once, and how to use it."""

    id: UUID
    name: str
    prefix: str
    key: str
    install: list[InstallStep]
    warning: str | None = None


class ProblemDetails(BaseModel):
    """Problem details, RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str = ""
    limit: int | None = None
    shapes: list[str] = []


PROBLEMS: dict[int | str, dict[str, Any]] = {
    "default": {"model": ProblemDetails, "description": "What is wrong and what to do about it"}
}
