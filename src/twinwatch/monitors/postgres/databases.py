"""What each database does, how large it is, how far from the end of its transaction numbers."""

from __future__ import annotations

from typing import ClassVar

from twinwatch.monitors import Finding, Moment
from twinwatch.monitors.digits import ratio
from twinwatch.monitors.postgres.activity import RIGHTS
from twinwatch.monitors.postgres.columns import Counters, Gathered, named, number, text, whole
from twinwatch.monitors.postgres.options import PostgresOptions
from twinwatch.monitors.postgres.part import EVERY_RUN, SELDOM, Ask, Server
from twinwatch.protocol.metrics import Chart, Metric
from twinwatch.protocol.rules import Rule
from twinwatch.world.statements import load_statements

SQL = load_statements("twinwatch.monitors.postgres", "databases.sql")
BY = ("db.namespace",)
LAST_XID = 2_147_483_648
"""So many transactions can be told apart; some three million before that the server takes no more."""

RATES = {
    "commits": ("postgresql.commits", "{commit}/s", "Transactions committed, per second."),
    "rollbacks": ("postgresql.rollbacks", "{rollback}/s", "Transactions rolled back, per second."),
    "deadlocks": ("postgresql.deadlocks", "{deadlock}/s", "Deadlocks, per second."),
    "conflicts": ("postgresql.conflicts", "{query}/s", "Queries cancelled since they conflict with replay."),
    "blocks_read": ("postgresql.blocks.read", "{block}/s", "Blocks not found in shared buffers, per second."),
    "temporary_files": ("postgresql.temp_files", "{file}/s", "Temporary files made, per second."),
    "temporary_bytes": ("postgresql.temp.io", "By/s", "Written to temporary files, since work_mem was too small."),
}
ROWS = ("returned", "fetched", "inserted", "updated", "deleted")
FEWEST = 20
"""A share of fewer says nothing."""
ENDS = ("abandoned", "fatal", "killed")


class Databases:
    """Transactions, rows, blocks, deadlocks, temporary files of each database.

    Source: pg_stat_database.
    """

    name: ClassVar[str] = "databases"
    pace: ClassVar[float] = EVERY_RUN
    checks: ClassVar[tuple[str, ...]] = ("checksums",)
    remedy: ClassVar[str] = RIGHTS
    needs_rights: ClassVar[bool] = False
    metrics: ClassVar[tuple[Metric, ...]] = (
        *(
            Metric(name, unit, said, good="low" if column not in ("commits", "blocks_read") else "none")
            for column, (name, unit, said) in RATES.items()
        ),
        Metric("postgresql.rows", "{row}/s", "Rows read and changed, per second."),
        Metric("postgresql.rollback.ratio", "1", "Share of the transactions that are rolled back.", good="low"),
        Metric("postgresql.cache.hit_ratio", "1", "Share of the blocks that were found in memory.", good="high"),
        Metric("postgresql.block.time", "s/s", "Time spent on reading and writing blocks (track_io_timing)."),
        Metric("postgresql.sessions.lost", "{session}/s", "Sessions not ended by the client's wish.", good="low"),
        Metric("postgresql.checksum.failures", "{failure}", "Pages found damaged, ever.", good="low"),
    )
    charts: ClassVar[tuple[Chart, ...]] = (
        Chart("PostgreSQL commits", ("postgresql.commits",), by=BY),
        Chart("PostgreSQL rollbacks", ("postgresql.rollbacks",), by=BY),
        Chart("PostgreSQL rows", ("postgresql.rows",), by=("db.namespace", "postgresql.row.operation")),
        Chart("PostgreSQL deadlocks", ("postgresql.deadlocks",), by=BY),
        Chart("PostgreSQL found in memory", ("postgresql.cache.hit_ratio",), by=BY, top=1.0),
        Chart("PostgreSQL blocks read", ("postgresql.blocks.read",), by=BY),
        Chart("PostgreSQL temporary files", ("postgresql.temp.io",), by=BY),
    )
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("damaged pages", severity="critical", check="checksums"),
        Rule(
            "deadlocks",
            metric="postgresql.deadlocks",
            above=0.17,
            aggregate="mean",
            window="5m",
            message="More than ten deadlocks a minute. The server's log names the statements; let all transactions "
            "lock rows and tables in the same order, and keep them short.",
        ),
        Rule(
            "few blocks found in memory",
            metric="postgresql.cache.hit_ratio",
            below=0.6,
            below_clear=0.8,
            aggregate="mean",
            window="30m",
            hold="30m",
            message="Most of what is read is not in shared_buffers: look for statements that scan whole tables "
            "(postgresql.table.scans, pg_stat_statements), add an index, or raise shared_buffers.",
        ),
    )

    def __init__(self, options: PostgresOptions) -> None:
        self._top = options.top
        self._counters = Counters()

    def fits(self, server: Server) -> bool:
        """Everywhere."""
        return True

    async def read(self, ask: Ask, server: Server, moment: Moment) -> list[Finding]:
        """One run."""
        found = Gathered()
        rows = await ask("databases", SQL["databases"].replace("{top}", str(self._top)))
        self._counters.begin(moment.monotonic_seconds)
        damaged: list[str] = []
        judged = False
        for row in rows:
            if not (name := text(row, "name")):
                continue
            for column, (metric, _, _) in RATES.items():
                found.reading(metric, self._counters.rate(name, row, column), db__namespace=name)
            for operation in ROWS:
                value = self._counters.rate(name, row, operation)
                found.reading("postgresql.rows", value, db__namespace=name, postgresql__row__operation=operation)
            for direction in ("read", "write"):
                value = self._counters.rate(name, row, f"{direction}_milliseconds", 0.001)
                found.reading("postgresql.block.time", value, db__namespace=name, disk__io__direction=direction)
            for end in ENDS:
                value = self._counters.rate(name, row, end)
                found.reading("postgresql.sessions.lost", value, db__namespace=name, postgresql__session__end=end)
            for metric, columns in (
                ("postgresql.cache.hit_ratio", ("blocks_read", "blocks_hit")),
                ("postgresql.rollback.ratio", ("commits", "rollbacks")),
            ):
                grown = self._counters.grown(name, row, *columns)
                if grown and sum(grown) >= FEWEST:
                    found.reading(metric, ratio(grown[1] / sum(grown)), db__namespace=name)
            failures = whole(row, "checksum_failures")
            judged = judged or failures is not None
            found.reading("postgresql.checksum.failures", failures, db__namespace=name)
            if failures:
                damaged.append(name)
        found.left_out("databases", rows)
        if damaged:
            words = (
                f"Damaged pages were read in {named(damaged)}: suspect disk, controller or memory. Secure the backups, "
                "run pg_amcheck, restore what is damaged; then select pg_stat_reset() in that database"
            )
            found.check("checksums", "down", words, "checksum-failures")
        elif judged:
            found.check("checksums", "up")
        return found.findings


