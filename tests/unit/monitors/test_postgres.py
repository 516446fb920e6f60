from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.monitors.conftest import checks, values
from tests.unit.monitors.postgres_on_paper import SERVER, Watched, sources
from twinwatch.alerts.conditions import condition_of
from twinwatch.monitors import Check, Finding, Moment, Unreadable
from twinwatch.monitors.options import options_of
from twinwatch.monitors.postgres import PARTS, Postgres, place_of
from twinwatch.testing.cases import cases_in
from twinwatch.testing.paper import paper_world
from twinwatch.testing.paper_postgres import PaperPostgres
from twinwatch.world.postgres import PostgresAway, PostgresMissing

CASES = {case.name: case for case in cases_in(Path(__file__).parents[2] / "captures", {"postgres": Postgres})}
ACTIVE = {"state": "active", "connections": 3.0, "waiting": 1, "transaction_seconds": 12.5, "query_seconds": 2.25}
IDLE = {"state": "idle", "connections": 40.0, "waiting": 0.0}


async def second(name: str) -> list[Finding]:
    case = CASES[name]
    monitor = case.made()
    for snapshot, moment in zip(case.snapshots(), case.moments(), strict=True):
        found = list(await monitor.read(snapshot.world(moment), moment))
    return found


async def test_connections_are_a_share_of_what_clients_may_have() -> None:
    told = values(await Watched(sources(activity=[ACTIVE, IDLE])).at(0))
    assert told["postgresql.backends", "idle"] == 40
    assert told["postgresql.connection.utilization",] == pytest.approx(44 / 97, abs=1e-4)  # with the monitor's own
    assert told["postgresql.lock.waiting",] == 1
    assert told["postgresql.transaction.longest",] == 12.5
    assert told["postgresql.query.longest",] == 2.25


async def test_counters_of_databases_become_rates_and_shares() -> None:
    row = {
        "name": "mydb",
        "total": 3.0,
        "commits": 1e6,
        "rollbacks": 500.0,
        "blocks_read": 1e5,
        "blocks_hit": 9e6,
        "temporary_bytes": 1048576.0,
        "checksum_failures": None,
    }
    later = {
        **row,
        "commits": 1000600.0,
        "blocks_read": 100010.0,
        "blocks_hit": 9000990.0,
        "temporary_bytes": 1078576.0,
    }
    watched = Watched(sources(databases=[row]))
    await watched.at(0)
    found = await watched.at(30, databases=[later])
    told = values(found)
    assert told["postgresql.commits", "mydb"] == 20
    assert told["postgresql.cache.hit_ratio", "mydb"] == 0.99
    assert told["postgresql.temp.io", "mydb"] == 1000
    assert told["postgresql.left_out", "databases"] == 2
    assert "checksums" not in checks(found), "without checksums nothing is said of them"
    found = await watched.at(60, databases=[{**later, "checksum_failures": 2.0}])
    assert checks(found)["checksums"] == ("down", "checksum-failures")


@pytest.mark.parametrize("version", ["13", "15", "18"])
async def test_every_version_tells_the_same_of_a_primary(version: str) -> None:
    found = await second(f"postgres-{version}-primary")
    told = values(found)
    assert checks(found)["connection"] == ("up", "")
    assert checks(found)["locks"] == ("degraded", "blocked")
    assert checks(found)["transactions"] == ("degraded", "idle-transaction")
    assert checks(found)["slots"] == ("degraded", "retains")
    assert checks(found)["archive"] == ("down", "failing")
    assert checks(found)["standby:elsewhere"] == ("down", "not-connected")
    assert {state for state, _ in checks(found).values()} <= {"up", "down", "degraded"}, "no part is unknown"
    assert told["postgresql.replication.lag", "standby"] == 0
    assert ("postgresql.checkpoints", "requested") in told
    assert (("postgresql.wal.records",) in told) == (version != "13")
    assert (("postgresql.sessions.lost", "postgres", "fatal") in told) == (version != "13")


async def test_a_standby_whose_replay_is_paused() -> None:
    found = await second("postgres-16-standby")
    assert checks(found)["replication"] == ("degraded", "paused")
    told = values(found)
    assert told["postgresql.replication.lag_bytes", "this server"] > 1_000_000
    assert told["postgresql.replication.lag", "this server"] > 0


async def test_without_rights_the_checks_are_unknown_and_say_what_to_grant() -> None:
    found = await second("postgres-15-no-rights")
    assert checks(found)["transactions"] == ("unknown", "no-right")
    assert checks(found)["part:wal-folder"] == ("unknown", "no-right")
    for one in found:
        if isinstance(one, Check) and one.state == "unknown":
            assert "grant pg_" in one.message
            assert "to nobody" in one.message


async def test_what_is_refused_is_left_alone_until_later_or_a_restart() -> None:
    refused = "error 42501 permission denied for view pg_stat_database"
    watched = Watched(sources(databases=refused))
    found = await watched.at(0)
    assert checks(found)["checksums"] == ("unknown", "no-right")
    found = await watched.at(1800)
    assert "databases" not in watched.door.asked
    assert checks(found)["checksums"] == ("unknown", "no-right")
    await watched.at(3601)
    assert "databases" in watched.door.asked
    await watched.at(3700, server=[{**SERVER, "up_seconds": 3.0}])
    assert "databases" in watched.door.asked


