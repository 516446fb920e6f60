"""What the browser API says of probes. Times are int ms UTC, durations seconds."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

ProbeState = Literal["up", "degraded", "down", "unknown"]


class ProbeKind(BaseModel):
    """A kind of probe. ``settings`` is the JSON Schema of its settings."""

    kind: str
    title: str
    help: str
    settings: dict[str, Any]


class Uptime(BaseModel):
    """The share of the judged time in which it was up or degraded, 0 to 1; null where none was judged."""

    day: float | None = Field(description="Of the last 24 hours.")
    week: float | None
    month: float | None = Field(description="Of the last 30 days.")
    quarter: float | None = Field(description="Of the last 90 days.")


class ProbeTry(BaseModel):
    """One try."""

    at: int
    state: ProbeState
    seconds: float | None


class Probe(BaseModel):
    """What the hub checks from outside, and how that stands. Secret values read ``***``."""

    id: UUID
    organization_id: UUID
    server_id: UUID | None = Field(description="The server that it stands for: evidence when that one is silent.")
    name: str
    kind: str
    settings: dict[str, Any]
    target: str = Field(description="What is tried, for people, without secrets.")
    interval_seconds: int
    enabled: bool = Field(description="One that is off is not tried: paused.")
    version: int
    secrets_lost: bool
    state: ProbeState = Field(description="`degraded` also while a failure is not certain yet.")
    since: int | None
    last_at: int | None
    last_seconds: float | None
    message: str
    reason: str
    only_here: bool = Field(description="The hub alone cannot reach it: other agents can.")
    expires_at: int | None = Field(description="When the certificate that was seen expires.")
    next_at: int
    created_at: int
    uptime: Uptime
    recent: list[ProbeTry] = Field(description="The last tries, oldest first.")


class ProbeAllowance(BaseModel):
    """How many probes the organization's plan allows, and how many there are."""

    probes: int
    used: int
    least_interval_seconds: int
    most_interval_seconds: int


class Probes(BaseModel):
    """Probes by name. ``next`` asks for the page after this one; null: there is none."""

    hub_time: int
    probes: list[Probe]
    next: UUID | None
    kinds: list[ProbeKind]
    allowance: ProbeAllowance


class SaveProbe(BaseModel):
    """A probe as it shall be. ``version`` is the one that was read and changed; 0 for a new one."""

    model_config = ConfigDict(extra="forbid")

    version: int = Field(0, ge=0)
    name: str = Field(min_length=1, max_length=200)
    kind: str = Field(max_length=20)
    settings: dict[str, Any] = Field(description="Secret values that are written back as `***` stay as they are.")
    interval_seconds: int = Field(60, ge=10, le=3600)
    server_id: UUID | None = None
    enabled: bool = True


class NewProbe(SaveProbe):
    """A probe, and whose it is."""

    organization_id: UUID


class PauseProbe(BaseModel):
    """Whether it shall rest."""

    model_config = ConfigDict(extra="forbid")

    paused: bool


class TryProbe(BaseModel):
    """What is to be tried once, without being saved."""

    model_config = ConfigDict(extra="forbid")

    organization_id: UUID
    probe_id: UUID | None = Field(None, description="The saved one whose secrets `***` stands for.")
    kind: str = Field(max_length=20)
    settings: dict[str, Any]


class ProbeOutcome(BaseModel):
    """What one try came to."""

    state: ProbeState
    reason: str
    message: str
    seconds: float | None
    phases: dict[str, float]
    expires_at: int | None


class ProbePoint(BaseModel):
    """Tries of a span that begins at ``at``."""

    at: int
    tries: int
    uptime: float | None
    mean: float | None = Field(description="Seconds; null where no try had a time.")
    shortest: float | None
    longest: float | None


class ProbeChange(BaseModel):
    """A try that came to something else than the one before."""

    at: int
    state: ProbeState
    reason: str
    message: str


class ProbeHistory(BaseModel):
    """Points ascending, spans without tries left out; changes, newest first."""

    hub_time: int
    since: int
    to: int
    step_seconds: float
    points: list[ProbePoint]
    changes: list[ProbeChange]
