"""What the server is set to: settings that wait for a restart, and settings that were changed."""

from __future__ import annotations

from typing import ClassVar

from twinwatch.monitors import Finding, Moment
from twinwatch.monitors.postgres.activity import RIGHTS
from twinwatch.monitors.postgres.columns import Gathered, named, text, whole
from twinwatch.monitors.postgres.options import PostgresOptions
from twinwatch.monitors.postgres.part import MINUTE, Ask, Server
from twinwatch.protocol.metrics import Chart, Metric
from twinwatch.protocol.rules import Rule
from twinwatch.world.statements import load_statements

SQL = load_statements("twinwatch.monitors.postgres", "configuration.sql")
TOLD_SECONDS = 86_400.0
"""A change is told for a day."""


class Configuration:
    """Whether the server runs with the settings of its files, and which of them were changed while it was watched.

    Source: pg_settings, pg_conf_load_time. Values are compared by fingerprint and never leave the server.
    """

    name: ClassVar[str] = "configuration"
    pace: ClassVar[float] = MINUTE
    checks: ClassVar[tuple[str, ...]] = ("configuration",)
    remedy: ClassVar[str] = RIGHTS
    needs_rights: ClassVar[bool] = False
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("postgresql.configuration.age", "s", "Time since the settings were last loaded."),
        Metric("postgresql.configuration.pending", "{setting}", "Settings that wait for a restart.", good="low"),
        Metric("postgresql.configuration.changed", "{setting}", "Settings changed since the last look."),
    )
    charts: ClassVar[tuple[Chart, ...]] = (
        Chart(
            "PostgreSQL settings",
            ("postgresql.configuration.pending", "postgresql.configuration.changed"),
            style="area",
        ),
    )
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("settings wait for a restart", check="configuration", states=("degraded",), hold="1h"),
    )

    def __init__(self, options: PostgresOptions) -> None:
        self._marks: dict[str, str] | None = None
        self._changed: tuple[float, list[str]] = (0.0, [])

    def fits(self, server: Server) -> bool:
        """Everywhere."""
        return True

    async def read(self, ask: Ask, server: Server, moment: Moment) -> list[Finding]:
        """One run."""
        found = Gathered()
        rows = await ask("settings", SQL["settings"])
        marks = {text(row, "name"): text(row, "mark") for row in rows if text(row, "name")}
        before, self._marks = self._marks, marks
        now = moment.monotonic_seconds
        if before is not None:
            changed = sorted(name for name in before.keys() | marks.keys() if before.get(name) != marks.get(name))
            found.reading("postgresql.configuration.changed", len(changed))
            if changed:
                self._changed = (now, changed)
        for row in (await ask("configuration", SQL["configuration"]))[:1]:
            found.reading("postgresql.configuration.age", whole(row, "loaded_seconds"))
            pending = whole(row, "pending")
            found.reading("postgresql.configuration.pending", pending)
            names = row.get("pending_names")
            listed = [name for name in names if isinstance(name, str)] if isinstance(names, list) else []
            if pending:
                words = f"Take effect only after a restart: {named(listed) or pending}"
                found.check("configuration", "degraded", words, "pending-restart")
            elif pending is not None:
                at, changed = self._changed
                told = f"Changed in the last day: {named(changed)}" if changed and now - at < TOLD_SECONDS else ""
                found.check("configuration", "up", told)
        return found.findings
