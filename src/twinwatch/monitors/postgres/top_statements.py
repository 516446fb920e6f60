"""The statements that take most of the time, by their fingerprint. Their text only where it is wanted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from twinwatch.monitors import Finding, Moment
from twinwatch.monitors.digits import rate
from twinwatch.monitors.postgres.activity import RIGHTS
from twinwatch.monitors.postgres.columns import Counters, Gathered, Row, named, number, printable, quoted, text
from twinwatch.monitors.postgres.options import PostgresOptions
from twinwatch.monitors.postgres.part import MINUTE, Ask, Server
from twinwatch.protocol.metrics import Chart, Metric
from twinwatch.protocol.rules import Rule
from twinwatch.world.statements import load_statements

SQL = load_statements("twinwatch.monitors.postgres", "top_statements.sql")
BY = ("postgresql.query.id", "db.namespace")
SLOWER = 5.0
"""A statement is slow that takes so many times its mean ever since the statistics began …"""
LEAST_MILLISECONDS = 100.0
"""… and at least so long …"""
FEWEST_CALLS = 20
"""… in the mean of so many calls."""
TEXT_CHARACTERS = 120


class TopStatements:
    """How often each of them runs, how long it takes, how many rows and blocks it moves.

    Source: pg_stat_statements, where the extension is in the connection's database.
    """

    name: ClassVar[str] = "statements"
    pace: ClassVar[float] = MINUTE
    checks: ClassVar[tuple[str, ...]] = ("statements",)
    remedy: ClassVar[str] = RIGHTS
    needs_rights: ClassVar[bool] = True
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("postgresql.query.calls", "{call}/s", "Calls of all statements that are counted, per second."),
        Metric("postgresql.query.mean", "s", "What a call took in the mean.", good="low"),
        Metric("postgresql.statement.calls", "{call}/s", "Calls of the statement, per second."),
        Metric("postgresql.statement.time", "s/s", "Time that is spent on the statement.", good="low"),
        Metric("postgresql.statement.mean", "s", "What a call of the statement took in the mean.", good="low"),
        Metric("postgresql.statement.rows", "{row}/s", "Rows that it returned or changed, per second."),
        Metric("postgresql.statement.blocks", "{block}/s", "Blocks of the statement by where they were."),
    )
    charts: ClassVar[tuple[Chart, ...]] = (
        Chart("PostgreSQL time per statement", ("postgresql.statement.time",), by=BY, style="stack"),
        Chart("PostgreSQL mean time of statements", ("postgresql.statement.mean",), by=BY),
        Chart("PostgreSQL calls of statements", ("postgresql.statement.calls",), by=BY),
        Chart("PostgreSQL mean time of all statements", ("postgresql.query.mean",)),
    )
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("statements slower than ever", check="statements", states=("degraded",), hold="15m"),
    )

    def __init__(self, options: PostgresOptions) -> None:
        self._top = options.top
        self._with_texts = options.statement_texts
        self._counters = Counters()

    def fits(self, server: Server) -> bool:
        """Where the extension is."""
        return bool(server.statements_schema)

    async def read(self, ask: Ask, server: Server, moment: Moment) -> list[Finding]:
        """One run."""
        found = Gathered()
        schema = quoted(server.statements_schema)
        statement = SQL["statements"].replace("{schema}", schema).replace("{top}", str(self._top))
        rows = [row for row in await ask("statements", statement) if text(row, "id").lstrip("-").isdecimal()]
        texts = await self._texts(ask, schema, rows) if self._with_texts and rows else {}
        self._counters.begin(moment.monotonic_seconds)
        for row in rows[:1]:
            found.reading("postgresql.query.calls", self._counters.rate("", row, "all_calls"))
            grown = self._counters.grown("", row, "all_calls", "all_milliseconds")
            if grown and grown[0]:
                found.reading("postgresql.query.mean", rate(grown[1] / grown[0] / 1000))
        slow: list[str] = []
        for row in rows:
            if database := text(row, "database"):
                slow += self._statement(found, row, database, texts)
        found.left_out("statements", rows)
        if slow:
            words = (
                f"Far slower than in the mean of all time: {named(slow)}. Look for a plan that has changed (explain, "
                "analyze the tables), an index that is gone, locks, or a disk at its limit"
            )
            found.check("statements", "degraded", words, "slower")
        else:
            found.check("statements", "up")
        return found.findings

    def _statement(self, found: Gathered, row: Row, database: str, texts: dict[str, str]) -> list[str]:
        name = text(row, "id")
        key = (name, database)
        labels = {"postgresql__query__id": name, "db__namespace": database}
        if said := texts.get(name):
            labels["db__query__summary"] = said
        found.reading("postgresql.statement.calls", self._counters.rate(key, row, "calls"), **labels)
        found.reading("postgresql.statement.time", self._counters.rate(key, row, "milliseconds", 0.001), **labels)
        found.reading("postgresql.statement.rows", self._counters.rate(key, row, "rows"), **labels)
        for source in ("hit", "read"):
            value = self._counters.rate(key, row, f"blocks_{source}")
            found.reading("postgresql.statement.blocks", value, **labels, postgresql__block__source=source)
        value = self._counters.rate(key, row, "temporary_blocks")
        found.reading("postgresql.statement.blocks", value, **labels, postgresql__block__source="temporary")
        grown = self._counters.grown((key, "mean"), row, "calls", "milliseconds")
        calls, spent = number(row, "calls"), number(row, "milliseconds")
        if not grown or not grown[0] or not calls or spent is None:
            return []
        mean = grown[1] / grown[0]
        found.reading("postgresql.statement.mean", rate(mean / 1000), **labels)
        before = (spent - grown[1]) / (calls - grown[0]) if calls > grown[0] else mean
        if grown[0] >= FEWEST_CALLS and mean >= LEAST_MILLISECONDS and mean > SLOWER * before:
            return [f"{name} in {database[:63]} ({mean / 1000:.2g} s instead of {before / 1000:.2g} s)"]
        return []

    async def _texts(self, ask: Ask, schema: str, rows: Sequence[Row]) -> dict[str, str]:
        """The statements as they were normalized, without their constants."""
        ids = ", ".join(text(row, "id") for row in rows)
        statement = SQL["texts"].replace("{schema}", schema).replace("{ids}", ids).replace("{top}", str(self._top))
        found = {}
        for row in await ask("texts", statement):
            said = row.get("text")
            if isinstance(said, str) and (words := " ".join(printable(said).split())):
                found[text(row, "id")] = words[:TEXT_CHARACTERS]
        return found
