"""Who is connected, and what has been going on for too long."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from twinwatch.monitors import Finding, Moment
from twinwatch.monitors.digits import ratio
from twinwatch.monitors.postgres.columns import Gathered, Row, lasted, number, seconds, text, who, whole
from twinwatch.monitors.postgres.options import PostgresOptions
from twinwatch.monitors.postgres.part import EVERY_RUN, MINUTE, Ask, Server
from twinwatch.protocol.metrics import Chart, Metric
from twinwatch.protocol.rules import Rule
from twinwatch.world.statements import load_statements

SQL = load_statements("twinwatch.monitors.postgres", "activity.sql")
BACKUPS = ("pg_dump", "pg_basebackup", "pg_restore", "pgbackrest", "barman", "wal-g")
"""Programs whose transactions are long by trade."""
PREPARED_SECONDS = 300.0
RIGHTS = "grant pg_monitor to {role}"


class Activity:
    """Connections by state, the limit, open transactions.

    Source: pg_stat_activity, pg_prepared_xacts; without rights pg_stat_database.numbackends.
    """

    name: ClassVar[str] = "activity"
    pace: ClassVar[float] = EVERY_RUN
    checks: ClassVar[tuple[str, ...]] = ("transactions",)
    remedy: ClassVar[str] = RIGHTS
    needs_rights: ClassVar[bool] = False
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("postgresql.backends", "{connection}", "Connections of clients by state."),
        Metric("postgresql.connection.max", "{connection}", "Connections that clients may have."),
        Metric("postgresql.connection.utilization", "1", "Share of the connections that clients may have.", good="low"),
        Metric("postgresql.lock.waiting", "{connection}", "Connections that wait for a lock.", good="low"),
        Metric("postgresql.transaction.longest", "s", "Age of the oldest open transaction.", good="low"),
        Metric("postgresql.query.longest", "s", "Age of the oldest running query.", good="low"),
        Metric("postgresql.transaction.idle", "s", "Longest time that an open transaction does nothing.", good="low"),
        Metric(
            "postgresql.transaction.held_back",
            "{transaction}",
            "Transactions since the oldest one that a session still sees: vacuum can remove nothing younger.",
            good="low",
        ),
        Metric("postgresql.prepared.count", "{transaction}", "Transactions prepared for two-phase commit.", good="low"),
        Metric("postgresql.prepared.oldest", "s", "Age of the oldest prepared transaction.", good="low"),
    )
    charts: ClassVar[tuple[Chart, ...]] = (
        Chart("PostgreSQL connections", ("postgresql.backends",), by=("postgresql.state",), style="stack"),
        Chart("PostgreSQL connections used", ("postgresql.connection.utilization",), top=1.0),
        Chart("PostgreSQL waiting for locks", ("postgresql.lock.waiting",)),
        Chart(
            "PostgreSQL longest",
            ("postgresql.transaction.longest", "postgresql.query.longest", "postgresql.transaction.idle"),
        ),
    )
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "connections nearly used up",
            metric="postgresql.connection.utilization",
            above=0.8,
            above_clear=0.7,
            hold="2m",
            message="Close idle connections, put a pooler (PgBouncer) between, or raise max_connections and restart.",
        ),
        Rule(
            "connections used up",
            severity="critical",
            metric="postgresql.connection.utilization",
            above=0.95,
            above_clear=0.9,
            message="Clients are refused, or soon will be. End idle sessions: select pg_terminate_backend(pid) from "
            "pg_stat_activity where state = 'idle' order by state_change; then find out which application opens them.",
        ),
        Rule("old transactions", check="transactions", states=("degraded",), hold="1m"),
    )

    def __init__(self, options: PostgresOptions) -> None:
        self._options = options

    def fits(self, server: Server) -> bool:
        """Everywhere."""
        return True

    async def read(self, ask: Ask, server: Server, moment: Moment) -> list[Finding]:
        """One run."""
        found = Gathered()
        found.reading("postgresql.connection.max", server.allowed)
        if not server.sees_all:
            for row in await ask("backends", SQL["backends"]):
                _use(found, number(row, "connections"), server)
            words = f"The role sees only its own sessions: {RIGHTS.format(role=server.role or 'the role')}"
            found.check("transactions", "unknown", words, "no-right")
            return found.findings
        rows = await ask("activity", SQL["activity"])
        total = 1.0  # our own
        for row in rows:
            state, count = text(row, "state")[:64], whole(row, "connections")
            if state and count is not None:
                found.reading("postgresql.backends", count, postgresql__state=state)
                total += count
        _use(found, total, server)
        found.reading("postgresql.lock.waiting", int(sum(number(row, "waiting") or 0 for row in rows)))
        for metric, column in (
            ("postgresql.transaction.longest", "transaction_seconds"),
            ("postgresql.query.longest", "query_seconds"),
            ("postgresql.transaction.idle", "idle_seconds"),
        ):
            found.reading(metric, max((seconds(row, column) or 0.0 for row in rows), default=0.0))
        held_back = max((number(row, "xid_age") or 0.0 for row in rows), default=0.0)
        found.reading("postgresql.transaction.held_back", int(held_back))
        prepared = await self._prepared(ask, found)
        if trouble := await self._old(ask, rows) or prepared:
            found.check("transactions", "degraded", *trouble)
        else:
            found.check("transactions", "up")
        return found.findings

    async def _old(self, ask: Ask, rows: Sequence[Row]) -> tuple[str, str] | None:
        idle_after, long_after = self._options.idle_transaction_after, self._options.long_transaction_after
        if not any(
            (number(row, "idle_seconds") or 0) > idle_after or (number(row, "transaction_seconds") or 0) > long_after
            for row in rows
        ):
            return None
        suspects = await ask("oldest", SQL["oldest"])
        for row in sorted(suspects, key=lambda row: -(number(row, "idle_seconds") or 0)):
            idle = number(row, "idle_seconds") or 0
            if idle > idle_after:
                return (
                    f"{who(row)} has been idle in an open transaction for {lasted(idle)}: it holds its locks, and "
                    f"vacuum removes nothing younger. End it: select pg_terminate_backend({whole(row, 'pid') or 0}); "
                    "mend the application, or set idle_in_transaction_session_timeout",
                    "idle-transaction",
                )
        for row in suspects:
            age = number(row, "transaction_seconds") or 0
            if age > long_after and not text(row, "application").lower().startswith(BACKUPS):
                return (
                    f"{who(row)} has had a transaction open for {lasted(age)}: vacuum removes nothing younger. If "
                    f"nobody needs it: select pg_cancel_backend({whole(row, 'pid') or 0})",
                    "long-transaction",
                )
        return None

    async def _prepared(self, ask: Ask, found: Gathered) -> tuple[str, str] | None:
        for row in (await ask("prepared", SQL["prepared"]))[:1]:
            found.reading("postgresql.prepared.count", whole(row, "transactions"))
            age = seconds(row, "seconds") or 0.0
            found.reading("postgresql.prepared.oldest", age)
            if age > max(PREPARED_SECONDS, self._options.idle_transaction_after):
                return (
                    f"The prepared transaction {text(row, 'name')[:100]!r} has waited for {lasted(age)} and holds its "
                    "locks, even over a restart: commit prepared or rollback prepared",
                    "prepared-transaction",
                )
        return None


def _use(found: Gathered, connections: float | None, server: Server) -> None:
    if connections is not None and server.allowed:
        found.reading("postgresql.connection.utilization", ratio(connections / server.allowed))


class Sessions:
    """Connections by database, user, application and what they wait for.

    Source: pg_stat_activity.
    """

    name: ClassVar[str] = "sessions"
    pace: ClassVar[float] = MINUTE
    checks: ClassVar[tuple[str, ...]] = ()
    remedy: ClassVar[str] = RIGHTS
    needs_rights: ClassVar[bool] = True
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("postgresql.database.backends", "{connection}", "Connections of clients to the database."),
        Metric("postgresql.user.backends", "{connection}", "Connections of clients of the user."),
        Metric("postgresql.application.backends", "{connection}", "Connections of clients of the application."),
        Metric("postgresql.waits", "{connection}", "Active connections by what they wait for; none: they work."),
    )
    charts: ClassVar[tuple[Chart, ...]] = (
        Chart("PostgreSQL connections to databases", ("postgresql.database.backends",), by=("db.namespace",)),
        Chart("PostgreSQL connections of users", ("postgresql.user.backends",), by=("db.user",)),
        Chart(
            "PostgreSQL connections of applications",
            ("postgresql.application.backends",),
            by=("postgresql.application",),
        ),
        Chart("PostgreSQL waits", ("postgresql.waits",), by=("postgresql.wait_event.type",), style="stack"),
    )
    rules: ClassVar[tuple[Rule, ...]] = ()

    def __init__(self, options: PostgresOptions) -> None:
        self._top = options.top

    def fits(self, server: Server) -> bool:
        """Everywhere."""
        return True

    async def read(self, ask: Ask, server: Server, moment: Moment) -> list[Finding]:
        """One run."""
        found = Gathered()
        rows = await ask("sessions", SQL["sessions"].replace("{top}", str(self._top)))
        for kind, metric, label in (
            ("database", "postgresql.database.backends", "db__namespace"),
            ("user", "postgresql.user.backends", "db__user"),
            ("application", "postgresql.application.backends", "postgresql__application"),
            ("wait", "postgresql.waits", "postgresql__wait_event__type"),
        ):
            of_kind = [row for row in rows if row.get("kind") == kind]
            for row in of_kind:
                if name := text(row, "name"):
                    found.reading(metric, whole(row, "connections"), **{label: name})
            if kind in ("user", "application"):
                found.left_out(f"{kind}s", of_kind)
        return found.findings
