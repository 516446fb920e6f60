"""What the routes of ``api/queries`` answer with."""

from __future__ import annotations

from uuid import UUID

from pydantic import BaseModel, Field


class Storage(BaseModel):
    """What is kept of an organization's samples; counted once a minute at most."""

    samples: int
    size_bytes: int = Field(description="Of the samples themselves, without indexes.")
    oldest: int | None = Field(description="Time of the oldest sample, ms UTC.")
    retention_days: int = Field(description="For how many days samples are kept.")


class RangeLine(BaseModel):
    """One series of a server, or what several came to; ``values`` are in the order of the times, null where none."""

    metric: str
    server_id: UUID | None
    id: int | None
    labels: dict[str, str]
    series: int = Field(description="Of how many series the line was made.")
    values: list[float | None]


class Lines(BaseModel):
    """Lines on one axis of times. ``step_seconds`` is null where points are the samples as they came."""

    since: int
    to: int
    step_seconds: float | None
    times: list[int]
    lines: list[RangeLine]


class KnownSeries(BaseModel):
    """A series by name."""

    id: int
    metric: str
    labels: dict[str, str]


class SeriesList(BaseModel):
    """Series of a server, by metric and labels."""

    series: list[KnownSeries]


class StateSpans(BaseModel):
    """For how many seconds something was in which state, and which share of what is known it was not down."""

    name: str = Field(description="The check's name; empty for the server itself.")
    seconds: dict[str, float]
    ratio: float | None = Field(description="1 is always up; null where nothing is known.")
    downs: int = Field(description="How often it went down.")


class Uptime(BaseModel):
    """The server, by its heartbeats, and its checks."""

    since: int
    to: int
    server: StateSpans
    checks: list[StateSpans]
