"""The postgres monitor: is the server there, how busy is it, what will fail next, how far behind are its standbys.

One connection, one statement at a time. A run asks who the server is, then each part whose turn it is (``rounds``);
each part declares its metrics, charts, rules and statements beside one another and fails alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar
from urllib.parse import urlsplit

from twinwatch.monitors import Check, Finding, Moment, Options, Reading, Unreadable
from twinwatch.monitors.postgres.activity import Activity, Sessions
from twinwatch.monitors.postgres.backup import Backup
from twinwatch.monitors.postgres.columns import Row, number, printable, text, truth, whole
from twinwatch.monitors.postgres.configuration import Configuration
from twinwatch.monitors.postgres.databases import Databases, Sizes, Wraparound
from twinwatch.monitors.postgres.indexes import Indexes
from twinwatch.monitors.postgres.io import Buffers, Io, Slru
from twinwatch.monitors.postgres.locks import Locks
from twinwatch.monitors.postgres.options import PostgresOptions
from twinwatch.monitors.postgres.part import Part, Server
from twinwatch.monitors.postgres.replication import Standby, Standbys
from twinwatch.monitors.postgres.rounds import Asking, Rounds
from twinwatch.monitors.postgres.slots import Slots
from twinwatch.monitors.postgres.tables import Bloat, Tables
from twinwatch.monitors.postgres.top_statements import TopStatements
from twinwatch.monitors.postgres.vacuum import Vacuum
from twinwatch.monitors.postgres.writing import Archive, Checkpoints, WalFolder, WriteAheadLog
from twinwatch.protocol.limits import MESSAGE_CHARACTERS
from twinwatch.protocol.metrics import Chart, Headline, Metric
from twinwatch.protocol.rules import Rule
from twinwatch.world.doors import World
from twinwatch.world.postgres import PostgresAway, PostgresMissing, PostgresRefused
from twinwatch.world.statements import load_statements

SQL = load_statements("twinwatch.monitors.postgres", "server.sql")
CONNECT_SECONDS = 7.5
"""The door's five for each way to the server, and two for the statement."""
OLDEST = 130_000
PARTS: tuple[type[Part], ...] = (
    Activity,
    Locks,
    Sessions,
    Databases,
    Sizes,
    Checkpoints,
    WriteAheadLog,
    WalFolder,
    Archive,
    Standbys,
    Standby,
    Slots,
    Wraparound,
    Vacuum,
    Tables,
    Bloat,
    Indexes,
    TopStatements,
    Io,
    Slru,
    Buffers,
    Configuration,
    Backup,
)
REMEDIES = {
    "full": "All connections are taken. End idle ones, or raise max_connections; from 16 on the monitor still gets in "
    "with reserved_connections and: grant pg_use_reserved_connections to its role",
    "login": "Mend user, password, database or TLS of the connection, or pg_hba.conf: until then nothing is watched",
    "starting": "It is being started or stopped; if that lasts, see its log",
    "away": "See whether it runs, its log, and whether its address is right",
}
WORD = re.compile(r"\s*(\w+)\s*=\s*('(?:[^'\\]|\\.)*'|(?:[^\s'\\]|\\.)*)(?=\s|$)")


