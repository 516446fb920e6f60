"""What a person may set on the postgres monitor."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from twinwatch.monitors import Options, Program, SecretText
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
    bloat: Annotated[
        bool,
        Meta(
            title="Bloat",
            description="Estimate how much of the largest tables is empty. The role has to be allowed to read them: "
            "grant pg_read_all_data.",
        ),
    ] = False
    statement_texts: Annotated[
        bool,
        Meta(
            title="Texts of statements",
            description="Show the text of the statements that take most of the time, their constants left out, instead "
            "of their number alone.",
        ),
    ] = False
    backup_command: Annotated[
        Program,
        Meta(
            max_length=4096,
            title="Backup command",
            description="A program and its arguments that says when the last backups ended: pgbackrest info "
            "--output=json, wal-g backup-list --detail --json, barman -f json list-backups NAME, or one that prints a "
            "time.",
        ),
    ] = ""
    backup_file: Annotated[
        str,
        Meta(
            max_length=4096,
            title="Backup file",
            description="A file with the time when the last backup ended, as date -Is prints it; instead of a command.",
        ),
    ] = ""
    backup_within: Annotated[
        Duration,
        Meta(title="Backup within", description="The last good backup is down when it is older."),
    ] = lasting("26h")
