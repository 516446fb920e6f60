from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.monitors.conftest import checks, values
from twinwatch.monitors import Check, Finding, Moment, Unreadable
from twinwatch.monitors.options import options_of
from twinwatch.monitors.postgres import Postgres, place_of
from twinwatch.testing.cases import cases_in
from twinwatch.testing.paper import paper_world
from twinwatch.testing.paper_postgres import PaperPostgres
from twinwatch.world.postgres import PostgresMissing

CASES = {case.name: case for case in cases_in(Path(__file__).parents[2] / "captures", {"postgres": Postgres})}


async def second(name: str) -> list[Finding]:
    case = CASES[name]
    monitor = case.made()
    for snapshot, moment in zip(case.snapshots(), case.moments(), strict=True):
        found = list(await monitor.read(snapshot.world(moment), moment))
    return found


async def test_a_primary() -> None:
    found = await second("postgres-primary")
    told = values(found)
    assert checks(found) == {"connection": ("up", "")}
    assert told["postgresql.backends", "idle"] == 40
    assert told["postgresql.connection.utilization",] == pytest.approx(44 / 97, abs=1e-4)
    assert told["postgresql.lock.waiting",] == 1
    assert told["postgresql.transaction.longest",] == 640
    assert told["postgresql.query.longest",] == 2.25
    assert told["postgresql.commits", "mydb"] == 20
    assert told["postgresql.cache.hit_ratio", "mydb"] == 0.99
    assert told["postgresql.temp.io", "mydb"] == 1000
    assert told["postgresql.db_size", "mydb"] == 52428800
    assert ("postgresql.db_size", "postgres") not in told
    assert told["postgresql.replication.lag", "replica-1"] == 0.25
    assert told["postgresql.replication.lag", "replica-2"] == 0


async def test_a_standby_that_loses_its_primary_and_a_view_it_may_not_read() -> None:
    found = await second("postgres-standby")
    assert checks(found) == {
        "connection": ("up", ""),
        "replication": ("down", "not-streaming"),
        "statistics": ("unknown", "not-readable"),
    }
    assert values(found)["postgresql.replication.lag", "this server"] == 95.5


async def test_a_server_that_is_not_there_is_down() -> None:
    options = options_of(Postgres, {"connection": "postgres://me:geheim@db:5433/shop"})
    found = await Postgres(options).read(paper_world(postgres=PaperPostgres({})), Moment(0, 0.0))
    assert values(found) == {("postgresql.up",): 0}
    assert Check("connection", "down", "db:5433/shop: connection refused", "away") in found


async def test_without_the_library_it_says_what_to_install() -> None:
    class Bare(PaperPostgres):
        async def query(self, *arguments: object, **rest: object) -> list[dict[str, object]]:
            raise PostgresMissing("psycopg is not installed: pip install 'twinwatch[postgres]'")

    options = options_of(Postgres, {"connection": "postgres://localhost"})
    with pytest.raises(Unreadable, match="pip install"):
        await Postgres(options).read(paper_world(postgres=Bare({})), Moment(0, 0.0))


@pytest.mark.parametrize(
    ("connection", "place"),
    [
        ("postgres://localhost:5432/mydb", "localhost:5432/mydb"),
        ("postgresql://me:geheim@db.example/shop?sslmode=require", "db.example:5432/shop"),
        ("host=/run/postgresql password=geheim dbname=shop", "/run/postgresql:5432/shop"),
        ("postgres://[geheim", "PostgreSQL"),
        ("", "localhost:5432/"),
    ],
)
def test_a_place_never_holds_the_password(connection: str, place: str) -> None:
    assert place_of(connection) == place
