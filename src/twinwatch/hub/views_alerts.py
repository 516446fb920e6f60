"""What the browser API says of alerts, and of who is told of them. Times are int ms UTC."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from twinwatch.hub.views import Rule
from twinwatch.protocol.rules import Severity

AlertState = Literal["firing", "acknowledged", "resolved"]


class Alert(BaseModel):
    """One firing of one rule on one thing."""

    id: UUID
    organization_id: UUID
    server_id: UUID | None
    probe_id: UUID | None
    origin: Literal["agent", "hub"] = Field(description="Who judged.")
    rule: str
    thing: str = Field(description="What it is about: a series, a check, heartbeat, a probe.")
    severity: Severity
    state: AlertState
    subject: str = Field(description="Name of the server or probe at that time.")
    title: str
    message: str
    labels: dict[str, str]
    value: float | None
    unit: str
    flapping: bool
    suppressed: bool = Field(description="Nobody is told: what explains it is told already.")
    late: bool = Field(description="The hub heard of it when it was over: nobody was told again.")
    silenced_until: int | None
    true_at: int = Field(description="When it became true.")
    detected_at: int
    received_at: int = Field(description="When the hub heard of it.")
    told_at: int | None = Field(description="When the first channel had it.")
    acknowledged_at: int | None
    acknowledged_by: str
    resolved_at: int | None
    resolved_why: str
    resolved_by: str
    cause: str
    verdict: str


class Alerts(BaseModel):
    """Alerts, newest first. ``next`` asks for the page after this one; null: there is none."""

    hub_time: int
    alerts: list[Alert]
    next: str | None


class TimelineEvent(BaseModel):
    """Something that happened to an alert."""

    id: int
    at: int
    kind: str
    actor: str
    text: str
    detail: dict[str, Any]


class Attempt(BaseModel):
    """One try to send a notification."""

    at: int
    outcome: Literal["delivered", "retry", "refused", "lost"]
    reason: str
    seconds: float


class Notification(BaseModel):
    """One message to one channel."""

    id: UUID
    channel_id: UUID
    channel: str
    kind: str
    occasion: str
    teller: Literal["agent", "hub"]
    state: Literal["waiting", "sending", "delivered", "refused", "given-up", "cancelled"]
    due_at: int
    done_at: int | None
    reason: str
    attempts: list[Attempt]


class AlertDetail(BaseModel):
    """An alert with all that happened, who was told, and what was true at that moment."""

    alert: Alert
    definition: Rule | None
    evidence: dict[str, list[str]]
    evidence_at: int | None
    policy: str | None
    next_step_at: int | None
    timeline: list[TimelineEvent]
    notifications: list[Notification]


class Comment(BaseModel):
    """What a person has to say; may be empty where something else is done with it."""

    text: str = Field("", max_length=4000)


class AcknowledgeByLink(BaseModel):
    """What a link in a message says."""

    key: str = Field(max_length=32)
    token: str = Field(max_length=64)
    name: str = Field("", max_length=100, description="Who it is, if they want to say so.")


class LinkedAlert(BaseModel):
    """What the holder of a link may see without signing in."""

    subject: str
    title: str
    message: str
    severity: Severity
    state: AlertState
    true_at: int
    acknowledged_by: str
    hub_time: int


class Latency(BaseModel):
    """How fast alerts were told: seconds from when they became true, over a number of days."""

    days: int
    count: int
    p50: float | None
    p95: float | None
    longest: float | None


class ChannelKind(BaseModel):
    """A kind of channel that this hub has. ``settings`` is the JSON Schema of its settings."""

    kind: str
    title: str
    help: str
    settings: dict[str, Any]


class Path(BaseModel):
    """Whether messages arrive: from the hub (no server) or one server's agent."""

    server_id: UUID | None
    server: str | None
    tried_at: int
    outcome: Literal["trying", "delivered", "retry", "refused"]
    reason: str
    proven_at: int | None
    seconds: float | None


class Channel(BaseModel):
    """Where notifications go. Secret values read ``***``."""

    id: UUID
    organization_id: UUID
    name: str
    kind: str
    settings: dict[str, Any]
    direct: bool = Field(description="Whether agents may speak on it themselves, when they must or the hub is away.")
    fallback: bool = Field(description="Whether it gets what another channel refuses.")
    enabled: bool
    version: int
    secrets_lost: bool
    paths: list[Path]


class SaveChannel(BaseModel):
    """A channel as it shall be. ``version`` is the one that was read and changed; 0 for a new one."""

    model_config = ConfigDict(extra="forbid")

    version: int = Field(0, ge=0)
    name: str = Field(min_length=1, max_length=100)
    kind: str = Field(max_length=50)
    settings: dict[str, Any] = Field(description="Secret values that are written back as `***` stay as they are.")
    direct: bool = True
    fallback: bool = False
    enabled: bool = True


class NewChannel(SaveChannel):
    """A channel, and whose it is."""

    organization_id: UUID


