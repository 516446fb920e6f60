"""Organizations never meet. Driven by PostgreSQL's own catalogue, so that a table added tomorrow is tested unasked."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg import sql
from psycopg.errors import InsufficientPrivilege
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from tests.service.furniture import furnish
from twinwatch.hub.db import BECOME
from twinwatch.testing.hub_stage import Cast, HubStage, Player

Connection = psycopg.AsyncConnection[dict[str, Any]]

TABLES = """
select c.relname as name, c.relrowsecurity as enabled, c.relforcerowsecurity as forced,
  exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'organization_id' and not a.attisdropped)
    as has_organization
from pg_class c
where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f')
order by 1
"""
BROWSER_ROLES = ("anon", "authenticated")
OUR_SCHEMAS = ["public", "private", "samples", "auth"]
SECRETS = "^(hash|token|encrypted_password|secret|password)$"
OBVIOUS = {
    *("id", "organization_id", "user_id", "server_id", "name", "role", "monitor", "metric", "labels", "agent_version"),
    *("created_at", "updated_at", "registered_at", "expires_at", "last_used_at", "last_heartbeat_at", "happened_at"),
    *("fingerprint", "body", "created_by", "last_sample_at"),
}


@asynccontextmanager
async def superuser(stage: HubStage) -> AsyncIterator[Connection]:
    async with await psycopg.AsyncConnection.connect(stage.owner_url, autocommit=True, row_factory=dict_row) as one:
        yield one


def claims_of(player: Player | None, role: str = "authenticated") -> tuple[str, str]:
    """What ``BECOME`` is told for a person."""
    return role, json.dumps({} if player is None else {"sub": str(player.user_id), "role": role})


@asynccontextmanager
async def browser(stage: HubStage, role: str, player: Player | None = None) -> AsyncIterator[Connection]:
    """A transaction as the hub opens one for a person, on the hub's own login; rolled back at the end."""
    async with await psycopg.AsyncConnection.connect(stage.serving_url, row_factory=dict_row) as connection:
        await connection.execute(BECOME, claims_of(player, role))
        yield connection
        await connection.rollback()


async def rows(connection: Connection, statement: str, *values: object) -> list[dict[str, Any]]:
    return await (await connection.execute(statement.encode(), values or None)).fetchall()


async def tables(stage: HubStage) -> list[dict[str, Any]]:
    async with superuser(stage) as connection:
        return await rows(connection, TABLES)


def of(table: dict[str, Any]) -> sql.Composed:
    """Where the rows of one organization are."""
    return sql.SQL("from public.{} where {} = %s").format(
        sql.Identifier(table["name"]), sql.Identifier("organization_id" if table["has_organization"] else "id")
    )


async def everything(stage: HubStage, organization_id: UUID) -> dict[str, list[Any]]:
    """All rows of an organization, by table."""
    found: dict[str, list[Any]] = {}
    async with superuser(stage) as connection:
        for table in await rows(connection, TABLES):
            cursor = await connection.execute(sql.SQL("select * ") + of(table), (organization_id,))
            found[table["name"]] = sorted(await cursor.fetchall(), key=str)
    return found


@pytest.fixture
async def furnished(stage: HubStage, cast: Cast) -> Cast:
    """The cast, with something of theirs in every table."""
    await furnish(stage, cast)
    return cast


async def test_every_table_has_rows_to_be_guarded_in_these_tests(stage: HubStage, furnished: Cast) -> None:
    for organization_id in (furnished.organization_id, furnished.other_id):
        empty = [name for name, found in (await everything(stage, organization_id)).items() if not found]
        assert empty == [], "put a row into these tables in tests/service/furniture.py, else nothing is tested"


async def test_row_security_is_enabled_and_forced_on_every_table(stage: HubStage) -> None:
    assert [one["name"] for one in await tables(stage) if not (one["enabled"] and one["forced"])] == []


async def test_every_table_belongs_to_an_organization(stage: HubStage) -> None:
    assert [one["name"] for one in await tables(stage) if not one["has_organization"]] == ["organizations"]


async def test_every_table_has_policies_and_each_names_its_role(stage: HubStage) -> None:
    async with superuser(stage) as connection:
        policies = await rows(connection, "select tablename, policyname, roles, cmd from pg_policies")
    of_tables = {one["tablename"] for one in policies}
    assert [one["name"] for one in await tables(stage) if one["name"] not in of_tables] == []
    assert [one for one in policies if not set(one["roles"]) <= {"authenticated", "service_role"}] == []
    assert [one for one in policies if "authenticated" in one["roles"] and one["cmd"] == "ALL"] == [], "one per verb"