class Sizes:
    """How large each database is.

    Source: pg_database_size.
    """

    name: ClassVar[str] = "sizes"
    pace: ClassVar[float] = SELDOM
    checks: ClassVar[tuple[str, ...]] = ()
    remedy: ClassVar[str] = RIGHTS
    needs_rights: ClassVar[bool] = False
    metrics: ClassVar[tuple[Metric, ...]] = (Metric("postgresql.db_size", "By", "Size of the database on disk."),)
    charts: ClassVar[tuple[Chart, ...]] = (Chart("PostgreSQL sizes", ("postgresql.db_size",), by=BY),)
    rules: ClassVar[tuple[Rule, ...]] = ()

    def __init__(self, options: PostgresOptions) -> None:
        self._top = options.top

    def fits(self, server: Server) -> bool:
        """Everywhere."""
        return True

    async def read(self, ask: Ask, server: Server, moment: Moment) -> list[Finding]:
        """One run."""
        found = Gathered()
        for row in await ask("sizes", SQL["sizes"].replace("{top}", str(self._top))):
            if name := text(row, "name"):
                found.reading("postgresql.db_size", whole(row, "bytes"), db__namespace=name)
        return found.findings


class Wraparound:
    """How old the oldest transaction number in each database is, templates included.

    Source: pg_database.
    """

    name: ClassVar[str] = "wraparound"
    pace: ClassVar[float] = SELDOM
    checks: ClassVar[tuple[str, ...]] = ()
    remedy: ClassVar[str] = RIGHTS
    needs_rights: ClassVar[bool] = False
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("postgresql.xid.age", "{transaction}", "Age of the oldest transaction number.", good="low"),
        Metric("postgresql.multixact.age", "{multixact}", "Age of the oldest multixact number.", good="low"),
        Metric(
            "postgresql.wraparound.utilization",
            "1",
            "Share of the transaction or multixact numbers that is used up: shortly before 1 the server stops writing.",
            good="low",
        ),
        Metric(
            "postgresql.freeze.utilization",
            "1",
            "How near the oldest number is to what makes autovacuum freeze at any cost: 1, it does.",
        ),
    )
    charts: ClassVar[tuple[Chart, ...]] = (
        Chart("PostgreSQL transaction numbers used", ("postgresql.wraparound.utilization",), by=BY, top=1.0),
    )
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "transaction numbers running out",
            metric="postgresql.wraparound.utilization",
            above=0.5,
            message="Vacuum does not keep up: end old transactions, prepared transactions and unused replication slots "
            "first, then run vacuumdb --freeze on this database.",
        ),
        Rule(
            "transaction numbers nearly used up",
            severity="critical",
            metric="postgresql.wraparound.utilization",
            above=0.8,
            message="The server will soon refuse to write. At once: end old transactions, prepared transactions and "
            "unused replication slots, then run vacuumdb --freeze on this database as superuser.",
        ),
    )

    def __init__(self, options: PostgresOptions) -> None:
        self._top = options.top

    def fits(self, server: Server) -> bool:
        """Everywhere."""
        return True

    async def read(self, ask: Ask, server: Server, moment: Moment) -> list[Finding]:
        """One run."""
        found = Gathered()
        for row in await ask("ages", SQL["ages"].replace("{top}", str(self._top))):
            name, xids, multixacts = text(row, "name"), whole(row, "xid_age"), whole(row, "multixact_age")
            if not name or xids is None or multixacts is None:
                continue
            found.reading("postgresql.xid.age", xids, db__namespace=name)
            found.reading("postgresql.multixact.age", multixacts, db__namespace=name)
            used = ratio(max(xids, multixacts) / LAST_XID)
            found.reading("postgresql.wraparound.utilization", used, db__namespace=name)
            ends = number(row, "freeze_at"), number(row, "multixact_freeze_at")
            if ends[0] and ends[1]:
                near = ratio(max(xids / ends[0], multixacts / ends[1]))
                found.reading("postgresql.freeze.utilization", near, db__namespace=name)
        return found.findings
