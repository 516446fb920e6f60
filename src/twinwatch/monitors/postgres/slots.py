"""Replication slots: each keeps WAL for somebody, who may never come back."""

from __future__ import annotations

from typing import ClassVar

from twinwatch.monitors import Finding, Moment
from twinwatch.monitors.postgres.activity import RIGHTS
from twinwatch.monitors.postgres.columns import Gathered, Row, lasted, named, number, sized, text, truth, whole
from twinwatch.monitors.postgres.options import PostgresOptions
from twinwatch.monitors.postgres.part import EVERY_RUN, Ask, Server
from twinwatch.monitors.postgres.replication import SQL
from twinwatch.protocol.metrics import Chart, Metric
from twinwatch.protocol.rules import Rule

BY = ("postgresql.slot",)
KEPT = ("", "reserved", "extended")


class Slots:
    """What each slot retains, and whether it can still be used.

    Source: pg_replication_slots, open to everybody.
    """

    name: ClassVar[str] = "slots"
    pace: ClassVar[float] = EVERY_RUN
    checks: ClassVar[tuple[str, ...]] = ("slots",)
    remedy: ClassVar[str] = RIGHTS
    needs_rights: ClassVar[bool] = False
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("postgresql.slot.retained", "By", "WAL kept for the slot.", good="low"),
        Metric("postgresql.slot.unconfirmed", "By", "WAL that a logical slot's reader has not confirmed.", good="low"),
        Metric("postgresql.slot.active", "1", "Whether somebody reads from the slot.", good="high"),
        Metric("postgresql.slot.safe", "By", "WAL that may still come before the slot is lost.", good="high"),
        Metric("postgresql.slot.held_back", "{transaction}", "Transactions that vacuum keeps for it.", good="low"),
    )
    charts: ClassVar[tuple[Chart, ...]] = (Chart("PostgreSQL kept for slots", ("postgresql.slot.retained",), by=BY),)
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("replication slot lost", severity="critical", check="slots"),
        Rule("replication slot retains much", check="slots", states=("degraded",), hold="5m"),
    )

    def __init__(self, options: PostgresOptions) -> None:
        self._top = options.top
        self._bytes = options.slot_bytes

    def fits(self, server: Server) -> bool:
        """Everywhere."""
        return True

    async def read(self, ask: Ask, server: Server, moment: Moment) -> list[Finding]:
        """One run."""
        found = Gathered()
        rows = await ask("slots", SQL["slots"].replace("{top}", str(self._top)))
        lost: list[str] = []
        waiting: list[str] = []
        for row in rows:
            if not (name := text(row, "name")):
                continue
            for metric, column in (
                ("postgresql.slot.retained", "retained"),
                ("postgresql.slot.unconfirmed", "unconfirmed"),
                ("postgresql.slot.safe", "safe"),
                ("postgresql.slot.held_back", "xid_age"),
            ):
                found.reading(metric, whole(row, column), postgresql__slot=name)
            found.reading("postgresql.slot.active", int(truth(row, "is_active")), postgresql__slot=name)
            if text(row, "status") == "lost" or text(row, "invalid_since"):
                why = text(row, "invalid_since") or "WAL removed"
                lost.append(f"{name[:63]} ({why[:40]})")
            elif self._waits(row):
                idle = number(row, "inactive_seconds")
                since = f", unused for {lasted(idle)}" if idle else ""
                waiting.append(f"{name[:63]} ({sized(number(row, 'retained') or 0.0)}{since})")
        found.left_out("slots", rows)
        if lost:
            words = (
                f"Lost, its reader has to start anew: {named(lost)}. Drop it: select pg_drop_replication_slot('…'); "
                "then rebuild the standby or the subscription"
            )
            found.check("slots", "down", words, "lost")
        elif waiting:
            words = (
                f"Keeps WAL that nobody fetches, until the disk is full: {named(waiting)}. Bring its reader back, or "
                "drop it: select pg_drop_replication_slot('…'); max_slot_wal_keep_size bounds it"
            )
            found.check("slots", "degraded", words, "retains")
        else:
            found.check("slots", "up")
        return found.findings

    def _waits(self, row: Row) -> bool:
        if text(row, "status") not in KEPT:
            return True
        return row.get("is_active") is False and (number(row, "retained") or 0) > self._bytes
