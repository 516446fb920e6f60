"""What each server shall watch: saved by people, fetched by agents.

Invariants: a version is saved only on top of the one that was read; secret values are sealed at rest, are told to the
server's own agent and to nobody else, and stand in no log, error or audit line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec
import psycopg
from psycopg.rows import DictRow

from twinwatch.hub import masks
from twinwatch.hub.agents import Speaker
from twinwatch.hub.auth import Person
from twinwatch.hub.db import Database
from twinwatch.hub.lawful_configurations import check_configuration, check_size, name_of
from twinwatch.hub.refusals import DELETED, Refused, forbidden, invalid, not_found, unauthorized
from twinwatch.hub.statements import Statements
from twinwatch.hub.stores.log import instant, milliseconds
from twinwatch.hub.vault import Unopened, Vault
from twinwatch.hub.views import Configuration as View
from twinwatch.hub.views import ConfigurationMonitor, ConfigurationStanding, MonitorKind, Rule, SaveConfiguration
from twinwatch.protocol.configuration import Configuration
from twinwatch.world.clock import Clock

SQL = Statements("configurations")
AUDIT = Statements("servers")["audit"]

LOST_RETRY_SECONDS = 600
LOST = (
    "The hub's secret is another than when this configuration was saved, so its secret values cannot be read: "
    "start the hub with the old TWINWATCH_SECRET, or enter the values again."
)
VIEWER = "A viewer of the organization may not change configurations."
NAMED_CHANGES = 8

Body = dict[str, Any]
"""``{"monitors": [...], "rules": [...]}``, as on the wire."""


class Configurations:
    """The configurations of all servers."""

    def __init__(self, clock: Clock, database: Database, vault: Vault) -> None:
        self._clock = clock
        self._database = database
        self._vault = vault

    async def read(self, person: Person, server_id: UUID) -> View:
        """The configuration as people see it: secret values masked.

        Raises: Refused 404 if there is no such server that the person may see.
        """
        async with self._database.as_person(person.user_id) as connection:
            row = await (await connection.execute(SQL["read"], {"server": server_id})).fetchone()
        if row is None:
            raise not_found("server")
        return self._view(row)

    async def save(self, person: Person, server_id: UUID, wanted: SaveConfiguration) -> int:
        """Saves the next version and returns its number. A ``***`` keeps the secret that stands there.

        Raises: Refused 404 if the person may not see the server, 403 if not change it; 409 ``version`` if another
        version was saved meanwhile, 409 ``secrets-lost`` if a kept secret cannot be read; 422 for what is unlawful.
        """
        check_configuration(wanted)
        async with self._database.as_person(person.user_id) as connection:
            row = await (await connection.execute(SQL["read"], {"server": server_id})).fetchone()
        if row is None:
            raise not_found("server")
        if (row["version"] or 0) != wanted.version:
            raise _outdated(row)
        schemas = _schemas(row)
        before: Body = row["body"] or {"monitors": [], "rules": []}
        body: Body = wanted.model_dump(include={"monitors", "rules"}, exclude_defaults=True)
        monitors = body.setdefault("monitors", [])
        body.setdefault("rules", [])
        kept = [set(masks.places(one.get("options", {}))) for one in monitors]
        if any(kept):
            whole = await self._with_secrets(server_id, wanted.version, before)
            _keep_secrets(monitors, before.get("monitors", []), whole, schemas)
            check_size(body)
        hidden, secrets = _hidden(monitors, schemas, kept)
        sealed = self._vault.seal(server_id, wanted.version + 1, msgspec.json.encode(secrets)) if secrets else None
        saved = {
            "organization": row["organization_id"],
            "server": server_id,
            "version": wanted.version,
            "body": msgspec.json.encode({"monitors": hidden, "rules": body["rules"]}).decode(),
            "secret": sealed,
            "key": self._vault.key_id if sealed else None,
            "now": instant(self._clock.now()),
            "user": person.user_id,
            "author": person.email,
        }
        summary = _summary(row["name"], wanted.version + 1, before, hidden, body["rules"], bool(secrets))
        done = {
            "organization": row["organization_id"],
            "user": person.user_id,
            "action": "configuration.save",
            "subject": summary,
        }
        try:
            async with self._database.as_person(person.user_id) as connection:
                saving = SQL["save_next" if wanted.version else "save_first"]
                written = await (await connection.execute(saving, saved)).fetchone()
                if written is None:
                    now = await (await connection.execute(SQL["version"], {"server": server_id})).fetchone()
                    # The same version still, and yet not changed: row security let them see the row, no more.
                    raise forbidden(VIEWER) if now and now["version"] == wanted.version else _outdated(now)
                await connection.execute(AUDIT, done)
        except psycopg.errors.InsufficientPrivilege:
            raise forbidden(VIEWER) from None
        except psycopg.errors.ForeignKeyViolation:
            raise not_found("server") from None
        return wanted.version + 1

    async def of_agent(self, speaker: Speaker) -> Configuration:
        """The configuration with its secrets, for the server's own agent; version 0 if there is none.

        Raises: Refused 401 if the server is gone; Refused 503 ``secrets-lost`` if its secrets cannot be read.
        """
        async with self._database.as_worker() as connection:
            row = await (await connection.execute(SQL["for_agent"], {"server": speaker.server_id})).fetchone()
        if row is None:
            raise unauthorized(DELETED)
        if row["version"] is None:
            return Configuration()
        monitors = row["body"].get("monitors", [])
        if row["secret"] is not None:
            try:
                monitors = self._opened(speaker.server_id, row, monitors)
            except Unopened:
                raise Refused(
                    503, "secrets-lost", "Secrets lost", LOST, retry_after_seconds=LOST_RETRY_SECONDS
                ) from None
        found = {"version": row["version"], "monitors": monitors, "rules": row["body"].get("rules", [])}
        return msgspec.convert(found, Configuration)

    async def version(self, server_id: UUID) -> int:
        """The version that the agent should run; 0: none."""
        async with self._database.as_worker() as connection:
            row = await (await connection.execute(SQL["version"], {"server": server_id})).fetchone()
        return 0 if row is None else int(row["version"])

    async def _with_secrets(self, server_id: UUID, version: int, before: Body) -> list[Body]:
        async with self._database.as_worker() as connection:
            row = await (await connection.execute(SQL["secret"], {"server": server_id})).fetchone()
        monitors: list[Body] = before.get("monitors", [])
        if row is None or row["secret"] is None:
            return monitors
        if row["version"] != version:
            raise _outdated(row)
        try:
            return self._opened(server_id, row, monitors)
        except Unopened:
            raise Refused(409, "secrets-lost", "Secrets lost", LOST) from None

    def _opened(self, server_id: UUID, row: DictRow, monitors: list[Body]) -> list[Body]:
        if row["secret_key_id"] != self._vault.key_id:
            raise Unopened
        secrets = msgspec.json.decode(self._vault.open(server_id, row["version"], row["secret"]))
        whole: list[Body] = masks.restored(monitors, secrets)
        return whole

    def _view(self, row: DictRow) -> View:
        schemas = _schemas(row)
        body: Body = row["body"] or {}
        # Masked again: what was saved before the agent declared its kinds may turn out to be secret.
        hidden, _ = _hidden(body.get("monitors", []), schemas)
        return View(
            version=row["version"] or 0,
            monitors=[ConfigurationMonitor.model_validate(one) for one in hidden],
            rules=[Rule.model_validate(one) for one in body.get("rules", [])],
            updated_at=None if row["updated_at"] is None else milliseconds(row["updated_at"]),
            updated_by=row["author"] or None,
            secrets_lost=row["secret_key_id"] not in (None, self._vault.key_id),
            standing=None if row["standing"] is None else ConfigurationStanding.model_validate(row["standing"]),
            reported_at=None if row["reported_at"] is None else milliseconds(row["reported_at"]),
            kinds=[MonitorKind.model_validate(one) for one in row["kinds"] or []],
        )


def _schemas(row: DictRow) -> dict[str, Mapping[str, Any]]:
    return {kind["type"]: kind.get("options", {}) for kind in row["kinds"] or []}


def _hidden(
    monitors: list[Body], schemas: Mapping[str, Mapping[str, Any]], kept: Sequence[set[masks.Path]] = ()
) -> tuple[list[Body], masks.Secrets]:
    """The monitors, masked, and their secrets by paths that begin with the monitor's place.

    ``kept`` says of each monitor where a secret was kept, which stays one: the agent may call it so no more by now.
    """
    found: list[Body] = []
    secrets: masks.Secrets = []
    for place, monitor in enumerate(monitors):
        also = kept[place] if kept else ()
        hidden, taken = masks.masked(monitor.get("options", {}), schemas.get(monitor["type"]), also)
        found.append({**monitor, "options": hidden} if hidden else monitor)
        secrets += [([place, "options", *path], value) for path, value in taken]
    return found, secrets


def _keep_secrets(
    monitors: list[Body], stored: list[Body], whole: list[Body], schemas: Mapping[str, Mapping[str, Any]]
) -> None:
    """Puts the secrets of before in place of each ``***``: of the same monitor, by type and name.

    ``stored`` is what was saved before, masked; ``whole`` the same with its secrets.
    """
    old = {
        (one["type"], name_of(one)): (one.get("options", {}), masking.get("options", {}))
        for one, masking in zip(whole, stored, strict=True)
    }
    for monitor in monitors:
        options, hidden = old.get((monitor["type"], name_of(monitor)), ({}, {}))
        try:
            if "options" in monitor:
                schema = schemas.get(monitor["type"])
                kept = masks.kept(monitor["options"], options, schema, hidden)
                if kept != monitor["options"] and masks.leads_elsewhere(kept, options, schema):
                    raise invalid(f"monitor {name_of(monitor)}, {masks.ELSEWHERE}")
                monitor["options"] = kept
        except masks.NothingKept as err:
            raise invalid(
                f"monitor {name_of(monitor)}, option {err}: no secret is kept here that *** could stand for; enter it"
            ) from None


def _outdated(row: DictRow | None) -> Refused:
    now = row["version"] if row is not None and row["version"] else 0
    detail = f"The configuration is at version {now}, not at the one that was changed: read it, and change that one."
    return Refused(409, "version", "Changed meanwhile", detail)


def _summary(name: str, version: int, before: Body, monitors: list[Body], rules: list[Body], secrets: bool) -> str:
    """What changed, by names alone: ``web-1, version 3: 2 monitors, 1 rule; added postgres; removed http``."""
    old = {name_of(one): one for one in before.get("monitors", [])}
    new = {name_of(one): one for one in monitors}
    changes = {
        "added": [one for one in new if one not in old],
        "removed": [one for one in old if one not in new],
        "changed": [one for one in new if one in old and new[one] != old[one]],
    }
    told = [f"{len(monitors)} monitors, {len(rules)} rules"]
    for verb, names in changes.items():
        if names:
            more = f" and {len(names) - NAMED_CHANGES} more" if len(names) > NAMED_CHANGES else ""
            told.append(f"{verb} {', '.join(names[:NAMED_CHANGES])}{more}")
    if before.get("rules", []) != rules:
        told.append("rules changed")
    if secrets:
        told.append("with secrets")
    return f"{name}, version {version}: {'; '.join(told)}"
