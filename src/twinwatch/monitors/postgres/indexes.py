"""The largest indexes of the database that the connection is to; those that are of no use."""

from __future__ import annotations

from typing import ClassVar

from twinwatch.monitors import Finding, Moment
from twinwatch.monitors.postgres.activity import RIGHTS
from twinwatch.monitors.postgres.columns import Counters, Gathered, named, text, whole
from twinwatch.monitors.postgres.options import PostgresOptions
from twinwatch.monitors.postgres.part import SELDOM, Ask, Server
from twinwatch.protocol.metrics import Chart, Metric
from twinwatch.protocol.rules import Rule
from twinwatch.world.statements import load_statements

SQL = load_statements("twinwatch.monitors.postgres", "indexes.sql")
BY = ("postgresql.index",)


class Indexes:
    """Size and scans of the largest indexes; how many are never used, and which are broken.

    Source: pg_index, pg_class, pg_stat_progress_create_index, and what pg_stat_user_indexes is made of.
    """

    name: ClassVar[str] = "indexes"
    pace: ClassVar[float] = SELDOM
    checks: ClassVar[tuple[str, ...]] = ("indexes",)
    remedy: ClassVar[str] = RIGHTS
    needs_rights: ClassVar[bool] = False
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("postgresql.index.size", "By", "Size of the index at the last vacuum."),
        Metric("postgresql.index.scans", "{scan}/s", "Scans of the index, per second."),
        Metric(
            "postgresql.index.unused",
            "{index}",
            "Indexes, unique ones excepted, that were not used since the statistics began. Standbys count their own.",
            good="low",
        ),
        Metric("postgresql.index.unused_size", "By", "Size of the unused indexes.", good="low"),
        Metric("postgresql.index.invalid", "{index}", "Indexes that are kept up to date but never used.", good="low"),
    )
    charts: ClassVar[tuple[Chart, ...]] = (
        Chart("PostgreSQL index sizes", ("postgresql.index.size",), by=BY),
        Chart("PostgreSQL index scans", ("postgresql.index.scans",), by=BY),
        Chart("PostgreSQL unused indexes", ("postgresql.index.unused_size",)),
    )
    rules: ClassVar[tuple[Rule, ...]] = (Rule("invalid indexes", check="indexes", states=("degraded",), hold="1h"),)

    def __init__(self, options: PostgresOptions) -> None:
        self._top = options.top
        self._counters = Counters()

    def fits(self, server: Server) -> bool:
        """Everywhere."""
        return True

    async def read(self, ask: Ask, server: Server, moment: Moment) -> list[Finding]:
        """One run."""
        found = Gathered()
        rows = await ask("indexes", SQL["indexes"].replace("{top}", str(self._top)))
        self._counters.begin(moment.monotonic_seconds)
        for row in rows:
            if name := text(row, "name"):
                found.reading("postgresql.index.size", whole(row, "bytes"), postgresql__index=name)
                scans = self._counters.rate(name, row, "scans")
                found.reading("postgresql.index.scans", scans, postgresql__index=name)
        found.left_out("indexes", rows)
        for row in (await ask("index_faults", SQL["index_faults"]))[:1]:
            found.reading("postgresql.index.unused", whole(row, "unused"))
            found.reading("postgresql.index.unused_size", whole(row, "unused_bytes"))
            invalid = whole(row, "invalid")
            found.reading("postgresql.index.invalid", invalid)
            names = row.get("invalid_names")
            if invalid:
                listed = [name for name in names if isinstance(name, str)] if isinstance(names, list) else []
                words = (
                    f"Not valid, so never used, but kept up to date all the same: {named(listed) or invalid}. Left by "
                    "a create index concurrently that failed: reindex index concurrently, or drop it"
                )
                found.check("indexes", "degraded", words, "invalid")
            elif invalid is not None:
                found.check("indexes", "up")
        return found.findings
