"""The systemd monitor: units that failed, loop, hang, are late or are not there, within a second of it.

systemd tells of changes by D-Bus signals, and only what changed is read then; every minute, and whenever no signals
come, everything that is watched is read anyway. So a lost signal costs a minute and a lost connection nothing.
Source: systemd's D-Bus API (org.freedesktop.systemd1(5)).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from typing import ClassVar

from twinwatch.monitors import Absent, Check, Finding, Moment, Options, Unreadable
from twinwatch.monitors.systemd import groups, overall, usage
from twinwatch.monitors.systemd.facts import Row, Unit
from twinwatch.monitors.systemd.options import SystemdOptions
from twinwatch.monitors.systemd.past import Past
from twinwatch.monitors.systemd.selection import ENABLED, LISTED, Selection
from twinwatch.monitors.systemd.signals import RULES, News, news
from twinwatch.monitors.systemd.source import Source
from twinwatch.monitors.systemd.verdict import Now, judge
from twinwatch.protocol.limits import MESSAGE_CHARACTERS
from twinwatch.protocol.metrics import Chart, Headline, Metric
from twinwatch.protocol.rules import Rule
from twinwatch.world.bus import NO_SERVER, SERVICE_UNKNOWN, BusUnavailable, Heard
from twinwatch.world.doors import World
from twinwatch.world.host import Host

BOOTED = "/run/systemd/system"
"""There where systemd is the init, as sd_booted(3) has it."""
WHOLE_SECONDS = 55.0
"""Between two runs that read everything; a little less than the interval, which is jittered."""
ENABLED_SECONDS = 3600.0
"""systemd reads its folders to tell which unit files are enabled; it says when they change, but not always."""
GAP_SECONDS = 0.2
"""Between two runs that signals ask for: a unit that restarts sends a dozen at once."""
CALLS = 6
"""Runs between two whole ones that one unit may call for at once, so that one that keeps restarting …"""
DEFERRED_SECONDS = 10.0
"""… is read at this pace, and delays no other."""
MEASURED = 75
"""Most services with readings of their own, so that a server stays below a thousand series."""
POLLED = (".service", ".timer")
"""Types whose state alone does not tell enough."""


class Systemd:
    """Units of systemd: failed, restarting, hanging, late, not running; and what services use.

    Source: systemd over the system's D-Bus, by signals and by a poll a minute.
    Cost: under 1 ms of processor time per watched service and minute, and 3 MB for the D-Bus library.
    Rights: none; every user may read systemd's state.
    Bounds: 200 units are watched, 75 services have readings.
    """

    name: ClassVar[str] = "systemd"
    title: ClassVar[str] = "systemd"
    Options: ClassVar[type[Options]] = SystemdOptions
    interval_seconds: ClassVar[float] = 60.0
    deadline_seconds: ClassVar[float] = 10.0
    metrics: ClassVar[tuple[Metric, ...]] = (*overall.METRICS, *usage.METRICS)
    charts: ClassVar[tuple[Chart, ...]] = (*overall.CHARTS, *usage.CHARTS)
    headlines: ClassVar[tuple[Headline, ...]] = overall.HEADLINES
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("unit failed", severity="critical", check="*"),
        Rule("unit in trouble", check="*", states=("degraded",), hold="5m"),
    )

    def __init__(self, options: SystemdOptions) -> None:
        self._options = options
        self._selection = Selection(options)
        self._usage = usage.Usage()
        self._rows: list[Row] = []
        self._units: dict[str, Unit] = {}
        self._unread: dict[str, str] = {}
        self._past: dict[str, Past] = {}
        self._starts: dict[str, set[str]] = {}
        """Timers by the unit that they start."""
        self._enabled: frozenset[str] | None = None
        self._enabled_at: float | None = None
        self._whole_at: float | None = None
        self._changed: set[str] = set()
        self._relist = False
        self._calls: Counter[str] = Counter()
        self._deferred = False
        self._answered = False

    async def read(self, world: World, moment: Moment) -> list[Finding]:
        """One run: of everything, or of what signals said has changed.

        Raises: Absent where there is no systemd; Unreadable where it does not answer.
        """
        now = moment.monotonic_seconds
        changed, relist = self._changed, self._relist
        self._changed, self._relist = set(), False
        whole = not (changed or relist) or self._whole_at is None or not 0 <= now - self._whole_at < WHOLE_SECONDS
        try:
            source = Source(world.bus)
            said = {name: await source.about(name) for name in overall.PROPERTIES}
            if whole or relist:
                await self._list(source, now)
            await self._read_units(source, self._wanted(changed, whole=whole))
        except BaseException as err:
            self._changed |= changed
            self._relist |= relist
            if isinstance(err, BusUnavailable):
                raise self._reason(err, world.host) from err
            raise
        self._answered = True
        if whole:
            self._whole_at = now
            self._calls.clear()
        found = overall.readings(said, self._rows if whole else None)
        found += self._selection.checks()
        found.append(overall.judge(said, self._present_rows(), self._options))
        services = [name for name in self._selection.names if name.endswith(".service")]
        measured = set(services[:MEASURED]) if whole else set()
        for name in self._selection.names:
            found += self._findings(name, world.host, moment, measured=name in measured)
        return [_bounded(one) for one in found]

    async def watch(self, world: World, changed: Callable[[], None]) -> None:
        """Listens to systemd for as long as the connection lasts.

        Raises: Absent, Unreadable.
        """
        try:
            await self._listen(world, changed)
        except BusUnavailable as err:
            raise self._reason(err, world.host) from err

    async def _listen(self, world: World, changed: Callable[[], None]) -> None:
        woken = asyncio.Event()
        replaced = False

        def heard(signal: Heard) -> None:
            nonlocal replaced
            what = news(signal, self._units)
            replaced = replaced or what.meaning == "replaced"
            if replaced or self._noted(what, world.clock.monotonic()):
                self._calls[what.name] += 1
                if replaced or self._calls[what.name] <= CALLS:
                    woken.set()
                self._deferred = True

        async with AsyncExitStack() as stack:
            for rule in RULES:
                await stack.enter_async_context(world.bus.listen(rule, heard))
            await Source(world.bus).subscribe()
            self._whole_at = None  # what happened before is not known
            while not replaced:
                self._deferred = False
                changed()
                await asyncio.sleep(GAP_SECONDS)
                await _set_or_late(woken, lambda: self._deferred)
                woken.clear()
        raise BusUnavailable("systemd was started anew")

    def _noted(self, what: News, now: float) -> bool:
        """Takes note of what a signal said; whether it is worth a run."""
        name = what.name
        if what.meaning == "nothing":
            return False
        if what.meaning == "reloaded":
            self._whole_at = self._enabled_at = None
            self._relist = True
            return True
        watched = name in self._selection.names
        if what.meaning == "unit":
            if what.oom_kill and watched:
                self._past_of(name).killed(now)
            if watched:
                self._changed.add(name)
            self._changed |= self._starts.get(name, set())
            if watched or name in self._starts:
                return True
            concerns = what.failed or self._selection.may_concern(name, failed=False)
            self._relist = self._relist or concerns
            return concerns
        # Named units are not listed, and reading one loads and drops it: only patterns and what went away matter.
        if name in self._options.exact or not (
            self._selection.may_concern(name, failed=False) or (what.meaning == "went" and watched)
        ):
            return False
        self._relist = True
        return True

    async def _list(self, source: Source, now: float) -> None:
        options = self._options
        if not options.services and (self._enabled_at is None or not 0 <= now - self._enabled_at < ENABLED_SECONDS):
            self._enabled = await source.enabled(ENABLED, [f"*.{kind}" for kind in options.types])
            self._enabled_at = now
        self._rows = await source.listed(LISTED)
        self._selection.choose(self._rows, self._enabled)
        names = set(self._selection.names)
        self._past = {name: past for name, past in self._past.items() if name in names}
        kept = names | self._starts.keys()
        self._units = {name: unit for name, unit in self._units.items() if name in kept}
        self._unread = {name: why for name, why in self._unread.items() if name in kept}
        self._usage.forget(names)

    def _wanted(self, changed: set[str], *, whole: bool) -> set[str]:
        """The units to read: in a whole run those whose row does not tell all, and those that were never read."""
        rows = {row.name: row for row in self._rows}
        wanted = set()
        for name in self._selection.names:
            row = rows.get(name)
            if name in changed or row is None or name.endswith(POLLED) or row.active == "failed":
                if whole or name in changed or name not in self._units:
                    wanted.add(name)
            elif whole or name not in self._units:
                self._units[name] = Unit(name, row.load, row.active, row.sub)
        return wanted

    async def _read_units(self, source: Source, names: set[str]) -> None:
        await self._take(source, names)
        # A timer is as well as the last run of what it starts.
        timers = {name: unit.timer.unit for name in names if (unit := self._units.get(name)) and unit.timer}
        await self._take(source, {started for started in timers.values() if started and started not in names})
        for timer, started in timers.items():
            self._starts.setdefault(started, set()).add(timer)
        watched = set(self._selection.names)
        self._starts = {started: left for started, of in self._starts.items() if (left := of & watched)}

    async def _take(self, source: Source, names: set[str]) -> None:
        for name, unit in (await source.units(sorted(names))).items():
            if isinstance(unit, Unit):
                self._units[name] = unit
                self._unread.pop(name, None)
            else:
                self._units.pop(name, None)
                self._unread[name] = str(unit)

    def _findings(self, name: str, host: Host, moment: Moment, *, measured: bool) -> list[Finding]:
        unit = self._units.get(name)
        if unit is None:
            return [Check(name, "unknown", self._unread.get(name, "was not read yet"), "unreadable")]
        past, service, working_set = self._past_of(name), unit.service, None
        if service is not None and service.group:
            if service.oom_kills is None and measured:
                unit = replace(unit, service=replace(service, oom_kills=groups.kills(host, service.group)))
            if service.memory_max:
                working_set = groups.working_set(host, service.group, service.memory)
        triggered = self._units.get(unit.timer.unit) if unit.timer is not None else None
        now = Now(moment.monotonic_seconds, moment.time / 1000, triggered, working_set)
        found: list[Finding] = [judge(unit, self._options, past, now, expected=self._options.expects(name))]
        if measured and service is not None and service.main_pid:
            found += self._usage.read(name, service, past, moment.monotonic_seconds, working_set)
        return found

    def _present_rows(self) -> list[Row]:
        """The listed units and the watched ones, in the states that were read since."""
        rows = {row.name: row for row in self._rows}
        rows |= {name: Row(name, unit.load, unit.active, unit.sub) for name, unit in self._units.items()}
        return [rows[name] for name in sorted(rows)]

    def _past_of(self, name: str) -> Past:
        return self._past.setdefault(name, Past())

    def _reason(self, err: BusUnavailable, host: Host) -> Exception:
        gone = err.name in {NO_SERVER, SERVICE_UNKNOWN} or ".Spawn." in err.name or err.name.endswith(".NameHasNoOwner")
        if gone and not self._answered and not host.exists(BOOTED):
            return Absent(f"no systemd: {err}")
        return Unreadable(str(err)[:MESSAGE_CHARACTERS])


async def _set_or_late(woken: asyncio.Event, deferred: Callable[[], bool]) -> None:
    """Until it is set; or until something has been deferred for long enough."""
    while True:
        with suppress(TimeoutError):
            async with asyncio.timeout(DEFERRED_SECONDS):
                await woken.wait()
                return
        if deferred():
            return


def _bounded(finding: Finding) -> Finding:
    if isinstance(finding, Check) and len(finding.message) > MESSAGE_CHARACTERS:
        return replace(finding, message=finding.message[: MESSAGE_CHARACTERS - 1] + "…")
    return finding
