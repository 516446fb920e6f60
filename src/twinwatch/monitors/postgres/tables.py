"""The largest tables of the database that the connection is to, and how bloated they are."""

from __future__ import annotations

from typing import ClassVar

from twinwatch.monitors import Finding, Moment
from twinwatch.monitors.digits import ratio
from twinwatch.monitors.postgres.activity import RIGHTS
from twinwatch.monitors.postgres.columns import Counters, Gathered, Row, lasted, named, number, sized, text, whole
from twinwatch.monitors.postgres.options import PostgresOptions
from twinwatch.monitors.postgres.part import SELDOM, Ask, Server
from twinwatch.monitors.postgres.vacuum import SQL
from twinwatch.protocol.metrics import Chart, Metric
from twinwatch.protocol.rules import Rule

BY = ("db.collection.name",)
OVERDUE = 3.0
"""Vacuum is behind when there are so many times the dead rows that start it …"""
FEWEST_DEAD = 10_000.0
"""… and at least so many …"""
UNVACUUMED_SECONDS = 86_400.0
"""… and none has ended for a day."""
BLOATED = 0.7
LEAST_BYTES = 100e6
READ_ALL = "grant pg_read_all_data to {role} (14 on; it may then read every table), or select on the tables"
FEWEST_BLOCKS = 100


class Tables:
    """Size, rows, dead rows, scans and the last vacuum of the largest tables.

    Source: pg_class, and what pg_stat_user_tables and pg_statio_user_tables are made of.
    """

    name: ClassVar[str] = "tables"
    pace: ClassVar[float] = SELDOM
    checks: ClassVar[tuple[str, ...]] = ("vacuum",)
    remedy: ClassVar[str] = RIGHTS
    needs_rights: ClassVar[bool] = False
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("postgresql.table.size", "By", "Size of the table at its last vacuum: rows, long values, indexes."),
        Metric("postgresql.table.rows", "{row}", "Rows of the table, live and dead, by the server's own estimate."),
        Metric("postgresql.table.dead_ratio", "1", "Share of the rows that are dead.", good="low"),
        Metric("postgresql.table.modified", "{row}", "Rows changed since the last analyze.", good="low"),
        Metric("postgresql.table.scans", "{scan}/s", "Scans of the whole table and of its indexes, per second."),
        Metric("postgresql.table.changes", "{row}/s", "Rows inserted, updated and deleted, per second."),
        Metric("postgresql.table.hit_ratio", "1", "Share of the table's blocks that were in memory.", good="high"),
        Metric("postgresql.table.vacuum_age", "s", "Time since the last vacuum.", good="low"),
        Metric("postgresql.table.analyze_age", "s", "Time since the last analyze.", good="low"),
    )
    charts: ClassVar[tuple[Chart, ...]] = (
        Chart("PostgreSQL table sizes", ("postgresql.table.size",), by=("db.collection.name", "postgresql.storage")),
        Chart("PostgreSQL dead rows", ("postgresql.table.dead_ratio",), by=BY, top=1.0),
        Chart("PostgreSQL table scans", ("postgresql.table.scans",), by=("db.collection.name", "postgresql.scan")),
        Chart("PostgreSQL time since vacuum", ("postgresql.table.vacuum_age",), by=BY),
    )
    rules: ClassVar[tuple[Rule, ...]] = (Rule("vacuum is behind", check="vacuum", states=("degraded",), hold="1h"),)

    def __init__(self, options: PostgresOptions) -> None:
        self._top = options.top
        self._counters = Counters()

    def fits(self, server: Server) -> bool:
        """A primary: a standby counts no dead rows."""
        return not server.is_standby

    async def read(self, ask: Ask, server: Server, moment: Moment) -> list[Finding]:
        """One run."""
        found = Gathered()
        rows = await ask("tables", SQL["tables"].replace("{top}", str(self._top)))
        self._counters.begin(moment.monotonic_seconds)
        behind: list[str] = []
        for row in rows:
            if name := text(row, "name"):
                self._table(found, name, row)
                if says := _behind(row):
                    behind.append(f"{name[:80]} ({says})")
        found.left_out("tables", rows)
        if behind:
            words = (
                f"Vacuum does not keep up in {server.database or 'this database'}: {named(behind)}. Look for old "
                "transactions and unused slots that hold it back, then vacuum it; lower its "
                "autovacuum_vacuum_scale_factor"
            )
            found.check("vacuum", "degraded", words, "behind")
        else:
            found.check("vacuum", "up")
        return found.findings

    def _table(self, found: Gathered, name: str, row: Row) -> None:
        for storage in ("heap", "toast", "index"):
            size = whole(row, f"{storage}_bytes")
            found.reading("postgresql.table.size", size, db__collection__name=name, postgresql__storage=storage)
        live, dead = whole(row, "live"), whole(row, "dead")
        for state, count in (("live", live), ("dead", dead)):
            found.reading("postgresql.table.rows", count, db__collection__name=name, postgresql__row__state=state)
        if live is not None and dead is not None and live + dead:
            found.reading("postgresql.table.dead_ratio", ratio(dead / (live + dead)), db__collection__name=name)
        found.reading("postgresql.table.modified", whole(row, "modified"), db__collection__name=name)
        for scan in ("sequential", "index"):
            value = self._counters.rate(name, row, f"{scan}_scans")
            found.reading("postgresql.table.scans", value, db__collection__name=name, postgresql__scan=scan)
        for operation in ("inserted", "updated", "deleted"):
            value = self._counters.rate(name, row, operation)
            labels = {"db__collection__name": name, "postgresql__row__operation": operation}
            found.reading("postgresql.table.changes", value, **labels)
        grown = self._counters.grown(name, row, "blocks_fetched", "blocks_hit")
        if grown and grown[0] >= FEWEST_BLOCKS:
            found.reading("postgresql.table.hit_ratio", ratio(grown[1] / grown[0]), db__collection__name=name)
        for metric, column in (
            ("postgresql.table.vacuum_age", "vacuumed_seconds"),
            ("postgresql.table.analyze_age", "analyzed_seconds"),
        ):
            found.reading(metric, whole(row, column), db__collection__name=name)


