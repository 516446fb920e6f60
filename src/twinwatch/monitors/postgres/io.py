"""Reading and writing: by whom, of which kind, and what shared buffers hold."""

from __future__ import annotations

from typing import ClassVar

from twinwatch.monitors import Finding, Moment
from twinwatch.monitors.digits import ratio
from twinwatch.monitors.postgres.activity import RIGHTS
from twinwatch.monitors.postgres.columns import Counters, Gathered, number, quoted, text
from twinwatch.monitors.postgres.options import PostgresOptions
from twinwatch.monitors.postgres.part import MINUTE, Ask, Server
from twinwatch.protocol.metrics import Chart, Metric
from twinwatch.protocol.rules import Rule
from twinwatch.world.statements import load_statements

SQL = load_statements("twinwatch.monitors.postgres", "io.sql")
OPERATIONS = ("read", "write", "extend", "fsync", "hit", "evict")


class Io:
    """Operations on blocks, by the kind of process.

    Source: pg_stat_io, from 16 on.
    """

    name: ClassVar[str] = "io"
    pace: ClassVar[float] = MINUTE
    checks: ClassVar[tuple[str, ...]] = ()
    remedy: ClassVar[str] = RIGHTS
    needs_rights: ClassVar[bool] = False
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("postgresql.io.operations", "{operation}/s", "Operations on blocks by kind and process, per second."),
        Metric("postgresql.io.time", "s/s", "Time spent on them, where track_io_timing is on."),
    )
    charts: ClassVar[tuple[Chart, ...]] = (
        Chart(
            "PostgreSQL block operations",
            ("postgresql.io.operations",),
            by=("postgresql.backend.type", "postgresql.io.operation"),
        ),
        Chart("PostgreSQL block time", ("postgresql.io.time",), by=("postgresql.backend.type",)),
    )
    rules: ClassVar[tuple[Rule, ...]] = ()

    def __init__(self, options: PostgresOptions) -> None:
        self._counters = Counters()

    def fits(self, server: Server) -> bool:
        """From 16 on."""
        return server.version >= 160_000

    async def read(self, ask: Ask, server: Server, moment: Moment) -> list[Finding]:
        """One run. What was never done is left out."""
        found = Gathered()
        rows = await ask("io", SQL["io"])
        self._counters.begin(moment.monotonic_seconds)
        for row in rows:
            if not (who := text(row, "who")):
                continue
            for operation in OPERATIONS:
                if number(row, operation):
                    value = self._counters.rate(who, row, operation)
                    labels = {"postgresql__backend__type": who, "postgresql__io__operation": operation}
                    found.reading("postgresql.io.operations", value, **labels)
            if number(row, "milliseconds"):
                spent = self._counters.rate(who, row, "milliseconds", 0.001)
                found.reading("postgresql.io.time", spent, postgresql__backend__type=who)
        return found.findings


class Slru:
    """The small caches: transaction states, multixacts, subtransactions, notifications.

    Source: pg_stat_slru.
    """

    name: ClassVar[str] = "slru"
    pace: ClassVar[float] = MINUTE
    checks: ClassVar[tuple[str, ...]] = ()
    remedy: ClassVar[str] = RIGHTS
    needs_rights: ClassVar[bool] = False
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("postgresql.slru.blocks", "{block}/s", "Blocks of the small caches hit, read and written, per second."),
    )
    charts: ClassVar[tuple[Chart, ...]] = (
        Chart(
            "PostgreSQL small caches", ("postgresql.slru.blocks",), by=("postgresql.slru", "postgresql.block.source")
        ),
    )
    rules: ClassVar[tuple[Rule, ...]] = ()

    def __init__(self, options: PostgresOptions) -> None:
        self._counters = Counters()

    def fits(self, server: Server) -> bool:
        """Everywhere."""
        return True

    async def read(self, ask: Ask, server: Server, moment: Moment) -> list[Finding]:
        """One run. What was never used is left out."""
        found = Gathered()
        rows = await ask("slru", SQL["slru"])
        self._counters.begin(moment.monotonic_seconds)
        for row in rows:
            for source in ("hit", "read", "write"):
                name = text(row, "name")
                if name and number(row, source):
                    value = self._counters.rate(name, row, source)
                    labels = {"postgresql__slru": name, "postgresql__block__source": source}
                    found.reading("postgresql.slru.blocks", value, **labels)
        return found.findings


class Buffers:
    """How much of shared buffers is used, and how much of that is not written yet.

    Source: pg_buffercache_summary of the extension pg_buffercache, from 16 on, where it is installed.
    """

    name: ClassVar[str] = "buffers"
    pace: ClassVar[float] = MINUTE
    checks: ClassVar[tuple[str, ...]] = ()
    remedy: ClassVar[str] = RIGHTS
    needs_rights: ClassVar[bool] = False
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("postgresql.buffers.utilization", "1", "Share of shared buffers that is used, dirty, or pinned."),
    )
    charts: ClassVar[tuple[Chart, ...]] = (
        Chart(
            "PostgreSQL shared buffers", ("postgresql.buffers.utilization",), by=("postgresql.buffer.state",), top=1.0
        ),
    )
    rules: ClassVar[tuple[Rule, ...]] = ()

    def __init__(self, options: PostgresOptions) -> None:
        pass

    def fits(self, server: Server) -> bool:
        """Where the extension is, from 16 on."""
        return bool(server.buffers_schema) and server.version >= 160_000

    async def read(self, ask: Ask, server: Server, moment: Moment) -> list[Finding]:
        """One run."""
        found = Gathered()
        statement = SQL["buffers"].replace("{schema}", quoted(server.buffers_schema))
        for row in (await ask("buffers", statement))[:1]:
            used, unused = number(row, "used"), number(row, "unused")
            if used is None or unused is None or not used + unused:
                continue
            for state in ("used", "dirty", "pinned"):
                share = number(row, state)
                if share is not None:
                    value = ratio(share / (used + unused))
                    found.reading("postgresql.buffers.utilization", value, postgresql__buffer__state=state)
        return found.findings
