"""What becomes of an alert: opened, graver, at rest, resolved; and who is to be told now. Every step within the
caller's transaction, as ``service_role``, the alert's row locked.

There is one place that decides who is told: ``look``. It is asked when an alert is opened, when the next step, the end
of a silence or of an agent's try is due (``look_at``), and when something that it depends on was changed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from functools import partial
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from psycopg.rows import DictRow

from twinwatch.alerts.policy import About, due, policy_for, quiet_until, silenced_until
from twinwatch.hub.alerting.addressees import Addressee, expanded, ms_or_none, policy_of, silence_of
from twinwatch.hub.alerting.queue import Queue
from twinwatch.hub.db import Connection, Database
from twinwatch.hub.statements import Statements
from twinwatch.hub.stores.log import instant, milliseconds
from twinwatch.protocol.policies import Policy, Silence
from twinwatch.protocol.rules import Rule, Severity

ALERTS = Statements("alerts")
NOTES = Statements("notifications")

AGENT_MILLISECONDS = 120_000
"""How long a message that an agent may tell by itself waits for word from it."""
ENDLESS = 253_402_300_799_000
"""The end of what has none, ms UTC."""


@dataclass(frozen=True, slots=True)
class Opening:
    """An alert that begins. Times are ms UTC."""

    organization_id: UUID
    server_id: UUID | None
    key: str
    origin: str
    rule: str
    thing: str
    episode: int
    severity: Severity
    subject: str
    title: str
    message: str
    true_at: int
    detected_at: int
    probe_id: UUID | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    value: float | None = None
    unit: str = ""
    definition: Rule | None = None
    flapping: bool = False
    late: bool = False
    fence: int = 0
    agent_until: int | None = None
    verdict: str = ""
    evidence: Any = None


class Engine:
    """The alerts of all organizations. ``changed`` hears of each alert that is another now, and ``waiting`` that there
    is something to send, once that is committed. ``hearing``: the kinds of channels that are told of
    acknowledgements."""

    def __init__(
        self,
        database: Database,
        changed: Callable[[UUID, UUID], None],
        waiting: Callable[[], None],
        *,
        hearing: Collection[str] = (),
        zones: Callable[[str], tzinfo] = ZoneInfo,
    ) -> None:
        self._database = database
        self._hearing = frozenset(hearing)
        self._tell_changed = changed
        self.queue = Queue(database, waiting)
        self._zones = zones

    async def open(self, connection: Connection, opening: Opening, now: int) -> DictRow | None:
        """The new alert's row; None if it is there already."""
        values = {
            "organization": opening.organization_id,
            "server": opening.server_id,
            "probe": opening.probe_id,
            "key": opening.key,
            "origin": opening.origin,
            "rule": opening.rule,
            "thing": opening.thing,
            "episode": opening.episode,
            "severity": opening.severity,
            "subject": opening.subject,
            "title": opening.title,
            "message": opening.message,
            "labels": _json(opening.labels),
            "value": opening.value,
            "unit": opening.unit,
            "definition": None if opening.definition is None else _json(opening.definition),
            "flapping": opening.flapping,
            "late": opening.late,
            "fence": opening.fence,
            "agent_until": None if opening.agent_until is None else instant(opening.agent_until),
            "true_at": instant(opening.true_at),
            "detected_at": instant(opening.detected_at),
            "verdict": opening.verdict,
            "evidence": None if opening.evidence is None else _json(opening.evidence),
            "now": instant(now),
        }
        row = await (await connection.execute(ALERTS["open"], values)).fetchone()
        if row is None:
            return None
        await self.note(connection, row, "fired", now, actor=opening.origin, detail={"value": opening.value})
        return row

    async def worsen(
        self, connection: Connection, row: DictRow, now: int, *, severity: str, rule: str, title: str, message: str,
        verdict: str,
    ) -> DictRow:  # fmt: skip
        """The alert is graver: whoever the graver policy names is told, those who know included."""
        asked = {
            "id": row["id"],
            "severity": severity,
            "rule": rule,
            "title": title,
            "message": message,
            "verdict": verdict,
            "now": instant(now),
        }
        worse = await (await connection.execute(ALERTS["worsen"], asked)).fetchone()
        assert worse is not None  # noqa: S101
        await self._cancel(connection, row, "it has become worse", now)
        await self.note(connection, worse, "worse", now, detail={"severity": severity})
        await self.look(connection, worse, now)
        return worse

    async def explain(self, connection: Connection, row: DictRow, verdict: str, now: int) -> None:
        """What is known of it now, in place of what was."""
        if verdict != row["verdict"]:
            await connection.execute(ALERTS["explain"], {"id": row["id"], "verdict": verdict})
            await self.note(connection, row, "explained", now, text=verdict)

    async def settle(self, connection: Connection, row: DictRow, now: int) -> None:
        """It has stopped coming and going, and is bad: whoever was told is told that."""
        await connection.execute(ALERTS["settle"], {"id": row["id"]})
        await self.note(connection, row, "settled", now)
        notes = await self._notes(connection, row["id"])
        told = {note["channel_id"] for note in notes if _arrived(note) and note["teller"] == "hub"}
        await self._add(connection, row, sorted(told), "settled", f"{row['episode']}:{now}", now, now)

    async def resolve(
        self, connection: Connection, row: DictRow, at: int, now: int, *, why: str, cause: str = "", text: str = "",
        actor: str = "hub", for_agent: bool = False,
    ) -> None:  # fmt: skip
        """It is over. Everybody whom the hub has told is told that; what waits to be told is dropped.

        ``for_agent``: those whom the agent has told as well, since it will not do so.
        """
        if row["state"] == "resolved":
            return
        by = actor if why == "closed" else ""
        asked = {"id": row["id"], "at": instant(at), "why": why, "cause": cause, "by": by}
        await connection.execute(ALERTS["resolve"], asked)
        detail = {"why": why} | ({"cause": cause} if cause else {})
        await self.note(connection, row, "resolved", now, actor=actor, text=text, detail=detail)
        # Decided before what waits is cancelled: a message under way may arrive yet.
        notes = await self._notes(connection, row["id"])
        tellers = {"hub", "agent"} if for_agent else {"hub"}
        told = {note["channel_id"] for note in notes if note["teller"] in tellers and _may_arrive(note)}
        if actor == "agent" and not for_agent:
            # A channel that both have told of it, or may have, hears its end from whoever says that it is over; but
            # where ours is still under way it comes after that, and needs an end of its own.
            said = [note for note in notes if note["teller"] == "agent"]
            ours = {note["channel_id"] for note in notes if note["teller"] == "hub" and _arrived(note)}
            theirs = {note["channel_id"] for note in said if _arrived(note)}
            theirs |= {note["channel_id"] for note in said if note["occasion"] == "resolved"} - ours
            sending = {note["channel_id"] for note in notes if note["teller"] == "hub" and note["state"] == "sending"}
            told -= theirs - sending
        await self._cancel(connection, row, "it was resolved before it was sent", now)
        await self._add(connection, row, sorted(told), "resolved", "", now, now)

    async def acknowledged(self, connection: Connection, row: DictRow, now: int) -> None:
        """Somebody has taken it on: those next in line are left in peace, and who was told hears of that where it is
        no message of its own."""
        await connection.execute(NOTES["calm"], {"alert": row["id"], "now": instant(now)})
        cursor = await connection.execute(ALERTS["channels"], {"organization": row["organization_id"]})
        hearing = {channel["id"] for channel in await cursor.fetchall() if channel["kind"] in self._hearing}
        told = {note["channel_id"] for note in await self._notes(connection, row["id"]) if _arrived(note)}
        await self._add(connection, row, sorted(told & hearing), "acknowledged", "", now, now)

    async def look(self, connection: Connection, row: DictRow, now: int) -> None:
        """Tell whoever is to be told now, and note when to look again."""
        if row["state"] != "firing" or row["late"]:
            await self._looked(connection, row, now, look=None)
            return
        asked = {"organization": row["organization_id"], "server": row["server_id"]}
        context = await (await connection.execute(ALERTS["context"], asked)).fetchone()
        assert context is not None  # noqa: S101
        about = About(
            str(row["server_id"] or ""), frozenset(context["tags"]), row["rule"], row["severity"]
        )  # fmt: skip
        silences = await self._silences(connection, row["organization_id"], now)
        until = silenced_until(silences, about, now, self._zones)
        if until is not None:
            if ms_or_none(row["silenced_until"]) != (until or ENDLESS):
                await self.note(connection, row, "silenced", now, detail={"until": until})
            await self._cancel(connection, row, "it is silenced", now)
            await self._looked(connection, row, now, silenced=until or ENDLESS, look=until or None)
            return
        if (ms_or_none(row["silenced_until"]) or 0) > now:
            row["silenced_until"] = instant(now)  # ended before its time: the policy's steps count from here
            await self.note(connection, row, "unsilenced", now)
        if row["suppressed"]:
            await self._looked(connection, row, now, look=None)
            return
        policy = policy_for(await self._policies(connection, row["organization_id"]), about)
        if policy is None:
            await self._looked(connection, row, now, look=None)
            return
        await self._tell(connection, row, policy, now)

    async def look_at_all(self, connection: Connection, organization_id: UUID, now: int) -> None:
        """Something that decides who is told has changed: every open alert of the organization is looked at soon."""
        await connection.execute(ALERTS["look_at_all"], {"organization": organization_id, "now": instant(now)})

    async def note(
        self, connection: Connection, row: DictRow, kind: str, at: int, *, actor: str = "hub", text: str = "",
        detail: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        """Writes down what happened to an alert, which is another now."""
        happened = {
            "organization": row["organization_id"],
            "alert": row["id"],
            "at": instant(at),
            "kind": kind,
            "actor": actor,
            "text": text,
            "detail": _json(detail or {}),
        }
        await connection.execute(ALERTS["event"], happened)
        self._database.after_commit(connection, partial(self._tell_changed, row["organization_id"], row["id"]))

    async def _tell(self, connection: Connection, row: DictRow, policy: Policy, now: int) -> None:
        began = max(milliseconds(row["received_at"]), ms_or_none(row["silenced_until"]) or 0)
        repeated = ms_or_none(row["repeated_at"]) or began
        step = due(policy, began, row["step"], repeated, now)
        quiet = quiet_until(policy, row["severity"], now, self._zones)
        channels = await self._expanded(connection, row["organization_id"], step.channels)
        notes = await self._notes(connection, row["id"])
        look = step.look_at
        if channels:
            first = row["step"] == 0 and not step.repeats
            # A step is told once per severity, a repetition once per time.
            mark = f"{row['severity']}:{step.step}" + (f":{now}" if step.repeats else "")
            for channel in channels:
                mine = [note for note in notes if note["channel_id"] == channel.id]
                if first and any(note["teller"] == "agent" and _has_it(note, now) for note in mine):
                    continue
                if first:
                    occasion = "worse" if any(map(_arrived, mine)) else "flapping" if row["flapping"] else "firing"
                else:
                    occasion = "repeat" if step.repeats else "escalation"
                await self._add_to(connection, row, [channel], occasion, mark, quiet or now, now)
            if not first:
                await self.note(connection, row, "repeated" if step.repeats else "escalated", now)
            look = self._when_unsure(notes, now, look)
        elif step.step > row["step"] and step.channels:
            await self.note(connection, row, "nobody", now, text="The policy's channels are off or gone.")
        elif row["step"]:
            await self._instead_of_agent(connection, row, policy, notes, now)
            look = self._when_unsure(notes, now, look)
        await self._looked(
            connection, row, now, policy=policy, step=step.step, repeated=now if channels else None, look=look
        )

    async def _instead_of_agent(
        self, connection: Connection, row: DictRow, policy: Policy, notes: Sequence[DictRow], now: int
    ) -> None:
        """Those of the steps taken whom the agent meant to tell, and has not."""
        taken = [name for step in policy.steps[: row["step"]] for name in step.channels]
        failed = []
        for channel in await self._expanded(connection, row["organization_id"], taken):
            mine = [note for note in notes if note["channel_id"] == channel.id]
            if any(note["teller"] == "agent" for note in mine) and not any(_has_it(note, now) for note in mine):
                failed.append(channel)
        occasion = "flapping" if row["flapping"] else "firing"
        await self._add_to(connection, row, failed, occasion, f"{row['severity']}:instead", now, now)

    @staticmethod
    def _when_unsure(notes: Sequence[DictRow], now: int, look: int | None) -> int | None:
        """When an agent's try counts as lost, if that is earlier."""
        for note in notes:
            if note["teller"] == "agent" and note["state"] == "sending" and _has_it(note, now):
                look = _earlier(look, milliseconds(note["leased_until"]) + 1)
        return look

    async def _add_to(
        self, connection: Connection, row: DictRow, channels: Sequence[Addressee], occasion: str, mark: str, at: int,
        now: int,
    ) -> None:  # fmt: skip
        until = row["agent_until"] if at <= now else None
        direct = [channel.id for channel in channels if channel.direct and until is not None]
        others = [channel.id for channel in channels if channel.id not in direct]
        if until is not None:
            # What the agent has not left to the hub it may tell itself: not before it has had its time.
            held = milliseconds(until) + AGENT_MILLISECONDS if milliseconds(until) <= now else at
            await self._add(connection, row, direct, occasion, mark, held, now, not_after=until)
        await self._add(connection, row, others, occasion, mark, at, now)

    async def _add(
        self, connection: Connection, row: DictRow, channels: Iterable[UUID], occasion: str, mark: str, at: int,
        now: int, *, not_after: datetime | None = None,
    ) -> None:  # fmt: skip
        added = []
        for channel in channels:
            values = {
                "organization": row["organization_id"],
                "alert": row["id"],
                "channel": channel,
                "occasion": occasion,
                "dedup": f"{row['key']}:{channel}:{occasion}:{mark}",
                "due": instant(at),
                "not_after": not_after,
                "now": instant(now),
                "body": None,
            }
            if await (await connection.execute(NOTES["add"], values)).fetchone() is not None:
                added.append(channel)
        if added:
            self.queue.ready(connection, added, at)

    async def _cancel(
        self, connection: Connection, row: DictRow, reason: str, now: int, channels: Sequence[UUID] | None = None
    ) -> None:
        asked = {
            "alert": row["id"],
            "reason": reason,
            "now": instant(now),
            "channels": None if channels is None else list(channels),
        }
        await connection.execute(NOTES["cancel"], asked)

    async def agent_told(
        self, connection: Connection, row: DictRow, channels: Sequence[UUID], reason: str, now: int
    ) -> None:
        """The agent has these channels: what waits for them here is dropped."""
        await self._cancel(connection, row, reason, now, channels)

    async def _looked(
        self, connection: Connection, row: DictRow, now: int, *, look: int | None, silenced: int | None = None,
        policy: Policy | None = None, step: int | None = None, repeated: int | None = None,
    ) -> None:  # fmt: skip
        values = {
            "id": row["id"],
            "silenced": row["silenced_until"] if silenced is None else instant(silenced),
            "suppressed": row["suppressed"],
            "policy": UUID(policy.id) if policy else row["policy_id"],
            "step": row["step"] if step is None else step,
            "repeated": row["repeated_at"] if repeated is None else instant(repeated),
            "look": None if look is None else instant(max(look, now + 1)),
        }
        await connection.execute(ALERTS["looked"], values)

    async def _expanded(self, connection: Connection, organization_id: UUID, named: Sequence[str]) -> list[Addressee]:
        if not named:
            return []
        cursor = await connection.execute(ALERTS["channels"], {"organization": organization_id})
        return expanded(named, await cursor.fetchall())

    async def _policies(self, connection: Connection, organization_id: UUID) -> list[Policy]:
        cursor = await connection.execute(ALERTS["policies"], {"organization": organization_id})
        return [policy_of(row) for row in await cursor.fetchall()]

    async def _silences(self, connection: Connection, organization_id: UUID, now: int) -> list[Silence]:
        cursor = await connection.execute(ALERTS["silences"], {"organization": organization_id, "now": instant(now)})
        return [silence_of(row) for row in await cursor.fetchall()]

    async def _notes(self, connection: Connection, alert_id: UUID) -> list[DictRow]:
        return await (await connection.execute(NOTES["of_alert"], {"alert": alert_id})).fetchall()


def _arrived(note: DictRow) -> bool:
    """Whether it told of the alert and has arrived."""
    return bool(note["occasion"] != "resolved" and note["state"] == "delivered")


def _may_arrive(note: DictRow) -> bool:
    """Whether it has arrived, or is under way, or was tried and nobody knows."""
    trying = note["state"] == "sending" or (note["state"] == "waiting" and note["attempts"] > 0)
    return _arrived(note) or bool(note["occasion"] != "resolved" and trying)


def _has_it(note: DictRow, now: int) -> bool:
    """Whether somebody sees to it that the channel hears of the alert."""
    if note["state"] in ("delivered", "waiting"):
        return True
    if note["state"] == "sending":
        return note["teller"] == "hub" or milliseconds(note["leased_until"]) > now
    return False


def _earlier(one: int | None, other: int | None) -> int | None:
    return min((time for time in (one, other) if time is not None), default=None)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
