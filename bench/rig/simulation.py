"""One organization in virtual time: whole agents, one or two whole hubs on a real PostgreSQL, and faults at every step
that one seed decides. Afterwards everything heals, and what people heard is held against the laws.

The laws, of DESIGN.md section 4:

1. *told*: every silence of more than two minutes that the hub was there for is told to somebody by two minutes after
   the last sign of life plus one look, and by one pause more on a channel that has just spoken, or tried to, and
   gathers;
2. *once*: no channel is told twice of the beginning, of the worsening, or of the end of one episode, except in the
   windows that docs/adr/0015 names;
3. *ends*: whoever was told of a beginning is told of its end, unless the provider refuses that for good, and no alert
   stays open;
4. *true*: nobody is told that a server is down while its heartbeats arrive.
"""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple

from twinwatch.notify import Note, Outcome, Refused, Retry
from twinwatch.testing.fakes import VirtualClock
from twinwatch.testing.hub_stage import HubStage
from twinwatch.testing.incident import CHANNELS, Incident, StagedServer
from twinwatch.testing.post_office import Said
from twinwatch.world.http import Unreachable

SERVERS = 8
"""At most. From four on the hub may suspect itself when most fall silent at once: then one message stands for all."""
TROUBLE_SECONDS = 20 * 60.0
HEAL_SECONDS = 20 * 60.0
"""Longer than the longest pause between two tries of a message."""
DOWN_MS = 120_000
TOLD_MS = DOWN_MS + 2_000 + 1_000
"""Two minutes, one look, and the time in which what was found is written down and taken up."""
GAP_MS = 10_000
"""Between two messages of a channel of paper."""
RECOVERY_MS = 15_000 + 2_000
"""After the hub was away a server gets so long to be heard again."""
REBOOT_MS = 600_000
RECORD_MS = 2_000
"""Between a provider's answer and its recording."""
TRY_MS = 35_000
"""In which an agent's try, or its yielding, has to be known to the hub: what is cut in between is ambiguous."""
LEASE_MS = 47_000
"""In which another hub takes up what one that died had begun to send."""
HUB = "hub"
BLIND = "Most servers fell silent at once"
ENDS_OF_HUBS = ("hub crash", "hub stop")
BEGINNINGS = ("firing", "flapping")
PARTING = ("kill", "power lost", "cut", "lose answers", "reboot", "delay")


class Happened(NamedTuple):
    """One step: when, ms UTC, and what, to whom."""

    at: int
    what: str
    who: str = ""


@dataclass(slots=True)
class Outcomes:
    """What came of one seed."""

    seed: int
    broken: list[str] = field(default_factory=list)
    steps: list[Happened] = field(default_factory=list)
    outages: int = 0
    messages: int = 0
    in_the_window: int = 0
    """Messages that came twice where the design allows it."""


