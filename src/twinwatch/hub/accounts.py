"""Organizations and how people and servers come to belong to them."""

from __future__ import annotations

import asyncio
import re
from uuid import UUID

import psycopg

from twinwatch.hub.auth import HASHER, Person, add_user
from twinwatch.hub.channels import Channels
from twinwatch.hub.db import Database
from twinwatch.hub.keys import NewKey, digest_of, new_key
from twinwatch.hub.lawful import check_text
from twinwatch.hub.policies import add_defaults as add_policies
from twinwatch.hub.refusals import Refused, forbidden, invalid, not_found
from twinwatch.hub.statements import Statements
from twinwatch.hub.stores.log import instant, milliseconds
from twinwatch.hub.views import EnrolmentKey, Organization, Setup
from twinwatch.world.clock import Clock

SQL = Statements("accounts")
AUDIT = Statements("servers")["audit"]

EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+|[^@\s]+@localhost")


class Accounts:
    """Everything about belonging. What a person may do is decided by row security, not here."""

    def __init__(self, clock: Clock, database: Database, channels: Channels) -> None:
        self._clock = clock
        self._database = database
        self._channels = channels

    async def needs_setup(self) -> bool:
        """Whether nobody owns anything yet."""
        async with self._database.as_worker() as connection:
            row = await (await connection.execute(SQL["needs_setup"])).fetchone()
        return bool(row and row["needs_setup"])

    async def setup(self, choice: Setup) -> None:
        """Makes the first owner, who is told of alerts by email from now on.

        Raises: Refused 403 ``setup-token`` for a link that is not the newest; 409 ``setup-done`` when it was used;
        422 ``invalid`` for an e-mail or a name that cannot be.
        """
        email = choice.email.strip()
        if not EMAIL.fullmatch(email):
            raise invalid(f"email: {email!r} does not look like an address")
        check_text("email", email, 254)
        check_text("organization", choice.organization.strip(), 100)
        if not await self.needs_setup():
            raise Refused(409, "setup-done", "Already set up", "This hub has an owner: sign in instead.")
        password_hash = await asyncio.to_thread(HASHER.hash, choice.password)
        async with self._database.as_worker() as connection:
            token = {"hash": digest_of(choice.token)}
            taken = await (await connection.execute(SQL["take_setup_token"], token)).fetchone()
            if taken is None:
                detail = "This set-up link is not the newest one: open the one that `twinwatch up` printed last."
                raise Refused(403, "setup-token", "Link not valid", detail)
            try:
                await self._database.become(connection, "supabase_auth_admin")
                user_id = await add_user(connection, email, password_hash, self._clock)
                await self._database.become(connection, "service_role")
            except psycopg.errors.UniqueViolation:
                raise invalid(f"email: {email} is already in use") from None
            where = {"organization": taken["organization_id"]}
            await connection.execute(SQL["name_organization"], {**where, "name": choice.organization.strip()})
            await connection.execute(SQL["add_member"], {**where, "user": user_id, "role": "owner"})
            await add_policies(connection, where["organization"], self._clock.now())
            await self._channels.add_first(connection, where["organization"], email)
            await connection.execute(
                AUDIT, {**where, "user": user_id, "action": "organization.setup", "subject": email}
            )

    async def organizations(self, person: Person) -> list[Organization]:
        """Where the person belongs, by name."""
        async with self._database.as_person(person.user_id) as connection:
            cursor = await connection.execute(SQL["my_organizations"])
            return [Organization.model_validate(row) for row in await cursor.fetchall()]

    async def enrolment_keys(self, person: Person, organization_id: UUID) -> list[EnrolmentKey]:
        """Keys that still enrol, newest first; none for those who may not see them."""
        now = instant(self._clock.now())
        async with self._database.as_person(person.user_id) as connection:
            cursor = await connection.execute(SQL["list_enrolment_keys"], {"organization": organization_id, "now": now})
            return [
                EnrolmentKey(
                    id=row["id"],
                    name=row["name"],
                    prefix=row["prefix"],
                    created_at=milliseconds(row["created_at"]),
                    last_used_at=None if row["last_used_at"] is None else milliseconds(row["last_used_at"]),
                )
                for row in await cursor.fetchall()
            ]

    async def add_enrolment_key(self, person: Person, organization_id: UUID, name: str) -> tuple[UUID, NewKey]:
        """A new key for servers to come.

        Raises: Refused 403 if the person is neither owner nor admin there.
        """
        check_text("name", name.strip(), 100)
        fresh = new_key("twe")
        key = {
            "organization": organization_id,
            "name": name.strip(),
            "prefix": fresh.prefix,
            "hash": fresh.digest,
            "user": person.user_id,
            "expires": None,
        }
        try:
            async with self._database.as_person(person.user_id) as connection:
                row = await (await connection.execute(SQL["add_enrolment_key"], key)).fetchone()
                assert row is not None  # noqa: S101
                done = {"action": "enrolment_key.add", "subject": name.strip(), "user": person.user_id}
                await connection.execute(AUDIT, {**done, "organization": organization_id})
        except psycopg.errors.InsufficientPrivilege:
            raise forbidden("Only an owner or admin of the organization may add servers.") from None
        return row["id"], fresh

    async def delete_enrolment_key(self, person: Person, key_id: UUID) -> None:
        """Revokes a key; servers that came with it stay.

        Raises: Refused 404 if there is none that the person may revoke.
        """
        async with self._database.as_person(person.user_id) as connection:
            row = await (await connection.execute(SQL["delete_enrolment_key"], {"id": key_id})).fetchone()
            if row is None:
                raise not_found("enrolment key")
            done = {"action": "enrolment_key.revoke", "subject": row["name"], "user": person.user_id}
            await connection.execute(AUDIT, {**done, "organization": row["organization_id"]})
