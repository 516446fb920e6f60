"""The schema comes into a database once, whoever brings it: this hub, another at the same moment, the Supabase CLI."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from twinwatch.hub.migrations import LOGIN, migrate, migrations
from twinwatch.hub.settings import Misconfigured
from twinwatch.testing.hub_stage import HubStage
from twinwatch.testing.postgres import SECRET, Cluster, TcpPostgres
from twinwatch.world.secret import Secret

SUPABASE = Path(__file__).parents[2] / "supabase"
CLI = Path(__file__).with_name("supabase")
DEBIAN = Path("/usr/lib/postgresql/15/bin")


@pytest.fixture
def empty_url(cluster: Cluster) -> Iterator[str]:
    url = cluster.empty_database()
    yield url
    cluster.drop(url)


@pytest.fixture(scope="module", params=["embedded", "debian-15"])
def server(request: pytest.FixtureRequest, cluster: Cluster) -> Iterator[TcpPostgres]:
    """A fresh server of its own, with no role of ours in it."""
    binaries = cluster.binaries() if request.param == "embedded" else DEBIAN
    if not (binaries / "initdb").exists():
        pytest.skip("PostgreSQL 15 is not there: apt-get install postgresql-15")
    with TcpPostgres(binaries) as server:
        yield server


@pytest.fixture(scope="session")
def supabase_cli() -> Path:
    """The real `supabase`, installed from its lock if it is not there yet."""
    program = CLI / "node_modules/.bin/supabase"
    if not program.exists():
        npm = shutil.which("npm")
        if npm is None:
            pytest.skip("npm is not there")
        subprocess.run([npm, "ci", "--no-audit", "--no-fund"], cwd=CLI, check=True, capture_output=True, timeout=300)
    return program


def rows(url: str, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(statement.encode()).fetchall()


def recorded(url: str) -> list[tuple[Any, ...]]:
    return rows(url, "select version, name from supabase_migrations.schema_migrations order by version")


OURS = [(migration.version, migration.name) for migration in migrations()]
SCHEMA = """
select c.oid::regclass::text, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
  pg_get_expr(d.adbin, d.adrelid), c.relrowsecurity, c.relforcerowsecurity, c.relacl::text,
  (select array_agg(p.polname || p.polcmd::text || pg_get_expr(p.polqual, p.polrelid) order by p.polname)
   from pg_policy p where p.polrelid = c.oid)
