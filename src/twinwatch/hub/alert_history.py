"""Alerts as people see them, and what people do to them: acknowledge, comment, resolve by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from psycopg.rows import DictRow

from twinwatch.hub.alerting.engine import ALERTS, Engine
from twinwatch.hub.alerting.links import Links
from twinwatch.hub.auth import Person
from twinwatch.hub.db import Connection, Database
from twinwatch.hub.lawful import LAST_INSTANT, check_lines, check_text
from twinwatch.hub.refusals import forbidden, invalid, not_found
from twinwatch.hub.statements import Statements
from twinwatch.hub.stores.log import instant, milliseconds
from twinwatch.hub.views import Rule
from twinwatch.hub.views_alerts import (
    Alert,
    AlertDetail,
    Alerts,
    Attempt,
    Latency,
    LinkedAlert,
    Notification,
    TimelineEvent,
)
from twinwatch.world.clock import Clock

SQL = Statements("alert_history")
AUDIT = Statements("servers")["audit"]

VIEWER = "A viewer of the organization may not do anything about its alerts."
OPEN = ("firing", "acknowledged")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which alerts. Empty and None mean all; ``before`` is where the page before ended."""

    organizations: tuple[UUID, ...]
    states: tuple[str, ...] = ()
    severities: tuple[str, ...] = ()
    server: UUID | None = None
    rule: str = ""
    since: int | None = None
    to: int | None = None
    text: str = ""
    before: str = ""
    many: int = 100