async def test_what_is_slow_is_left_alone_for_a_quarter_of_an_hour_and_a_lock_for_a_run() -> None:
    watched = Watched(sources(sizes="error 57014 longer than 2 s", locks="error 55P03 canceling statement"))
    found = await watched.at(0)
    assert checks(found)["part:sizes"] == ("unknown", "too-slow")
    assert checks(found)["locks"] == ("unknown", "locked")
    await watched.at(600)
    assert "sizes" not in watched.door.asked
    assert "locks" in watched.door.asked
    await watched.at(901)
    assert "sizes" in watched.door.asked


async def test_what_is_seldom_asked_is_said_again_in_between() -> None:
    watched = Watched(sources(sizes=[{"name": "mydb", "bytes": 5e7}]))
    await watched.at(0)
    found = await watched.at(30)
    assert "sizes" not in watched.door.asked
    assert values(found)["postgresql.db_size", "mydb"] == 5e7
    await watched.at(296)
    assert "sizes" in watched.door.asked


async def test_a_run_ends_in_time_on_a_slow_server_and_the_next_begins_with_who_had_no_turn() -> None:
    watched = Watched(sources())
    watched.door.seconds = 1.9
    started = watched.clock.monotonic()
    found = await watched.at(0)
    assert watched.clock.monotonic() - started < Postgres.deadline_seconds - 2
    assert checks(found)["connection"] == ("up", "")
    assert checks(found)["slots"] == ("unknown", "no-time")
    first = set(watched.door.asked)
    await watched.at(30)
    assert {"server"} == first & set(watched.door.asked)


async def test_when_the_server_goes_its_checks_are_unknown_and_back_again_all_is_asked() -> None:
    watched = Watched(sources())
    assert checks(await watched.at(0))["locks"] == ("up", "")
    gone = {name: watched.door.sources.pop(name) for name in list(watched.door.sources)}
    found = await watched.at(30)
    assert checks(found)["connection"] == ("down", "away")
    assert {state for name, (state, _) in checks(found).items() if name != "connection"} == {"unknown"}
    assert values(found) == {("postgresql.up",): 0}
    watched.door.sources.update(gone)
    assert checks(await watched.at(60))["locks"] == ("up", "")
    assert {"sizes", "ages"} <= set(watched.door.asked)


async def test_an_answer_that_breaks_off_costs_its_part_only() -> None:
    found = await Watched(sources(databases="[{")).at(0)
    assert checks(found)["checksums"] == ("unknown", "broke")
    assert checks(found)["locks"] == ("up", "")
    assert checks(found)["connection"] == ("up", "")


@pytest.mark.parametrize(
    ("reason", "state", "up"),
    [("full", "down", 0), ("starting", "down", 0), ("away", "down", 0), ("login", "unknown", None)],
)
async def test_why_nobody_gets_in_is_told(reason: str, state: str, up: int | None) -> None:
    class Closed(PaperPostgres):
        async def query(self, *arguments: object, **rest: object) -> list[dict[str, Any]]:
            raise PostgresAway("sorry", reason)

    options = options_of(Postgres, {"connection": "postgres://me:geheim@db:5433/shop"})
    found = await Postgres(options).read(paper_world(postgres=Closed({})), Moment(0, 0.0))
    assert checks(found) == {"connection": (state, reason)}
    assert values(found).get(("postgresql.up",)) == up
    (check,) = (one for one in found if isinstance(one, Check))
    assert check.message.startswith("db:5433/shop: sorry. ")
    assert len(check.message) > 40, "it says what to do"


async def test_an_old_server_is_not_watched() -> None:
    found = await Watched(sources(server=[{**SERVER, "version": 120022}])).at(0)
    assert checks(found) == {"connection": ("unknown", "refused")}


async def test_without_the_library_it_says_what_to_install() -> None:
    class Bare(PaperPostgres):
        async def query(self, *arguments: object, **rest: object) -> list[dict[str, object]]:
            raise PostgresMissing("psycopg is not installed: pip install 'twinwatch[postgres]'")

    options = options_of(Postgres, {"connection": "postgres://localhost"})
    with pytest.raises(Unreadable, match="pip install"):
        await Postgres(options).read(paper_world(postgres=Bare({})), Moment(0, 0.0))


def test_every_rule_says_what_to_do_and_is_about_a_check_that_is_given() -> None:
    given = {"connection", "standby:*", *(check for part in PARTS for check in part.checks)}
    for rule in Postgres.rules:
        condition_of(rule)
        assert rule.message if rule.metric else rule.check in given, rule.name


@pytest.mark.parametrize(
    ("connection", "place"),
    [
        ("postgres://localhost:5432/mydb", "localhost:5432/mydb"),
        ("postgresql://me:geheim@db.example/shop?sslmode=require", "db.example:5432/shop"),
        ("host=/run/postgresql password=geheim dbname=shop", "/run/postgresql:5432/shop"),
        ("password='geheim host=geheim' host = db dbname='my shop'", "db:5432/my shop"),
        (r"password=ge\ heim\' host=db", "db:5432/"),
        ("host=db password=ge heim", "PostgreSQL"),
        ("postgres://[geheim", "PostgreSQL"),
        ("postgres://me:ge/heim@db", "PostgreSQL"),
        ("", "localhost:5432/"),
    ],
)
def test_a_place_never_holds_the_password(connection: str, place: str) -> None:
    assert place_of(connection) == place
