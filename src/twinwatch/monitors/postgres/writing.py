"""Checkpoints, the write-ahead log, and its archive."""

from __future__ import annotations

from collections import deque
from typing import ClassVar

from twinwatch.monitors import Finding, Moment
from twinwatch.monitors.digits import ratio
from twinwatch.monitors.postgres.activity import RIGHTS
from twinwatch.monitors.postgres.columns import Counters, Gathered, lasted, number, text, whole
from twinwatch.monitors.postgres.options import PostgresOptions
from twinwatch.monitors.postgres.part import EVERY_RUN, MINUTE, SELDOM, Ask, Server
from twinwatch.protocol.metrics import Chart, Metric
from twinwatch.protocol.rules import Rule
from twinwatch.world.statements import load_statements

SQL = load_statements("twinwatch.monitors.postgres", "writing.sql")
HOUR = 3600.0
FEWEST = 4
"""A share of fewer checkpoints says nothing."""
OVERDUE = 3.0
"""The archive is late after so many times ``archive_timeout``."""
BACKLOG = 100
"""WAL files that wait for the archive while it fails nothing: 1.6 GB of the usual size."""


class Checkpoints:
    """Checkpoints, how long they write, and who writes buffers.

    Source: pg_stat_bgwriter; from 17 on pg_stat_checkpointer too.
    """

    name: ClassVar[str] = "checkpoints"
    pace: ClassVar[float] = EVERY_RUN
    checks: ClassVar[tuple[str, ...]] = ()
    remedy: ClassVar[str] = RIGHTS
    needs_rights: ClassVar[bool] = False
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("postgresql.checkpoints", "{checkpoint}/s", "Checkpoints, by time or requested, per second."),
        Metric(
            "postgresql.checkpoint.requested_ratio",
            "1",
            "Share of the last hour's checkpoints that came before their time, for lack of room in max_wal_size.",
            good="low",
        ),
        Metric("postgresql.checkpoint.time", "s/s", "Time that checkpoints spend on writing and on syncing."),
        Metric("postgresql.buffers.written", "{buffer}/s", "Buffers written by whom, per second."),
        Metric("postgresql.buffers.allocated", "{buffer}/s", "Buffers allocated, per second."),
        Metric("postgresql.bgwriter.stops", "{stop}/s", "Rounds that wrote bgwriter_lru_maxpages.", good="low"),
    )
    charts: ClassVar[tuple[Chart, ...]] = (
        Chart("PostgreSQL checkpoints", ("postgresql.checkpoints",), by=("postgresql.checkpoint.cause",)),
        Chart("PostgreSQL checkpoint time", ("postgresql.checkpoint.time",), by=("postgresql.checkpoint.phase",)),
        Chart("PostgreSQL buffers written", ("postgresql.buffers.written",), by=("postgresql.writer",), style="stack"),
    )
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "checkpoints before their time",
            metric="postgresql.checkpoint.requested_ratio",
            above=0.5,
            hold="30m",
            message="Most checkpoints are forced by the amount of WAL, which costs writes: raise max_wal_size.",
        ),
    )

    def __init__(self, options: PostgresOptions) -> None:
        self._counters = Counters()
        self._hour: deque[tuple[float, float, float]] = deque()

    def fits(self, server: Server) -> bool:
        """Everywhere."""
        return True

    async def read(self, ask: Ask, server: Server, moment: Moment) -> list[Finding]:
        """One run."""
        found = Gathered()
        name = "checkpoints_17" if server.version >= 170_000 else "checkpoints"
        for row in (await ask(name, SQL[name]))[:1]:
            self._counters.begin(moment.monotonic_seconds)
            for cause in ("timed", "requested"):
                value = self._counters.rate("", row, cause)
                found.reading("postgresql.checkpoints", value, postgresql__checkpoint__cause=cause)
            for phase in ("write", "sync"):
                value = self._counters.rate("", row, f"{phase}_milliseconds", 0.001)
                found.reading("postgresql.checkpoint.time", value, postgresql__checkpoint__phase=phase)
            for writer in ("checkpoint", "background", "backend"):
                value = self._counters.rate("", row, f"{writer}_buffers")
                found.reading("postgresql.buffers.written", value, postgresql__writer=writer)
            found.reading("postgresql.buffers.allocated", self._counters.rate("", row, "allocated"))
            found.reading("postgresql.bgwriter.stops", self._counters.rate("", row, "stops"))
            timed, requested = number(row, "timed"), number(row, "requested")
            if timed is not None and requested is not None:
                share = self._requested(moment.monotonic_seconds, timed, requested)
                found.reading("postgresql.checkpoint.requested_ratio", share)
        return found.findings

    def _requested(self, now: float, timed: float, requested: float) -> float | None:
        """The share of the last hour, or of the time that is known of it."""
        hour = self._hour
        if hour and (timed < hour[-1][1] or requested < hour[-1][2] or now < hour[-1][0]):
            hour.clear()
        if not hour or (timed, requested) != hour[-1][1:]:
            hour.append((now, timed, requested))
        while len(hour) > 1 and now - hour[1][0] > HOUR:
            hour.popleft()
        all_timed, all_requested = timed - hour[0][1], requested - hour[0][2]
        if all_timed + all_requested < FEWEST:
            return 0.0
        return ratio(all_requested / (all_timed + all_requested))