class Postgres:
    """Asks a PostgreSQL server, 13 to 18, how it fares, over one connection that it keeps.

    Source: the views of https://www.postgresql.org/docs/current/monitoring-stats.html; each part names its own.
    Cost: one connection; some fifteen statements per run, each cut off at 2 s by the server itself, 1 ms of its time
    together; those about tables run every five minutes, 30 ms with 1,500 tables. The library needs 10 MB in the agent.
    Rights: a login that is a member of pg_monitor. Without it the checks concerned are unknown and say so.
    """

    name: ClassVar[str] = "postgres"
    title: ClassVar[str] = "PostgreSQL"
    Options: ClassVar[type[Options]] = PostgresOptions
    interval_seconds: ClassVar[float] = 30.0
    deadline_seconds: ClassVar[float] = 15.0
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("postgresql.up", "1", "Whether the server lets clients in: 1 it does, 0 it does not.", good="high"),
        Metric("postgresql.uptime", "s", "Time since the server was started."),
        Metric("postgresql.latency", "s", "Time that the server takes to say who it is.", good="low"),
        Metric("postgresql.left_out", "{series}", "Of a kind, how many have no series of their own."),
        *(metric for part in PARTS for metric in part.metrics),
    )
    charts: ClassVar[tuple[Chart, ...]] = (
        *(chart for part in PARTS for chart in part.charts),
        Chart("PostgreSQL latency", ("postgresql.latency",)),
    )
    headlines: ClassVar[tuple[Headline, ...]] = ()
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("down", severity="critical", check="connection", times=2),
        Rule("not watched", check="connection", states=("unknown",), hold="5m"),
        Rule(
            "restarted",
            metric="postgresql.uptime",
            below=300.0,
            message="If nobody restarted it, its log says why it ended: look for PANIC, out of memory, signal 9.",
        ),
        *(rule for part in PARTS for rule in part.rules),
    )

    def __init__(self, options: PostgresOptions) -> None:
        self._connection = options.connection
        self._where = place_of(options.connection.reveal())
        self._rounds = Rounds(part(options) for part in PARTS)

    async def read(self, world: World, moment: Moment) -> list[Finding]:
        """One run. A part that the server refuses is unknown.

        Raises: Unreadable if psycopg is not installed or the connection string is none.
        """
        ask = Asking(world, self._connection)
        started = world.clock.monotonic()
        try:
            server = await self._server(ask)
            latency = world.clock.monotonic() - started
            await self._rounds.run(ask, server, moment, lambda: self._server(ask))
        except PostgresMissing as err:
            raise Unreadable(str(err)) from err
        except PostgresAway as err:
            return self._away(err)
        except (PostgresRefused, Unreadable) as err:
            self._rounds.nobody_judged("The server does not say who it is", "refused")
            return [*self._rounds.found, _connection("unknown", f"{self._where}: {err}", "refused")]
        found: list[Finding] = [Reading("postgresql.up", 1)]
        if server.up_seconds is not None:
            found.append(Reading("postgresql.uptime", round(server.up_seconds)))
        found.append(Reading("postgresql.latency", round(max(latency, 0.0), 4)))
        return [*found, *self._rounds.found, _connection("up")]

    async def _server(self, ask: Asking) -> Server:
        rows = await ask("server", SQL["server"], CONNECT_SECONDS)
        server = _facts(rows)
        if server.version < OLDEST:
            raise Unreadable(f"PostgreSQL {server.version // 10_000 or '?'}: expected 13 or newer")
        return server

    def _away(self, err: PostgresAway) -> list[Finding]:
        if err.reason == "misspelt":
            raise Unreadable(f"connection: {err}") from err
        self._rounds.nobody_judged("Not judged: no connection to the server", err.reason)
        found = self._rounds.found
        words = f"{self._where}: {err}. {REMEDIES.get(err.reason, REMEDIES['away'])}"
        if err.reason == "login":
            return [*found, _connection("unknown", words, "login")]
        if err.reason == "full":
            found.append(Reading("postgresql.connection.utilization", 1.0))
        return [*found, Reading("postgresql.up", 0), _connection("down", words, err.reason)]


def place_of(connection: str) -> str:
    """Host, port and database of a connection string, for people; nothing that could be a password."""
    if connection.startswith(("postgres://", "postgresql://")):
        try:
            parts = urlsplit(connection)
            return f"{parts.hostname or 'localhost'}:{parts.port or 5432}{parts.path}"
        except ValueError:
            return "PostgreSQL"
    words, at = {}, 0
    while match := WORD.match(connection, at):
        words[match[1]] = match[2].strip("'")
        at = match.end()
    if connection[at:].strip():
        return "PostgreSQL"
    return f"{words.get('host', 'localhost')}:{words.get('port', '5432')}/{words.get('dbname', '')}"


def _facts(rows: Sequence[Row]) -> Server:
    if len(rows) != 1:
        raise Unreadable(f"{len(rows)} rows to who it is, expected one")
    row = rows[0]
    return Server(
        version=whole(row, "version") or 0,
        is_standby=truth(row, "is_standby"),
        sees_all=truth(row, "sees_all"),
        allowed=number(row, "allowed"),
        up_seconds=number(row, "up_seconds"),
        role=text(row, "role"),
        database=text(row, "database"),
        statements_schema=text(row, "statements_schema"),
        buffers_schema=text(row, "buffers_schema"),
    )


def _connection(state: str, message: str = "", reason: str = "") -> Check:
    words = printable(message)[:MESSAGE_CHARACTERS]
    return Check("connection", "up" if state == "up" else "down" if state == "down" else "unknown", words, reason)