async def test_a_stranger_sees_nothing_of_another_organization(stage: HubStage, furnished: Cast) -> None:
    seen = []
    for table in await tables(stage):
        async with browser(stage, "authenticated", furnished.stranger) as connection:
            try:
                cursor = await connection.execute(
                    sql.SQL("select count(*) as n ") + of(table), (furnished.organization_id,)
                )
            except InsufficientPrivilege:
                continue
            row = await cursor.fetchone()
            assert row is not None
            if row["n"]:
                seen.append(table["name"])
    assert seen == []


async def test_an_owner_sees_what_is_theirs(stage: HubStage, furnished: Cast) -> None:
    """The other tests would pass as well if nobody saw anything."""
    seen = set()
    for table in await tables(stage):
        async with browser(stage, "authenticated", furnished.owner) as connection:
            try:
                cursor = await connection.execute(sql.SQL("select 1 ") + of(table), (furnished.organization_id,))
            except InsufficientPrivilege:
                continue
            if await cursor.fetchall():
                seen.add(table["name"])
    assert seen >= {"organizations", "members", "servers", "catalogues", "series", "audit_log", "enrolment_keys"}
    assert seen >= {"configurations", "reports", "checks"}


async def test_nobody_without_a_session_can_touch_any_table(stage: HubStage, furnished: Cast) -> None:
    for table in await tables(stage):
        name = sql.Identifier(table["name"])
        for verb in ("select from public.{}", "delete from public.{}", "insert into public.{} default values"):
            async with browser(stage, "anon") as connection:
                with pytest.raises(InsufficientPrivilege):
                    await connection.execute(sql.SQL(verb).format(name))


async def test_claims_that_name_nobody_see_nothing(stage: HubStage, furnished: Cast) -> None:
    for table in await tables(stage):
        async with browser(stage, "authenticated") as connection:
            try:
                cursor = await connection.execute(
                    sql.SQL("select 1 from public.{}").format(sql.Identifier(table["name"]))
                )
            except InsufficientPrivilege:
                continue
            assert await cursor.fetchall() == [], table["name"]


async def test_nobody_writes_into_another_organization(stage: HubStage, furnished: Cast) -> None:
    """Every row of the one organization, inserted again with as many columns as the role may give."""
    granted = (
        "select column_name from information_schema.column_privileges"
        " where table_schema = 'public' and table_name = %s and grantee = 'authenticated' and privilege_type = 'INSERT'"
    )
    before = await everything(stage, furnished.organization_id)
    for table in await tables(stage):
        name = table["name"]
        async with superuser(stage) as connection:
            columns = [one["column_name"] for one in await rows(connection, granted, name)]
        for row in before[name][:1]:
            given = columns or list(row)
            # In the stranger's own name: only the organization is not theirs.
            values = [
                furnished.stranger.user_id if column in ("user_id", "created_by")
                else Jsonb(row[column]) if isinstance(row[column], dict) else row[column]
                for column in given
            ]  # fmt: skip
            statement = sql.SQL("insert into public.{} ({}) overriding system value values ({})").format(
                sql.Identifier(name),
                sql.SQL(", ").join(map(sql.Identifier, given)),
                sql.SQL(", ").join([sql.Placeholder()] * len(given)),
            )
            for player in (furnished.stranger, furnished.viewer):
                async with browser(stage, "authenticated", player) as connection:
                    with pytest.raises(InsufficientPrivilege):
                        await connection.execute(statement, values)
    assert await everything(stage, furnished.organization_id) == before


async def test_nobody_changes_or_deletes_what_another_organization_owns(stage: HubStage, furnished: Cast) -> None:
    before = await everything(stage, furnished.organization_id)
    for table in await tables(stage):
        name = sql.Identifier(table["name"])
        async with superuser(stage) as connection:
            columns = await rows(
                connection,
                "select attname as name from pg_attribute where attrelid = ('public.' || quote_ident(%s))::regclass"
                " and attnum > 0 and not attisdropped and attidentity = ''",
                table["name"],
            )
        attempts = [sql.SQL("delete from public.{}").format(name)]
        for column in columns:
            attempts.append(sql.SQL("update public.{} set {c} = {c}").format(name, c=sql.Identifier(column["name"])))
            if column["name"] == "organization_id":
                moving = sql.SQL("update public.{} set organization_id = {}")
                attempts.append(moving.format(name, sql.Literal(furnished.organization_id)))
        for attempt in attempts:
            async with await psycopg.AsyncConnection.connect(stage.serving_url) as connection:
                try:
                    async with connection.transaction():
                        await connection.execute(BECOME, claims_of(furnished.stranger))
                        await connection.execute(attempt)
                except psycopg.Error:
                    continue
    assert await everything(stage, furnished.organization_id) == before


