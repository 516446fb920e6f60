"""What the browser API answers with: the shapes that the OpenAPI document and the dashboard's types are made of.

Times are int ms UTC.
"""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from twinwatch.hub.watchdog import State

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
    headlines: list[Headline]


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


class Catalogue(BaseModel):
    """Everything that a server's agent declares."""

    fingerprint: str
    agent_version: str
    host: dict[str, str] = {}
    monitors: list[CatalogueMonitor]


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
