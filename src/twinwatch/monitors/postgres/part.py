"""What the postgres monitor is made of: each part asks its own statements, at its own pace, and fails alone."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from twinwatch.monitors import Finding, Moment
from twinwatch.monitors.postgres.columns import Row
from twinwatch.monitors.postgres.options import PostgresOptions
from twinwatch.protocol.metrics import Chart, Metric
from twinwatch.protocol.rules import Rule
from twinwatch.world.doors import World

EVERY_RUN = 0.0
MINUTE = 60.0
SELDOM = 300.0


@dataclass(frozen=True, slots=True)
class Server:
    """What a run begins with knowing. ``version`` as in ``server_version_num``: 160004 is 16.4."""

    version: int = 0
    is_standby: bool = False
    sees_all: bool = False
    """Whether the role may read the statistics of others."""
    allowed: float | None = None
    """Connections that clients may have."""
    up_seconds: float | None = None
    role: str = ""
    database: str = ""
    statements_schema: str = ""
    """Where pg_stat_statements is; empty where it is not."""
    buffers_schema: str = ""
    """The same of pg_buffercache."""


class Ask(Protocol):
    """The rows of a statement, within what is left of the run's time."""

    @property
    def world(self) -> World:
        """Every door, for what the server itself does not know."""
        ...

    def __call__(self, name: str, statement: str) -> Awaitable[Sequence[Row]]:
        """Raises: PostgresAway; PostgresRefused."""
        ...


class Part(Protocol):
    """A group of metrics and checks that are there or missing together."""

    name: ClassVar[str]
    pace: ClassVar[float]
    """So many seconds at least lie between two runs; what was found is said again in between."""
    checks: ClassVar[tuple[str, ...]]
    """The checks that it gives: unknown while it cannot be read."""
    metrics: ClassVar[tuple[Metric, ...]]
    charts: ClassVar[tuple[Chart, ...]]
    rules: ClassVar[tuple[Rule, ...]]
    remedy: ClassVar[str]
    """What lets the role read it."""
    needs_rights: ClassVar[bool]
    """Whether nothing of it is shown to a role that may not read the statistics of others: it is not asked for then."""

    def __init__(self, options: PostgresOptions) -> None: ...

    def fits(self, server: Server) -> bool:
        """Whether this server has what it reads."""
        ...

    async def read(self, ask: Ask, server: Server, moment: Moment) -> list[Finding]:
        """One run.

        Raises: PostgresAway; PostgresRefused; Unreadable.
        """
        ...
