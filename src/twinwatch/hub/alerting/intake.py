"""Agents' alert events on their way in: each counted once, in order, and answered for what it means to the agent.

Invariants: the events of one server are taken one request at a time (its row is locked); an event at or below the mark
changes nothing; a key is the hub's own reckoning of what the event says, so that no agent can take another's.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import msgspec
from psycopg.rows import DictRow

from twinwatch.alerts.episodes import key_of
from twinwatch.alerts.tellers import NOTIFY_MILLISECONDS, TRY_MILLISECONDS, order_of
from twinwatch.hub.agents import Speaker
from twinwatch.hub.alerting.engine import ALERTS, NOTES, Engine, Opening
from twinwatch.hub.db import Connection, Database
from twinwatch.hub.lawful_alerts import check_events
from twinwatch.hub.refusals import DELETED, invalid, unauthorized
from twinwatch.hub.statements import Statements
from twinwatch.hub.stores.log import instant, milliseconds
from twinwatch.protocol.alerts import (
    OPEN_ALERTS,
    THE_WAY,
    AlertAnswer,
    AlertAnswers,
    AlertEvent,
    AlertEvents,
    Told,
    digest_of,
)
from twinwatch.world.clock import Clock

SQL = Statements("intake")

BACKLOG_MILLISECONDS = 60_000
"""What is older than this when it arrives, and over, is history: nobody is told."""
MORE_MILLISECONDS = 5_000


class Intake:
    """The one way in for agents' alerts."""

    def __init__(self, clock: Clock, database: Database, engine: Engine) -> None:
        self._clock = clock
        self._database = database
        self._engine = engine

    async def take(self, speaker: Speaker, message: AlertEvents) -> AlertAnswers:
        """Commits the events, and answers for every episode that they or ``ask`` speak of.

        Raises: Refused 422 for what is unlawful; Refused 401 if the server is gone.
        """
        check_events(message)
        for event in message.events:
            if event.key != key_of(str(speaker.server_id), event.rule, event.thing, event.episode):
                raise invalid(f"event {event.number}: the key does not follow from rule, thing and episode")
        now = self._clock.now()
        async with self._database.as_worker() as connection:
            who = {"organization": speaker.organization_id, "server": speaker.server_id}
            server = await (await connection.execute(SQL["lock"], who)).fetchone()
            if server is None:
                raise unauthorized(DELETED)
            # In the order in which the outbox takes them, which may be telling of several at once.
            await connection.execute(ALERTS["lock_keys"], {"keys": [event.key for event in message.events]})
            many = len(await (await connection.execute(ALERTS["open_keys_of_agent"], who)).fetchall())
            taking = _Taking(self._engine, connection, speaker, server, now, message, many)
            await taking.events()
            if message.open is not None:
                await taking.reconcile(message.open)
            cursor = await connection.execute(ALERTS["open_keys_of_agent"], who)
            digest = digest_of(row["key"] for row in await cursor.fetchall())
            mark = max([server["event_mark"], *(event.number for event in message.events)])
            await connection.execute(SQL["mark"], {**who, "mark": mark, "digest": digest})
            keys = list(dict.fromkeys([*(event.key for event in message.events), *message.ask, *(message.open or ())]))
            return AlertAnswers(mark, await _answers(connection, speaker.server_id, keys))


