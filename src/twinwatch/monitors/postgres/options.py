"""What a person may set on the postgres monitor."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from twinwatch.monitors import Options, SecretText
from twinwatch.monitors.options import lasting
from twinwatch.protocol.durations import Duration

Name = Annotated[str, Meta(min_length=1, max_length=63)]


class PostgresOptions(Options, frozen=True, kw_only=True):
    """Which server is watched, and when its state is one to speak of."""

    connection: Annotated[
        SecretText,
        Meta(
            title="Connection",
            description="A libpq connection string, such as postgres://monitor@localhost:5432/mydb. Tables and indexes "
            "are those of its database. Its role needs pg_monitor.",
        ),
    ]
    top: Annotated[
        int,
        Meta(
            ge=1,
            le=100,
            title="Series of each kind",
            description="So many databases, tables, indexes, statements, standbys and slots get series of their own: "
            "those that matter most. How many are left out is told.",
        ),
    ] = 20
    standbys: Annotated[
        tuple[Name, ...],
        Meta(
            max_length=50,
            title="Standbys",
            description="The application_name of each standby that has to be connected to this primary; one that is "
            "not is down.",
        ),
    ] = ()
    blocked_after: Annotated[
        Duration,
        Meta(title="Blocked", description="A session that waits for a lock for longer makes its check degraded."),
    ] = lasting("30s")
    idle_transaction_after: Annotated[
        Duration,
        Meta(
            title="Idle transaction",
            description="A transaction in which nothing is done for longer makes its check degraded.",
        ),
    ] = lasting("5m")
    long_transaction_after: Annotated[
        Duration,
        Meta(
            title="Long transaction",
            description="A transaction that is open for longer makes its check degraded. Backups (pg_dump, "
            "pg_basebackup) are excepted.",
        ),
    ] = lasting("15m")
    slot_bytes: Annotated[
        int,
        Meta(
            ge=0,
            title="Retained by a slot",
            description="A replication slot that nobody uses and that retains more bytes of WAL is degraded.",
        ),
    ] = 5_000_000_000
