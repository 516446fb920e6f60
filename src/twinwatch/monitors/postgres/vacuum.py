"""Vacuum: whether it is at work, how far it has come, whether its workers are enough."""

from __future__ import annotations

from typing import ClassVar

from twinwatch.monitors import Finding, Moment
from twinwatch.monitors.digits import ratio
from twinwatch.monitors.postgres.activity import RIGHTS
from twinwatch.monitors.postgres.columns import Gathered, number, seconds, text, whole
from twinwatch.monitors.postgres.options import PostgresOptions
from twinwatch.monitors.postgres.part import MINUTE, Ask, Server
from twinwatch.protocol.metrics import Chart, Metric
from twinwatch.protocol.rules import Rule
from twinwatch.world.statements import load_statements

SQL = load_statements("twinwatch.monitors.postgres", "vacuum.sql")


class Vacuum:
    """The workers of autovacuum, and what is being vacuumed.

    Source: pg_stat_activity, pg_stat_progress_vacuum.
    """

    name: ClassVar[str] = "vacuum"
    pace: ClassVar[float] = MINUTE
    checks: ClassVar[tuple[str, ...]] = ("autovacuum",)
    remedy: ClassVar[str] = RIGHTS
    needs_rights: ClassVar[bool] = True
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("postgresql.autovacuum.workers", "{worker}", "Workers of autovacuum at work."),
        Metric("postgresql.autovacuum.utilization", "1", "Share of autovacuum_max_workers at work.", good="low"),
        Metric("postgresql.autovacuum.urgent", "{worker}", "Workers that prevent wraparound, and cannot be put off."),
        Metric("postgresql.autovacuum.longest", "s", "How long a worker has been at it.", good="low"),
        Metric("postgresql.vacuum.progress", "1", "Share of the table that a running vacuum has read.", good="high"),
    )
    charts: ClassVar[tuple[Chart, ...]] = (
        Chart("PostgreSQL autovacuum workers", ("postgresql.autovacuum.workers", "postgresql.autovacuum.urgent")),
        Chart("PostgreSQL vacuum progress", ("postgresql.vacuum.progress",), by=("db.collection.name",), top=1.0),
    )
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("autovacuum is off", check="autovacuum", states=("degraded",), hold="10m"),
        Rule(
            "autovacuum has no worker free",
            metric="postgresql.autovacuum.utilization",
            above=0.95,
            aggregate="min",
            window="1h",
            message="Tables wait to be vacuumed: raise autovacuum_vacuum_cost_limit or autovacuum_max_workers, and see "
            "postgresql.autovacuum.longest for a worker that does not come to an end.",
        ),
    )

    def __init__(self, options: PostgresOptions) -> None:
        self._top = options.top

    def fits(self, server: Server) -> bool:
        """A primary."""
        return not server.is_standby

    async def read(self, ask: Ask, server: Server, moment: Moment) -> list[Finding]:
        """One run."""
        found = Gathered()
        for row in (await ask("autovacuum", SQL["autovacuum"]))[:1]:
            workers, room = whole(row, "workers"), number(row, "room")
            found.reading("postgresql.autovacuum.workers", workers)
            if workers is not None and room:
                found.reading("postgresql.autovacuum.utilization", ratio(workers / room))
            found.reading("postgresql.autovacuum.urgent", whole(row, "urgent"))
            found.reading("postgresql.autovacuum.longest", seconds(row, "seconds") or 0.0)
            if row.get("is_on") is False:
                words = (
                    "autovacuum or track_counts is off: tables grow, plans get worse, and in the end the server stops "
                    "writing. Switch both on: alter system set autovacuum = on; select pg_reload_conf()"
                )
                found.check("autovacuum", "degraded", words, "off")
            elif row.get("is_on") is True:
                found.check("autovacuum", "up")
        for row in await ask("vacuums", SQL["vacuums"].replace("{top}", str(self._top))):
            name, database, blocks = text(row, "name"), text(row, "database"), number(row, "blocks")
            if name and database and blocks:
                done = ratio((number(row, "scanned") or 0.0) / blocks)
                labels = {"db__namespace": database, "db__collection__name": name}
                found.reading("postgresql.vacuum.progress", done, **labels)
        return found.findings