class AlertHistory:
    """All that a person may ask and do about alerts. ``wake`` hurries the outbox."""

    def __init__(
        self,
        clock: Clock,
        database: Database,
        engine: Engine,
        links: Links,
        wake: Callable[[], None],
        changed: Callable[[UUID, UUID], None],
    ) -> None:
        self._clock = clock
        self._database = database
        self._engine = engine
        self._links = links
        self._wake = wake
        self._changed = changed

    async def of(self, person: Person, wanted: Wanted) -> Alerts:
        """Alerts, newest first.

        Raises: Refused 422 for a ``before`` that is none.
        """
        check_text("text", wanted.text, 200, empty=True)
        check_text("rule", wanted.rule, 200, empty=True)
        before, before_id = _place(wanted.before)
        asked = {
            "organizations": list(wanted.organizations),
            "states": list(wanted.states) or None,
            "severities": list(wanted.severities) or None,
            "server": wanted.server,
            "rule": wanted.rule or None,
            "since": None if wanted.since is None else instant(wanted.since),
            "to": None if wanted.to is None else instant(wanted.to),
            "text": _pattern(wanted.text),
            "before": None if before is None else instant(before),
            "before_id": before_id,
            "many": wanted.many + 1,
        }
        async with self._database.as_person(person.user_id) as connection:
            rows = await (await connection.execute(SQL["list"], asked)).fetchall()
        page = rows[: wanted.many]
        following = f"{milliseconds(page[-1]['detected_at'])}-{page[-1]['id']}" if len(rows) > wanted.many else None
        return Alerts(hub_time=self._clock.now(), alerts=[alert_view(row) for row in page], next=following)

    async def one(self, person: Person, alert_id: UUID) -> AlertDetail:
        """An alert with its timeline, notifications and evidence.

        Raises: Refused 404 if there is none that the person may see.
        """
        async with self._database.as_person(person.user_id) as connection:
            row = await (await connection.execute(SQL["one"], {"alert": alert_id})).fetchone()
            if row is None:
                raise not_found("alert")
            events = await (await connection.execute(SQL["events"], {"alert": alert_id})).fetchall()
            notes = await (await connection.execute(SQL["notifications"], {"alert": alert_id})).fetchall()
            asked = {"notifications": [note["id"] for note in notes]}
            attempts = await (await connection.execute(SQL["attempts"], asked)).fetchall()
        return _detail(row, events, notes, attempts)

    async def seen_by_worker(self, alert_id: UUID) -> tuple[UUID, UUID | None, Alert] | None:
        """Organization, server and view, for a live stream that has checked who watches."""
        async with self._database.as_worker() as connection:
            row = await (await connection.execute(SQL["one"], {"alert": alert_id})).fetchone()
        return None if row is None else (row["organization_id"], row["server_id"], alert_view(row))

    async def acknowledge(self, person: Person, alert_id: UUID, text: str) -> None:
        """Somebody sees to it: no further step is taken, nothing is repeated.

        Raises: Refused 404, 403.
        """
        check_lines("text", text)
        async with self._database.as_person(person.user_id) as connection:
            row = await self._writable(connection, alert_id)
            done = {"user": person.user_id, "action": "alert.acknowledge", "subject": row["title"][:200]}
            await connection.execute(AUDIT, {**done, "organization": row["organization_id"]})
            await self._acknowledged(connection, row, person.email, text)
        self._changed(row["organization_id"], alert_id)

    async def comment(self, person: Person, alert_id: UUID, text: str) -> None:
        """Adds a person's words to the timeline.

        Raises: Refused 404, 403; 422 for an empty one.
        """
        if not text.strip():
            raise invalid("text: a comment says something")
        check_lines("text", text)
        async with self._database.as_person(person.user_id) as connection:
            row = await self._writable(connection, alert_id)
            await self._commented(connection, row, person.email, text)
        self._changed(row["organization_id"], alert_id)

    async def resolve(self, person: Person, alert_id: UUID, text: str) -> None:
        """Ends an alert by hand. Its agent hears of it, and fires anew only after it was well.

        Raises: Refused 404, 403.
        """
        check_lines("text", text)
        now = self._clock.now()
        async with self._database.as_person(person.user_id) as connection:
            row = await self._writable(connection, alert_id)
            done = {"user": person.user_id, "action": "alert.resolve", "subject": row["title"][:200]}
            await connection.execute(AUDIT, {**done, "organization": row["organization_id"]})
            await self._database.become(connection, "service_role")
            if row["origin"] == "agent":  # the server before its alerts, as everywhere
                await connection.execute(ALERTS["agent_must_hear"], {"server": row["server_id"]})
            locked = await (await connection.execute(ALERTS["by_id"], {"id": alert_id})).fetchone()
            if locked is not None:
                await self._engine.resolve(
                    connection, locked, now, now, why="closed", text=text, actor=person.email, for_agent=True
                )
        self._wake()

    async def linked(self, key: str, token: str) -> LinkedAlert:
        """What the holder of a link sees.

        Raises: Refused 404 for a link that nobody made.
        """
        row = await self._linked(key, token)
        return LinkedAlert(
            subject=row["subject"],
            title=row["title"],
            message=row["message"],
            severity=row["severity"],
            state=row["state"],
            true_at=milliseconds(row["true_at"]),
            acknowledged_by=row["acknowledged_by"],
            hub_time=self._clock.now(),
        )

    async def acknowledge_by_link(self, key: str, token: str, name: str) -> LinkedAlert:
        """Acknowledges on the strength of a link, for whoever holds it.

        Raises: Refused 404 for a link that nobody made.
        """
        row = await self._linked(key, token)
        check_text("name", name.strip(), 100, empty=True)
        by = f"{name.strip() or 'somebody'} (by link)"
        async with self._database.as_worker() as connection:
            await self._acknowledged(connection, row, by, "")
        self._changed(row["organization_id"], row["id"])
        return await self.linked(key, token)

    async def latency(self, person: Person, organization_id: UUID, days: int) -> Latency:
        """How long after it became true somebody was told."""
        since = instant(self._clock.now() - days * 24 * 3600 * 1000)
        async with self._database.as_person(person.user_id) as connection:
            asked = {"organization": organization_id, "since": since}
            row = await (await connection.execute(SQL["latency"], asked)).fetchone()
        assert row is not None  # noqa: S101
        figures = {name: None if row[name] is None else float(row[name]) for name in ("p50", "p95", "longest")}
        return Latency(days=days, count=row["count"], **figures)

    async def _linked(self, key: str, token: str) -> DictRow:
        check_text("key", key, 32)
        async with self._database.as_worker() as connection:
            row = await (await connection.execute(SQL["linked"], {"key": key})).fetchone()
        if row is None or not self._links.is_lawful(row["server_id"] or row["organization_id"], key, token):
            raise not_found("alert")
        return row

    async def _writable(self, connection: Connection, alert_id: UUID) -> DictRow:
        row = await (await connection.execute(SQL["one"], {"alert": alert_id})).fetchone()
        if row is None:
            raise not_found("alert")
        if await (await connection.execute(SQL["may_write"], {"alert": alert_id})).fetchone() is None:
            raise forbidden(VIEWER)
        return row

    async def _acknowledged(self, connection: Connection, row: DictRow, by: str, text: str) -> None:
        """Ends as the hub itself: nothing more can be done in this transaction as the person."""
        now = self._clock.now()
        asked = {"alert": row["id"], "now": instant(now), "by": by}
        if await (await connection.execute(SQL["acknowledge"], asked)).fetchone() is None:
            return  # acknowledged or resolved already
        happened = {**asked, "organization": row["organization_id"], "text": text}
        await connection.execute(SQL["note_acknowledged"], happened)
        await self._database.become(connection, "service_role")
        await self._engine.acknowledged(connection, row, now)

    async def _commented(self, connection: Connection, row: DictRow, by: str, text: str) -> None:
        now = instant(self._clock.now())
        happened = {"organization": row["organization_id"], "alert": row["id"], "now": now, "by": by, "text": text}
        await connection.execute(SQL["comment"], happened)