class Troubled(Incident):
    """An incident that remembers each sign of life that the hub has heard."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.signs: dict[str, list[int]] = defaultdict(list)
        self.balance: Callable[[], HubStage | None] = lambda: self.stage
        """Which hub takes the next request; None if there is none."""

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        status = 0

        async def watched(message: Any) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        # The hub takes the time of a heartbeat as it begins to work on it, and people may hear of it before it ends.
        began = self.stage.clock.now()
        hub = self.balance()
        if hub is None:
            raise Unreachable("connection refused")
        await hub.app(scope, receive, watched)
        if scope["path"].endswith("/heartbeat") and status == 200:
            for server in self.servers:
                if scope["client"][0] == server.ip:
                    self.signs[server.name].append(began)


class Simulation:
    """One seed on one database."""

    def __init__(self, seed: int, database_url: str, folder: Path) -> None:
        self._chance = random.Random(seed)  # so that it can be replayed
        self._mood = random.Random(seed + 1_000_000)
        """Of channels, apart: how often they are asked depends on more than the seed."""
        self._url = database_url
        self._folder = folder
        self.outcomes = Outcomes(seed)
        self._failing: dict[str, str] = {}
        self._refused: set[tuple[str, str]] = set()
        """Ends that a provider refused for good: address and key."""
        self._hub_spans: list[list[int]] = []

    async def run(self) -> Outcomes:
        """What came of it. The loop has to be a virtual one."""
        clock: Any = VirtualClock()
        self._stage = HubStage(self._url, self._folder / "hub-1", clock=clock)
        second = HubStage(self._url, self._folder / "hub-2", clock=clock)
        second.post_office = self._stage.post_office
        async with self._stage as stage, second:
            self._hubs = [stage, second][: self._chance.randint(1, 2)]
            if second not in self._hubs:
                await second.stop()
            self._hub_spans.append([clock.now(), 0])
            many = self._chance.randint(1, SERVERS)
            self._incident = await Troubled.begin(stage, self._folder, servers=many)
            self._incident.failure = self._failure
            self._incident.balance = self._running
            self._now = clock.now
            until = clock.monotonic() + TROUBLE_SECONDS
            while clock.monotonic() < until:
                await self._step()
                await asyncio.sleep(
                    self._chance.choice((0.0, 0.1, 1.0, 5.0, 20.0, 60.0, 150.0)) * self._chance.random()
                )
            await self._heal()
            await asyncio.sleep(HEAL_SECONDS)
            self._hub_spans[-1][1] = self._now()
            await self._judge()
            await self._incident.end()
        return self.outcomes

    # ---- what goes wrong ----

    async def _step(self) -> None:
        server = self._chance.choice(self._incident.servers)
        steps = (
            *((self._cut, 3), (self._mend, 5), (self._lose_answers, 3), (self._repeat, 2), (self._delay, 2)),
            *((self._kill, 2), (self._lose_power, 1), (self._reboot, 1), (self._start, 5), (self._turn, 6)),
            *((self._fill, 5), (self._fail, 3), (self._crash_hub, 1), (self._stop_hub, 1), (self._start_hub, 4)),
        )
        (step,) = self._chance.choices([step for step, _ in steps], [weight for _, weight in steps])
        await step(server)

    def _did(self, what: str, who: str = "") -> None:
        self.outcomes.steps.append(Happened(self._now(), what, who))

    async def _cut(self, server: StagedServer) -> None:
        if not server.cut_off:
            self._did("cut", server.name)
            server.http.cut()

    async def _mend(self, server: StagedServer) -> None:
        if server.cut_off:
            self._did("mend", server.name)
            server.http.mend()

    async def _lose_answers(self, server: StagedServer) -> None:
        self._did("lose answers", server.name)
        server.http.lose_answers(self._chance.randint(1, 4))

    async def _repeat(self, server: StagedServer) -> None:
        self._did("repeat", server.name)
        server.http.repeat(self._chance.randint(1, 4))

    async def _delay(self, server: StagedServer) -> None:
        server.http.delay_seconds = self._chance.choice((0.0, 0.0, 0.5, 3.0))
        self._did(f"delay {server.http.delay_seconds:g} s", server.name)

    async def _kill(self, server: StagedServer) -> None:
        if server.running:
            self._did("kill", server.name)
            await server.kill()

    async def _lose_power(self, server: StagedServer) -> None:
        if server.running:
            self._did("power lost", server.name)
            await server.lose_power()

    async def _reboot(self, server: StagedServer) -> None:
        if server.running:
            self._did("reboot", server.name)
            await server.reboot()

    async def _start(self, server: StagedServer) -> None:
        if not server.running:
            self._did("start", server.name)
            await server.start()

    async def _turn(self, server: StagedServer) -> None:
        checks = server.gauge.checks
        checks["pump"] = "up" if checks["pump"] == "down" else "down"
        self._did(f"pump {checks['pump']}", server.name)

    async def _fill(self, server: StagedServer) -> None:
        server.gauge.value = 0.1 if server.gauge.value == 0.95 else 0.95
        self._did(f"level {server.gauge.value}", server.name)

    async def _fail(self, server: StagedServer) -> None:
        name, _ = self._chance.choice(CHANNELS)
        self._failing[name] = self._chance.choice(("", "", "retry", "refuse", "maybe"))
        self._did(f"channel {self._failing[name] or 'works'}", name)

    def _running(self) -> HubStage | None:
        running = [hub for hub in self._hubs if hub.runs]
        return self._mood.choice(running) if running else None

    async def _crash_hub(self, server: StagedServer) -> None:
        await self._end_hub("crash", self._chance.choice(self._hubs))

    async def _stop_hub(self, server: StagedServer) -> None:
        await self._end_hub("stop", self._chance.choice(self._hubs))

    async def _end_hub(self, how: Literal["crash", "stop"], hub: HubStage) -> None:
        if hub.runs:
            self._did(f"hub {how}", HUB)
            await (hub.crash() if how == "crash" else hub.stop())
            if not any(one.runs for one in self._hubs):
                self._hub_spans[-1][1] = self._now()

    async def _start_hub(self, server: StagedServer) -> None:
        hub = self._chance.choice(self._hubs)
        if not hub.runs:
            alone = not any(one.runs for one in self._hubs)
            await hub.start()
            if alone:
                self._hub_spans.append([self._now(), 0])
            self._did("hub start", HUB)

    def _failure(self, kind: str, to: str, note: Note) -> Outcome | None:
        failing = self._failing.get(to, "")
        if failing == "maybe":
            failing = self._mood.choice(("", "retry"))
        if failing == "retry":
            return Retry("busy")
        if failing != "refuse":
            return None
        self._refused |= {(to, subject.key) for subject in note.subjects if subject.occasion == "resolved"}
        return Refused("not today")

    async def _heal(self) -> None:
        self._failing.clear()
        while not all(hub.runs for hub in self._hubs):
            await self._start_hub(self._incident.servers[0])
        for server in self._incident.servers:
            server.http.lose_answers(0)
            server.http.repeat(0)
            server.http.delay_seconds = 0.0
            await self._mend(server)
            await self._start(server)
            server.gauge.checks["pump"] = "up"
            server.gauge.value = 0.1
        self._did("healed")

    # ---- the laws ----

    async def _judge(self) -> None:
        office = self._incident.office
        for one in office.tried:
            for subject in one.note.subjects:
                said = "said" if one in office.said else "tried"
                self.outcomes.steps.append(
                    Happened(
                        one.at,
                        f"{one.note.teller} {said} to {one.to}: {subject.occasion} {subject.title},",
                        subject.server,
                    )
                )
        self.outcomes.messages = len(office.said)
        self._suspicions = [
            (int(since), int(to or self._now()))
            for since, to in await self._stage.execute(
                "select extract(epoch from detected_at) * 1000, extract(epoch from resolved_at) * 1000"
                " from public.alerts where title = %s",
                BLIND,
            )
        ]
        told_of_it = sum(subject.title == BLIND for one in office.tried for subject in one.note.subjects)
        if self._suspicions and not told_of_it:
            self._break("told", "the hub suspected itself, and told nobody")
        for server in self._incident.servers:
            self._judge_told(server)
        self._judge_once(office.said)
        self._judge_ends(office.said)
        await self._judge_true()
        open_alerts = await self._stage.execute(
            "select subject, title, state from public.alerts where state <> 'resolved'"
        )
        for subject, title, state in open_alerts:
            self._break("ends", f"{subject}: {title} is {state} for ever")

    def _break(self, law: str, what: str) -> None:
        self.outcomes.broken.append(f"{law}: {what}")

    def _judge_told(self, server: StagedServer) -> None:
        signs = [*self._incident.signs[server.name], self._now()]
        tried = [
            one.at
            for one in self._incident.office.tried
            for subject in one.note.subjects
            if subject.server == server.name and subject.severity == "down" and subject.occasion in ("firing", "worse")
        ]
        for last, next_sign in pairwise(signs):
            for began, ended in self._hub_spans:
                # The hub has to be there, and to have been there long enough to have been heard again.
                counts = last if began <= last else began - DOWN_MS + DOWN_MS + RECOVERY_MS
                by = counts + TOLD_MS
                if last > ended or next_sign <= by or ended <= by or self._left(server, last) > by:
                    continue
                self.outcomes.outages += 1
                if any(by - GAP_MS <= one.at <= by for one in self._incident.office.tried):
                    by += GAP_MS
                if any(by - LEASE_MS <= step.at <= by for step in self.outcomes.steps if step.what in ENDS_OF_HUBS):
                    by += LEASE_MS
                if any(last < since <= by or since <= last <= to for since, to in self._suspicions):
                    break
                # What was told already, of a silence that was begun before the hub went away, is told.
                if not any(last + DOWN_MS - 1 <= at <= by for at in tried):
                    self._break("told", f"{server.name} silent from {last} to {next_sign}, nobody told by {by}")
                break

    def _left(self, server: StagedServer, last: int) -> int:
        """Until when a reboot that was announced may take."""
        said = [step.at for step in self.outcomes.steps if step.who == server.name and step.what == "reboot"]
        return max((at + REBOOT_MS + TOLD_MS for at in said if abs(at - last) < 70_000), default=0)

    def _judge_once(self, said: list[Said]) -> None:
        heard: dict[tuple[str, str, str], list[Said]] = defaultdict(list)
        for one in said:
            for subject in one.note.subjects:
                occasion: str = "firing" if subject.occasion in BEGINNINGS else subject.occasion
                if occasion in ("firing", "worse", "resolved"):
                    heard[one.to, subject.key, occasion].append(one)
        for (to, key, occasion), several in heard.items():
            for first, second in pairwise(several):
                server = next(one.server for one in second.note.subjects if one.key == key)
                if self._is_in_the_window(first, second, server):
                    self.outcomes.in_the_window += 1
                else:
                    tellers = f"{first.teller} at {first.at} and {second.teller} at {second.at}"
                    self._break("once", f"{to} heard {occasion} of {key} ({server}) from {tellers}")

    def _is_in_the_window(self, first: Said, second: Said, server: str) -> bool:
        for step in self.outcomes.steps:
            if step.who == HUB and first.teller == "hub" and 0 <= step.at - first.at <= RECORD_MS:
                return True
            if step.who != server:
                continue
            # Its agent died, or could not say that it had told, or that it had left it to the hub.
            if step.what.startswith(PARTING) and abs(step.at - first.at) <= TRY_MS:
                return True
        gaps = [(ended, began) for (_, ended), (began, _) in pairwise(self._hub_spans)]
        return any(gone - TRY_MS <= first.at <= back + TRY_MS for gone, back in gaps)

    def _judge_ends(self, said: list[Said]) -> None:
        began: dict[tuple[str, str], str] = {}
        ended: set[tuple[str, str]] = set()
        for one in said:
            for subject in one.note.subjects:
                if subject.occasion in (*BEGINNINGS, "worse"):
                    began[one.to, subject.key] = f"{subject.server}: {subject.title}, from {one.teller}"
                elif subject.occasion == "resolved":
                    ended.add((one.to, subject.key))
        for (to, key), what in began.items():
            if (to, key) not in ended | self._refused:
                self._break("ends", f"{to} never heard the end of {key} ({what})")

    async def _judge_true(self) -> None:
        fired = await self._stage.execute(
            "select a.subject, extract(epoch from e.happened_at) * 1000 from public.alert_events as e"
            " join public.alerts as a on a.id = e.alert_id"
            " where a.thing = 'heartbeat' and e.kind in ('fired', 'worse')"
            " and (e.kind = 'worse' or a.severity = 'down' and not exists ("
            " select from public.alert_events as w where w.alert_id = a.id and w.kind = 'worse'))"
        )
        for name, at in fired:
            before = [sign for sign in self._incident.signs[name] if sign <= int(at)]
            late = not before or int(at) - before[-1] >= DOWN_MS - 1_000
            if not late:
                self._break("true", f"{name} was called down at {int(at)}, heard {int(at) - before[-1]} ms before")