class WriteAheadLog:
    """How much is written to the write-ahead log, or replayed from it.

    Source: pg_current_wal_lsn; from 14 on pg_stat_wal.
    """

    name: ClassVar[str] = "wal"
    pace: ClassVar[float] = EVERY_RUN
    checks: ClassVar[tuple[str, ...]] = ()
    remedy: ClassVar[str] = RIGHTS
    needs_rights: ClassVar[bool] = False
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("postgresql.wal.io", "By/s", "Write-ahead log written, or replayed by a standby, per second."),
        Metric("postgresql.wal.records", "{record}/s", "Records written to the log, per second."),
        Metric("postgresql.wal.full_pages", "{page}/s", "Full pages written to the log, per second.", good="low"),
        Metric("postgresql.wal.buffers_full", "{time}/s", "Times that wal_buffers were full, per second.", good="low"),
    )
    charts: ClassVar[tuple[Chart, ...]] = (Chart("PostgreSQL write-ahead log", ("postgresql.wal.io",)),)
    rules: ClassVar[tuple[Rule, ...]] = ()

    def __init__(self, options: PostgresOptions) -> None:
        self._counters = Counters()

    def fits(self, server: Server) -> bool:
        """Everywhere."""
        return True

    async def read(self, ask: Ask, server: Server, moment: Moment) -> list[Finding]:
        """One run."""
        found = Gathered()
        name = "wal_14" if server.version >= 140_000 else "wal"
        for row in (await ask(name, SQL[name]))[:1]:
            self._counters.begin(moment.monotonic_seconds)
            for metric, column in (
                ("postgresql.wal.io", "bytes"),
                ("postgresql.wal.records", "records"),
                ("postgresql.wal.full_pages", "full_pages"),
                ("postgresql.wal.buffers_full", "buffers_full"),
            ):
                found.reading(metric, self._counters.rate("", row, column))
        return found.findings