def alert_view(row: DictRow) -> Alert:
    """A row as the API shows it."""
    times = ("silenced_until", "true_at", "detected_at", "received_at", "told_at", "acknowledged_at", "resolved_at")
    same = (
        *("id", "organization_id", "server_id", "probe_id", "origin", "rule", "thing", "severity", "state", "subject"),
        *("title", "message", "labels", "value", "unit", "flapping", "suppressed", "late", "acknowledged_by"),
        *("resolved_why", "resolved_by", "cause", "verdict"),
    )
    found = {name: row[name] for name in same}
    found |= {name: None if row[name] is None else milliseconds(row[name]) for name in times}
    return Alert(**found)


def _detail(
    row: DictRow, events: Sequence[DictRow], notes: Sequence[DictRow], attempts: Sequence[DictRow]
) -> AlertDetail:
    evidence = row["evidence"] or {}
    return AlertDetail(
        alert=alert_view(row),
        definition=None if row["definition"] is None else Rule.model_validate(row["definition"]),
        evidence=evidence.get("parts", {}),
        evidence_at=evidence.get("at"),
        policy=row["policy"],
        next_step_at=None if row["look_at"] is None else milliseconds(row["look_at"]),
        timeline=[
            TimelineEvent(
                id=event["id"],
                at=milliseconds(event["happened_at"]),
                kind=event["kind"],
                actor=event["actor"],
                text=event["text"],
                detail=event["detail"],
            )
            for event in events
        ],
        notifications=[
            Notification(
                **{name: note[name] for name in ("id", "channel_id", "channel", "kind", "occasion", "teller", "state")},
                due_at=milliseconds(note["due_at"]),
                done_at=None if note["done_at"] is None else milliseconds(note["done_at"]),
                reason=note["reason"],
                attempts=[
                    Attempt(
                        at=milliseconds(one["tried_at"]),
                        outcome=one["outcome"],
                        reason=one["reason"],
                        seconds=one["seconds"],
                    )
                    for one in attempts
                    if one["notification_id"] == note["id"]
                ],
            )
            for note in notes
        ],
    )


def _place(before: str) -> tuple[int | None, UUID | None]:
    if not before:
        return None, None
    time, _, identity = before.partition("-")
    try:
        at = int(time)
        if not 0 <= at <= LAST_INSTANT:
            raise ValueError(time)
        return at, UUID(identity)
    except ValueError:
        raise invalid("before: expected what `next` of the page before said") from None


def _pattern(text: str) -> str | None:
    if not text.strip():
        return None
    escaped = text.strip().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


def open_states(state: str) -> tuple[str, ...]:
    """The states that a filter means: ``open`` is those that are not resolved."""
    if state in ("", "all"):
        return ()
    return OPEN if state == "open" else (state,)
