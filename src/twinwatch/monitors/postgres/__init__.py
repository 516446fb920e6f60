"""The postgres monitor: is the server there, how busy is it, how far behind are its standbys."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Annotated, Any, ClassVar
from urllib.parse import urlsplit

from msgspec import Meta

from twinwatch.monitors import Check, Finding, Moment, Options, Reading, SecretText, Unreadable
from twinwatch.monitors.digits import rate, ratio
from twinwatch.monitors.rates import Rates
from twinwatch.protocol.limits import LABEL_VALUE_CHARACTERS, MESSAGE_CHARACTERS
from twinwatch.protocol.metrics import Chart, Headline, Metric
from twinwatch.world.doors import World
from twinwatch.world.postgres import PostgresAway, PostgresMissing, PostgresRefused
from twinwatch.world.statements import load_statements

ASK_SECONDS = 8.0
SQL = load_statements("twinwatch.monitors.postgres", "statements.sql")

RATES = {
    "commits": ("postgresql.commits", "{commit}/s", "Transactions committed, per second."),
    "rollbacks": ("postgresql.rollbacks", "{rollback}/s", "Transactions rolled back, per second."),
    "deadlocks": ("postgresql.deadlocks", "{deadlock}/s", "Deadlocks, per second."),
    "temporary_bytes": ("postgresql.temp.io", "By/s", "Written to temporary files, since work_mem was too small."),
}
BY = ("db.namespace",)


class PostgresOptions(Options, frozen=True, kw_only=True):
    """Which server is watched."""

    connection: Annotated[
        SecretText,
        Meta(
            title="Connection",
            description="A libpq connection string, such as postgres://monitor@localhost:5432/mydb.",
        ),
    ]


class Postgres:
    """Asks a PostgreSQL server, 13 to 18, how it fares, over one connection that it keeps.

    Source: pg_stat_activity, pg_stat_database, pg_stat_replication, pg_stat_wal_receiver
    (https://www.postgresql.org/docs/current/monitoring-stats.html).
    Cost: four statements per run, each cut off at 2 s by the server itself.
    Rights: a login; ``grant pg_monitor to <it>`` shows other users' sessions and sizes too.
    """

    name: ClassVar[str] = "postgres"
    title: ClassVar[str] = "PostgreSQL"
    Options: ClassVar[type[Options]] = PostgresOptions
    interval_seconds: ClassVar[float] = 30.0
    deadline_seconds: ClassVar[float] = 15.0
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("postgresql.up", "1", "Whether the server answers: 1 it does, 0 it does not.", good="high"),
        Metric("postgresql.uptime", "s", "Time since the server was started."),
        Metric("postgresql.backends", "{connection}", "Connections of clients by state."),
        Metric("postgresql.connection.utilization", "1", "Share of the connections that clients may have.", good="low"),
        Metric("postgresql.lock.waiting", "{connection}", "Connections that wait for a lock.", good="low"),
        Metric("postgresql.transaction.longest", "s", "Age of the oldest open transaction.", good="low"),
        Metric("postgresql.query.longest", "s", "Age of the oldest running query.", good="low"),
        *(
            Metric(name, unit, said, good="low" if name != "postgresql.commits" else "none")
            for name, unit, said in RATES.values()
        ),
        Metric("postgresql.cache.hit_ratio", "1", "Share of the blocks that were found in memory.", good="high"),
        Metric("postgresql.db_size", "By", "Size of the database on disk."),
        Metric("postgresql.replication.lag", "s", "How far behind a standby, or this standby, is.", good="low"),
        Metric("postgresql.replication.lag_bytes", "By", "What a standby has not replayed yet.", good="low"),
    )
    charts: ClassVar[tuple[Chart, ...]] = (
        Chart("PostgreSQL connections", ("postgresql.backends",), by=("postgresql.state",), style="stack"),
        Chart("PostgreSQL connections used", ("postgresql.connection.utilization",), top=1.0),
        Chart("PostgreSQL waiting for locks", ("postgresql.lock.waiting",)),
        Chart("PostgreSQL longest", ("postgresql.transaction.longest", "postgresql.query.longest")),
        Chart("PostgreSQL commits", ("postgresql.commits",), by=BY),
        Chart("PostgreSQL rollbacks", ("postgresql.rollbacks",), by=BY),
        Chart("PostgreSQL deadlocks", ("postgresql.deadlocks",), by=BY),
        Chart("PostgreSQL found in memory", ("postgresql.cache.hit_ratio",), by=BY, top=1.0),
        Chart("PostgreSQL temporary files", ("postgresql.temp.io",), by=BY),
        Chart("PostgreSQL sizes", ("postgresql.db_size",), by=BY),
        Chart("PostgreSQL replication lag", ("postgresql.replication.lag",), by=("postgresql.standby",)),
    )
    headlines: ClassVar[tuple[Headline, ...]] = ()

    def __init__(self, options: PostgresOptions) -> None:
        self._connection = options.connection
        self._where = place_of(options.connection.reveal())
        self._rates = Rates()

    async def read(self, world: World, moment: Moment) -> list[Finding]:
        """One run. A part that the server refuses is left out.

        Raises: Unreadable if psycopg is not installed.
        """
        try:
            (server,) = await self._ask(world, "server")
        except PostgresAway as err:
            message = f"{self._where}: {err}"[:MESSAGE_CHARACTERS]
            return [Reading("postgresql.up", 0), Check("connection", "down", _printable(message), "away")]
        except (PostgresRefused, ValueError) as err:
            return [Reading("postgresql.up", 0), Check("connection", "down", _printable(str(err)), "refused")]
        except PostgresMissing as err:
            raise Unreadable(str(err)) from err
        found: list[Finding] = [Reading("postgresql.up", 1), Check("connection", "up")]
        if (seconds := _number(server, "up_seconds")) is not None:
            found.append(Reading("postgresql.uptime", round(seconds)))
        is_standby = server.get("is_standby") is True
        refused: list[str] = []
        for name in ("activity", "databases", "standby" if is_standby else "standbys"):
            try:
                rows = await self._ask(world, name)
            except (PostgresAway, PostgresRefused, ValueError) as err:
                refused.append(_printable(str(err)))
                continue
            match name:
                case "activity":
                    found += _activity(rows, _number(server, "connections"))
                case "databases":
                    found += self._databases(rows, moment)
                case "standbys":
                    found += _standbys(rows)
                case _:
                    found += _standby(rows)
        if refused:
            found.append(Check("statistics", "unknown", "; ".join(refused)[:MESSAGE_CHARACTERS], "not-readable"))
        return found

    async def _ask(self, world: World, name: str) -> list[dict[str, Any]]:
        rows = await world.postgres.query(self._connection, name, SQL[name], timeout_seconds=ASK_SECONDS)
        if name in ("server", "standby") and len(rows) != 1:
            raise ValueError(f"{name}: {len(rows)} rows, expected one")
        return rows

    def _databases(self, rows: list[dict[str, Any]], moment: Moment) -> list[Finding]:
        self._rates.begin(moment.monotonic_seconds)
        found: list[Finding] = []
        for row in rows:
            name = row.get("name")
            if not (isinstance(name, str) and 0 < len(name) <= LABEL_VALUE_CHARACTERS and name.isprintable()):
                continue
            labels = {"db.namespace": name}
            for column, (metric, _, _) in RATES.items():
                if grown := self._grown(name, row, column):
                    found.append(Reading(metric, rate(grown[0] / self._rates.seconds), labels))
            blocks = self._grown(name, row, "blocks_read", "blocks_hit")
            if blocks and sum(blocks):
                found.append(Reading("postgresql.cache.hit_ratio", ratio(blocks[1] / sum(blocks)), labels))
            if (size := _number(row, "size")) is not None:
                found.append(Reading("postgresql.db_size", int(size), labels))
        return found

    def _grown(self, name: str, row: Mapping[str, Any], *columns: str) -> tuple[int, ...] | None:
        counters = [_number(row, column) for column in columns]
        known = tuple(int(counter) for counter in counters if counter is not None)
        return self._rates.growth((name, *columns), known) if len(known) == len(columns) else None


def place_of(connection: str) -> str:
    """Host, port and database of a connection string, for people; nothing that could be a password."""
    if connection.startswith(("postgres://", "postgresql://")):
        try:
            parts = urlsplit(connection)
            return f"{parts.hostname or 'localhost'}:{parts.port or 5432}{parts.path}"
        except ValueError:
            return "PostgreSQL"
    words = dict(word.partition("=")[::2] for word in connection.split() if "=" in word)
    return f"{words.get('host', 'localhost')}:{words.get('port', '5432')}/{words.get('dbname', '')}"


def _activity(rows: list[dict[str, Any]], allowed: float | None) -> list[Finding]:
    found: dict[str, Finding] = {}
    total = waiting = 0.0
    for row in rows:
        state, count = row.get("state"), _number(row, "connections")
        if isinstance(state, str) and state.isprintable() and 0 < len(state) < 64 and count is not None:
            found[state] = Reading("postgresql.backends", int(count), {"postgresql.state": state})
            total += count
            waiting += _number(row, "waiting") or 0
    longest = [
        (metric, max((seconds for row in rows if (seconds := _number(row, column)) is not None), default=0.0))
        for metric, column in (
            ("postgresql.transaction.longest", "transaction_seconds"),
            ("postgresql.query.longest", "query_seconds"),
        )
    ]
    readings: list[Finding] = [*found.values(), Reading("postgresql.lock.waiting", int(waiting))]
    readings += [Reading(metric, round(seconds, 3)) for metric, seconds in longest]
    if allowed:
        readings.append(Reading("postgresql.connection.utilization", ratio(total / allowed)))
    return readings


def _standbys(rows: list[dict[str, Any]]) -> list[Finding]:
    found: dict[tuple[str, str], Finding] = {}
    for row in rows:
        name = row.get("name")
        if not (isinstance(name, str) and 0 < len(name) <= LABEL_VALUE_CHARACTERS and name.isprintable()):
            continue
        labels = {"postgresql.standby": name}
        for metric, column in (
            ("postgresql.replication.lag", "lag_seconds"),
            ("postgresql.replication.lag_bytes", "lag_bytes"),
        ):
            value = _number(row, column)
            if value is None and column == "lag_seconds" and _number(row, "lag_bytes") == 0:
                value = 0.0  # nothing was written of late, so there is no lag to measure
            if value is not None:
                found[metric, name] = Reading(metric, round(value, 3), labels)
    return list(found.values())


def _standby(rows: list[dict[str, Any]]) -> list[Finding]:
    row = rows[0]
    found: list[Finding] = []
    lag = _number(row, "lag_seconds")
    if lag is not None:
        found.append(Reading("postgresql.replication.lag", round(lag, 3), {"postgresql.standby": "this server"}))
    if row.get("is_paused") is True:
        message = "Replay is paused; go on with: select pg_wal_replay_resume()"
        return [*found, Check("replication", "degraded", message, "paused")]
    if row.get("receiver") != "streaming":
        message = "This standby receives nothing from its primary; see the server's log"
        return [*found, Check("replication", "down", message, "not-streaming")]
    return [*found, Check("replication", "up")]


def _number(row: Mapping[str, Any], column: str) -> float | None:
    """The column as a number that is not negative; None where there is none."""
    value = row.get(column)
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        return None
    return min(max(float(value), 0.0), float(1 << 53))


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)[:MESSAGE_CHARACTERS]