@pytest.mark.parametrize(
    ("role", "may"),
    [
        (
            "owner",
            {
                *(
                    "rename server",
                    "delete server",
                    "add key",
                    "read keys",
                    "delete key",
                    "rename organization",
                    "audit",
                ),
                "configure",
            },
        ),
        (
            "admin",
            {
                *(
                    "rename server",
                    "delete server",
                    "add key",
                    "read keys",
                    "delete key",
                    "rename organization",
                    "audit",
                ),
                "configure",
            },
        ),
        ("member", {"rename server", "configure"}),
        ("viewer", set()),
        ("stranger", set()),
    ],
)
async def test_each_role_may_do_what_its_name_says_and_no_more(
    stage: HubStage, furnished: Cast, role: str, may: set[str]
) -> None:
    player: Player = getattr(furnished, role)
    mine = furnished.organization_id
    attempts = {
        "rename server": ("update public.servers set name = 'x' where organization_id = %s returning id", [mine]),
        "delete server": ("delete from public.servers where organization_id = %s returning id", [mine]),
        "add key": (
            "insert into public.enrolment_keys (organization_id, name, prefix, hash, created_by)"
            " values (%s, 'x', 'x', sha256('x'), %s) returning id",
            [mine, player.user_id],
        ),
        "read keys": ("select id from public.enrolment_keys where organization_id = %s", [mine]),
        "delete key": ("delete from public.enrolment_keys where organization_id = %s returning id", [mine]),
        "rename organization": ("update public.organizations set name = 'x' where id = %s returning id", [mine]),
        "audit": ("select id from public.audit_log where organization_id = %s", [mine]),
        "configure": (
            "update public.configurations set version = version + 1, updated_by = %s where organization_id = %s"
            " returning version",
            [player.user_id, mine],
        ),
        # Nobody, in a browser:
        "configure as another": (
            "update public.configurations set updated_by = gen_random_uuid() where organization_id = %s"
            " returning version",
            [mine],
        ),
        "read secrets": ("select secret from public.configurations where organization_id = %s", [mine]),
        "forge a check": ("update public.checks set state = 'up' where organization_id = %s returning name", [mine]),
        "forge a report": (
            "update public.reports set digest = 'x' where organization_id = %s returning digest",
            [mine],
        ),
        "forge a delivery": (
            "update public.servers set delivery = '{}' where organization_id = %s returning id",
            [mine],
        ),
        "raise the plan": ("update public.organizations set plan = 'pro' where id = %s returning id", [mine]),
        "join": ("insert into public.members values (%s, %s, 'owner') returning user_id", [mine, player.user_id]),
        "promote": ("update public.members set role = 'owner' where organization_id = %s returning user_id", [mine]),
        "forge a mark": ("update public.servers set sequence_mark = 9 where organization_id = %s returning id", [mine]),
        "rewrite history": ("update public.audit_log set subject = '' where organization_id = %s returning id", [mine]),
        "forget history": ("delete from public.audit_log where organization_id = %s returning id", [mine]),
        "act as another": (
            "insert into public.audit_log (organization_id, user_id, action, subject)"
            " values (%s, gen_random_uuid(), 'x', 'x') returning organization_id",
            [mine],
        ),
    }
    done = set()
    for name, (statement, values) in attempts.items():
        async with browser(stage, "authenticated", player) as connection:
            try:
                if await rows(connection, statement, *values):
                    done.add(name)
            except InsufficientPrivilege:
                continue
    assert done == may


async def test_no_browser_role_reads_a_hash_or_a_password(stage: HubStage, furnished: Cast) -> None:
    async with superuser(stage) as connection:
        readable = await rows(
            connection,
            "select c.oid::regclass::text as relation, a.attname, r.rolname from pg_class c"
            " join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped"
            " cross join pg_roles r"
            " where c.relnamespace = any (%s::regnamespace[]) and a.attname ~ %s and r.rolname = any (%s)"
            " and has_column_privilege(r.oid, c.oid, a.attnum, 'select')",
            OUR_SCHEMAS,
            SECRETS,
            list(BROWSER_ROLES),
        )
    assert readable == []
    async with browser(stage, "authenticated", furnished.owner) as connection:
        with pytest.raises(InsufficientPrivilege):
            await connection.execute("select hash from public.enrolment_keys")


@pytest.mark.parametrize("schema", ["auth", "samples", "private"])
async def test_no_browser_role_reaches_a_table_outside_public(stage: HubStage, furnished: Cast, schema: str) -> None:
    async with superuser(stage) as connection:
        relations = await rows(
            connection,
            "select c.oid::regclass::text as name from pg_class c"
            " where c.relnamespace = %s::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')",
            schema,
        )
    assert relations
    for role in BROWSER_ROLES:
        async with superuser(stage) as connection:
            granted = await rows(
                connection,
                "select c.oid::regclass::text, p.verb from pg_class c,"
                " unnest('{select,insert,update,delete,truncate,references,trigger}'::text[]) p(verb)"
                " where c.relnamespace = %s::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f')"
                " and (has_table_privilege(%s, c.oid, p.verb)"
                "      or (p.verb in ('select', 'insert', 'update', 'references')"
                "          and has_any_column_privilege(%s, c.oid, p.verb)))",
                schema,
                role,
                role,
            )
            assert granted == []
        for relation in relations[:3]:
            async with browser(stage, role, furnished.owner) as connection:
                with pytest.raises(InsufficientPrivilege):
                    await connection.execute(f"select 1 from {relation['name']} limit 1".encode())


