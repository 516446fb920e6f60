"""Rules of organizations: for all its servers, for those with a tag, for one; and what they come to for each server.

Of rules of one name the nearest stands: a server's own, else its tag's (by the tags' order), else the organization's,
else what the monitors or the hub bring along.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

import msgspec
import psycopg
from psycopg.rows import DictRow

from twinwatch.alerts.liveness import Ladder, Threshold, ladder_of
from twinwatch.hub.auth import Person
from twinwatch.hub.db import Connection, Database
from twinwatch.hub.lawful import check_text
from twinwatch.hub.lawful_configurations import check_rule
from twinwatch.hub.probing.judge import DEFAULTS as PROBE_RULES
from twinwatch.hub.refusals import Refused, forbidden, invalid, not_found, over_limit
from twinwatch.hub.settings import Patience
from twinwatch.hub.statements import Statements
from twinwatch.hub.stores.log import instant, milliseconds
from twinwatch.hub.views import Rule as RuleView
from twinwatch.hub.views_alerts import DefaultRule, SaveRule, ScopedRule, StoredRule
from twinwatch.hub.views_alerts import Rules as View
from twinwatch.protocol.durations import duration, spelled
from twinwatch.protocol.limits import RULES_PER_SERVER
from twinwatch.protocol.rules import Rule
from twinwatch.world.clock import Clock

SQL = Statements("rules")
AUDIT = Statements("servers")["audit"]

VIEWER = "A viewer of the organization may not change its rules."


class Rules:
    """The rules of all organizations."""

    def __init__(self, clock: Clock, database: Database, patience: Patience) -> None:
        self._clock = clock
        self._database = database
        self._patience = patience

    async def read(self, person: Person, organization_id: UUID) -> View:
        """What was saved, and what comes along."""
        async with self._database.as_person(person.user_id) as connection:
            asked = {"organization": organization_id}
            rows = await (await connection.execute(SQL["list"], asked)).fetchall()
            declared = await (await connection.execute(SQL["declared"], asked)).fetchall()
        return View(rules=[_view(row) for row in rows], defaults=[*self._own(len(declared)), *_declared(declared)])

    async def add(self, person: Person, organization_id: UUID, wanted: ScopedRule) -> UUID:
        """A new rule.

        Raises: Refused 403; 422 for what is unlawful or a second one of its name and scope.
        """
        values = self._values(person, wanted)
        async with self._database.as_person(person.user_id) as connection:
            row = await (await connection.execute(SQL["count"], {"organization": organization_id})).fetchone()
            if row is not None and row["count"] >= RULES_PER_SERVER:
                raise over_limit(f"an organization has at most {RULES_PER_SERVER} rules", RULES_PER_SERVER)
            adding = {**values, "organization": organization_id}
            added = await self._write(connection, SQL["add"], adding, person, organization_id, "rule.add", wanted)
        assert added is not None  # noqa: S101
        identity: UUID = added["id"]
        return identity

    async def change(self, person: Person, rule_id: UUID, wanted: SaveRule) -> UUID:
        """Changes a rule; its organization is the result.

        Raises: Refused 404, 403; 409 if it was changed meanwhile; 422.
        """
        async with self._database.as_person(person.user_id) as connection:
            before = await (await connection.execute(SQL["one"], {"rule": rule_id})).fetchone()
            if before is None:
                raise not_found("rule")
            values = {**self._values(person, wanted), "rule": rule_id, "version": wanted.version}
            organization_id: UUID = before["organization_id"]
            done = await self._write(connection, SQL["change"], values, person, organization_id, "rule.change", wanted)
            if done is None:
                if before["version"] == wanted.version:
                    raise forbidden(VIEWER)
                raise Refused(409, "version", "Changed meanwhile", "The rule was changed meanwhile: read it again.")
        return organization_id

    async def delete(self, person: Person, rule_id: UUID) -> UUID:
        """Removes a rule; what it fired is resolved by whoever judged it. Its organization is the result.

        Raises: Refused 404, 403.
        """
        async with self._database.as_person(person.user_id) as connection:
            if await (await connection.execute(SQL["one"], {"rule": rule_id})).fetchone() is None:
                raise not_found("rule")
            gone = await (await connection.execute(SQL["delete"], {"rule": rule_id})).fetchone()
            if gone is None:
                raise forbidden(VIEWER)
            organization_id: UUID = gone["organization_id"]
            done = {"user": person.user_id, "action": "rule.delete", "subject": gone["name"]}
            await connection.execute(AUDIT, {**done, "organization": organization_id})
            await self._database.become(connection, "service_role")
            await self.refresh(connection, organization_id)
            return organization_id

    async def refresh(self, connection: Connection, organization_id: UUID, server_id: UUID | None = None) -> None:
        """Reckons anew which silences count for the organization's servers, as ``service_role``."""
        asked = {"organization": organization_id, "server": server_id}
        rules = await (await connection.execute(SQL["for_servers"], asked)).fetchall()
        servers = await (await connection.execute(SQL["servers"], asked)).fetchall()
        for server in servers:
            ladder = self._ladder(effective(rules, server["id"], server["tags"]))
            kept = [list(rung) for rung in ladder]
            wanted = None if ladder == self._patience.ladder else kept
            if wanted != server["ladder"]:
                values = {
                    "server": server["id"],
                    "ladder": None if wanted is None else msgspec.json.encode(wanted).decode(),
                    "alarm": None if wanted is None else (ladder[0].seconds if ladder else 1e9),
                }
                await connection.execute(SQL["set_ladder"], values)

    async def refresh_one(self, organization_id: UUID, server_id: UUID) -> None:
        """Reckons anew which silences count for one server."""
        async with self._database.as_worker() as connection:
            await self.refresh(connection, organization_id, server_id)

    def _ladder(self, rules: Iterable[Rule]) -> Ladder:
        silent = {rule.name: rule for rule in rules if rule.silent}
        named = {rung.rule: rung for rung in self._patience.ladder}
        for name, rule in silent.items():
            named.pop(name, None)
            if rule.enabled:
                named[name] = Threshold(float(duration(rule.silent)), rule.severity, name)
        # A rule of a default's name that says something else, or is off, takes its place.
        for rule in rules:
            if rule.name in named and not rule.silent:
                del named[rule.name]
        return ladder_of(list(named.values()))

    async def _write(
        self, connection: Connection, statement: Any, values: dict[str, Any], person: Person, organization_id: UUID,
        action: str, wanted: ScopedRule,
    ) -> DictRow | None:  # fmt: skip
        try:
            row = await (await connection.execute(statement, values)).fetchone()
        except psycopg.errors.InsufficientPrivilege:
            raise forbidden(VIEWER) from None
        except psycopg.errors.UniqueViolation:
            raise invalid(f"rule {wanted.rule.name}: there is one of this name and scope already") from None
        except psycopg.errors.ForeignKeyViolation:
            raise not_found("server") from None
        if row is not None:
            done = {"user": person.user_id, "action": action, "subject": wanted.rule.name}
            await connection.execute(AUDIT, {**done, "organization": organization_id})
            await self._database.become(connection, "service_role")
            await self.refresh(connection, organization_id)
        return row

    def _values(self, person: Person, wanted: ScopedRule) -> dict[str, Any]:
        check_rule(wanted.rule)
        check_text("tag", wanted.tag, 50, empty=wanted.scope != "tag")
        if (wanted.scope == "server") != (wanted.server_id is not None):
            raise invalid("server_id: expected for the scope server, and only then")
        if wanted.scope != "tag" and wanted.tag:
            raise invalid("tag: expected for the scope tag, and only then")
        body = wanted.rule.model_dump(mode="json", exclude_defaults=True)
        return {
            "scope": wanted.scope,
            "tag": wanted.tag,
            "server": wanted.server_id,
            "name": wanted.rule.name,
            "body": msgspec.json.encode(body).decode(),
            "now": instant(self._clock.now()),
            "user": person.user_id,
            "author": person.email,
        }

    def _own(self, servers: int) -> list[DefaultRule]:
        silent = [
            DefaultRule(
                monitor="",
                rule=RuleView.model_validate(
                    {"name": rung.rule, "severity": rung.severity, "silent": spelled(rung.seconds)}
                ),
                servers=servers,
            )
            for rung in self._patience.ladder
        ]
        probing = [
            DefaultRule(monitor="", rule=RuleView.model_validate(msgspec.to_builtins(rule)), servers=0)
            for rule in PROBE_RULES
        ]
        return [*silent, *probing]


