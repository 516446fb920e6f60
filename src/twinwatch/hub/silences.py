"""Silences: times in which alerts are recorded and nobody is told, at the hub and, by the bundle, at the agents."""

from __future__ import annotations

from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import psycopg

from twinwatch.alerts.hours import end_of
from twinwatch.hub.alerting.addressees import silence_of
from twinwatch.hub.alerting.engine import Engine
from twinwatch.hub.auth import Person
from twinwatch.hub.db import Database
from twinwatch.hub.lawful import check_text
from twinwatch.hub.policies import check_hours, check_selector
from twinwatch.hub.refusals import forbidden, invalid, not_found
from twinwatch.hub.statements import Statements
from twinwatch.hub.stores.log import instant
from twinwatch.hub.views_alerts import NewSilence, Recurring, Selector
from twinwatch.hub.views_alerts import Silence as View
from twinwatch.world.clock import Clock

SQL = Statements("silences")
AUDIT = Statements("servers")["audit"]

SHOWN_MILLISECONDS = 30 * 24 * 3600 * 1000
VIEWER = "A viewer of the organization may not silence its alerts."


class Silences:
    """The silences of all organizations."""

    def __init__(self, clock: Clock, database: Database, engine: Engine) -> None:
        self._clock = clock
        self._database = database
        self._engine = engine

    async def of(self, person: Person, organization_id: UUID) -> list[View]:
        """Those that hold, that are to come, and that ended of late; newest first."""
        now = self._clock.now()
        async with self._database.as_person(person.user_id) as connection:
            asked = {"organization": organization_id, "since": instant(now - SHOWN_MILLISECONDS)}
            rows = await (await connection.execute(SQL["list"], asked)).fetchall()
        found = []
        for row in rows:
            silence = silence_of(row)
            holds = silence.since <= now and (not silence.until or silence.until > now)
            if silence.again is not None:
                holds = holds and end_of(silence.again, now, ZoneInfo) is not None
            view = View(
                id=row["id"],
                organization_id=row["organization_id"],
                comment=row["comment"],
                what=Selector.model_validate(row["body"].get("what", {})),
                again=None if silence.again is None else Recurring.model_validate(row["body"]["again"]),
                starts_at=silence.since,
                ends_at=silence.until or None,
                author=row["author"],
                active=holds,
            )
            found.append(view)
        return found

    async def add(self, person: Person, wanted: NewSilence) -> UUID:
        """A new silence, for open alerts too.

        Raises: Refused 403; 422 for what is unlawful.
        """
        check_text("comment", wanted.comment, 500, empty=True)
        check_selector("silence", wanted.what)
        check_hours("silence", wanted.again)
        now = self._clock.now()
        starts = now if wanted.starts_at is None else wanted.starts_at
        if wanted.ends_at is not None and wanted.ends_at <= max(starts, now):
            raise invalid("ends_at: expected later than now and than starts_at")
        body = wanted.model_dump(mode="json", include={"what", "again"}, exclude_defaults=True, exclude_none=True)
        values = {
            "organization": wanted.organization_id,
            "comment": wanted.comment.strip(),
            "body": msgspec.json.encode(body).decode(),
            "starts": instant(starts),
            "ends": None if wanted.ends_at is None else instant(wanted.ends_at),
            "user": person.user_id,
            "author": person.email,
            "now": instant(now),
        }
        try:
            async with self._database.as_person(person.user_id) as connection:
                row = await (await connection.execute(SQL["add"], values)).fetchone()
                assert row is not None  # noqa: S101
                done = {"user": person.user_id, "action": "silence.add", "subject": wanted.comment.strip() or "silence"}
                await connection.execute(AUDIT, {**done, "organization": wanted.organization_id})
                await self._database.become(connection, "service_role")
                await self._engine.look_at_all(connection, wanted.organization_id, now)
        except psycopg.errors.InsufficientPrivilege:
            raise forbidden(VIEWER) from None
        identity: UUID = row["id"]
        return identity

    async def end(self, person: Person, silence_id: UUID) -> UUID:
        """Ends a silence now: what is still open is told. Its organization is the result.

        Raises: Refused 404, 403.
        """
        now = self._clock.now()
        async with self._database.as_person(person.user_id) as connection:
            known = await (await connection.execute(SQL["one"], {"silence": silence_id})).fetchone()
            if known is None:
                raise not_found("silence")
            asked = {"silence": silence_id, "now": instant(now)}
            row = await (await connection.execute(SQL["end"], asked)).fetchone()
            organization_id: UUID = known["organization_id"]
            if row is None:
                allowed = await (
                    await connection.execute(SQL["may_write"], {"organization": organization_id})
                ).fetchone()
                if allowed is None:
                    raise forbidden(VIEWER)
                return organization_id  # it had ended already
            done = {"user": person.user_id, "action": "silence.end", "subject": row["comment"] or "silence"}
            await connection.execute(AUDIT, {**done, "organization": organization_id})
            await self._database.become(connection, "service_role")
            await self._engine.look_at_all(connection, organization_id, now)
        return organization_id
