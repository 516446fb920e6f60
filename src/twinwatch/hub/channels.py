"""Channels of organizations: made by people, opened by those who send.

Invariants: credentials are sealed at rest, bound to the channel and its version; they are told to the organization's
own agents (where a channel is ``direct``) and to nobody else; a ``***`` that is written back keeps what stands there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import msgspec
import psycopg
from psycopg.rows import DictRow

from twinwatch.hub import masks
from twinwatch.hub.alerting.queue import Queue
from twinwatch.hub.auth import Person
from twinwatch.hub.db import Connection, Database
from twinwatch.hub.lawful import check_json, check_text
from twinwatch.hub.refusals import Refused, forbidden, invalid, not_found, over_limit
from twinwatch.hub.statements import Statements
from twinwatch.hub.stores.log import instant, milliseconds
from twinwatch.hub.vault import Unopened, Vault
from twinwatch.hub.views_alerts import Channel as View
from twinwatch.hub.views_alerts import ChannelKind, Path, SaveChannel, TestOutcome
from twinwatch.notify import Channel
from twinwatch.protocol.bundle import DirectChannel
from twinwatch.world.clock import Clock

log = logging.getLogger(__name__)

SQL = Statements("channels")
AUDIT = Statements("servers")["audit"]

CHANNELS = 100
SETTINGS_BYTES = 32 << 10
TEST_SECONDS = 20.0
TEST_LOOK_SECONDS = 0.1
LOST = "The hub's secret is another than when this channel was saved: enter its credentials again."
ADMINS = "Only an owner or admin of the organization may change where notifications go."


class Unusable(Exception):
    """The channel cannot be used as it is: its kind is not installed, its settings are not lawful, or its secret cannot
    be read. The message says which, without a secret."""


@dataclass(frozen=True, slots=True)
class Kinds:
    """The kinds of channels of this installation, and how settings become theirs.

    ``settings_of`` raises msgspec.ValidationError. ``for_agents`` says what of a channel's settings agents are given;
    None: they cannot use it.
    """

    kinds: Mapping[str, type[Channel]]
    settings_of: Callable[[type[Channel], Mapping[str, Any]], Any]
    schema_of: Callable[[type[Channel]], dict[str, Any]]
    for_agents: Callable[[str, Mapping[str, Any]], Mapping[str, Any] | None] = lambda kind, settings: settings


class Channels:
    """The channels of all organizations. ``wake`` hurries the outbox."""

    def __init__(
        self,
        clock: Clock,
        database: Database,
        vault: Vault,
        kinds: Kinds,
        wake: Callable[[], None],
    ) -> None:
        self._clock = clock
        self._database = database
        self._vault = vault
        self._kinds = kinds
        self._schemas = {name: kinds.schema_of(kind) for name, kind in kinds.kinds.items()}
        self._queue = Queue(database, wake)

    @property
    def longest_deadline_seconds(self) -> float:
        """What one message may take at most."""
        return max((kind.deadline_seconds for kind in self._kinds.kinds.values()), default=30.0)

    def offered(self) -> list[ChannelKind]:
        """The kinds that there are, with the JSON Schema of their settings."""
        return [
            ChannelKind(kind=name, title=kind.title, help=(kind.__doc__ or "").strip(), settings=self._schemas[name])
            for name, kind in sorted(self._kinds.kinds.items(), key=lambda item: item[1].title)
        ]

    async def of(self, person: Person, organization_id: UUID) -> list[View]:
        """The organization's channels by name, with the paths on which they were tried."""
        async with self._database.as_person(person.user_id) as connection:
            asked = {"organization": organization_id}
            rows = await (await connection.execute(SQL["list"], asked)).fetchall()
            paths = await (await connection.execute(SQL["paths"], asked)).fetchall()
        return [self._view(row, [path for path in paths if path["channel_id"] == row["id"]]) for row in rows]

    async def one(self, person: Person, channel_id: UUID) -> View:
        """One channel.

        Raises: Refused 404 if there is none that the person may see.
        """
        row = await self._row(person, channel_id)
        return next(one for one in await self.of(person, row["organization_id"]) if one.id == channel_id)

    async def add(self, person: Person, organization_id: UUID, wanted: SaveChannel) -> UUID:
        """A new channel.

        Raises: Refused 422 for settings that are not lawful; Refused 403 for who may not.
        """
        channel_id = uuid4()
        settings = self._kept(wanted.kind, wanted.settings, {}, {})
        saved = self._saved(channel_id, 1, wanted, settings)
        values = {**saved, "organization": organization_id, "kind": wanted.kind, "user": person.user_id}
        try:
            async with self._database.as_person(person.user_id) as connection:
                row = await (await connection.execute(SQL["count"], {"organization": organization_id})).fetchone()
                if row is not None and row["count"] >= CHANNELS:
                    raise over_limit(f"an organization has at most {CHANNELS} channels", CHANNELS)
                await connection.execute(SQL["add"], values)
                await connection.execute(AUDIT, _audit(person, organization_id, "channel.add", wanted.name))
        except psycopg.errors.InsufficientPrivilege:
            raise forbidden(ADMINS) from None
        except psycopg.errors.UniqueViolation:
            raise invalid(f"name: there is a channel named {wanted.name.strip()!r} already") from None
        return channel_id

    async def add_first(self, connection: Connection, organization_id: UUID, email: str) -> None:
        """The channel that an organization begins with, written by the hub: mail to its owner, if mail can be had."""
        wanted = SaveChannel(version=0, name="Email", kind="email", settings={"recipients": [email]})
        try:
            saved = self._saved(uuid4(), 1, wanted, wanted.settings)
        except Refused as err:
            log.warning("no mail to %s: %s", email, err.detail)
            return
        values = {**saved, "organization": organization_id, "kind": wanted.kind, "user": None}
        await connection.execute(SQL["add"], values)

    async def change(self, person: Person, channel_id: UUID, wanted: SaveChannel) -> None:
        """Changes a channel; its kind stays.

        Raises: Refused 404, 403; 409 if it was changed meanwhile or its secrets cannot be read; 422 for the unlawful.
        """
        row = await self._row(person, channel_id)
        if wanted.kind != row["kind"]:
            raise invalid("kind: a channel keeps its kind; make another one")
        if wanted.version != row["version"]:
            raise _outdated()
        settings = dict(wanted.settings)
        if any(masks.places(settings)):
            settings = self._with_kept(row["kind"], settings, row["settings"], await self._whole(channel_id))
        saved = self._saved(channel_id, row["version"] + 1, wanted, settings)
        try:
            async with self._database.as_person(person.user_id) as connection:
                done = await (await connection.execute(SQL["change"], {**saved, "version": row["version"]})).fetchone()
                if done is None:
                    again = await (await connection.execute(SQL["one"], {"channel": channel_id})).fetchone()
                    raise forbidden(ADMINS) if again and again["version"] == row["version"] else _outdated()
                await connection.execute(AUDIT, _audit(person, row["organization_id"], "channel.change", wanted.name))
        except psycopg.errors.UniqueViolation:
            raise invalid(f"name: there is a channel named {wanted.name.strip()!r} already") from None

    async def delete(self, person: Person, channel_id: UUID) -> UUID:
        """Removes a channel and what waits for it; its organization is the result.

        Raises: Refused 404, 403.
        """
        row = await self._row(person, channel_id)
        async with self._database.as_person(person.user_id) as connection:
            gone = await (await connection.execute(SQL["delete"], {"channel": channel_id})).fetchone()
            if gone is None:
                raise forbidden(ADMINS)
            await connection.execute(AUDIT, _audit(person, row["organization_id"], "channel.delete", gone["name"]))
        organization_id: UUID = row["organization_id"]
        return organization_id

    async def test(self, person: Person, channel_id: UUID) -> TestOutcome:
        """Sends a marked test by the way that every notification of the hub takes, and waits for what comes of it.

        Raises: Refused 404; 403 for a viewer.
        """
        row = await self._row(person, channel_id)
        now = self._clock.now()
        body = {
            "key": uuid4().hex,
            "server": "Twinwatch",
            "title": "This is a test",
            "message": f"{person.email} pressed the test button of {row['name']}. Nothing has happened.",
        }
        async with self._database.as_person(person.user_id) as connection:
            await connection.execute(AUDIT, _audit(person, row["organization_id"], "channel.test", row["name"]))
            await self._database.become(connection, "service_role")
            values = {
                "organization": row["organization_id"],
                "channel": channel_id,
                "occasion": "test",
                "dedup": f"test:{body['key']}",
                "now": instant(now),
                "body": self.encoded(body),
            }
            added = await (await connection.execute(SQL["test"], values)).fetchone()
            self._queue.ready(connection, [channel_id], now)
        assert added is not None  # noqa: S101
        return await self._outcome(added["id"])

    def opened(self, row: DictRow) -> Channel:
        """The channel of a row with its secret, ready to send.

        Raises: Unusable.
        """
        kind = self._kinds.kinds.get(row["kind"])
        if kind is None:
            raise Unusable(f"channels of kind {row['kind']} are not installed on this hub")
        if not row["enabled"]:
            raise Unusable("the channel was switched off")
        try:
            settings = self._kinds.settings_of(kind, self._settings(row))
        except msgspec.ValidationError as err:
            raise Unusable(f"its settings are not lawful: {err}") from None
        except Unopened:
            raise Unusable(LOST) from None
        return kind(settings)

    async def direct(self, connection: Connection, organization_id: UUID) -> list[DirectChannel]:
        """The channels that the organization's agents may speak on, with their credentials."""
        cursor = await connection.execute(SQL["whole"], {"organization": organization_id})
        found = []
        for row in await cursor.fetchall():
            if row["kind"] not in self._kinds.kinds:
                continue
            try:
                settings = self._kinds.for_agents(row["kind"], self._settings(row))
            except Unopened:
                continue
            if settings is None:
                continue
            found.append(DirectChannel(str(row["id"]), row["kind"], row["name"], dict(settings)))
        return sorted(found, key=lambda one: one.id)

    @staticmethod
    def encoded(body: Mapping[str, Any]) -> str:
        """JSON for a ``body`` column."""
        return msgspec.json.encode(body).decode()

    async def _outcome(self, notification_id: UUID) -> TestOutcome:
        deadline = self._clock.monotonic() + TEST_SECONDS
        state = "waiting"
        while self._clock.monotonic() < deadline:
            async with self._database.as_worker() as connection:
                row = await (await connection.execute(SQL["outcome"], {"notification": notification_id})).fetchone()
            if row is None:
                break
            state = row["state"]
            if row["done_at"] is not None:
                seconds = (row["done_at"] - row["created_at"]).total_seconds()
                return TestOutcome(delivered=state == "delivered", reason=row["reason"], seconds=seconds)
            await asyncio.sleep(TEST_LOOK_SECONDS)
        return TestOutcome(delivered=False, reason=f"not sent within {TEST_SECONDS:g} s ({state})", seconds=None)

    async def _row(self, person: Person, channel_id: UUID) -> DictRow:
        async with self._database.as_person(person.user_id) as connection:
            row = await (await connection.execute(SQL["one"], {"channel": channel_id})).fetchone()
        if row is None:
            raise not_found("channel")
        return row

    async def _whole(self, channel_id: UUID) -> masks.Secrets:
        async with self._database.as_worker() as connection:
            row = await (await connection.execute(SQL["secret"], {"channel": channel_id})).fetchone()
        if row is None or row["secret"] is None:
            return []
        try:
            return self._secrets(channel_id, row)
        except Unopened:
            raise Refused(409, "secrets-lost", "Secrets lost", LOST) from None

    def _with_kept(
        self, kind: str, settings: dict[str, Any], stored: Mapping[str, Any], secrets: masks.Secrets
    ) -> dict[str, Any]:
        whole = masks.restored(dict(stored), secrets)
        kept = self._kept(kind, settings, whole, stored)
        if masks.leads_elsewhere(kept, whole, self._schemas.get(kind)):
            raise invalid(masks.ELSEWHERE)
        return kept

    def _kept(
        self, kind: str, settings: Mapping[str, Any], whole: Mapping[str, Any], stored: Mapping[str, Any]
    ) -> dict[str, Any]:
        try:
            kept: dict[str, Any] = masks.kept(dict(settings), dict(whole), self._schemas.get(kind), dict(stored))
        except masks.NothingKept as err:
            raise invalid(f"settings.{err}: no secret is kept here that *** could stand for; enter it") from None
        return kept

    def _saved(
        self, channel_id: UUID, version: int, wanted: SaveChannel, settings: Mapping[str, Any]
    ) -> dict[str, Any]:
        check_text("name", wanted.name.strip(), 100)
        check_json("settings", dict(settings))
        kind = self._kinds.kinds.get(wanted.kind)
        if kind is None:
            known = ", ".join(sorted(self._kinds.kinds))
            raise invalid(f"kind: {wanted.kind[:50]!r} is not installed on this hub; expected one of {known}")
        size = len(msgspec.json.encode(settings))
        if size > SETTINGS_BYTES:
            raise over_limit(f"settings: {size} bytes; at most {SETTINGS_BYTES}", SETTINGS_BYTES)
        try:
            kind(self._kinds.settings_of(kind, settings))
        except (msgspec.ValidationError, ValueError) as err:
            raise invalid(f"settings: {str(err).replace('`', '')}") from None
        hidden, secrets = masks.masked(dict(settings), self._schemas[wanted.kind])
        sealed = self._vault.seal(channel_id, version, msgspec.json.encode(secrets)) if secrets else None
        return {
            "channel": channel_id,
            "name": wanted.name.strip(),
            "settings": msgspec.json.encode(hidden).decode(),
            "secret": sealed,
            "key": self._vault.key_id if sealed else None,
            "direct": wanted.direct,
            "fallback": wanted.fallback,
            "enabled": wanted.enabled,
            "now": instant(self._clock.now()),
        }

    def _settings(self, row: DictRow) -> dict[str, Any]:
        if row["secret"] is None:
            return dict(row["settings"])
        restored: dict[str, Any] = masks.restored(row["settings"], self._secrets(row["id"], row))
        return restored

    def _secrets(self, channel_id: UUID, row: DictRow) -> masks.Secrets:
        if row["secret_key_id"] != self._vault.key_id:
            raise Unopened
        secrets: masks.Secrets = msgspec.json.decode(self._vault.open(channel_id, row["version"], row["secret"]))
        return secrets

    def _view(self, row: DictRow, paths: list[DictRow]) -> View:
        hidden, _ = masks.masked(row["settings"], self._schemas.get(row["kind"]))
        return View(
            id=row["id"],
            organization_id=row["organization_id"],
            name=row["name"],
            kind=row["kind"],
            settings=hidden,
            direct=row["direct"],
            fallback=row["fallback"],
            enabled=row["enabled"],
            version=row["version"],
            secrets_lost=row["secret_key_id"] not in (None, self._vault.key_id),
            paths=[
                Path(
                    server_id=path["server_id"],
                    server=path["server"],
                    tried_at=milliseconds(path["tried_at"]),
                    outcome=path["outcome"],
                    reason=path["reason"],
                    proven_at=None if path["proven_at"] is None else milliseconds(path["proven_at"]),
                    seconds=path["seconds"],
                )
                for path in paths
            ],
        )


def _outdated() -> Refused:
    return Refused(409, "version", "Changed meanwhile", "The channel was changed meanwhile: read it, and change that.")


def _audit(person: Person, organization_id: UUID, action: str, subject: str) -> dict[str, Any]:
    return {"organization": organization_id, "user": person.user_id, "action": action, "subject": subject.strip()}