def _behind(row: Row) -> str:
    dead, starts, age = number(row, "dead") or 0.0, number(row, "vacuum_at"), number(row, "vacuumed_seconds")
    if starts is None or dead <= max(OVERDUE * starts, FEWEST_DEAD):
        return ""
    if age is not None and age < UNVACUUMED_SECONDS:
        return ""
    return f"{dead:.0f} dead rows, {f'last vacuum {lasted(age)} ago' if age is not None else 'never vacuumed'}"


class Bloat:
    """An estimate of how much of the largest tables is empty. Only where it is wanted: it needs more rights.

    Source: pg_class.reltuples and pg_stats.avg_width.
    """

    name: ClassVar[str] = "bloat"
    pace: ClassVar[float] = SELDOM
    checks: ClassVar[tuple[str, ...]] = ("bloat",)
    remedy: ClassVar[str] = READ_ALL
    needs_rights: ClassVar[bool] = False
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("postgresql.table.bloat_ratio", "1", "Share of the table that is empty, estimated.", good="low"),
        Metric("postgresql.table.bloat", "By", "How much of the table is empty, estimated.", good="low"),
    )
    charts: ClassVar[tuple[Chart, ...]] = (
        Chart("PostgreSQL bloat", ("postgresql.table.bloat_ratio",), by=BY, top=1.0),
    )
    rules: ClassVar[tuple[Rule, ...]] = (Rule("bloated tables", check="bloat", states=("degraded",), hold="1h"),)

    def __init__(self, options: PostgresOptions) -> None:
        self._wanted = options.bloat
        self._top = options.top

    def fits(self, server: Server) -> bool:
        """Where it is wanted."""
        return self._wanted

    async def read(self, ask: Ask, server: Server, moment: Moment) -> list[Finding]:
        """One run."""
        found = Gathered()
        rows = await ask("bloat", SQL["bloat"].replace("{top}", str(self._top)))
        bloated: list[str] = []
        judged = 0
        for row in rows:
            name, size, needed = text(row, "name"), number(row, "bytes"), number(row, "needed_bytes")
            if not name or not size or needed is None:
                continue
            judged += 1
            empty = max(size - needed, 0.0)
            found.reading("postgresql.table.bloat_ratio", ratio(empty / size), db__collection__name=name)
            found.reading("postgresql.table.bloat", int(empty), db__collection__name=name)
            if empty / size > BLOATED and size >= LEAST_BYTES:
                bloated.append(f"{name[:80]} ({sized(empty)} of {sized(size)})")
        if rows and not judged:
            words = f"The columns' statistics are not shown to this role, or the tables were never analyzed: {READ_ALL}"
            found.check("bloat", "unknown", words.format(role=server.role or "the role"), "no-right")
        elif bloated:
            words = (
                f"Mostly empty: {named(bloated)}. vacuum full gives the space back, but locks the table; pg_repack "
                "does not. Then see why vacuum came too late"
            )
            found.check("bloat", "degraded", words, "bloated")
        else:
            found.check("bloat", "up")
        return found.findings
