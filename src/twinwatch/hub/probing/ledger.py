"""Writes down what tries came to: state, history and alerts of many probes in one transaction.

Invariants: a try whose lease was lost changes nothing; an alert is opened, worsened or resolved in the transaction that
changes what its rule remembers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec
from psycopg.rows import DictRow

from twinwatch.alerts.episodes import bounded, key_of
from twinwatch.hub.alerting.addressees import ms_or_none
from twinwatch.hub.alerting.engine import Engine, Opening
from twinwatch.hub.db import Connection, Database
from twinwatch.hub.probing.history import CHANGES_PER_HOUR, KEPT_DAYS, Result, hour_of, packed, spoken_for
from twinwatch.hub.probing.judge import RECHECK_SECONDS, Happened, Judgement
from twinwatch.hub.probing.kinds import Outcome
from twinwatch.hub.probing.witnesses import Sighting
from twinwatch.hub.settings import Patience
from twinwatch.hub.statements import Statements
from twinwatch.hub.stores.log import instant
from twinwatch.hub.watchdog import BLIND_RULE, ladder_of
from twinwatch.hub.watchdog import SQL as WATCHDOG
from twinwatch.protocol.rules import Severity
from twinwatch.world.clock import Clock

SQL = Statements("probing")

FROM_HERE = "probes"
"""The thing of alerts about the hub that does not see its targets."""
LONE: Severity = "warning"
"""How grave it is that the hub alone cannot reach something."""


@dataclass(frozen=True, slots=True)
class Tried:
    """A try that has ended. ``row`` is the claimed probe; ``sighting`` what witnesses saw, None if none was asked."""

    row: DictRow
    time: int
    shown: str
    outcome: Outcome
    judgement: Judgement
    sighting: Sighting | None = None

    @property
    def tells(self) -> bool:
        """Whether an alert may have to be touched."""
        return bool(self.judgement.happened or self.row["only_here"])

    @property
    def alone(self) -> bool:
        """Whether others reach what the hub does not."""
        return self.sighting is not None and bool(self.sighting.up)

    @property
    def stays_alone(self) -> bool:
        """As far as is known after this try: what was seen last stands until somebody looks again."""
        if self.sighting is None:
            return bool(self.row["only_here"]) and self.judgement.state == "down"
        return self.alone


class Ledger:
    """Of all probes."""

    def __init__(self, clock: Clock, database: Database, engine: Engine, patience: Patience) -> None:
        self._clock = clock
        self._database = database
        self._engine = engine
        self._patience = patience

    async def write(self, tries: Sequence[Tried]) -> int:
        """Writes down those whose lease still holds; how many is the result.

        Raises: DatabaseAway.
        """
        async with self._database.as_worker() as connection:
            asked = {
                "ids": [one.row["id"] for one in tries],
                "leases": [one.row["lease"] for one in tries],
                "versions": [one.row["version"] for one in tries],
            }
            rows = await (await connection.execute(SQL["held"], asked)).fetchall()
            held = {row["id"]: row for row in rows}
            # A probe may be there twice, where the lease of one try ended before it was written down.
            lasting = [
                one for one in tries if one.row["id"] in held and held[one.row["id"]]["lease"] == one.row["lease"]
            ]
            if not lasting:
                return 0
            await self._write_states(connection, lasting, held)
            await self._write_history(connection, lasting, held)
            for one in lasting:
                if one.tells:
                    await self._tell(connection, one, held[one.row["id"]])
        return len(lasting)

    async def close(self, connection: Connection, organization_id: UUID, probe_id: UUID, why: str, actor: str) -> None:
        """Ends the probe's alerts: nobody looks any more. As ``service_role``."""
        now = self._clock.now()
        asked = {"organization": organization_id, "probe": probe_id}
        for row in await (await connection.execute(SQL["open_alerts"], asked)).fetchall():
            await self._engine.resolve(connection, row, now, now, why="changed", text=why, actor=actor)

    async def blind(self, organization_id: UUID, names: Sequence[str]) -> None:
        """The hub cannot reach what it probes for the organization, and knows that it may be to blame: one alert."""
        now = self._clock.now()
        async with self._database.as_worker() as connection:
            asked = {"organization": organization_id, "rule": BLIND_RULE, "thing": FROM_HERE}
            if await (await connection.execute(SQL["blind_alert"], asked)).fetchone() is not None:
                return
            listed = ", ".join(sorted(names)[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
            opening = Opening(
                organization_id=organization_id,
                server_id=None,
                key=key_of(str(organization_id), BLIND_RULE, FROM_HERE, now),
                origin="hub",
                rule=BLIND_RULE,
                thing=FROM_HERE,
                episode=now,
                severity="warning",
                subject="Twinwatch hub",
                title="The hub cannot reach what it probes",
                message=f"{listed}: neither this nor most else can be reached from the hub, all at once. The hub is "
                "likely cut off itself. No message follows for each of them unless it lasts or another agent confirms.",
                true_at=now,
                detected_at=now,
            )
            opened = await self._engine.open(connection, opening, now)
            if opened is not None:
                await self._engine.look(connection, opened, now)

    async def overdue(self, since: int) -> list[DictRow]:
        """Of each organization the names of some probes that were due by then, ms UTC, and were not tried."""
        async with self._database.as_worker() as connection:
            return await (await connection.execute(SQL["overdue"], {"since": instant(since)})).fetchall()

    async def seeing(self, before: int) -> None:
        """The hub sees: alerts about that which were opened by then, ms UTC, are over."""
        now = self._clock.now()
        async with self._database.as_worker() as connection:
            asked = {"rule": BLIND_RULE, "thing": FROM_HERE, "before": instant(before)}
            for row in await (await connection.execute(SQL["blind_alerts"], asked)).fetchall():
                text = "The hub reaches what it probes again, or tells of each by itself."
                await self._engine.resolve(connection, row, now, now, why="recovered", text=text)

    async def forget(self) -> None:
        """Drops history that is older than is kept."""
        before = instant(self._clock.now() - KEPT_DAYS * 86_400_000)
        async with self._database.as_worker() as connection:
            await connection.execute(SQL["forget_hours"], {"before": before})
            await connection.execute(SQL["forget_days"], {"before": before.date()})

    async def _write_states(self, connection: Connection, tries: Sequence[Tried], held: dict[UUID, DictRow]) -> None:
        def since(one: Tried) -> Any:
            before = held[one.row["id"]]
            same = before["state"] == one.judgement.state and before["since"] is not None
            return before["since"] if same else instant(one.time)

        again = RECHECK_SECONDS * 1000
        values = {
            "ids": [one.row["id"] for one in tries],
            "states": [one.judgement.state for one in tries],
            "reasons": [one.judgement.reason for one in tries],
            "messages": [one.judgement.message for one in tries],
            "sinces": [since(one) for one in tries],
            "ats": [instant(one.time) for one in tries],
            "seconds": [one.outcome.seconds for one in tries],
            "expires": [None if one.outcome.expires_at is None else instant(one.outcome.expires_at) for one in tries],
            "memories": [msgspec.msgpack.encode(one.judgement.memory) for one in tries],
            "agains": [instant(one.time + again) if one.judgement.recheck else None for one in tries],
            "alone": [one.stays_alone for one in tries],
        }
        await connection.execute(SQL["write"], values)

    async def _write_history(self, connection: Connection, tries: Sequence[Tried], held: dict[UUID, DictRow]) -> None:
        spans, changes = [], []
        for one in tries:
            before = held[one.row["id"]]
            spans.append(spoken_for(one.time, ms_or_none(before["last_at"]), one.row["interval_seconds"] * 1000))
            judgement, outcome = one.judgement, one.outcome
            same = (before["state"], before["reason"]) == (judgement.state, judgement.reason)
            change = [] if same else [[one.time, outcome.state, outcome.reason, outcome.message]]
            changes.append(msgspec.json.encode(change).decode())
        states = [one.outcome.state for one in tries]
        values = {
            "organizations": [one.row["organization_id"] for one in tries],
            "ids": [one.row["id"] for one in tries],
            "hours": [instant(hour_of(one.time)) for one in tries],
            "ats": [instant(one.time) for one in tries],
            "wells": [span if state in ("up", "degraded") else 0.0 for span, state in zip(spans, states, strict=True)],
            "downs": [span if state == "down" else 0.0 for span, state in zip(spans, states, strict=True)],
            "seconds": [one.outcome.seconds for one in tries],
            "results": [packed(Result(one.time, one.outcome.state, one.outcome.seconds)) for one in tries],
            "changes": changes,
            "most": CHANGES_PER_HOUR,
        }
        await connection.execute(SQL["keep_hours"], values)
        await connection.execute(SQL["keep_days"], values)

    async def _tell(self, connection: Connection, one: Tried, held: DictRow) -> None:
        now = self._clock.now()
        asked = {"organization": one.row["organization_id"], "probe": one.row["id"]}
        rows = await (await connection.execute(SQL["open_alerts"], asked)).fetchall()
        found = {(row["rule"], row["episode"]): row for row in rows}
        for happened in one.judgement.happened:
            transition = happened.transition
            alert = found.get((happened.rule.name, transition.episode))
            if transition.kind == "fired":
                await self._open(connection, one, happened, held, now)
            elif alert is not None and transition.kind == "settled":
                await self._engine.settle(connection, alert, now)
            elif alert is not None:
                await self._engine.resolve(connection, alert, transition.time, now, why=transition.why)
        if one.row["only_here"] and one.sighting is not None and one.sighting.down and not one.alone:
            for alert in rows:
                await self._confirm(connection, one, alert, now)

    async def _confirm(self, connection: Connection, one: Tried, alert: DictRow, now: int) -> None:
        """What only the hub did not reach is now seen to be down by others too."""
        rule = one.judgement.rules.get(alert["rule"])
        if rule is None or not rule.probe or alert["severity"] == rule.severity:
            return
        said = one.outcome.message or one.outcome.reason
        await self._engine.worsen(
            connection, alert, now, severity=rule.severity, rule=rule.name, title=f"Down: {said}"[:300],
            message=alert["message"], verdict=verdict_of(one),
        )  # fmt: skip

    async def _open(self, connection: Connection, one: Tried, happened: Happened, held: DictRow, now: int) -> None:
        row, transition = one.row, happened.transition
        alone = one.alone and happened.of_outcome
        thing = bounded(f"probe:{row['name']}")
        opening = Opening(
            organization_id=row["organization_id"],
            server_id=row["server_id"],
            probe_id=row["id"],
            key=key_of(str(row["id"]), happened.rule.name, thing, transition.episode),
            origin="hub",
            rule=happened.rule.name,
            thing=thing,
            episode=transition.episode,
            severity=LONE if alone else happened.severity,
            subject=row["name"],
            title="Not reached from the hub, but from elsewhere" if alone else happened.title,
            message=happened.message,
            labels={"target": one.shown},
            value=happened.value,
            unit=happened.unit,
            definition=happened.rule,
            flapping=transition.flapping,
            true_at=transition.since,
            detected_at=transition.time,
            verdict=verdict_of(one) if happened.of_outcome else "",
        )
        opened = await self._engine.open(connection, opening, now)
        if opened is None:
            return
        if self._is_down(held):
            # That its server is silent is told already, and explains it.
            told = {"organization": row["organization_id"], "server": row["server_id"]}
            await connection.execute(WATCHDOG["suppress"], told)
            return
        await self._engine.look(connection, opened, now)

    def _is_down(self, held: DictRow) -> bool:
        if not held["level"]:
            return False
        ladder = ladder_of(held, self._patience)
        return bool(ladder[min(held["level"], len(ladder)) - 1].severity == "down")


def verdict_of(one: Tried) -> str:
    """What is known of a probe that fails: the evidence, a line each."""
    lines = [f"from the hub: {one.outcome.message or one.outcome.reason}"]
    sighting = one.sighting
    if sighting is None:
        return lines[0]
    if sighting.up:
        lines.insert(0, "only from the hub: others reach it")
        lines.append(f"reached by other agents: {', '.join(sighting.up)}")
    if sighting.down:
        lines.append(f"not reached by other agents either: {', '.join(sighting.down)}")
    if not (sighting.up or sighting.down):
        lines.append("no other agent could look")
    return "\n".join(lines)