from pg_class c
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
where c.relnamespace = any ('{public,auth,private,samples}'::regnamespace[]) and c.relkind in ('r', 'p')
order by 1, 2
"""


async def test_an_empty_database_gets_the_whole_schema(empty_url: str) -> None:
    await migrate(empty_url, SECRET)
    assert recorded(empty_url) == OURS
    kept = rows(empty_url, "select statements from supabase_migrations.schema_migrations order by version")
    assert [statements for (statements,) in kept] == [[migration.text] for migration in migrations()]


async def test_a_second_time_changes_nothing(empty_url: str) -> None:
    first = await migrate(empty_url, SECRET)
    before = rows(empty_url, SCHEMA)
    assert await migrate(empty_url, SECRET) == first
    assert rows(empty_url, SCHEMA) == before
    assert recorded(empty_url) == OURS


async def test_hubs_that_start_together_migrate_once(empty_url: str) -> None:
    urls = await asyncio.gather(*(migrate(empty_url, SECRET) for _ in range(5)))
    assert len(set(urls)) == 1
    assert recorded(empty_url) == OURS


async def test_half_of_the_migrations_are_completed(empty_url: str) -> None:
    first = migrations()[0]
    with psycopg.connect(empty_url, autocommit=True) as connection:
        connection.execute("create schema supabase_migrations")
        connection.execute(
            "create table supabase_migrations.schema_migrations"
            " (version text not null primary key, statements text[], name text)"
        )
        connection.execute(first.text.encode())
        connection.execute(
            "insert into supabase_migrations.schema_migrations (version, name) values (%s, %s)",
            (first.version, first.name),
        )
    await migrate(empty_url, SECRET)
    assert recorded(empty_url) == OURS


async def test_a_migration_that_fails_leaves_nothing_of_itself(empty_url: str) -> None:
    with psycopg.connect(empty_url, autocommit=True) as connection:
        connection.execute("create table public.servers (id int)")
    with pytest.raises(Misconfigured, match=r"create_servers failed: .*already exists"):
        await migrate(empty_url, SECRET)
    assert recorded(empty_url) == OURS[:2]
    assert rows(empty_url, "select to_regclass('public.enrolment_keys')") == [(None,)]
    with psycopg.connect(empty_url, autocommit=True) as connection:
        connection.execute("drop table public.servers")
    await migrate(empty_url, SECRET)
    assert recorded(empty_url) == OURS


async def test_a_database_of_a_newer_twinwatch_is_left_alone(empty_url: str) -> None:
    await migrate(empty_url, SECRET)
    with psycopg.connect(empty_url, autocommit=True) as connection:
        connection.execute(
            "insert into supabase_migrations.schema_migrations (version, name) values ('29990101000000', 'x')"
        )
    with pytest.raises(Misconfigured, match=r"29990101000000.*newer"):
        await migrate(empty_url, SECRET)


async def test_a_database_with_another_auth_schema_is_not_touched(empty_url: str) -> None:
    with psycopg.connect(empty_url, autocommit=True) as connection:
        connection.execute("create schema auth")
    with pytest.raises(Misconfigured, match="schema auth exists"):
        await migrate(empty_url, SECRET)
    assert rows(empty_url, "select to_regclass('public.organizations')") == [(None,)]


async def test_a_database_that_does_not_answer_is_told_without_its_password() -> None:
    url = "postgresql://somebody:hunter2@127.0.0.1:1/nowhere"
    with pytest.raises(Misconfigured, match="database") as caught:
        await migrate(url, SECRET)
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_a_role_that_may_not_migrate_is_told_so(server: TcpPostgres) -> None:
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("create role nobody login")
    url = server.database("not_mine").replace("postgres@", "nobody@", 1)
    with pytest.raises(Misconfigured, match="permission denied"):
        await migrate(url, SECRET)


async def test_another_secret_gives_the_hub_another_password(empty_url: str) -> None:
    other = Secret("a different secret, just as long as the first one")
    one, two = await migrate(empty_url, SECRET), await migrate(empty_url, other)
    assert one != two
    assert SECRET.reveal() not in one
    await migrate(empty_url, SECRET)


async def test_databases_of_one_server_may_be_migrated_at_once(server: TcpPostgres) -> None:
    """The first to come makes the roles, which they share."""
    urls = [server.database(f"together_{number}") for number in range(4)]
    await asyncio.gather(*(migrate(url, SECRET) for url in urls))
    assert [recorded(url) for url in urls] == [OURS] * 4


async def test_an_owner_who_is_no_superuser_can_migrate_and_tenants_stay_apart(
    server: TcpPostgres, tmp_path: Path
) -> None:
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("drop role if exists landlord")
        connection.execute("create role landlord login createrole nosuperuser nobypassrls")
        # Where another database's migration has made our roles, its maker must have handed them on.
        for role in (LOGIN, "anon", "authenticated", "service_role", "supabase_auth_admin"):
            if rows(server.url, f"select 1 from pg_roles where rolname = '{role}'"):
                connection.execute(f"grant {role} to landlord with admin option".encode())
    url = server.database("rented", owner="landlord")
    superuser = url.replace("landlord@", "postgres@", 1)
    async with HubStage(url, tmp_path, superuser_url=superuser) as stage:
        cast = await stage.cast()
        assert (await cast.agent.push((stage.clock.now(), (1.0, 2.0)))).status == 200
        assert (await cast.agent.heartbeat()).status == 200
        target = f"/api/v1/servers/{cast.agent.server_id}"
        assert (await cast.viewer.client.get(f"{target}/latest")).json()["series"][0]["value"] == 1.0
        assert (await cast.stranger.client.get(target)).status == 404
        assert (await cast.viewer.client.patch(target, {"name": "x"})).status == 403
        stage.clock.advance(9 * 24 * 3600)
        assert (await cast.agent.push((stage.clock.now(), (1.0, 2.0)))).status == 200, "partitions are made and dropped"
        stage.clock.advance(-9 * 24 * 3600)
        assert (await cast.owner.client.delete(target)).status == 204
        owners = await stage.execute(
            "select distinct pg_get_userbyid(relowner) from pg_class where relnamespace = 'public'::regnamespace"
        )
        assert owners == [("landlord",)]
        ((owner,),) = await stage.execute(
            "select pg_get_userbyid(proowner) from pg_proc where proname = 'my_organizations'"
        )
        assert owner == "service_role"


def push(program: Path, url: str, workdir: Path) -> str:
    """`supabase db push` of the repository's migrations; what it said."""
    if not (workdir / "supabase").exists():
        shutil.copytree(SUPABASE, workdir / "supabase", ignore=shutil.ignore_patterns(".temp"))
    done = subprocess.run(
        [str(program), "db", "push", "--yes", "--remote", url],
        cwd=workdir,
        env={"PATH": os.environ["PATH"], "HOME": str(workdir)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


async def test_the_hub_starts_on_what_the_supabase_cli_pushed(
    server: TcpPostgres, supabase_cli: Path, tmp_path: Path
) -> None:
    pushed, migrated = server.database("pushed"), server.database("migrated")
    await asyncio.to_thread(push, supabase_cli, pushed, tmp_path)
    assert recorded(pushed) == OURS
    await migrate(migrated, SECRET)
    assert rows(pushed, SCHEMA) == rows(migrated, SCHEMA)
    async with HubStage(pushed, tmp_path) as stage:
        cast = await stage.cast()
        assert (await cast.agent.push((stage.clock.now(), (1.0, 2.0)))).status == 200
        assert (await cast.stranger.client.get(f"/api/v1/servers/{cast.agent.server_id}")).status == 404
    assert recorded(pushed) == OURS


async def test_the_supabase_cli_finds_what_the_hub_migrated_up_to_date(
    server: TcpPostgres, supabase_cli: Path, tmp_path: Path
) -> None:
    url = server.database("hub_first")
    await migrate(url, SECRET)
    before = rows(url, SCHEMA)
    assert "up to date" in await asyncio.to_thread(push, supabase_cli, url, tmp_path)
    assert rows(url, SCHEMA) == before
