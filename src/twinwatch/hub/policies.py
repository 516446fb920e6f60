"""Which alerts go to whom: an organization's policies, read and written whole, since their order decides."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import msgspec
from psycopg.rows import DictRow

from twinwatch.alerts.hours import problems_of as hours_problems
from twinwatch.hub.alerting.addressees import ANY_OF_KIND
from twinwatch.hub.alerting.engine import Engine
from twinwatch.hub.auth import Person
from twinwatch.hub.db import Connection, Database
from twinwatch.hub.lawful import check_text
from twinwatch.hub.refusals import Refused, forbidden, invalid
from twinwatch.hub.statements import Statements
from twinwatch.hub.stores.log import instant
from twinwatch.hub.views_alerts import Policies as View
from twinwatch.hub.views_alerts import Policy, Recurring, SavePolicies, Selector
from twinwatch.protocol.policies import Recurring as WireRecurring
from twinwatch.protocol.policies import Step
from twinwatch.world.clock import Clock

SQL = Statements("policies")
AUDIT = Statements("servers")["audit"]

ADMINS = "Only an owner or admin of the organization may change who is told."

CHANGED = "The policies were changed meanwhile: read them, and change those."

_CRITICAL = ("kind:email", "kind:slack", "kind:pagerduty", "kind:webhook", "kind:apprise")
_DOWN = ("kind:email", "kind:sms", "kind:pagerduty", "kind:webhook", "kind:apprise")
DEFAULTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("Critical", {"severities": ["critical"], "steps": [Step(0, _CRITICAL)]}),
    ("Server down", {"severities": ["down"], "steps": [Step(0, _DOWN)]}),
    ("Warnings", {"severities": ["warning"], "steps": [Step(0, ("kind:email",))]}),
)
"""What an organization begins with: whatever channel it adds is used as its kind is meant to be."""


class Policies:
    """The policies of all organizations."""

    def __init__(self, clock: Clock, database: Database, engine: Engine) -> None:
        self._clock = clock
        self._database = database
        self._engine = engine

    async def read(self, person: Person, organization_id: UUID) -> View:
        """All of them, in their order."""
        async with self._database.as_person(person.user_id) as connection:
            cursor = await connection.execute(SQL["list"], {"organization": organization_id})
            rows = await cursor.fetchall()
        return View(
            policies=[Policy.model_validate({**row["body"], "id": row["id"], "name": row["name"]}) for row in rows],
            version=_version(rows),
        )

    async def save(self, person: Person, organization_id: UUID, wanted: SavePolicies) -> None:
        """Replaces them.

        Raises: Refused 403; 409 if they are not those of the version that was read; 422 for what is unlawful.
        """
        for policy in wanted.policies:
            _check(policy)
        now = self._clock.now()
        async with self._database.as_person(person.user_id) as connection:
            where = {"organization": organization_id}
            if await (await connection.execute(SQL["lock"], where)).fetchone() is None:
                raise forbidden(ADMINS)
            if wanted.version is not None:
                stored = await (await connection.execute(SQL["list"], where)).fetchall()
                if wanted.version != _version(stored):
                    raise Refused(409, "version", "Changed meanwhile", CHANGED)
            cursor = await connection.execute(SQL["channels"], where)
            known = {str(row["id"]) for row in await cursor.fetchall()}
            for policy in wanted.policies:
                _check_channels(policy, known)
            ids = [policy.id or uuid4() for policy in wanted.policies]
            if len(set(ids)) != len(ids):
                raise invalid("policies: an id stands there twice")
            await connection.execute(SQL["delete_others"], {**where, "ids": ids})
            for position, (identity, policy) in enumerate(zip(ids, wanted.policies, strict=True)):
                body = policy.model_dump(mode="json", exclude={"id", "name"}, exclude_defaults=True)
                values = {
                    **where,
                    "id": identity,
                    "position": position,
                    "name": policy.name.strip(),
                    "body": msgspec.json.encode(body).decode(),
                    "now": instant(now),
                }
                if await (await connection.execute(SQL["save"], values)).fetchone() is None:
                    raise invalid(f"policy {policy.name}: its id is another organization's")
            done = {"user": person.user_id, "action": "policies.save", "subject": f"{len(ids)} policies"}
            await connection.execute(AUDIT, {**where, **done})
            await self._database.become(connection, "service_role")
            await self._engine.look_at_all(connection, organization_id, now)


async def add_defaults(connection: Connection, organization_id: UUID, now: int) -> None:
    """The policies that an organization begins with, written by the hub."""
    for position, (name, body) in enumerate(DEFAULTS):
        values = {
            "organization": organization_id,
            "id": uuid4(),
            "position": position,
            "name": name,
            "body": msgspec.json.encode(body).decode(),
            "now": instant(now),
        }
        await connection.execute(SQL["save"], values)


def check_selector(what: str, selector: Selector) -> None:
    """Texts that can be stored.

    Raises: Refused 422.
    """
    for tag in selector.tags:
        check_text(f"{what}, tag", tag, 50)
    check_text(f"{what}, rule", selector.rule, 200, empty=True)


def check_hours(what: str, hours: Recurring | None) -> None:
    """A time zone that there is, and times of the day.

    Raises: Refused 422.
    """
    if hours is None:
        return
    check_text(f"{what}, zone", hours.zone, 60)
    if any(day not in range(7) for day in hours.days):
        raise invalid(f"{what}, days: expected 0 for Monday to 6 for Sunday")
    found = WireRecurring(hours.zone, hours.start, hours.end, tuple(hours.days))
    if problems := hours_problems(found, ZoneInfo):
        raise invalid(f"{what}, {problems[0]}")


def _version(rows: Sequence[DictRow]) -> str:
    stored = [(row["id"], row["name"], row["body"]) for row in rows]
    return blake2b(msgspec.json.encode(stored, order="deterministic"), digest_size=16).hexdigest()


def _check(policy: Policy) -> None:
    what = f"policy {policy.name.strip()[:40]}"
    check_text("policies: name", policy.name.strip(), 100)
    check_selector(what, policy.what)
    check_hours(f"{what}, quiet hours", policy.quiet)
    if not policy.steps:
        raise invalid(f"{what}: expected at least one step; without channels it tells nobody")
    times = [step.after_seconds for step in policy.steps]
    if times[0] != 0 or times != sorted(set(times)):
        raise invalid(f"{what}, steps: expected the first at once, and each later than the one before")


def _check_channels(policy: Policy, known: set[str]) -> None:
    for step in policy.steps:
        for channel in step.channels:
            check_text(f"policy {policy.name[:40]}, channel", channel, 60)
            if not channel.startswith(ANY_OF_KIND) and channel not in known:
                raise invalid(f"policy {policy.name}: there is no channel {channel} in this organization")
