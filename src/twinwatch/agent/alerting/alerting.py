"""The agent's path as one: what was seen goes in, people are told, the hub hears of it.

Two seams for the agent's own watchers: ``see`` has an outcome of a check of the agent's own judged like any other
(``twinwatch:<name>``; its rule belongs into ``own.SELF.rules``, its channels may be named by ``route``), and ``say``
sends a message that is no alert. ``collect`` gives the evidence of a critical alert.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from twinwatch.agent import own
from twinwatch.agent.alerting.addressing import Addressing, FileAlerts
from twinwatch.agent.alerting.alert import Alert
from twinwatch.agent.alerting.bundles import BundleFile
from twinwatch.agent.alerting.channels import Directory, KindNamed
from twinwatch.agent.alerting.desk import Desk
from twinwatch.agent.alerting.judge import Change, Judge
from twinwatch.agent.alerting.memory import Known, Memory, Writing
from twinwatch.agent.alerting.rulebook import conditions_of
from twinwatch.agent.alerting.standing import AlertingStatus, AlertStatus
from twinwatch.agent.alerting.teller import Teller
from twinwatch.agent.buffer import Tick
from twinwatch.agent.worker import Worker
from twinwatch.alerts.episodes import key_of
from twinwatch.monitors import Check
from twinwatch.notify import Outcome, Subject
from twinwatch.protocol.alerts import AlertAnswers, AlertEvents, Evidence, digest_of
from twinwatch.protocol.bundle import Bundle, SealedBundle
from twinwatch.protocol.checks import CheckStanding
from twinwatch.protocol.metrics import Catalogue
from twinwatch.protocol.rules import Rule
from twinwatch.world.clock import Clock
from twinwatch.world.doors import Outside

LOOK_SECONDS = 1.0
"""Between two looks at what time alone may change."""
KEEP_SECONDS = 30.0
"""So often what has not turned is kept too."""
TRIM_SECONDS = 600.0
COMMIT_SECONDS = 3.0
"""A disk that takes longer holds up nobody from being told."""
EVIDENCE_SECONDS = 0.7
JUMP_MILLISECONDS = 5_000
SETTLE_SECONDS = 180.0
"""After a start all monitors have run by then."""

Collect = Callable[[Change], Awaitable[Evidence | None]]

_log = logging.getLogger(__name__)


class Alerting:
    """``catalogue`` and ``instances`` say what runs, ``runs`` whether a monitor does, ``checks`` which there are."""

    def __init__(
        self,
        *,
        clock: Clock,
        worker: Worker,
        memory: Memory,
        known: Known,
        server: str,
        owner: Callable[[], str],
        hub: bool,
        state_dir: Path,
        outside: Outside,
        kind_named: KindNamed,
        runs: Callable[[str], bool | None],
        checks: Callable[[], Iterable[str]],
        check_interval: Callable[[str], int],
        hub_ahead: Callable[[], float | None],
        collect: Collect | None = None,
    ) -> None:
        self._clock = clock
        self._worker = worker
        self._memory = memory
        self._owner = owner
        self._hub = hub
        self._state_dir = state_dir
        self._runs = runs
        self._checks = checks
        self._check_interval = check_interval
        self._hub_ahead = hub_ahead
        self.collect = collect
        self._began = clock.monotonic()
        self._clocks = (clock.now(), self._began)
        self._intervals: dict[str, int] = {}
        self._units: dict[str, str] = {}
        self._catalogue: Catalogue | None = None
        self._instances: Mapping[str, Collection[str]] = {}
        self._rules: tuple[Rule, ...] = ()
        self._bundle_file: BundleFile | None = None
        self._changes: list[Change] = []
        self._own: set[str] = set()
        self._woken = asyncio.Event()
        self._lock = asyncio.Lock()
        self._news: list[Callable[[], None]] = []
        self._waiting = 0
        self._delivered_at = known.delivered_at
        now = clock.now()
        self._judge = Judge(lambda kind: self._intervals.get(kind, 0), known.things, now)
        self.addressing = Addressing(server_uuid=owner())
        self._desk = Desk(
            self.addressing,
            server=server,
            unit_of=lambda metric: self._units.get(metric, ""),
            hub=hub,
            alerts=known.alerts,
            number=known.number,
        )
        self._desk.resume(now)
        self._directory = Directory(self.addressing, kind_named, outside)
        self._teller = Teller(
            self._desk,
            self._directory,
            self.addressing,
            clock=clock,
            server=server,
            key_of=self.key_of,
            flush=self.flush,
        )

    # What is seen.

    async def took(self, ticks: Sequence[Tick]) -> None:
        """Samples that were kept in the buffer."""
        now = self._clock.now()
        self._mind_clock(now)
        self._note(self._judge.took(ticks, now))

    def saw(self, checks: Sequence[CheckStanding]) -> None:
        """Outcomes of one run's checks."""
        now = self._clock.now()
        self._mind_clock(now)
        self._note(self._judge.saw(checks, now, self._check_interval))

    def gone(self, checks: Sequence[str]) -> None:
        """These checks are no more."""
        self._note(self._judge.gone(checks, self._clock.now()))

    def see(self, check: Check) -> None:
        """An outcome of a check of the agent's own, ``twinwatch:<name>``."""
        self._own.add(f"{own.NAME}:{check.name}")
        self.saw([CheckStanding(f"{own.NAME}:{check.name}", own.NAME, check.state, check.message, check.reason)])

    def attach(self, change: Change, evidence: Evidence) -> None:
        """All of the evidence of an alert, where some of it came after that was told."""
        self._desk.attach(change, evidence, self._clock.now())
        self._woken.set()

    def route(self, rule: str, channels: Callable[[], Sequence[str]]) -> None:
        """Alerts of this rule (by its whole name) are told by this agent at once, on these channels of the bundle and
        on the file's."""
        self.addressing.routes[rule] = channels

    async def say(self, channels: Collection[str], subject: Subject, *, note_id: str) -> dict[str, Outcome]:
        """See ``Teller.say``."""
        return await self._teller.say(channels, subject, note_id=note_id)

    # What is known.

    @property
    def bundle(self) -> Bundle:
        """The bundle in force; an empty one before there is any."""
        return self.addressing.bundle

    @property
    def open_alerts(self) -> list[Alert]:
        """All that is open."""
        return self._desk.open

    def key_of(self, alert: Alert) -> str:
        """The name of its episode, on both sides."""
        return key_of(self._owner(), alert.rule.name, alert.thing, alert.episode)

    def held(self) -> str:
        """The digest of the bundle in force; empty: there is none."""
        return self.bundle.digest

    def digest(self) -> str:
        """Of all that is open, for heartbeats."""
        return digest_of(self.key_of(alert) for alert in self._desk.open)

    def status(self) -> AlertingStatus:
        """How it stands."""
        found = sorted(self._desk.open, key=lambda alert: (alert.rule.severity == "warning", alert.since))
        return AlertingStatus(
            open=tuple(
                AlertStatus(
                    alert.title,
                    alert.rule.severity,
                    alert.since,
                    alert.message,
                    tuple(self._directory.name_of(one.channel) for one in alert.tellings if one.state == "delivered"),
                    alert.stance,
                )
                for alert in found
            ),
            channels=self._directory.status(),
            rules=len(self._judge.conditions),
            last_delivery_at=self._delivered_at,
            bundle_issued_at=self.bundle.issued_at,
            events_waiting=self._waiting,
            trouble=self._memory.trouble,
        )

    # What it goes by.

    def become(
        self, catalogue: Catalogue, instances: Mapping[str, Collection[str]], rules: tuple[Rule, ...], file: FileAlerts
    ) -> None:
        """What runs, and what configuration and file say, is this from now on."""
        if (catalogue, instances, rules, file) == (
            self._catalogue, self._instances, self._rules, self.addressing.file,
        ):  # fmt: skip
            return
        self._catalogue, self._instances, self._rules = catalogue, instances, rules
        self.addressing.file = file
        self._intervals = {facts.name: round(facts.interval_seconds * 1000) for facts in catalogue.monitors}
        self._units = {metric.name: metric.unit for facts in catalogue.monitors for metric in facts.metrics}
        self._apply()

    def registered(self, server_key: str) -> None:
        """The hub knows this server: its bundle is what was kept, until it says otherwise."""
        self.addressing.server_uuid = self._owner()
        self._bundle_file = BundleFile(self._state_dir, server_key)
        kept = self._bundle_file.load()
        if kept is not None:
            self.addressing.bundle = kept
            self._apply()

    async def take(self, sealed: SealedBundle) -> None:
        """A bundle that was fetched: in force from now on, if it is lawful."""
        file = self._bundle_file
        if file is None:
            return
        try:
            bundle = file.lawful(sealed)
        except (ValueError, msgspec.MsgspecError) as err:
            _log.error("the hub's bundle is not taken: %s", err)
            return
        try:
            await self._worker.do(file.keep, sealed)
        except OSError as err:
            _log.warning("the hub's bundle cannot be kept (%s): it is in force until a restart", err.strerror)
        self.addressing.bundle = bundle
        self._apply()

    def _apply(self) -> None:
        if self._catalogue is None:
            return
        conditions = conditions_of(self._catalogue.monitors, self._instances, self._rules, self.bundle.rules)
        now = self._clock.now()
        if [one.rule for one in conditions] != [one.rule for one in self._judge.conditions]:
            self._note(self._judge.become(conditions, now))
        self._desk.look(now)
        self._woken.set()

    async def warm(self, read: Callable[[int, int, Collection[str]], Awaitable[Iterable[Tick]]]) -> None:
        """Before anything runs: look back as far as rules do, in what the buffer kept."""
        metrics, length = self._judge.windows()
        if metrics:
            now = self._clock.now()
            self._judge.warm(await read(now - length, now, metrics))

    # What it does.

    async def run(self) -> None:
        """Judge what time alone changes, tell people, keep what is to be kept; until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._teller.run(), name="teller")
            group.create_task(self._tidy(), name="alerts tidy")
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_SECONDS if self._is_busy() else None):
                        await self._woken.wait()
                self._woken.clear()
                await self._round()

    async def drain(self, timeout_seconds: float) -> None:
        """Before the end: what is being said is said to its end."""
        await self._teller.drain(timeout_seconds)

    async def finish(self, timeout_seconds: float) -> None:
        """At the end, once ``run`` was cancelled: what happened is decided and kept, and tried once."""
        await self._round()
        await self._teller.finish(timeout_seconds)
        self._judge.urgent = True
        await self.flush()

    async def _round(self) -> None:
        now = self._clock.now()
        self._mind_clock(now)
        settled = self._clock.monotonic() - self._began > SETTLE_SECONDS
        look = self._judge.next_look()
        if settled or (look is not None and look <= now):
            self._note(self._judge.look(now, self._runs, {*self._checks(), *self._own}, settled=settled))
        while self._changes:
            changes = list(self._changes)
            evidence = await self._evidence(changes)
            for change, one in zip(changes, evidence, strict=True):
                self._desk.happened(change, now, one)
            del self._changes[: len(changes)]
        self._desk.look(now)
        self._desk.questions(now)
        await self.flush()
        self._teller.wake()

    async def _evidence(self, changes: Sequence[Change]) -> list[Evidence | None]:
        collect = self.collect
        if collect is None:
            return [None] * len(changes)

        async def one(change: Change) -> Evidence | None:
            if change.transition.kind != "fired" or change.rule.severity != "critical":
                return None
            try:
                async with asyncio.timeout(EVIDENCE_SECONDS):
                    return await collect(change)
            except TimeoutError:
                return None
            except Exception as err:  # noqa: BLE001 - an alert without evidence is an alert all the same
                _log.warning("no evidence for %s: %s: %s", change.thing, type(err).__name__, err)
                return None

        return list(await asyncio.gather(*(one(change) for change in changes)))

    async def flush(self) -> None:
        """Bring to the disk what was decided, and the states that it came of."""
        async with self._lock:
            writing = self._collected(everything=self._judge.urgent)
            self._judge.urgent = False
            if writing:
                await self._write(writing)
        if self._desk.refresh or self._desk.asking:
            for callback in self._news:
                callback()

    async def _write(self, writing: Writing) -> None:
        self._delivered_at = max(self._delivered_at, writing.delivered_at)
        try:
            async with asyncio.timeout(COMMIT_SECONDS):
                await asyncio.shield(self._worker.do(self._memory.write, writing))
        except TimeoutError:
            _log.warning("the disk has not taken an alert within %g s: people are told meanwhile", COMMIT_SECONDS)

    def _collected(self, *, everything: bool) -> Writing:
        writing, self._desk.writing = self._desk.writing, Writing()
        if everything or writing:
            # A state is kept with what came of it: not before that was decided.
            pending = {(change.rule.name, change.thing) for change in self._changes}
            for place, thing in list(self._judge.touched.items()):
                if place not in pending:
                    writing.thing(place, thing.remembered)
                    del self._judge.touched[place]
        return writing

    async def _tidy(self) -> None:
        trimmed = self._clock.monotonic()
        while True:
            await asyncio.sleep(KEEP_SECONDS)
            self._judge.urgent = bool(self._judge.touched)
            await self.flush()
            await self._worker.do(self._memory.mend)
            if self._clock.monotonic() - trimmed >= TRIM_SECONDS:
                trimmed = self._clock.monotonic()
                dropped = await self._worker.do(self._memory.trim, self._clock.now())
                if dropped:
                    _log.warning("%d alert events became 24 hours old before the hub took them: dropped", dropped)

    def _is_busy(self) -> bool:
        return self._judge.next_look() is not None or self._desk.next_look() is not None

    def _note(self, changes: Iterable[Change]) -> None:
        self._changes += changes
        if self._changes or self._judge.urgent:
            self._woken.set()

    def _mind_clock(self, now: int) -> None:
        """A wall clock that was set, or a machine that slept, must make nothing seem long ago."""
        monotonic = self._clock.monotonic()
        before, monotonic_before = self._clocks
        drift = (now - before) - round((monotonic - monotonic_before) * 1000)
        self._clocks = (now, monotonic)
        if abs(drift) > JUMP_MILLISECONDS:
            self._judge.shift(drift)

    # What the uplink asks.

    def on_news(self, callback: Callable[[], None]) -> None:
        """Call back when there is something for the hub."""
        self._news.append(callback)

    async def message(self, most: int, *, all_open: bool) -> AlertEvents | None:
        """See ``uplink.alerts.Source``."""
        await self.flush()
        self._desk.refresh = False
        events, more = await self._worker.do(self._memory.events, most)
        self._waiting = len(events)
        owner = self._owner()
        named = tuple(
            msgspec.structs.replace(one, key=key_of(owner, one.rule, one.thing, one.episode)) for one in events
        )
        asked = tuple(self.key_of(alert) for alert in self._desk.asking.values())
        listed = tuple(self.key_of(alert) for alert in self._desk.open) if all_open and not more else None
        if not named and not asked and listed is None:
            return None
        return AlertEvents(named, more=more, ask=asked, open=listed)

    async def answered(self, sent: AlertEvents, answers: AlertAnswers) -> None:
        """See ``uplink.alerts.Source``."""
        last = sent.events[-1].number if sent.events else 0
        if answers.mark > self._desk.number:
            # The hub has counted further than this memory knows: what was sent has not been counted.
            self._desk.lifted(await self._worker.do(self._memory.lift, answers.mark))
        elif last:
            await self._worker.do(self._memory.acknowledged, last)
            self._waiting = max(0, self._waiting - len(sent.events))
        self._desk.asking.clear()
        alerts = {self.key_of(alert): alert for alert in self._desk.alerts}
        now = self._clock.now()
        ahead = round((self._hub_ahead() or 0.0) * 1000)
        for answer in answers.answers:
            alert = alerts.get(answer.key)
            if alert is not None:
                by = answer.will_notify_by + ahead if answer.will_notify_by else 0
                self._desk.answered(alert, answer, now, by)
        self._woken.set()

    async def drop(self, number: int) -> None:
        """See ``uplink.alerts.Source``."""
        await self._worker.do(self._memory.drop, number)
