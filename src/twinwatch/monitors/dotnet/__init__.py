"""The dotnet monitor: an application of .NET, by its process, its health checks and its figures."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from hashlib import blake2b
from typing import ClassVar

import msgspec

from twinwatch.monitors import Absent, Check, Finding, Moment, Options, Reading, Unreadable
from twinwatch.monitors.dotnet import figures
from twinwatch.monitors.dotnet.counters import Counters, NoCounters
from twinwatch.monitors.dotnet.figures import OWN, Fact, Figures
from twinwatch.monitors.dotnet.health import NoHealth, health_of, printable
from twinwatch.monitors.dotnet.judging import Judges
from twinwatch.monitors.dotnet.options import DotnetOptions, place_of
from twinwatch.monitors.dotnet.program import Kept, Program
from twinwatch.monitors.exposition import Histogram, Scalar, Unlawful, read
from twinwatch.monitors.media import ACCEPT, OPENMETRICS
from twinwatch.protocol.limits import CHECK_NAME_CHARACTERS, MESSAGE_CHARACTERS
from twinwatch.protocol.metrics import Chart, Headline, Metric
from twinwatch.protocol.rules import Rule
from twinwatch.world.doors import World
from twinwatch.world.http import Answer, Unreachable
from twinwatch.world.shelf import ShelfBroken

SAID = "{check} on {server}: {message}"
"""What default rules say: which application, where, and what its check says."""
BADNESS = {"down": 0, "degraded": 1, "unknown": 2, "up": 3}
SAME_PUSH_SECONDS = 0.5
STALE_SECONDS = 180.0
"""What was pushed longer ago says nothing of now: SDKs push every minute."""


class Dotnet:
    """Watches an application of .NET: its process, its health checks, its collector, thread pool and requests.

    Five ways to see into it, of which each one given is used: its process or unit, ASP.NET health checks, Prometheus
    metrics, OpenTelemetry pushed to this agent, and, if asked for, EventCounters over the runtime's diagnostic socket.
    Source: https://learn.microsoft.com/dotnet/core/diagnostics/built-in-metrics and health-checks; proc(5).
    Cost: a small read per process of the server, and a request per address.
    Rights: none; for open files, the version and event counters those of the application's user, or root.
    """

    name: ClassVar[str] = "dotnet"
    title: ClassVar[str] = ".NET application"
    aliases: ClassVar[tuple[str, ...]] = ("csharp",)
    Options: ClassVar[type[Options]] = DotnetOptions
    interval_seconds: ClassVar[float] = 15.0
    deadline_seconds: ClassVar[float] = 14.0
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(f"{OWN}.cpu.utilization", "1", "Share of all processors that it uses.", good="low"),
        Metric(f"{OWN}.memory.rss", "By", "Resident memory of its processes.", good="low"),
        Metric(f"{OWN}.threads", "{thread}", "Threads of its processes."),
        Metric(f"{OWN}.open_files.utilization", "1", "Share of the open files that it may have.", good="low"),
        Metric(f"{OWN}.uptime", "s", "How long its oldest process has been running."),
        Metric(f"{OWN}.health.duration", "s", "How long the health checks took to answer.", good="low"),
        *figures.METRICS,
    )
    charts: ClassVar[tuple[Chart, ...]] = (
        Chart(".NET requests", (figures.REQUESTS,)),
        Chart(".NET request time", (figures.DURATION, figures.P95)),
        Chart(".NET failed requests", (figures.FAILED,), top=1.0),
        Chart(".NET CPU", (f"{OWN}.cpu.utilization",), top=1.0),
        Chart(".NET memory", (f"{OWN}.memory.rss", figures.HEAP)),
        Chart(".NET time in garbage collection", (figures.PAUSE,), top=1.0),
        Chart(".NET garbage collections", (figures.COLLECTIONS,), by=(figures.GENERATION,)),
        Chart(".NET allocations", (figures.ALLOCATED,)),
        Chart(".NET thread pool", (figures.THREADS,)),
        Chart(".NET thread pool queue", (figures.QUEUE,)),
        Chart(".NET exceptions", (figures.EXCEPTIONS,)),
        Chart(".NET waits for locks", (figures.CONTENTIONS,)),
        Chart(".NET requests at a time", (figures.ACTIVE,)),
        Chart(".NET connections", (figures.CONNECTIONS,)),
        Chart(".NET open files", (f"{OWN}.open_files.utilization",), top=1.0),
        Chart(".NET health check time", (f"{OWN}.health.duration",), by=("url.path",)),
    )
    headlines: ClassVar[tuple[Headline, ...]] = ()
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("does not run", "critical", check="process", hold="30s", message=SAID),
        Rule("crash loop", "critical", check="restart", message=SAID),
        Rule("restarted", check="restart", states=("degraded",), message=SAID),
        Rule("health endpoint", "critical", check="health", hold="30s", message=SAID),
        Rule("health endpoint of a path", "critical", check="endpoint:*", hold="30s", message=SAID),
        Rule("unhealthy", "critical", check="health:*", hold="30s", message=SAID),
        Rule("degraded", check="health:*", states=("degraded",), hold="5m", message=SAID),
        Rule("thread pool starves", "critical", check="thread-pool", states=("degraded",), message=SAID),
        Rule("garbage collection", check="gc", states=("degraded",), hold="2m", message=SAID),
        Rule("heap grows", check="heap", states=("degraded",), message=SAID),
        Rule("exceptions", check="exceptions", states=("degraded",), hold="1m", message=SAID),
        Rule("version changed", check="version", states=("degraded",), message=SAID),
        Rule(
            "failed requests",
            "critical",
            metric=figures.FAILED,
            above=0.05,
            aggregate="mean",
            window="5m",
            message="{value} of the requests of an application on {server} end in a status of 500 or more: see its log",
        ),
        Rule(
            "open files",
            metric=f"{OWN}.open_files.utilization",
            above=0.9,
            above_clear=0.8,
            hold="5m",
            message="An application on {server} has {value} of its files open: look for connections that are not "
            "closed, or raise LimitNOFILE of its unit",
        ),
    )

    def __init__(self, options: DotnetOptions) -> None:
        self._options = options
        self._program = Program(options) if options.names_process else None
        self._pushed, self._scraped, self._counted = Figures(), Figures(), Figures()
        self._counters = Counters(options.diagnostics_dir) if options.event_counters else None
        self._met = asyncio.Event()
        """Whether the process is known that has the counters."""
        self._judges = self._fresh_judges()
        self._kept: bytes | None = None
        self._last: dict[str, Check] = {}
        self._came = float("-inf")
        """When the newest push came, monotonic seconds."""
        self._waits = False
        """Whether what was pushed is young enough for the next push to be waited for."""

    async def read(self, world: World, moment: Moment) -> list[Finding]:
        """One run. What one way does not tell is left out.

        Raises: Absent without /proc; Unreadable if no process may be read.
        """
        options = self._options
        if not (self._program or options.health or options.metrics or options.service):
            raise Unreadable("it is not said which application: give process, command, unit, pidfile, health, …")
        now = moment.monotonic_seconds
        found: list[Finding] = []
        is_gone = False
        if self._program is not None:
            await self._recall(world, self._program)
            found += await self._program.read(world.host, now)
            is_gone = any(isinstance(one, Check) and one.reason == "not-running" for one in found)
            if self._program.main is not None:
                self._met.set()
            if self._program.is_new:
                self._judges = self._fresh_judges()
            await self._remember(world, self._program)
        found += await self._health(world, is_gone=is_gone)
        scraped, checks = await self._metrics(world, now, is_gone=is_gone)
        pushed = self._of_pushes(world, now)
        counted, of_counters = self._of_counters(now, is_gone=is_gone)
        told = scraped | counted | pushed
        found += [*told.values(), *checks, *of_counters, *self._judged(told, now)]
        return found

    async def watch(self, world: World, changed: Callable[[], None]) -> None:
        """Listens to the application's counters, if that is wanted, whenever its process is there.

        Raises: Absent while there are none; the check ``counters`` says why.
        """
        while True:
            await self._met.wait()
            self._met.clear()
            if self._counters is None or self._program is None or self._program.main is None:
                continue
            try:
                await self._counters.listen(world, self._program.main)
            except NoCounters as err:
                raise Absent(str(err)) from err

    def _of_counters(self, now: float, *, is_gone: bool) -> tuple[dict[tuple[str, str], Reading], list[Check]]:
        if self._counters is None:
            return {}, []
        if is_gone:
            return {}, [Check("counters", "unknown", "not asked, as its process does not run", "not-running")]
        facts = self._counters.facts(now)
        if not facts:
            message = f"No event counters: {self._counters.reason or 'nothing has come of late'}"
            return {}, [Check("counters", "unknown", _text(message), "none")]
        return self._counted.of(facts, now), [Check("counters", "up")]

    def _fresh_judges(self) -> Judges:
        return Judges(self._options.gc_pause_most, self._options.exceptions_times)

    async def _health(self, world: World, *, is_gone: bool) -> list[Finding]:
        found: list[Finding] = []
        entries: dict[str, Check] = {}
        for url in self._options.health:
            place = place_of(url)
            name = "health" if len(self._options.health) == 1 else f"endpoint:{place}"[:CHECK_NAME_CHARACTERS]
            if is_gone:
                found.append(Check(name, "unknown", "not asked, as its process does not run", "not-running"))
                continue
            began = world.clock.monotonic()
            try:
                answer = await self._asked(world, url, "*/*")
            except Unreachable as err:
                message = f"{_shown(url)}: {err}: see whether it hangs, and its log"
                found.append(Check(name, "down", _text(message), "unreachable"))
                continue
            took = round(max(world.clock.monotonic() - began, 0.0), 4)
            found.append(Reading(f"{OWN}.health.duration", took, {"url.path": place[:200]}))
            whole, several = _verdict(name, url, answer)
            found.append(whole)
            for one in several:
                # Of an entry that several addresses tell of, the worse counts.
                before = entries.get(one.name)
                if before is None or BADNESS[one.state] < BADNESS[before.state]:
                    entries[one.name] = one
        return [*found, *entries.values()]

    async def _metrics(
        self, world: World, now: float, *, is_gone: bool
    ) -> tuple[dict[tuple[str, str], Reading], list[Check]]:
        url = self._options.metrics
        if not url:
            return {}, []
        if is_gone:
            return {}, [Check("metrics", "unknown", "not asked, as its process does not run", "not-running")]
        try:
            answer = await self._asked(world, url, ACCEPT)
            if answer.status != 200:
                message = f"{_shown(url)} answers {answer.status}, expected 200 with metrics"
                return {}, [Check("metrics", "down", _text(message), "wrong-status")]
            facts = _exposed(answer)
        except Unreachable as err:
            return {}, [Check("metrics", "down", _text(f"{_shown(url)}: {err}"), "unreachable")]
        except Unlawful as err:
            return {}, [Check("metrics", "down", _text(f"{_shown(url)}: {err}"), "not-understood")]
        return self._scraped.of(facts, now), [Check("metrics", "up")]

    def _of_pushes(self, world: World, now: float) -> dict[tuple[str, str], Reading]:
        if not self._options.service:
            return {}
        heard = world.pushed.newest(self._options.service)
        fresh = [one for one in heard if one.age_seconds <= STALE_SECONDS]
        self._waits = bool(fresh)
        came = now - min((one.age_seconds for one in fresh), default=0.0)
        if not fresh or came <= self._came + SAME_PUSH_SECONDS:
            return {}
        self._came = came
        return self._pushed.of([Fact(one.name, one.labels, one.value, one.rising) for one in fresh], came)

    def _judged(self, told: dict[tuple[str, str], Reading], now: float) -> list[Check]:
        def value(metric: str, generation: str = "") -> float | None:
            reading = told.get((metric, generation))
            return None if reading is None else reading.value

        judges = self._judges
        found: dict[str, Check | None] = {}
        queue, threads = value(figures.QUEUE), value(figures.THREADS)
        if queue is not None and threads is not None:
            found["thread-pool"] = judges.thread_pool.judge(now, queue, threads)
        if (share := value(figures.PAUSE)) is not None:
            found["gc"] = judges.pauses.judge(now, share)
        if (size := value(figures.HEAP)) is not None:
            collected = (value(figures.COLLECTIONS, "gen2") or 0) > 0
            found["heap"] = judges.heap.judge(now, size, collected=collected)
        if (thrown := value(figures.EXCEPTIONS)) is not None:
            found["exceptions"] = judges.exceptions.judge(now, thrown)
        checks = [one for one in found.values() if one is not None]
        judged = {one.name for one in checks}
        for name, before in self._last.items():
            if name not in judged:
                # Between two pushes what was judged stands; otherwise nobody knows.
                said = "the application does not tell it now"
                checks.append(before if self._waits else Check(name, "unknown", said, "not-told"))
        self._last = {one.name: one for one in checks}
        return checks

    async def _asked(self, world: World, url: str, accept: str) -> Answer:
        http = world.http if self._options.verify else world.unverified_http
        headers = {"Accept": accept, **{name: value.reveal() for name, value in self._options.headers.items()}}
        return await http.request("GET", url, headers=headers, timeout_seconds=self._options.request_timeout)

    async def _recall(self, world: World, program: Program) -> None:
        if self._kept is None:
            self._kept = b""
            with suppress(ShelfBroken, msgspec.MsgspecError, UnicodeDecodeError):
                self._kept = await world.shelf.read(self._shelf_name)
                program.kept = msgspec.json.decode(self._kept, type=Kept) if self._kept else Kept()

    async def _remember(self, world: World, program: Program) -> None:
        content = msgspec.json.encode(program.kept)
        if content != self._kept:
            with suppress(ShelfBroken):  # a restart or a new version may then be told once more
                await world.shelf.change(self._shelf_name, lambda _: content)
            self._kept = content

    @property
    def _shelf_name(self) -> str:
        options = self._options
        key = "\0".join((options.process, options.command, options.unit, options.pidfile))
        return f"dotnet-{blake2b(key.encode('utf-8', 'replace'), digest_size=8).hexdigest()}"


def _verdict(name: str, url: str, answer: Answer) -> tuple[Check, list[Check]]:
    """The checks for an answer of a health address: of the whole, and of each entry."""
    try:
        health = health_of(answer.body)
    except NoHealth as err:
        if 200 <= answer.status < 300:
            message = f"{_shown(url)} answers {answer.status}, but {err}"
            return Check(name, "unknown", _text(message), "not-understood"), []
        message = f"{_shown(url)} answers {answer.status}: see whether the address is right, and its log"
        return Check(name, "down", _text(message), "wrong-status"), []
    entries = [
        Check(
            f"health:{one.name}"[:CHECK_NAME_CHARACTERS],
            one.state,
            "" if one.state == "up" else _text(one.said or f"{one.name} is {_word(one.state)}"),
            "" if one.state == "up" else _word(one.state),
        )
        for one in health.entries
    ]
    if health.state == "up":
        return Check(name, "up"), entries
    bad = [one.name for one in health.entries if one.state not in ("up", "unknown")]
    if bad:
        message = f"{_word(health.state)}: {', '.join(bad)}; see the check of each"
        return Check(name, "degraded", _text(message), "entries"), entries
    message = f"The application says that it is {_word(health.state)}: see its log"
    return Check(name, health.state, message, _word(health.state)), entries


def _word(state: str) -> str:
    return {"up": "healthy", "degraded": "degraded", "down": "unhealthy"}.get(state, "unknown")


def _exposed(answer: Answer) -> list[Fact]:
    openmetrics = answer.headers.get("content-type", "").startswith(OPENMETRICS)
    facts: list[Fact] = []
    for one in read(answer.body.decode("utf-8", "replace"), openmetrics=openmetrics):
        if isinstance(one, Scalar):
            facts.append(Fact(one.name, one.labels, one.value, one.rising))
        elif isinstance(one, Histogram):
            facts.append(Fact(one.family.name, one.labels, one.distribution, True))
    return facts


def _shown(url: str) -> str:
    """The address without its query, which may hold a key."""
    return url.partition("?")[0]


def _text(message: str) -> str:
    return printable(message)[:MESSAGE_CHARACTERS]