def effective(rules: Sequence[DictRow], server_id: UUID, tags: Sequence[str]) -> tuple[Rule, ...]:
    """The rules of an organization that count for a server, one of each name, by name."""
    order = {tag: place for place, tag in enumerate(tags)}

    def nearness(row: DictRow) -> int:
        if row["scope"] == "server":
            return 0
        return 1 + order[row["tag"]] if row["scope"] == "tag" else 1000

    meant = [
        row
        for row in rules
        if row["scope"] == "organization"
        or (row["scope"] == "tag" and row["tag"] in order)
        or (row["scope"] == "server" and row["server_id"] == server_id)
    ]
    found: dict[str, Rule] = {}
    for row in sorted(meant, key=nearness):
        rule = msgspec.convert(row["body"], Rule)
        found.setdefault(rule.name, rule)
    return tuple(found[name] for name in sorted(found))


def _declared(rows: Iterable[DictRow]) -> list[DefaultRule]:
    """The rules that agents declare, under the names that they have there, with how many servers have each."""
    counted: Counter[str] = Counter()
    found: dict[str, DefaultRule] = {}
    for row in rows:
        for monitor in row["monitors"] or []:
            for body in monitor.get("rules", []):
                name = f"{monitor['name']}: {body['name']}"
                check = f"{monitor['name']}:{body['check']}" if body.get("check") else ""
                counted[name] += 1
                rule = RuleView.model_validate({**body, "name": name} | ({"check": check} if check else {}))
                found[name] = DefaultRule(monitor=monitor["name"], rule=rule, servers=0)
    return [found[name].model_copy(update={"servers": counted[name]}) for name in sorted(found)]


def _view(row: DictRow) -> StoredRule:
    return StoredRule(
        id=row["id"],
        organization_id=row["organization_id"],
        scope=row["scope"],
        tag=row["tag"],
        server_id=row["server_id"],
        rule=RuleView.model_validate(row["body"]),
        version=row["version"],
        updated_at=milliseconds(row["updated_at"]),
        author=row["author"],
    )
