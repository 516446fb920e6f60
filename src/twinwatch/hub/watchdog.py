"""Who is alive: a regular look at whose silence has become graver or has ended, and the alerts that come of it.

Invariants: of several hub processes one looks at a time; a level and its alert change in one transaction; time in which
no hub looked, or in which this one could not hear, counts for nobody's silence; a hub that starts pages nobody.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from math import inf
from typing import Any, Literal, NamedTuple
from uuid import UUID

import msgspec
from psycopg.rows import DictRow

from twinwatch.alerts.blindness import Heard, is_suspected
from twinwatch.alerts.episodes import HEARTBEAT, key_of
from twinwatch.alerts.forensics import CAUSES, Outside, cause_of, verdict_of
from twinwatch.alerts.liveness import (
    FAST_SILENCE_MILLISECONDS,
    RECOVERY_MILLISECONDS,
    Ladder,
    Signs,
    Span,
    Threshold,
    level_of,
)
from twinwatch.hub.alerting.addressees import ms_or_none
from twinwatch.hub.alerting.engine import Engine, Opening
from twinwatch.hub.db import Connection, Database, DatabaseAway
from twinwatch.hub.refusals import invalid
from twinwatch.hub.settings import Patience
from twinwatch.hub.statements import Statements
from twinwatch.hub.stores.log import instant, milliseconds
from twinwatch.protocol.life import Life
from twinwatch.world.clock import Clock

State = Literal["new", "up", "late", "down"]

SQL = Statements("watchdog")

LOOK_SECONDS = 2.0
GAP_MILLISECONDS = 8_000
"""No look for so long: nobody was there to hear."""
APART_MILLISECONDS = 60_000
"""So far apart the clocks of several hubs may be."""
REMEMBERED_MILLISECONDS = 3600 * 1000
EXPECTED_MILLISECONDS = 10 * 60_000
"""Servers that were heard within so long are expected to go on."""
MISSED_MILLISECONDS = 62_000
"""A heartbeat interval and a little: whoever is silent for longer has missed one."""
SEVERAL = 2
MOVES = 300
"""Most servers whose level changes in one transaction."""
BLIND_RULE = "Hub may be blind"
OUTAGE = "hub"
"""The thing of alerts about the hub itself."""

log = logging.getLogger(__name__)


class _Watch(NamedTuple):
    """What the watchdogs of all hubs know. Times are ms UTC."""

    looked_at: int | None
    blind: tuple[Span, ...]
    suspected_since: int | None


def ladder_of(row: Mapping[str, Any], patience: Patience) -> Ladder:
    """The silences that count for a server; those of the settings where it has none of its own."""
    if row["ladder"] is None:
        return patience.ladder
    return tuple(Threshold(*rung) for rung in row["ladder"])


def signs_of(row: Mapping[str, Any]) -> Signs:
    """What is known of a server, from its row."""
    last = row["last_heartbeat_at"]
    return Signs(
        last_sign_at=0 if last is None else milliseconds(last),
        leaving=row["leaving"],
        left_at=0 if row["left_at"] is None else milliseconds(row["left_at"]),
        back_by=0 if row["back_by"] is None else milliseconds(row["back_by"]),
        control_lost_at=0 if row["control_lost_at"] is None else milliseconds(row["control_lost_at"]),
        failed_from_outside=row["failed_from_outside"],
        fast=row["fast"],
    )


def state_of(row: Mapping[str, Any], now: int, patience: Patience, blind: Sequence[Span] = ()) -> State:
    """What the silence amounts to now, for people to see."""
    if row["last_heartbeat_at"] is None:
        return "new"
    ladder = ladder_of(row, patience)
    level = level_of(signs_of(row), ladder, now, blind)
    if not level:
        return "up"
    return "down" if ladder[level - 1].severity == "down" else "late"


class Watchdog:
    """Looks every few seconds. ``changed`` hears of each server whose level is another now; ``outside`` says what is
    seen of a server from elsewhere; ``blind`` whether the hub's own canaries fail."""

    def __init__(
        self,
        clock: Clock,
        database: Database,
        patience: Patience,
        engine: Engine,
        changed: Callable[[UUID, UUID], Awaitable[None]],
        *,
        outside: Callable[[UUID, UUID], Awaitable[Outside]],
        blind: Callable[[], bool] = lambda: False,
    ) -> None:
        self._clock = clock
        self._database = database
        self._patience = patience
        self._engine = engine
        self._changed = changed
        self._outside = outside
        self._blind = blind
        self._tasks: set[asyncio.Task[None]] = set()
        self.blind_spans: tuple[Span, ...] = ()
        """When nobody could be heard, as of the last look."""
        self._looked: int | None = None
        self.looked_at: float | None = None
        """When it last looked, or saw that another one does, in monotonic seconds."""

    async def run(self) -> None:
        """Looks until cancelled. A database that is away postpones the look, it does not end it."""
        look_seconds = min(LOOK_SECONDS, self._patience.late_seconds / 4)
        seeing = True
        try:
            while True:
                try:
                    await self.look()
                    if not seeing:
                        log.info("the watchdog sees again")
                    seeing = True
                except DatabaseAway as err:
                    if seeing:
                        log.warning("the watchdog cannot look: database away (%s)", err)
                    seeing = False
                await asyncio.sleep(look_seconds)
        finally:
            for task in self._tasks:
                task.cancel()

    async def look(self) -> None:
        """One look at everybody."""
        await self._look()
        self.looked_at = self._clock.monotonic()

    async def _look(self) -> None:
        moved: list[tuple[DictRow, int]] = []
        async with self._database.as_worker() as connection:
            lead = await (await connection.execute(SQL["lead"])).fetchone()
            now = self._clock.now()
            before, self._looked = self._looked, now
            if lead is None or not lead["leads"]:
                self.blind_spans = (await _read(connection)).blind
                return
            watch = self._watched(await _read(connection), now, before)
            blind = watch.blind
            asked = {
                "now": instant(now),
                "alarm": self._patience.late_seconds,
                "fast": instant(now - FAST_SILENCE_MILLISECONDS),
            }
            rows = await (await connection.execute(SQL["troubled"], asked)).fetchall()
            await self._hasten(connection, rows, now)
            # Whoever was silent before has yet to be heard again, or not: until then there is nothing to say of them.
            recovers = any(begin <= now < end for begin, end in blind)
            since = watch.suspected_since if recovers else await self._suspects(connection, rows, now, watch)
            if watch.suspected_since is not None and since is None:
                # Some are heard again: the others are given the time that they have after a start.
                blind, recovers = _merged((*blind, (now, now + RECOVERY_MILLISECONDS))), True
            await self._note(connection, now, watch._replace(blind=blind, suspected_since=since))
            for row in rows:
                level = self._level(row, now, blind)
                rises, waits = level > row["level"], recovers or since is not None
                held = (rises and waits) or (level < row["level"] and _is_ahead(row, now))
                if level != row["level"] and not held and len(moved) < MOVES:
                    await self._move(connection, row, level, now)
                    moved.append((row, level))
        for row, level in moved:
            await self._changed(row["organization_id"], row["id"])
            if level > row["level"]:
                self._look_from_outside(row)

    async def left(self, server_id: UUID, leaving: str, back_within_seconds: float) -> None:
        """The server said goodbye.

        Raises: Refused 422 for a time that is none.
        """
        if not 0 <= back_within_seconds < inf:
            raise invalid(f"back_within_seconds: {back_within_seconds} is no time")
        now = self._clock.now()
        back = instant(now + round(min(back_within_seconds, 3600.0) * 1000)) if back_within_seconds else None
        async with self._database.as_worker() as connection:
            said = {"server": server_id, "leaving": leaving, "now": instant(now), "back": back}
            await connection.execute(SQL["goodbye"], said)

    async def control(self, server_id: UUID, *, is_open: bool) -> None:
        """The server's control connection was opened, or was lost: evidence, and no more than that."""
        asked = {"server": server_id, "now": instant(self._clock.now())}
        async with self._database.as_worker() as connection:
            await connection.execute(SQL["control_open" if is_open else "control_lost"], asked)

    async def _hasten(self, connection: Connection, rows: Sequence[DictRow], now: int) -> None:
        """What is silent in fast mode is probed at once: an interval later it would be no evidence."""
        fast = [row["id"] for row in rows if row["fast"] and not row["level"] and not row["failed_from_outside"]]
        if fast:
            await connection.execute(SQL["hasten"], {"servers": fast, "now": instant(now)})

    def _level(self, row: DictRow, now: int, blind: Sequence[Span]) -> int:
        return level_of(signs_of(row), ladder_of(row, self._patience), now, blind)

    async def _note(self, connection: Connection, now: int, watch: _Watch) -> None:
        blind = msgspec.json.encode(watch.blind).decode()
        suspected = None if watch.suspected_since is None else instant(watch.suspected_since)
        await connection.execute(SQL["looked"], {"now": instant(now), "blind": blind, "suspected": suspected})
        self.blind_spans = watch.blind

    def _watched(self, watch: _Watch, now: int, before: int | None) -> _Watch:
        """What all watchdogs know, and the spans in which nobody could be heard brought up to this moment. ``before``:
        when this one looked last, by the same clock, which another hub's may be far behind."""
        spans = list(watch.blind)
        looked_at = max((at for at in (watch.looked_at, before) if at is not None), default=None)
        if looked_at is not None and now - looked_at > GAP_MILLISECONDS:
            # Whoever was heard last before the gap has to be given the chance to be heard again.
            log.info("nobody looked for %.0f s: that counts for no server's silence", (now - looked_at) / 1000)
            spans.append((looked_at, now + RECOVERY_MILLISECONDS))
        elif self._blind():
            spans.append((now - round(LOOK_SECONDS * 2000), now + RECOVERY_MILLISECONDS))
        return watch._replace(blind=_merged(span for span in spans if span[1] > now - REMEMBERED_MILLISECONDS))

    async def _suspects(self, connection: Connection, rows: Sequence[DictRow], now: int, watch: _Watch) -> int | None:
        """Since when it is suspected that the hub does not hear: most servers fell silent at once. One alert about that
        is raised then, in place of one for each."""
        since = watch.suspected_since
        newly = [row for row in rows if row["level"] == 0 and self._level(row, now, watch.blind) > 0]
        if len(newly) < SEVERAL and since is None:
            return None
        asked = {"silent": instant(now - MISSED_MILLISECONDS), "since": instant(now - EXPECTED_MILLISECONDS)}
        everyone = await (await connection.execute(SQL["everyone"], asked)).fetchall()
        heard = [
            Heard(one["servers"], one["silent"], ms_or_none(one["first_at"]) or 0, ms_or_none(one["last_at"]) or 0)
            for one in everyone
        ]
        suspected = is_suspected(heard)
        if since is None:
            if not suspected:
                return None
            await self._begin_suspicion(connection, newly, heard, now)
            return now
        # So long a blindness is an outage: everybody is told of their own.
        if suspected and now - since <= EXPECTED_MILLISECONDS:
            return since
        await self._end_suspicion(connection, now)
        return None

    async def _begin_suspicion(
        self, connection: Connection, silent: Sequence[DictRow], heard: Sequence[Heard], now: int
    ) -> None:
        log.error(
            "%d of %d servers fell silent at once, in several networks: it may be this hub that does not hear",
            sum(one.silent for one in heard),
            sum(one.servers for one in heard),
        )
        several: dict[UUID, list[DictRow]] = {}
        for row in silent:
            several.setdefault(row["organization_id"], []).append(row)
        for organization_id, rows in several.items():
            names = ", ".join(sorted(row["name"] for row in rows)[:10])
            more = f" and {len(rows) - 10} more" if len(rows) > 10 else ""
            opening = Opening(
                organization_id=organization_id,
                server_id=None,
                key=key_of(str(organization_id), BLIND_RULE, OUTAGE, now),
                origin="hub",
                rule=BLIND_RULE,
                thing=OUTAGE,
                episode=now,
                severity="down",
                subject="Twinwatch hub",
                title="Most servers fell silent at once",
                message=f"{names}{more} fell silent within moments, in several networks. Either the hub is cut off and "
                "cannot hear them, or they share a cause. No message follows for each of them unless it lasts.",
                true_at=min(milliseconds(row["last_heartbeat_at"]) for row in rows),
                detected_at=now,
            )
            opened = await self._engine.open(connection, opening, now)
            if opened is not None:
                await self._engine.look(connection, opened, now)

    async def _end_suspicion(self, connection: Connection, now: int) -> None:
        cursor = await connection.execute(SQL["suspicions"], {"rule": BLIND_RULE})
        for row in await cursor.fetchall():
            text = "Servers are heard again; who stays silent is told of by itself."
            await self._engine.resolve(connection, row, now, now, why="recovered", text=text)

    async def _move(self, connection: Connection, row: DictRow, level: int, now: int) -> None:
        silent = level and level > row["level"] == 0
        asked = {
            "server": row["id"],
            "level": level,
            "before": row["level"],
            "now": instant(now),
            "state": _state(row, level, self._patience),
            # A silence began with the last heartbeat, and ended with it.
            "since": row["last_heartbeat_at"] if silent or not level else instant(now),
        }
        if await (await connection.execute(SQL["level"], asked)).fetchone() is None:
            return
        who = {"organization": row["organization_id"], "server": row["id"], "now": instant(now)}
        alert = await (await connection.execute(SQL["heartbeat_alert"], who)).fetchone()
        ladder = ladder_of(row, self._patience)
        if level == 0:
            await connection.execute(SQL["unsuppress"], who)
            if alert is not None:
                await self._back(connection, row, alert, now)
            return
        threshold = ladder[level - 1]
        if threshold.severity == "down":
            await connection.execute(SQL["suppress"], who)
        if alert is None:
            opened = await self._engine.open(connection, self._opening(row, threshold, now), now)
            if opened is not None:
                await self._engine.look(connection, opened, now)
        elif level > row["level"] and alert["severity"] != threshold.severity:
            title, message, verdict = _words(row, threshold, now)
            await self._engine.worsen(
                connection, alert, now, severity=threshold.severity, rule=threshold.rule, title=title, message=message,
                verdict=verdict,
            )  # fmt: skip

    async def _back(self, connection: Connection, row: DictRow, alert: DictRow, now: int) -> None:
        at = milliseconds(row["last_heartbeat_at"])
        if at <= milliseconds(alert["true_at"]):
            # Not heard: the rule was changed, or it said that it reboots.
            await self._engine.resolve(connection, alert, now, now, why="changed")
            return
        life = None if row["life"] is None else msgspec.convert(row["life"], Life)
        silent_from = milliseconds(alert["true_at"])
        cause = cause_of(life, silent_from, at, round((row["clock_skew_seconds"] or 0.0) * 1000))
        backfilled = (row["delivery"] or {}).get("pending", 0)
        text = f"{backfilled} runs of its monitors are being delivered late." if backfilled else ""
        await self._engine.resolve(connection, alert, at, now, why="recovered", cause=CAUSES[cause], text=text)

    def _opening(self, row: DictRow, threshold: Threshold, now: int) -> Opening:
        title, message, verdict = _words(row, threshold, now)
        return Opening(
            organization_id=row["organization_id"],
            server_id=row["id"],
            key=key_of(str(row["id"]), HEARTBEAT, HEARTBEAT, now),
            origin="hub",
            rule=threshold.rule,
            thing=HEARTBEAT,
            episode=now,
            severity=threshold.severity,
            subject=row["name"],
            title=title,
            message=message,
            true_at=milliseconds(row["last_heartbeat_at"]),
            detected_at=now,
            verdict=verdict,
        )

    def _look_from_outside(self, row: DictRow) -> None:
        """Asks others, without keeping the look waiting; what they say is added to the alert."""
        task = asyncio.create_task(self._explain(row), name="outside")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _explain(self, row: DictRow) -> None:
        try:
            outside = await self._outside(row["organization_id"], row["id"])
            if outside == Outside():
                return
            verdict = verdict_of(signs_of(row), outside)
            async with self._database.as_worker() as connection:
                who = {"organization": row["organization_id"], "server": row["id"]}
                alert = await (await connection.execute(SQL["heartbeat_alert"], who)).fetchone()
                if alert is not None:
                    text = "\n".join([verdict.words, *verdict.evidence])
                    await self._engine.explain(connection, alert, text, self._clock.now())
        except DatabaseAway as err:
            log.warning("what others see of %s could not be written down: %s", row["name"], err)


