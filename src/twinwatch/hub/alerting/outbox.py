"""Sends what the outbox holds: channel by channel, each message under a lease, tried again, given up in the end.

Invariants: of one channel one message is under way at a time, so that an end never overtakes its beginning; a message
is marked delivered after the provider took it; what a hub that died was sending is sent again by the next (nobody knows
whether it arrived: the message's id tells a provider that it is the same). What waits for one channel goes together.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from itertools import count
from typing import NamedTuple
from uuid import UUID, uuid4

from psycopg.rows import DictRow

from twinwatch.hub.alerting.choosing import is_told_besides, is_worth_saying, occasion_of
from twinwatch.hub.alerting.engine import AGENT_MILLISECONDS, ALERTS, NOTES
from twinwatch.hub.alerting.letters import note_of, subject_of, trial_of
from twinwatch.hub.alerting.links import Links
from twinwatch.hub.alerting.queue import Queue
from twinwatch.hub.channels import Channels, Unusable
from twinwatch.hub.db import Connection, Database, DatabaseAway
from twinwatch.hub.stores.log import instant, milliseconds
from twinwatch.notify import Channel, Delivered, Note, Outcome, Refused, Retry
from twinwatch.notify.grouping import SUBJECTS
from twinwatch.world import backoff
from twinwatch.world.clock import Clock
from twinwatch.world.doors import Outside

LOOK_SECONDS = 0.5
CHANNELS = 20
"""Most channels that are claimed at a time."""
SENDERS = 64
PER_ORGANIZATION = 16
"""While so many messages of one organization are under way, no more of it are begun: its channels may all hang."""
LEASE_SLACK_SECONDS = 30.0
FIRST_PAUSE_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 600.0
GIVE_UP_MILLISECONDS = 24 * 3600 * 1000
FALLBACK_ATTEMPTS = 4
"""After so many tries in vain the fallback channel is told as well."""
SETTLE_MILLISECONDS = 10_000
"""After it was heard, the agent gets so long to say what it has told."""
LEAST_GAP_SECONDS = 1.0

log = logging.getLogger(__name__)


class _Claim(NamedTuple):
    """A channel and what is to be sent on it, under a lease."""

    lease: UUID
    until: float
    """When the lease ends, in monotonic seconds."""
    channel: DictRow
    notes: list[DictRow]


class _Result(NamedTuple):
    outcome: Outcome
    began: int
    seconds: float


class Outbox:
    """The worker. Several hubs may each run one on the same database."""

    def __init__(
        self,
        clock: Clock,
        database: Database,
        channels: Channels,
        outside: Outside,
        links: Links,
        changed: Callable[[UUID, UUID], None],
    ) -> None:
        """``changed`` hears of each alert whose telling went on, once that is committed."""
        self._changed = changed
        self._clock = clock
        self._database = database
        self._channels = channels
        self._outside = outside
        self._links = links
        self._woken = asyncio.Event()
        self._queue = Queue(database, self._woken.set)
        self._sending: set[asyncio.Task[None]] = set()
        self._under_way: Counter[UUID] = Counter()
        self._started = clock.now()
        self.looked_at: float | None = None
        """When it last looked for something to send, in monotonic seconds."""

    def wake(self) -> None:
        """There may be something to send."""
        self._woken.set()

    def abandon(self) -> None:
        """Let what is under way be lost: for tests of what a hub that died leaves behind."""
        for task in self._sending:
            task.cancel()

    async def run(self) -> None:
        """Begins to send what is due until cancelled; ``drain`` then waits for what is under way."""
        self._started = self._clock.now()
        away = False
        while True:
            self._woken.clear()
            try:
                while await self.look():
                    pass
                away = False
            except DatabaseAway as err:
                if not away:
                    log.warning("notifications wait: database away (%s)", err)
                away = True
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._woken.wait()
            except TimeoutError:
                continue

    async def drain(self) -> None:
        """Waits for what is under way, as long as a message may take."""
        if self._sending:
            await asyncio.wait(self._sending, timeout=self._channels.longest_deadline_seconds)

    async def look(self) -> int:
        """Claims what is due and begins to send it; the result is how many channels that were."""
        room = SENDERS - len(self._sending)
        claims = await self._claim(min(room, CHANNELS)) if room > 0 else []
        self.looked_at = self._clock.monotonic()
        for claim in claims:
            task = asyncio.create_task(self._deliver(claim), name=f"channel {claim.channel['name']}")
            self._sending.add(task)
            self._under_way[claim.channel["organization_id"]] += 1
            task.add_done_callback(partial(self._ended, claim.channel["organization_id"]))
        return len(claims)

    def _ended(self, organization_id: UUID, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        self._under_way[organization_id] -= 1
        if not self._under_way[organization_id]:
            del self._under_way[organization_id]
        self.wake()

    async def _claim(self, many: int) -> list[_Claim]:
        now, lease = self._clock.now(), uuid4()
        seconds = self._channels.longest_deadline_seconds + LEASE_SLACK_SECONDS
        ends, until = self._clock.monotonic() + seconds, now + round(seconds * 1000)
        full = [one for one, many in self._under_way.items() if many >= PER_ORGANIZATION]
        async with self._database.as_worker() as connection:
            asked = {"now": instant(now), "until": instant(until), "lease": lease, "many": many, "full": full}
            channels = await (await connection.execute(NOTES["claim"], asked)).fetchall()
            if not channels:
                return []
            ids = [row["id"] for row in channels]
            cursor = await connection.execute(NOTES["lost"], {"channels": ids, "now": instant(now)})
            for lost in await cursor.fetchall():
                await self._attempted(connection, lost["organization_id"], [lost["id"]], now, "lost", "", 0.0)
            taking = {
                **asked,
                "channels": ids,
                "most": SUBJECTS,
                "started": instant(self._started),
                "patience": instant(now - AGENT_MILLISECONDS),
                "settled": instant(now - SETTLE_MILLISECONDS),
            }
            notes: dict[UUID, list[DictRow]] = defaultdict(list)
            for note in await (await connection.execute(NOTES["take"], taking)).fetchall():
                notes[note["channel_id"]].append(note)
        return [_Claim(lease, ends, row, notes[row["id"]]) for row in channels]

    async def _deliver(self, claim: _Claim) -> None:
        try:
            await self._send(claim)
        except DatabaseAway as err:
            # The lease ends by itself; then somebody finds out what became of it.
            log.warning("channel %s: what was sent could not be written down (%s)", claim.channel["name"], err)
        except Exception:
            log.exception("channel %s: sending failed", claim.channel["name"])

    async def _send(self, claim: _Claim) -> None:
        gap, is_over = LEAST_GAP_SECONDS, False
        try:
            channel = self._channels.opened(claim.channel)
            gap = max(gap, channel.gap_seconds)
            trials = [note for note in claim.notes if note["alert_id"] is None]
            others = [note for note in claim.notes if note["alert_id"] is not None]
            if others:
                is_over = await self._send_alerts(claim, channel, others, None if trials else gap)
            for number, trial in enumerate(trials, 1):
                is_over = await self._send_trial(claim, channel, trial, gap if number == len(trials) else None)
        except Unusable as err:
            if claim.notes:
                result = _Result(Refused(str(err)), self._clock.now(), 0.0)
                await self._record(claim, claim.notes, result, [])
        if not is_over:
            await self._insist(claim, partial(self._rest, claim, gap))

    async def _send_trial(self, claim: _Claim, channel: Channel, note: DictRow, gap: float | None) -> bool:
        now = self._clock.now()
        if self._clock.monotonic() + channel.deadline_seconds > claim.until:
            # It would outlast the lease, and be sent by whoever has the next one as well.
            result = _Result(Retry("what was sent before it on this channel took too long"), now, 0.0)
        else:
            made = trial_of(note, now, organization=note["body"].get("organization", ""), links=self._links)
            result = await self._try(channel, made)
        return await self._record(claim, [note], result, [], gap)

    async def _send_alerts(self, claim: _Claim, channel: Channel, notes: Sequence[DictRow], gap: float | None) -> bool:
        now = self._clock.now()
        async with self._database.as_worker() as connection:
            ids = list({note["alert_id"] for note in notes})
            asked = {"alerts": ids, "channel": claim.channel["id"]}
            rows = {row["id"]: row for row in await (await connection.execute(NOTES["subjects"], asked)).fetchall()}
            said = await (await connection.execute(NOTES["said"], asked)).fetchall()
        mute = [note for note in notes if not is_worth_saying(note, rows, said)]
        telling = [note for note in notes if note not in mute]
        if mute:
            await self._drop(claim, mute)
        if not telling:
            return False
        subjects = [
            subject_of(
                rows[note["alert_id"]],
                occasion_of(note, said),
                self._links,
                instead=(note["body"] or {}).get("instead"),
            )
            for note in telling
        ]
        first = rows[telling[0]["alert_id"]]
        made = note_of(
            str(telling[0]["id"]), subjects, said, now, organization=first["organization"], links=self._links
        )
        return await self._record(claim, telling, await self._try(channel, made), list(rows.values()), gap)

    async def _try(self, channel: Channel, note: Note) -> _Result:
        began, at = self._clock.now(), self._clock.monotonic()
        outcome: Outcome
        try:
            async with asyncio.timeout(channel.deadline_seconds):
                outcome = await channel.send(note, self._outside)
        except TimeoutError:
            outcome = Retry(f"no answer within {channel.deadline_seconds:g} s")
        except Exception as err:
            # A defect of one channel's code: the others go on, and this message is tried again.
            log.exception("channel kind %s failed", channel.name)
            outcome = Retry(f"{type(err).__name__} in the channel's code; see the hub's log")
        return _Result(outcome, began, self._clock.monotonic() - at)

    async def _record(
        self, claim: _Claim, notes: Sequence[DictRow], result: _Result, alerts: Sequence[DictRow],
        gap: float | None = None,
    ) -> bool:  # fmt: skip
        """Writes down what came of it: what is forgotten is told twice. Whether it gave the channel back with that.

        It does if a gap is given and the message was delivered: a hub that is killed between the two would leave the
        channel silent until the lease ends. Where it was not, other channels may be told instead, and of two channels
        in one transaction others wait for one another.
        """
        is_over = gap is not None and isinstance(result.outcome, Delivered)
        await self._insist(claim, partial(self._write, claim, notes, result, alerts, gap if is_over else None))
        if is_over:
            self.wake()
        return is_over

    async def _insist(self, claim: _Claim, write: Callable[[], Awaitable[None]]) -> None:
        """Writes, again while the lease holds if the database is away: what is not told to it waits for the lease."""
        until = self._clock.monotonic() + LEASE_SLACK_SECONDS
        for attempt in count():
            try:
                await write()
            except DatabaseAway:
                pause = backoff.delay(attempt, str(claim.lease), first_seconds=0.1, most_seconds=2.0)
                if self._clock.monotonic() + pause >= until:
                    raise
                await asyncio.sleep(pause)
            else:
                return

    async def _write(
        self, claim: _Claim, notes: Sequence[DictRow], result: _Result, alerts: Sequence[DictRow], gap: float | None
    ) -> None:
        now = self._clock.now()
        organization = claim.channel["organization_id"]
        async with self._database.as_worker() as connection:
            ids = [note["alert_id"] for note in notes if note["alert_id"] is not None]
            await connection.execute(ALERTS["lock"], {"ids": ids})
            for state, some in _by_state(notes, result.outcome, now).items():
                reason = "" if isinstance(result.outcome, Delivered) else result.outcome.reason
                done = {
                    "state": state,
                    "done": None if state == "waiting" else instant(now),
                    "due": _due(result.outcome, some, now) if state == "waiting" else None,
                    "reason": reason,
                    "reference": result.outcome.reference if isinstance(result.outcome, Delivered) else "",
                    "ids": [note["id"] for note in some],
                    "lease": claim.lease,
                }
                kept = await (await connection.execute(NOTES["done"], done)).fetchall()
                ids = [row["id"] for row in kept]
                # The others were deleted with their server meanwhile, or are another's to send by now.
                held = [note for note in some if note["id"] in ids]
                word = {"delivered": "delivered", "refused": "refused"}.get(state, "retry")
                await self._attempted(connection, organization, ids, result.began, word, reason, result.seconds)
                if state == "delivered":
                    told = [row["alert_id"] for row in kept if row["alert_id"] is not None]
                    await connection.execute(ALERTS["told"], {"ids": told, "at": instant(now)})
                await self._note(connection, claim, held, alerts, state, reason, now)
                if state != "delivered":
                    await self._fall_back(connection, claim, held, state, reason, now)
            proof = {
                "organization": organization,
                "channel": claim.channel["id"],
                "server": None,
                "at": instant(now),
                "outcome": {Delivered: "delivered", Retry: "retry", Refused: "refused"}[type(result.outcome)],
                "reason": "" if isinstance(result.outcome, Delivered) else result.outcome.reason,
                "seconds": result.seconds,
            }
            await connection.execute(NOTES["proven"], proof)
            if gap is not None:
                await self._give_back(connection, claim, gap, now)
            for alert in {note["alert_id"] for note in notes if note["alert_id"] is not None}:
                self._database.after_commit(connection, partial(self._changed, organization, alert))

    async def _note(
        self, connection: Connection, claim: _Claim, notes: Sequence[DictRow], alerts: Sequence[DictRow], state: str,
        reason: str, now: int,
    ) -> None:  # fmt: skip
        if state == "waiting":
            return  # the attempts say so
        kind = "told" if state == "delivered" else "refused"
        for note in notes:
            if note["alert_id"] is None:
                continue
            detail = f'{{"channel":"{claim.channel["id"]}","occasion":"{note["occasion"]}","at":{now}}}'
            happened = {
                "organization": note["organization_id"],
                "alert": note["alert_id"],
                "at": instant(now),
                "kind": kind,
                "actor": "hub",
                "text": reason,
                "detail": detail,
            }
            await connection.execute(ALERTS["event"], happened)

    async def _fall_back(
        self, connection: Connection, claim: _Claim, notes: Sequence[DictRow], state: str, reason: str, now: int
    ) -> None:
        """Tells the organization's fallback channels what this one does not take."""
        failing = [
            note
            for note in notes
            if note["alert_id"] is not None
            and not (note["body"] or {}).get("instead")
            and (state != "waiting" or note["attempts"] == FALLBACK_ATTEMPTS)
        ]
        if not failing:
            return
        cursor = await connection.execute(ALERTS["channels"], {"organization": claim.channel["organization_id"]})
        others = [
            row["id"]
            for row in await cursor.fetchall()
            if row["fallback"] and row["enabled"] and row["id"] != claim.channel["id"]
        ]
        alerts = [note["alert_id"] for note in failing]
        heard = {
            other: await (await connection.execute(NOTES["said"], {"channel": other, "alerts": alerts})).fetchall()
            for other in others
        }
        body = self._channels.encoded({"instead": {"channel": claim.channel["name"], "reason": reason}})
        for note in failing:
            for other in others:
                if is_told_besides(note, heard[other]):
                    continue
                values = {
                    "organization": note["organization_id"],
                    "alert": note["alert_id"],
                    "channel": other,
                    "occasion": note["occasion"],
                    "dedup": f"{note['dedup']}:instead:{other}",
                    "due": instant(now),
                    "not_after": None,
                    "now": instant(now),
                    "body": body,
                }
                await connection.execute(NOTES["add"], values)
        if others:
            self._queue.ready(connection, others, now)

    async def _drop(self, claim: _Claim, notes: Sequence[DictRow]) -> None:
        now = self._clock.now()
        async with self._database.as_worker() as connection:
            done = {
                "state": "cancelled",
                "done": instant(now),
                "due": None,
                "reason": "there is nothing to say here any more: it is over, untold, or said anew",
                "reference": "",
                "ids": [note["id"] for note in notes],
                "lease": claim.lease,
            }
            await connection.execute(NOTES["done"], done)

    async def _rest(self, claim: _Claim, gap: float) -> None:
        async with self._database.as_worker() as connection:
            await self._give_back(connection, claim, gap, self._clock.now())
        self.wake()

    async def _give_back(self, connection: Connection, claim: _Claim, gap: float, now: int) -> None:
        """Makes the channel ready again when something waits for it, but not at once."""
        mine = {"channel": claim.channel["id"], "lease": claim.lease}
        await connection.execute(NOTES["giving_back"], mine)
        row = await (await connection.execute(NOTES["next_of"], mine)).fetchone()
        due = row["due"] if row else None
        held = now + round((gap if claim.notes else LEAST_GAP_SECONDS) * 1000)
        await connection.execute(NOTES["rest"], {**mine, "ready": due, "held": instant(held)})

    async def _attempted(
        self, connection: Connection, organization_id: UUID, ids: Sequence[UUID], at: int, outcome: str, reason: str,
        seconds: float,
    ) -> None:  # fmt: skip
        values = {
            "organization": organization_id,
            "ids": list(ids),
            "at": instant(at),
            "outcome": outcome,
            "reason": reason,
            "seconds": seconds,
        }
        await connection.execute(NOTES["attempt"], values)


def _by_state(notes: Sequence[DictRow], outcome: Outcome, now: int) -> dict[str, list[DictRow]]:
    if isinstance(outcome, Delivered):
        return {"delivered": list(notes)}
    if isinstance(outcome, Refused):
        return {"refused": list(notes)}
    found: dict[str, list[DictRow]] = defaultdict(list)
    for note in notes:
        old = now - milliseconds(note["created_at"]) > GIVE_UP_MILLISECONDS
        found["given-up" if old or note["alert_id"] is None else "waiting"].append(note)
    return dict(found)


def _due(outcome: Outcome, notes: Sequence[DictRow], now: int) -> object:
    attempts = max(note["attempts"] for note in notes)
    pause = backoff.delay(
        attempts - 1, str(notes[0]["id"]), first_seconds=FIRST_PAUSE_SECONDS, most_seconds=LONGEST_PAUSE_SECONDS
    )
    if isinstance(outcome, Retry) and outcome.after_seconds is not None:
        pause = max(pause, min(outcome.after_seconds, LONGEST_PAUSE_SECONDS))
    return instant(now + round(pause * 1000))
