"""How far standbys are behind, seen from the primary and from the standby itself.

An idle primary writes nothing, so the age of the last transaction that a standby replayed says nothing: who has
replayed all that there is, is 0 s behind. Of a standby whose replay stands still, the primary's own figure stands still
too or is gone; and on a standby the first transaction after an idle hour would make it an hour behind. So the time is
also measured here, by when the log was as far as the standby is now (``positions``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from twinwatch.monitors import Finding, Moment
from twinwatch.monitors.postgres.activity import RIGHTS
from twinwatch.monitors.postgres.columns import Gathered, Row, lasted, named, number, seconds, text, truth, whole
from twinwatch.monitors.postgres.options import PostgresOptions
from twinwatch.monitors.postgres.part import EVERY_RUN, Ask, Server
from twinwatch.monitors.postgres.positions import Positions
from twinwatch.protocol.limits import CHECK_NAME_CHARACTERS
from twinwatch.protocol.metrics import Chart, Metric
from twinwatch.protocol.rules import Rule
from twinwatch.world.statements import load_statements

SQL = load_statements("twinwatch.monitors.postgres", "replication.sql")
BY = ("postgresql.standby",)
SILENT_SECONDS = 120.0
"""wal_receiver_timeout is 60 s: a receiver that has heard nothing for twice that hangs."""
LAG_METRICS = (
    Metric("postgresql.replication.lag", "s", "How far behind a standby, or this standby, is.", good="low"),
    Metric("postgresql.replication.lag_bytes", "By", "What a standby has not replayed yet.", good="low"),
)
LAG_CHARTS = (
    Chart("PostgreSQL replication lag", ("postgresql.replication.lag",), by=BY),
    Chart("PostgreSQL not replayed", ("postgresql.replication.lag_bytes",), by=BY),
)


class Standbys:
    """The standbys and subscribers of this server: state, and how far behind at each stage.

    Source: pg_stat_replication.
    """

    name: ClassVar[str] = "standbys"
    pace: ClassVar[float] = EVERY_RUN
    checks: ClassVar[tuple[str, ...]] = ("standbys",)
    remedy: ClassVar[str] = RIGHTS
    needs_rights: ClassVar[bool] = False
    metrics: ClassVar[tuple[Metric, ...]] = (
        *LAG_METRICS,
        Metric("postgresql.replication.stage_lag", "s", "How far behind a standby is at a stage.", good="low"),
        Metric("postgresql.replication.stage_bytes", "By", "What a stage of a standby has not got yet.", good="low"),
        Metric("postgresql.replication.standbys", "{standby}", "Standbys that are connected.", good="high"),
    )
    charts: ClassVar[tuple[Chart, ...]] = (
        *LAG_CHARTS,
        Chart(
            "PostgreSQL lag by stage",
            ("postgresql.replication.stage_lag",),
            by=("postgresql.standby", "postgresql.replication.stage"),
        ),
    )
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "replication lags",
            metric="postgresql.replication.lag",
            above=30.0,
            above_clear=10.0,
            hold="2m",
            message="Look at the standby: disk and processor at their limit, a long query that holds replay up "
            "(max_standby_streaming_delay), replay paused, or a slow network in between.",
        ),
        Rule("standby missing", severity="critical", check="standby:*", hold="1m"),
        Rule("commits wait for a standby", severity="critical", check="standbys", hold="30s"),
    )

    def __init__(self, options: PostgresOptions) -> None:
        self._top = options.top
        self._wanted = options.standbys
        self._positions = Positions()

    def fits(self, server: Server) -> bool:
        """Everywhere: a standby may have standbys of its own."""
        return True

    async def read(self, ask: Ask, server: Server, moment: Moment) -> list[Finding]:
        """One run."""
        found = Gathered()
        if not server.sees_all:
            words = f"Standbys are not shown to this role: {RIGHTS.format(role=server.role or 'the role')}"
            for name in ("standbys", *(_check_of(wanted) for wanted in self._wanted)):
                found.check(name, "unknown", words, "no-right")
            return found.findings
        rows = await ask("standbys", SQL["standbys"].replace("{top}", str(self._top)))
        if rows and (here := number(rows[0], "here_bytes")) is not None:
            self._positions.see(moment.monotonic_seconds, here)
        for row in rows:
            if name := text(row, "name"):
                self._standby(found, name, row, moment.monotonic_seconds)
        found.reading("postgresql.replication.standbys", len(rows))
        found.left_out("standbys", rows)
        if self._wanted:
            self._missing(found, rows)
        if rows:
            self._synchronous(found, rows, truth(rows[0], "waits_for_standbys"))
        elif not server.is_standby:
            for row in (await ask("unheard", SQL["unheard"]))[:1]:
                self._synchronous(found, rows, truth(row, "waits_for_standbys"))
        return found.findings

    def _standby(self, found: Gathered, name: str, row: Row, now: float) -> None:
        behind, replayed = whole(row, "replay_behind"), number(row, "replayed_bytes")
        lag = seconds(row, "replay_seconds")
        if behind == 0:
            lag = 0.0  # nothing was written of late, so there is no lag to measure
        elif replayed is not None:
            least, _ = self._positions.age(now, replayed)
            lag = max(lag or 0.0, round(least, 3))
        found.reading("postgresql.replication.lag", lag, postgresql__standby=name)
        found.reading("postgresql.replication.lag_bytes", behind, postgresql__standby=name)
        for stage in ("sent", "write", "flush", "replay"):
            labels = {"postgresql__standby": name, "postgresql__replication__stage": stage}
            missing = whole(row, f"{stage}_behind")
            found.reading("postgresql.replication.stage_bytes", missing, **labels)
            value = 0.0 if missing == 0 else seconds(row, f"{stage}_seconds")
            if stage != "sent":
                found.reading("postgresql.replication.stage_lag", value, **labels)

    def _missing(self, found: Gathered, rows: Sequence[Row]) -> None:
        there = {text(row, "name"): text(row, "state") for row in rows}
        for name in self._wanted:
            check = _check_of(name)
            if name not in there:
                words = f"Standby {name} is not connected: see whether it runs, reaches this server and may log in"
                found.check(check, "down", words, "not-connected")
            elif there[name] not in ("streaming", ""):
                words = f"Standby {name} is connected but not streaming yet ({there[name][:40]})"
                found.check(check, "degraded", words, "catching-up")
            else:
                found.check(check, "up")

    def _synchronous(self, found: Gathered, rows: Sequence[Row], waits: bool) -> None:
        if not waits or any(text(row, "sync_state") in ("sync", "quorum") for row in rows):
            found.check("standbys", "up")
        else:
            names = [text(row, "name") for row in rows if text(row, "name")]
            words = (
                "Commits wait: synchronous_standby_names asks for a standby that is not connected"
                f"{f' (there: {named(names)})' if names else ''}. Bring it back, or empty that setting and reload"
            )
            found.check("standbys", "down", words, "no-synchronous-standby")


def _check_of(standby: str) -> str:
    return f"standby:{standby}"[:CHECK_NAME_CHARACTERS]


class Standby:
    """This server as a standby: does it receive, does it replay, how far behind is it.

    Source: pg_stat_wal_receiver, pg_last_wal_receive_lsn, pg_last_wal_replay_lsn, pg_last_xact_replay_timestamp.
    """

    name: ClassVar[str] = "standby"
    pace: ClassVar[float] = EVERY_RUN
    checks: ClassVar[tuple[str, ...]] = ("replication",)
    remedy: ClassVar[str] = RIGHTS
    needs_rights: ClassVar[bool] = True
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("postgresql.replication.heard", "s", "Time since the primary was last heard.", good="low"),
    )
    charts: ClassVar[tuple[Chart, ...]] = ()
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("standby receives nothing", severity="critical", check="replication", hold="1m"),
        Rule("replay is paused", check="replication", states=("degraded",), hold="5m"),
    )

    def __init__(self, options: PostgresOptions) -> None:
        self._positions = Positions()

    def fits(self, server: Server) -> bool:
        """A standby."""
        return server.is_standby

    async def read(self, ask: Ask, server: Server, moment: Moment) -> list[Finding]:
        """One run."""
        found = Gathered()
        for row in (await ask("standby", SQL["standby"]))[:1]:
            receiver, heard = text(row, "receiver"), seconds(row, "heard_seconds")
            streams = truth(row, "has_receiver")
            found.reading("postgresql.replication.lag", self._lag(row, moment), postgresql__standby="this server")
            behind = whole(row, "behind_bytes")
            found.reading("postgresql.replication.lag_bytes", behind, postgresql__standby="this server")
            found.reading("postgresql.replication.heard", heard)
            if truth(row, "is_paused"):
                words = (
                    "Replay is paused: this standby falls behind and keeps WAL. Go on: select pg_wal_replay_resume()"
                )
                found.check("replication", "degraded", words, "paused")
            elif not streams and row.get("has_primary") is not False:
                words = (
                    "This standby receives nothing from its primary: see this server's log, primary_conninfo, and "
                    "whether the primary still has what is asked for"
                )
                found.check("replication", "down", words, "not-streaming")
            elif heard is not None and heard > SILENT_SECONDS:
                words = f"The primary has not been heard for {lasted(heard)}, though the connection stands"
                found.check("replication", "down", words, "silent")
            elif receiver not in ("streaming", "") and streams:
                found.check("replication", "degraded", f"The receiver of WAL is {receiver[:40]}", "not-streaming-yet")
            else:
                found.check("replication", "up")
        return found.findings

    def _lag(self, row: Row, moment: Moment) -> float | None:
        """Seconds. Of a standby that receives nothing: since the last transaction that it replayed."""
        told = seconds(row, "replayed_seconds")
        received, replayed = number(row, "received_bytes"), number(row, "replayed_bytes")
        if received is None or replayed is None or not truth(row, "has_receiver"):
            return told
        self._positions.see(moment.monotonic_seconds, received)
        if replayed >= received:
            return 0.0
        least, most = self._positions.age(moment.monotonic_seconds, replayed)
        return round(least if told is None else min(max(told, least), most), 3)