def _is_ahead(row: DictRow, now: int) -> bool:
    """Whether a hub whose clock is ahead has found it so silent: by this clock it will have been in a moment."""
    since = ms_or_none(row["level_since"])
    return since is not None and now < since <= now + APART_MILLISECONDS


def _state(row: DictRow, level: int, patience: Patience) -> State:
    if not level:
        return "up"
    return "down" if ladder_of(row, patience)[level - 1].severity == "down" else "late"


def _words(row: DictRow, threshold: Threshold, now: int) -> tuple[str, str, str]:
    """Title, message and verdict of a silent server."""
    signs = signs_of(row)
    silent = round((now - signs.last_sign_at) / 1000)
    verdict = verdict_of(signs, Outside())
    word = "down" if threshold.severity == "down" else "late"
    title = f"{word}, no heartbeat for {silent} s"
    message = f"No sign of life for {silent} s: {verdict.words}."
    return title, message, "\n".join([verdict.words, *verdict.evidence])


async def _read(connection: Connection) -> _Watch:
    row = await (await connection.execute(SQL["watch"])).fetchone()
    if row is None:
        return _Watch(None, (), None)
    return _Watch(
        ms_or_none(row["looked_at"]),
        tuple((int(since), int(to)) for since, to in row["blind"]),
        ms_or_none(row["suspected_since"]),
    )


def _merged(spans: Iterable[Span]) -> tuple[Span, ...]:
    found: list[Span] = []
    for since, to in sorted(spans):
        if found and since <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], to))
        else:
            found.append((since, to))
    return tuple(found)