class _Taking:
    """The events of one request."""

    def __init__(
        self,
        engine: Engine,
        connection: Connection,
        speaker: Speaker,
        server: DictRow,
        now: int,
        message: AlertEvents,
        many: int,
    ) -> None:
        self._engine = engine
        self._connection = connection
        self._speaker = speaker
        self._server = server
        self._now = now
        self._skew = round((server["clock_skew_seconds"] or 0.0) * 1000)
        self._message = message
        self._many = many
        """How many alerts of the agent are open."""
        self._over = {event.key for event in message.events if event.kind == "resolved"}

    async def events(self) -> None:
        """Takes those that are new."""
        for event in self._message.events:
            if event.number > self._server["event_mark"]:
                await self._take(event)

    async def reconcile(self, open_keys: Sequence[str]) -> None:
        """Ends what the agent does not know to be open."""
        who = {"organization": self._speaker.organization_id, "server": self._speaker.server_id}
        cursor = await self._connection.execute(ALERTS["open_of_server"], who)
        for row in await cursor.fetchall():
            if row["origin"] == "agent" and row["key"] not in open_keys:
                text = "Its agent says that it is no longer open."
                await self._engine.resolve(
                    self._connection, row, self._now, self._now, why="unknown", text=text, for_agent=True
                )

    async def _take(self, event: AlertEvent) -> None:
        found = await (await self._connection.execute(ALERTS["by_key"], {"key": event.key})).fetchone()
        if found is None:
            if event.kind not in ("fired", "resolved"):
                return  # of an alert that was forgotten long ago
            if event.kind == "fired" and self._many >= OPEN_ALERTS:
                return  # which no agent of ours sends
            found = await self._open(event)
            self._many += 1
            if event.kind == "fired":
                return
        match event.kind:
            case "yielded":
                await self._yielded(found, event)
            case "told":
                if event.evidence is not None:
                    evidence = msgspec.json.encode(event.evidence).decode()
                    await self._connection.execute(SQL["evidence"], {"id": found["id"], "evidence": evidence})
                await self._told(found, event)
                await self._engine.look(self._connection, await self._again(found), self._now)
            case "settled":
                await self._engine.settle(self._connection, found, self._now)
            case "resolved":
                await self._told(found, event)
                why = event.why or "recovered"
                at = self._time(event.at)
                await self._engine.resolve(
                    self._connection, found, at, self._now, why=why, actor="agent", for_agent=why == "closed"
                )
            case "fired":
                pass  # known already: the agent did not hear the answer

    async def _open(self, event: AlertEvent) -> DictRow:
        order = order_of(event.order, event.severity)
        at = self._time(event.at)
        over = event.kind == "resolved" or event.key in self._over
        opening = Opening(
            organization_id=self._speaker.organization_id,
            server_id=self._speaker.server_id,
            key=event.key,
            origin="agent",
            rule=event.rule,
            thing=event.thing,
            episode=event.episode,
            severity=event.severity,
            subject=self._server["name"],
            title=event.title or event.rule,
            message=event.message,
            labels=event.labels,
            value=event.value,
            unit=event.unit,
            definition=event.definition,
            flapping=event.flapping,
            # What is about the way here is over by the time that it is heard of here.
            late=(over and self._now - at > BACKLOG_MILLISECONDS) or event.thing in THE_WAY,
            fence=event.fence + (order == "hub_first"),
            # Until the agent has yielded, the hub holds back: see ``AlertEvent.kind``.
            agent_until=self._now if order == "hub_first" and not event.told else None,
            true_at=min(self._time(event.since), at),
            detected_at=at,
            evidence=event.evidence,
        )
        row = await self._engine.open(self._connection, opening, self._now)
        assert row is not None  # noqa: S101 - its key was looked up under the server's lock
        await self._told(row, event)
        if self._message.more:
            soon = {"id": row["id"], "at": instant(self._now + MORE_MILLISECONDS)}
            await self._connection.execute(ALERTS["look_soon"], soon)
        else:
            await self._engine.look(self._connection, row, self._now)
        return await self._again(row)

    async def _yielded(self, row: DictRow, event: AlertEvent) -> None:
        until = instant(self._now + NOTIFY_MILLISECONDS)
        await self._connection.execute(SQL["yielded"], {"id": row["id"], "until": until, "fence": event.fence})
        cursor = await self._connection.execute(
            SQL["hurry"], {"alert": row["id"], "until": until, "now": instant(self._now)}
        )
        channels = list({note["channel_id"] for note in await cursor.fetchall()})
        if channels:
            self._engine.queue.ready(self._connection, channels, self._now)

    async def _told(self, row: DictRow, event: AlertEvent) -> None:
        if not event.told:
            return
        reached = []
        for told in event.told:
            await self._record(row, told)
            if told.state != "refused" and told.occasion == "firing":
                reached += [_uuid(told.channel)]
        channels = [channel for channel in reached if channel is not None]
        if channels:
            await self._engine.agent_told(self._connection, row, channels, "its agent has told it", self._now)
        if event.fence > row["fence"]:
            await self._connection.execute(ALERTS["take_over"], {"id": row["id"], "fence": event.fence})
        if any(told.state == "delivered" for told in event.told):
            at = min(self._time(told.at) for told in event.told if told.state == "delivered")
            await self._connection.execute(ALERTS["told"], {"ids": [row["id"]], "at": instant(at)})

    async def _record(self, row: DictRow, told: Told) -> None:
        at = self._time(told.at)
        channel = _uuid(told.channel)
        if told.state != "trying":
            kind = "told" if told.state == "delivered" else "refused"
            detail = {"channel": told.channel, "occasion": told.occasion, "at": at}
            await self._engine.note(
                self._connection, row, kind, self._now, actor="agent", text=told.reason, detail=detail
            )
        if channel is None:
            return  # one that only the agent's file has
        trying = told.state == "trying"
        values = {
            "organization": row["organization_id"],
            "alert": row["id"],
            "channel": channel,
            "occasion": told.occasion,
            "dedup": f"{row['key']}:{channel}:{told.occasion}:agent",
            "state": "sending" if trying else told.state,
            "at": instant(at),
            "until": instant(self._now + TRY_MILLISECONDS) if trying else None,
            "now": instant(self._now),
            "done": None if trying else instant(at),
            "reason": told.reason,
            "reference": told.reference,
        }
        await self._connection.execute(NOTES["record"], values)
        if not trying:
            proof = {
                "organization": row["organization_id"],
                "channel": channel,
                "server": self._speaker.server_id,
                "at": instant(at),
                "outcome": told.state,
                "reason": told.reason,
                "seconds": None,
            }
            await self._connection.execute(NOTES["proven"], proof)

    async def _again(self, row: DictRow) -> DictRow:
        fresh = await (await self._connection.execute(ALERTS["by_id"], {"id": row["id"]})).fetchone()
        assert fresh is not None  # noqa: S101
        return fresh

    def _time(self, at: int) -> int:
        """The agent's time by the hub's clock, and never ahead of it."""
        return max(0, min(at - self._skew, self._now))


