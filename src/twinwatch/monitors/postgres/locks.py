"""Locks that are held, and sessions that wait for them."""

from __future__ import annotations

from typing import ClassVar

from twinwatch.monitors import Finding, Moment
from twinwatch.monitors.digits import ratio
from twinwatch.monitors.postgres.activity import RIGHTS
from twinwatch.monitors.postgres.columns import Gathered, lasted, number, seconds, text, who, whole
from twinwatch.monitors.postgres.options import PostgresOptions
from twinwatch.monitors.postgres.part import EVERY_RUN, Ask, Server
from twinwatch.protocol.metrics import Chart, Metric
from twinwatch.protocol.rules import Rule
from twinwatch.world.statements import load_statements

SQL = load_statements("twinwatch.monitors.postgres", "locks.sql")


class Locks:
    """Locks by mode, how full the table of locks is, who blocks whom.

    Who blocks is asked only while somebody waits: ``pg_blocking_pids`` stops the lock manager for a moment.

    Source: pg_locks, pg_blocking_pids, pg_stat_activity.
    """

    name: ClassVar[str] = "locks"
    pace: ClassVar[float] = EVERY_RUN
    checks: ClassVar[tuple[str, ...]] = ("locks",)
    remedy: ClassVar[str] = RIGHTS
    needs_rights: ClassVar[bool] = False
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("postgresql.locks", "{lock}", "Locks that are held, by mode."),
        Metric("postgresql.locks.wanted", "{lock}", "Locks that are waited for, by mode.", good="low"),
        Metric("postgresql.lock.utilization", "1", "Share of the table of locks that is used.", good="low"),
        Metric("postgresql.lock.longest", "s", "Longest time that a session has waited for a lock.", good="low"),
    )
    charts: ClassVar[tuple[Chart, ...]] = (
        Chart("PostgreSQL locks", ("postgresql.locks",), by=("postgresql.lock.mode",), style="stack"),
        Chart("PostgreSQL table of locks used", ("postgresql.lock.utilization",), top=1.0),
        Chart("PostgreSQL longest wait for a lock", ("postgresql.lock.longest",)),
    )
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("blocked sessions", check="locks", states=("degraded",)),
        Rule(
            "table of locks nearly full",
            metric="postgresql.lock.utilization",
            above=0.7,
            above_clear=0.5,
            hold="2m",
            message="When it is full, statements fail with 'out of shared memory': raise max_locks_per_transaction and "
            "restart, or use fewer tables and partitions in a transaction.",
        ),
    )

    def __init__(self, options: PostgresOptions) -> None:
        self._after = options.blocked_after

    def fits(self, server: Server) -> bool:
        """Everywhere."""
        return True

    async def read(self, ask: Ask, server: Server, moment: Moment) -> list[Finding]:
        """One run."""
        found = Gathered()
        rows = await ask("locks", SQL["locks"])
        shared = sum(number(row, "shared") or 0.0 for row in rows)
        wanted = sum(number(row, "waiting") or 0.0 for row in rows)
        if not rows:
            found.reading("postgresql.lock.utilization", 0.0)
        for row in rows:
            if mode := text(row, "mode"):
                found.reading("postgresql.locks", whole(row, "held"), postgresql__lock__mode=mode)
                found.reading("postgresql.locks.wanted", whole(row, "waiting"), postgresql__lock__mode=mode)
                if room := number(row, "room"):
                    found.reading("postgresql.lock.utilization", ratio(shared / room))
        blocked = await ask("blocked", SQL["blocked"]) if wanted and server.sees_all else ()
        longest = max((seconds(row, "seconds") or 0.0 for row in blocked), default=0.0)
        if wanted and not server.sees_all:
            words = f"Somebody waits for a lock; who, and for how long, is not shown to this role: {RIGHTS}"
            found.check("locks", "unknown", words.format(role=server.role or "the role"), "no-right")
            return found.findings
        found.reading("postgresql.lock.longest", longest)
        if longest <= self._after:
            found.check("locks", "up")
            return found.findings
        waiting = [row for row in blocked if (number(row, "seconds") or 0) > self._after]
        first = max(waiting, key=lambda row: number(row, "seconds") or 0)
        pid = whole(first, "by_pid") or 0
        many = (
            f"{len(waiting)} sessions wait for locks, the longest" if len(waiting) > 1 else "A session waits for a lock"
        )
        if not pid:
            words = f"{many} {lasted(longest)}: {who(first)} waits for a prepared transaction; see pg_prepared_xacts"
        else:
            state = text(first, "by_state")
            words = (
                f"{many} {lasted(longest)}: {who(first)} waits for {who(first, 'by_')}, which is {state or 'at work'}. "
                f"End what blocks: select pg_cancel_backend({pid}), or pg_terminate_backend({pid}) if it is idle"
            )
        found.check("locks", "degraded", words, "blocked")
        return found.findings
