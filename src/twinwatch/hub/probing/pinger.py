"""Makes every probe when it is due, thousands in one process, and hands what came of it to the ledger.

Invariants: starts are spread (each probe keeps to a beat of its own); of one organization only so many tries are under
way, so that one whose targets hang holds up nobody else; a probe is tried by whoever has its lease; a hub that dies
loses the tries under way and no more.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from uuid import UUID

import msgspec
from psycopg.rows import DictRow

from twinwatch.alerts.step import State
from twinwatch.hub.agents import network_of
from twinwatch.hub.db import Connection, Database, DatabaseAway
from twinwatch.hub.probing.allowances import ALLOWANCES
from twinwatch.hub.probing.canaries import Canaries
from twinwatch.hub.probing.judge import DEFAULTS, METRICS, Judgement, Memory, Try, judged, rules_for
from twinwatch.hub.probing.keeper import Keeper, Unusable
from twinwatch.hub.probing.kinds import LONGEST_SECONDS, Outcome, ProbeKind, tried
from twinwatch.hub.probing.ledger import SQL, Ledger, Tried
from twinwatch.hub.probing.sight import NotingNet, Place, Sight
from twinwatch.hub.probing.witnesses import WAIT_SECONDS, Sighting, Witnesses
from twinwatch.hub.rules import effective
from twinwatch.hub.stores.log import instant
from twinwatch.protocol.rules import Rule
from twinwatch.world.clock import Clock
from twinwatch.world.doors import World

log = logging.getLogger(__name__)

AT_ONCE = 1000
"""Most tries under way in this process."""
LOOK_SECONDS = 0.25
IDLE_SECONDS = 1.0
LOOKED = 20_000
"""Of the probes that are due so many are looked at for who is next."""
WRITTEN = 500
"""Most tries of one transaction."""
GATHER_SECONDS = 0.1
SLACK_SECONDS = 5.0
LEASE_SECONDS = LONGEST_SECONDS + WAIT_SECONDS + 2 * SLACK_SECONDS
SEES_SECONDS = 5.0
LEFTOVER_MILLISECONDS = 15 * 60_000
"""An alert about a hub that does not see, of one that has not ended it by itself."""
OVERDUE_MILLISECONDS = 60_000
"""While this hub is cut off: what is overdue for so long is tried by no other hub either."""
FORGET_SECONDS = 3600.0
ORGANIZATIONS = 10_000

_MEMORY = msgspec.msgpack.Decoder(dict[str, State])


class Pinger:
    """The worker. ``world`` is guarded; its clock is this machine's, while ``clock`` says what time it is."""

    def __init__(
        self,
        clock: Clock,
        database: Database,
        keeper: Keeper,
        ledger: Ledger,
        witnesses: Witnesses,
        canaries: Canaries,
        world: World,
        *,
        at_once: int = AT_ONCE,
    ) -> None:
        self._clock = clock
        self._database = database
        self._keeper = keeper
        self._ledger = ledger
        self._witnesses = witnesses
        self._canaries = canaries
        self._world = world
        self._at_once = at_once
        self._sight = Sight(world.clock, world.net)
        self._rules: OrderedDict[UUID, tuple[int, list[DictRow]]] = OrderedDict()
        self._tries: set[asyncio.Task[None]] = set()
        self._running: Counter[UUID] = Counter()
        self._plans: dict[UUID, str] = {}
        self._ended: list[Tried] = []
        self._something = asyncio.Event()
        self._claiming = asyncio.Lock()
        self._writing = asyncio.Lock()
        self._wake = asyncio.Event()
        self._held_back: dict[UUID, set[str]] = {}

    def wake(self) -> None:
        """A probe is new or was changed: look at once."""
        self._wake.set()

    async def run(self) -> None:
        """Tries until cancelled."""
        others = [asyncio.create_task(self._write_down()), asyncio.create_task(self._keep_watch())]
        away = False
        try:
            while True:
                self._wake.clear()
                begun = 0
                try:
                    # What a hub that is cut off finds out is of no use; others may see.
                    begun = 0 if self._canaries.fail else await self._begin_due()
                    away = False
                except DatabaseAway as err:
                    if not away:
                        log.warning("probes wait: database away (%s)", err)
                    away = True
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_SECONDS if begun else IDLE_SECONDS):
                        await self._wake.wait()
        finally:
            for task in [*others, *self._tries]:
                task.cancel()
            await asyncio.gather(*others, *self._tries, return_exceptions=True)

    async def look(self) -> None:
        """Tries what is due and writes it down, once and now: for tests that set the clock."""
        # More may be begun once these have ended, where an organization has all its places taken.
        while await self._begin_due() or self._tries:
            await asyncio.gather(*self._tries, return_exceptions=True)
        while self._ended:
            await self._write_some()
        async with self._writing:  # what the worker has in hand
            pass
        await self._tell_blindness()

    async def _begin_due(self) -> int:
        """Begins what is due and may be; how many that is."""
        async with self._claiming:
            room = self._at_once - len(self._tries)
            if room <= 0:
                return 0
            now = self._clock.now()
            asked = {
                "now": instant(now),
                "until": instant(now + round(LEASE_SECONDS * 1000)),
                "many": room,
                "looked": LOOKED,
                "full": [one for one, many in self._running.items() if many >= ALLOWANCES[self._plans[one]].at_once],
                "busy": list(self._running),
                "running": list(self._running.values()),
                "plans": list(ALLOWANCES),
                "at_once": [one.at_once for one in ALLOWANCES.values()],
            }
            async with self._database.as_worker() as connection:
                rows = await (await connection.execute(SQL["claim"], asked)).fetchall()
                await self._learn(connection, rows)
            for row in rows:
                self._begin(row)
            return len(rows)

    async def _learn(self, connection: Connection, rows: Sequence[DictRow]) -> None:
        """Reads the rules of organizations where they are others now."""
        versions = {row["organization_id"]: row["bundle_version"] for row in rows}
        news = [one for one, version in versions.items() if self._rules.get(one, (None,))[0] != version]
        if not news:
            return
        asked = {"organizations": news, "metrics": list(METRICS), "defaults": [rule.name for rule in DEFAULTS]}
        found = await (await connection.execute(SQL["rules"], asked)).fetchall()
        for one in news:
            self._rules[one] = (versions[one], [rule for rule in found if rule["organization_id"] == one])
            self._rules.move_to_end(one)
        while len(self._rules) > ORGANIZATIONS:
            self._rules.popitem(last=False)

    def _begin(self, row: DictRow) -> None:
        organization = row["organization_id"]
        own = self._rules.get(organization, (0, []))[1]
        rules = rules_for(effective(own, row["server_id"], row["tags"] or [])) if own else DEFAULTS
        self._running[organization] += 1
        self._plans[organization] = row["plan"]
        task = asyncio.create_task(self._try(row, rules))
        self._tries.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            self._tries.discard(task)
            self._running[organization] -= 1
            if not self._running[organization]:
                del self._running[organization], self._plans[organization]

        task.add_done_callback(ended)

    async def _try(self, row: DictRow, rules: Sequence[Rule]) -> None:
        try:
            done = await self._tried(row, rules)
        except DatabaseAway as err:
            log.warning("probe %s: not tried to the end: database away (%s)", row["id"], err)
            return
        except Exception:
            log.exception("probe %s failed", row["id"])
            return
        self._ended.append(done)
        self._something.set()

    async def _tried(self, row: DictRow, rules: Sequence[Rule]) -> Tried:
        memory = _remembered(row["memory"])
        interval = row["interval_seconds"] * 1000
        try:
            probe = self._keeper.opened(row)
        except Unusable as err:
            outcome = Outcome("unknown", "unusable", str(err))
            now = self._clock.now()
            seen = Try(row["name"], "", now, interval, outcome)
            return Tried(row, now, "", outcome, judged(memory, rules, seen))
        outcome, network, place = await self._outcome(probe)
        now = self._clock.now()
        seen = Try(row["name"], probe.host, now, interval, outcome)
        judgement = judged(memory, rules, seen)
        if outcome.state in ("up", "degraded"):
            self._sight.reached(network, place)
        sighting = await self._seen_by_others(row, probe, outcome, judgement)
        if await self._is_doubted(outcome, judgement, sighting, network):
            self._held_back.setdefault(row["organization_id"], set()).add(row["name"])
            told = f"not judged: the hub itself may be cut off ({outcome.message})"
            outcome = Outcome("unknown", "hub-blind", told)
            judgement = judged(memory, rules, seen._replace(outcome=outcome))
        elif judgement.state == "down":
            self._sight.lost(network)
        return Tried(row, now, probe.shown, outcome, judgement, sighting)

    async def _outcome(self, probe: ProbeKind) -> tuple[Outcome, str, Place]:
        """What a try comes to, and the network and place that it went to."""
        net = NotingNet(self._world.net)
        try:
            async with asyncio.timeout(LONGEST_SECONDS + SLACK_SECONDS):
                outcome = await tried(probe, replace(self._world, net=net), self._clock.now())
        except TimeoutError:
            outcome = Outcome("unknown", "hub-slow", "the try came to no end in time; the hub may be overloaded")
        return outcome, network_of(net.address), (net.address, net.port)

    async def _seen_by_others(
        self, row: DictRow, probe: ProbeKind, outcome: Outcome, judgement: Judgement
    ) -> Sighting | None:
        """What witnesses see of it, where that matters: before an alert, and while the hub alone does not reach it."""
        matters = _fires(judgement) or (row["only_here"] and judgement.state == "down")
        question = probe.question(outcome) if matters and outcome.state == "down" else None
        if question is None:
            return None
        besides = [] if row["server_id"] is None else [row["server_id"]]
        return await self._witnesses.ask(row["organization_id"], question, besides=besides)

    async def _is_doubted(
        self, outcome: Outcome, judgement: Judgement, sighting: Sighting | None, network: str
    ) -> bool:
        """Whether the failure says more about the hub than about the target."""
        if not _is_lost(outcome) or (sighting is not None and sighting.down and not sighting.up):
            return False
        if not self._canaries.there:
            return _fires(judgement) and await self._sight.is_doubtful(network)
        return await self._canaries.fail_now() if _fires(judgement) else self._canaries.fail

    async def _write_down(self) -> None:
        away = False
        while True:
            await self._something.wait()
            self._something.clear()
            await asyncio.sleep(GATHER_SECONDS)
            try:
                while self._ended:
                    await self._write_some()
                away = False
            except DatabaseAway as err:
                if not away:
                    log.warning("what probes saw cannot be written down: database away (%s)", err)
                away = True

    async def _write_some(self) -> None:
        """Writes down some of what has ended: what is quiet together, what opens or ends alerts each by itself, since
        that takes locks on channels. What cannot be written is lost, and tried anew when its lease has ended."""
        async with self._writing:
            some, self._ended = self._ended[:WRITTEN], self._ended[WRITTEN:]
            quiet = [one for one in some if not one.tells]
            if quiet:
                await self._write(quiet)
            for one in some:
                if one.tells:
                    await self._write([one])

    async def _write(self, together: Sequence[Tried]) -> None:
        try:
            try:
                await self._ledger.write(together)
            except DatabaseAway:
                await self._ledger.write(together)  # a connection that was cut, or a deadlock that this side lost
        except DatabaseAway:
            raise
        except Exception:
            if len(together) == 1:
                log.exception("probe %s: its try could not be written down", together[0].row["id"])
                return
            log.exception("%d tries could not be written down together", len(together))
            for one in together:
                await self._write([one])

    async def _keep_watch(self) -> None:
        """Tells of the hub's own blindness and of its end; forgets what is old."""
        forgotten = self._world.clock.monotonic() - FORGET_SECONDS
        while True:
            try:
                await self._tell_blindness()
                if self._world.clock.monotonic() - forgotten >= FORGET_SECONDS:
                    forgotten = self._world.clock.monotonic()
                    await self._ledger.forget()
            except DatabaseAway:
                pass  # told by those who try
            await asyncio.sleep(SEES_SECONDS)

    async def _tell_blindness(self) -> None:
        now = self._clock.now()
        if self._canaries.fail:
            for row in await self._ledger.overdue(now - OVERDUE_MILLISECONDS):
                self._held_back.setdefault(row["organization_id"], set()).update(row["names"])
        doubtful = bool(self._held_back) and not self._canaries.there and await self._sight.is_doubtful()
        if self._canaries.fail or doubtful:
            for organization, names in self._held_back.items():
                await self._ledger.blind(organization, sorted(names))
        else:
            await self._ledger.seeing(now if self._held_back else now - LEFTOVER_MILLISECONDS)
            self._held_back.clear()


def _remembered(memory: bytes | None) -> Memory:
    """What the rules remember; nothing, if that was written by a hub that this one does not understand."""
    try:
        return _MEMORY.decode(memory) if memory else {}
    except msgspec.MsgspecError:
        log.warning("what rules remember of a probe is not understood: they begin anew")
        return {}


def _is_lost(outcome: Outcome) -> bool:
    """Whether it failed in a way that may be the network's fault, or ours."""
    return outcome.state in ("down", "unknown") and outcome.lies_on_the_way


def _fires(judgement: Judgement) -> bool:
    return any(one.of_outcome and one.transition.kind == "fired" for one in judgement.happened)