class WalFolder:
    """How much write-ahead log is kept.

    Source: pg_ls_waldir, which pg_monitor may run; managed services often do not let it.
    """

    name: ClassVar[str] = "wal-folder"
    pace: ClassVar[float] = SELDOM
    checks: ClassVar[tuple[str, ...]] = ()
    remedy: ClassVar[str] = RIGHTS
    needs_rights: ClassVar[bool] = True
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("postgresql.wal.size", "By", "Size of the write-ahead log on disk.", good="low"),
        Metric("postgresql.wal.files", "{file}", "Files of the write-ahead log on disk.", good="low"),
    )
    charts: ClassVar[tuple[Chart, ...]] = (Chart("PostgreSQL write-ahead log kept", ("postgresql.wal.size",)),)
    rules: ClassVar[tuple[Rule, ...]] = ()

    def __init__(self, options: PostgresOptions) -> None:
        pass

    def fits(self, server: Server) -> bool:
        """Everywhere."""
        return True

    async def read(self, ask: Ask, server: Server, moment: Moment) -> list[Finding]:
        """One run."""
        found = Gathered()
        for row in (await ask("wal_folder", SQL["wal_folder"]))[:1]:
            found.reading("postgresql.wal.size", whole(row, "bytes"))
            found.reading("postgresql.wal.files", whole(row, "files"))
        return found.findings


class Archive:
    """Whether the write-ahead log gets into its archive.

    Source: pg_stat_archiver, pg_ls_archive_statusdir.
    """

    name: ClassVar[str] = "archive"
    pace: ClassVar[float] = MINUTE
    checks: ClassVar[tuple[str, ...]] = ("archive",)
    remedy: ClassVar[str] = RIGHTS
    needs_rights: ClassVar[bool] = False
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("postgresql.archive.files", "{file}/s", "Files archived, or failed to be, per second."),
        Metric("postgresql.archive.age", "s", "Time since the last file was archived.", good="low"),
        Metric("postgresql.archive.waiting", "{file}", "Files that wait to be archived.", good="low"),
    )
    charts: ClassVar[tuple[Chart, ...]] = (
        Chart("PostgreSQL archived", ("postgresql.archive.files",), by=("postgresql.archive.outcome",)),
        Chart("PostgreSQL waiting for the archive", ("postgresql.archive.waiting",)),
    )
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("archive fails", severity="critical", check="archive", hold="2m"),
        Rule("archive is late", check="archive", states=("degraded",), hold="10m"),
    )

    def __init__(self, options: PostgresOptions) -> None:
        self._counters = Counters()

    def fits(self, server: Server) -> bool:
        """Everywhere; where nothing is archived, nothing is said."""
        return True

    async def read(self, ask: Ask, server: Server, moment: Moment) -> list[Finding]:
        """One run."""
        found = Gathered()
        for row in (await ask("archive", SQL["archive"]))[:1]:
            self._counters.begin(moment.monotonic_seconds)
            mode = text(row, "mode")
            if mode in ("", "off") or (server.is_standby and mode != "always"):
                break
            for outcome in ("archived", "failed"):
                value = self._counters.rate("", row, outcome)
                found.reading("postgresql.archive.files", value, postgresql__archive__outcome=outcome)
            age, failed = number(row, "archived_seconds"), number(row, "failed_seconds")
            found.reading("postgresql.archive.age", age if age is None else round(age))
            waiting = None
            for folder in (await ask("archive_folder", SQL["archive_folder"]))[:1] if server.sees_all else ():
                waiting = whole(folder, "waiting")
                found.reading("postgresql.archive.waiting", waiting)
            timeout = number(row, "timeout_seconds") or 0.0
            if failed is not None and (age is None or failed < age):
                since = (
                    f"; nothing was archived for {lasted(age)}" if age is not None else "; nothing was ever archived"
                )
                words = (
                    f"archive_command fails, last on {text(row, 'failed_file')[:80] or 'a file'} {lasted(failed)} ago"
                    f"{since}. WAL piles up until the disk is full, and no backup can be restored to now: the server's "
                    "log has the command's own words"
                )
                found.check("archive", "down", words, "failing")
            elif waiting is not None and waiting > BACKLOG:
                words = f"{waiting} WAL files wait for the archive: it is slower than what is written"
                found.check("archive", "degraded", words, "backlog")
            elif waiting and timeout and age is not None and age > OVERDUE * timeout:
                words = f"Nothing was archived for {lasted(age)}, though archive_timeout is {lasted(timeout)}"
                found.check("archive", "degraded", words, "late")
            else:
                found.check("archive", "up")
        return found.findings