async def test_every_function_settles_its_own_search_path(stage: HubStage) -> None:
    async with superuser(stage) as connection:
        loose = await rows(
            connection,
            "select p.oid::regprocedure::text as name from pg_proc p"
            " where p.pronamespace = any (%s::regnamespace[])"
            " and not coalesce(p.proconfig, '{}') @> array['search_path=\"\"']",
            OUR_SCHEMAS,
        )
    assert loose == []


async def test_functions_that_act_with_other_rights_are_not_for_everyone(stage: HubStage) -> None:
    async with superuser(stage) as connection:
        definers = await rows(
            connection,
            "select p.oid::regprocedure::text as name, has_function_privilege('anon', p.oid, 'execute') as anon"
            " from pg_proc p where p.pronamespace = any (%s::regnamespace[]) and p.prosecdef",
            OUR_SCHEMAS,
        )
    assert definers
    assert [one["name"] for one in definers if one["anon"]] == []


async def test_every_table_and_every_column_that_is_not_obvious_has_a_comment(stage: HubStage) -> None:
    async with superuser(stage) as connection:
        silent = await rows(
            connection,
            "select c.oid::regclass::text as relation, a.attname as column from pg_class c"
            " left join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped"
            "   and a.attname <> all (%s)"
            " where c.relnamespace = any ('{public,private,samples}'::regnamespace[]) and c.relkind in ('r', 'p', 'v')"
            " and not c.relispartition"
            " and (obj_description(c.oid) is null"
            "   or (a.attnum is not null and col_description(c.oid, a.attnum) is null))"
            " order by 1, 2",
            list(OBVIOUS),
        )
    assert silent == []


async def test_every_foreign_key_between_tenants_carries_the_organization(stage: HubStage) -> None:
    async with superuser(stage) as connection:
        crossing = await rows(
            connection,
            "select k.conrelid::regclass::text as child, k.conname from pg_constraint k"
            " where k.contype = 'f' and k.connamespace = any ('{public,private}'::regnamespace[])"
            " and exists (select from pg_attribute a where a.attrelid = k.conrelid and a.attname = 'organization_id')"
            " and exists (select from pg_attribute a where a.attrelid = k.confrelid and a.attname = 'organization_id')"
            " and not exists (select from pg_attribute a where a.attrelid = k.conrelid"
            "   and a.attname = 'organization_id' and a.attnum = any (k.conkey))",
        )
    assert crossing == []


async def test_the_hubs_own_login_has_no_rights_until_it_takes_on_a_role(stage: HubStage, furnished: Cast) -> None:
    async with superuser(stage) as connection:
        (role,) = await rows(connection, "select * from pg_roles where rolname = 'twinwatch_hub'")
        for trait in ("rolsuper", "rolbypassrls", "rolcreaterole", "rolcreatedb", "rolreplication", "rolinherit"):
            assert role[trait] is False, trait
        owned = await rows(connection, "select 1 from pg_shdepend where refobjid = %s and deptype = 'o'", role["oid"])
        assert owned == []
        becomes = await rows(
            connection, "select roleid::regrole::text as role from pg_auth_members where member = %s", role["oid"]
        )
        expected = {"anon", "authenticated", "service_role", "supabase_auth_admin"}
        assert {one["role"] for one in becomes} == expected
        strong = await rows(
            connection,
            "select rolname from pg_roles where rolname = any (%s) and (rolsuper or rolbypassrls or rolcanlogin)",
            list(expected),
        )
        assert strong == []
    for table in await tables(stage):
        async with await psycopg.AsyncConnection.connect(stage.serving_url, autocommit=True) as connection:
            with pytest.raises(InsufficientPrivilege):
                await connection.execute(sql.SQL("select from public.{}").format(sql.Identifier(table["name"])))


async def test_no_statement_of_a_person_reaches_the_next_one_on_the_same_connection(
    stage: HubStage, cast: Cast
) -> None:
    """Role and claims end with the transaction."""
    async with await psycopg.AsyncConnection.connect(stage.serving_url, autocommit=True) as connection:
        async with connection.transaction():
            await connection.execute(BECOME, claims_of(cast.owner))
        cursor = await connection.execute("select current_user, current_setting('request.jwt.claims')")
        assert await cursor.fetchone() == ("twinwatch_hub", "")