class Channels(BaseModel):
    """The channels of an organization, and what kinds there are."""

    channels: list[Channel]
    kinds: list[ChannelKind]


class TestOutcome(BaseModel):
    """What became of a test."""

    delivered: bool
    reason: str
    seconds: float | None


class Recurring(BaseModel):
    """The same hours on some days, by the wall clock of a time zone."""

    model_config = ConfigDict(extra="forbid")

    zone: str = Field(max_length=60, description="Such as `Europe/Zurich`.")
    start: str = Field(max_length=5, description="`22:00`")
    end: str = Field(max_length=5, description="`06:00`: of the next day, if that is not after the start.")
    days: list[int] = Field([0, 1, 2, 3, 4, 5, 6], description="The days on which it starts; 0 is Monday.")


class Selector(BaseModel):
    """Which alerts are meant. Servers and tags add up, the rule narrows; empty means all."""

    model_config = ConfigDict(extra="forbid")

    servers: list[UUID] = Field([], max_length=1000)
    tags: list[str] = Field([], max_length=50)
    rule: str = Field("", max_length=200, description="A rule's name or a pattern with `*`.")


class Step(BaseModel):
    """Who is told so long after the alert, if nobody has acknowledged it."""

    model_config = ConfigDict(extra="forbid")

    after_seconds: int = Field(0, ge=0, le=7 * 86_400)
    channels: list[str] = Field(max_length=50, description="Ids, or `kind:slack` for every channel of a kind.")


class Policy(BaseModel):
    """Which alerts go to whom. Of several the first that admits an alert has it."""

    model_config = ConfigDict(extra="forbid")

    id: UUID | None = Field(None, description="Null: a new one.")
    name: str = Field(min_length=1, max_length=100)
    severities: list[Severity] = Field([], description="Empty: all.")
    what: Selector = Selector.model_validate({})
    steps: list[Step] = Field(max_length=20)
    repeat_seconds: int = Field(0, ge=0, le=7 * 86_400, description="0: never.")
    quiet: Recurring | None = None
    quiet_holds_down: bool = Field(False, description="Whether servers that are down wait for the morning too.")


class Policies(BaseModel):
    """All policies of an organization in their order: read, changed and written back whole."""

    model_config = ConfigDict(extra="forbid")

    policies: list[Policy] = Field(max_length=100)
    version: str = Field(description="Another one whenever a policy or their order is another.")


class SavePolicies(BaseModel):
    """All policies of an organization as they shall be, in their order."""

    model_config = ConfigDict(extra="forbid")

    policies: list[Policy] = Field(max_length=100)
    version: str | None = Field(
        None,
        max_length=64,
        description="The one that was read and changed. Left out: these take the place of whatever there is.",
    )


class ScopedRule(BaseModel):
    """A rule and whose servers it judges."""

    model_config = ConfigDict(extra="forbid")

    scope: Literal["organization", "tag", "server"]
    tag: str = Field("", max_length=50)
    server_id: UUID | None = None
    rule: Rule


class StoredRule(ScopedRule):
    """A rule that was saved."""

    id: UUID
    organization_id: UUID
    version: int
    updated_at: int
    author: str


class NewRule(ScopedRule):
    """A rule, and whose it is."""

    organization_id: UUID


class SaveRule(ScopedRule):
    """A rule as it shall be. ``version`` is the one that was read and changed."""

    version: int


class DefaultRule(BaseModel):
    """A rule that monitors or the hub bring along, under the name by which it can be replaced or switched off."""

    monitor: str
    rule: Rule
    servers: int = Field(description="How many servers have it.")


class Rules(BaseModel):
    """The rules of an organization, and those that come along."""

    rules: list[StoredRule]
    defaults: list[DefaultRule]


class Silence(BaseModel):
    """A time in which alerts are recorded and nobody is told."""

    id: UUID
    organization_id: UUID
    comment: str
    what: Selector
    again: Recurring | None
    starts_at: int
    ends_at: int | None = Field(description="Null: until somebody ends it.")
    author: str
    active: bool = Field(description="Whether it holds now.")


class NewSilence(BaseModel):
    """A silence to be."""

    model_config = ConfigDict(extra="forbid")

    organization_id: UUID
    comment: str = Field("", max_length=500)
    what: Selector = Selector.model_validate({})
    again: Recurring | None = None
    starts_at: int | None = Field(None, ge=0, le=253_402_300_799_000, description="Null: now.")
    ends_at: int | None = Field(None, ge=0, le=253_402_300_799_000)


class ServerSettings(BaseModel):
    """What a person sets on a server."""

    model_config = ConfigDict(extra="forbid")

    tags: list[str] = Field(max_length=50)
    fast: bool


class Drill(BaseModel):
    """What is asked to prove its paths."""

    organization_id: UUID
    servers: list[UUID] = Field([], max_length=1000, description="Empty: every server that is up.")


class DrillBegun(BaseModel):
    """How many paths are being tried; ``Channels`` shows what comes of it."""

    paths: int