async def _answers(connection: Connection, server_id: UUID, keys: Sequence[str]) -> tuple[AlertAnswer, ...]:
    cursor = await connection.execute(ALERTS["by_keys"], {"server": server_id, "keys": list(keys)})
    rows = {row["key"]: row for row in await cursor.fetchall()}
    cursor = await connection.execute(SQL["notes"], {"alerts": [row["id"] for row in rows.values()]})
    notes: dict[UUID, list[DictRow]] = {}
    for note in await cursor.fetchall():
        notes.setdefault(note["alert_id"], []).append(note)
    return tuple(
        _answer(rows[key], notes.get(rows[key]["id"], [])) if key in rows else AlertAnswer(key, unknown=True)
        for key in keys
    )


def _answer(row: DictRow, notes: Sequence[DictRow]) -> AlertAnswer:
    mine = [note for note in notes if note["teller"] == "hub" and note["occasion"] != "resolved"]
    # What the agent is trying, the hub tells if that is lost: until then that channel is told by nobody.
    tried = {note["channel_id"] for note in notes if note["teller"] == "agent" and note["state"] == "sending"}
    made_good = {note["channel_id"] for note in mine if _was_tried(note)}
    nobody = bool(row["late"] or row["suppressed"] or row["silenced_until"] is not None or not (mine or tried))
    given_up = [note for note in mine if note["state"] in ("refused", "given-up")]
    return AlertAnswer(
        key=row["key"],
        accepted=nobody or not mine or len(given_up) < len(mine),
        told=nobody or (row["told_at"] is not None and tried <= made_good),
        will_notify_by=milliseconds(row["agent_until"]) if row["agent_until"] else 0,
        fence=row["fence"],
        closed=row["state"] == "resolved" and row["resolved_why"] in ("closed", "unknown"),
        acknowledged=row["state"] == "acknowledged",
        on=tuple(sorted({str(note["channel_id"]) for note in mine if note["state"] == "delivered"})),
    )


def _was_tried(note: DictRow) -> bool:
    """Whether the hub has begun to tell it, so that its end is the hub's to tell as well."""
    if note["state"] == "waiting":
        return bool(note["attempts"])
    return bool(note["state"] != "cancelled")


def _uuid(channel: str) -> UUID | None:
    try:
        return UUID(channel)
    except ValueError:
        return None
