"""The hikvision monitor: a recorder, camera or gateway, what it sees and whether it records that."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import ClassVar

import msgspec

from twinwatch.monitors import Absent, Check, Finding, Moment, Options, Reading
from twinwatch.monitors.hikvision import device
from twinwatch.monitors.hikvision.asking import Asking
from twinwatch.monitors.hikvision.channels import CHANNEL, Channels
from twinwatch.monitors.hikvision.events import HEARTBEAT_SECONDS, PATH, Events
from twinwatch.monitors.hikvision.markup import NoMarkup
from twinwatch.monitors.hikvision.memory import CHECKS, Memory, memory_of
from twinwatch.monitors.hikvision.options import HikvisionOptions, Part
from twinwatch.monitors.hikvision.session import LOGIN, Away, NoRight, Session, Stopped, Unsupported
from twinwatch.monitors.hikvision.storage import storage
from twinwatch.protocol.limits import MESSAGE_CHARACTERS
from twinwatch.protocol.metrics import Chart, Headline, Metric
from twinwatch.protocol.rules import Rule
from twinwatch.world.doors import World
from twinwatch.world.http import Unreachable
from twinwatch.world.shelf import ShelfBroken

OF_PARTS: dict[str, Part] = {
    "identity": "device",
    "clock": "clock",
    "channel:": "channels",
    "recording:": "recording",
    "disk:": "storage",
    "nas:": "storage",
    "storage": "storage",
}
"""Which part judges what, by the beginning of the check's name."""
BY_CHANNEL = (f"{CHANNEL}.name",)
BY_DISK = ("hikvision.disk.id",)
READ = "answers"
SAID = "{check}, seen from {server}: {message}"
"""What default rules say: which device and what of it, from where, and what its check says."""
QUIET_SECONDS = 20.0
"""An event within so long of a run does not make the device be asked everything again."""


class Hikvision:
    """Watches a Hikvision recorder, camera or gateway: whether it is there, its cameras, its recording, its disks.

    Source: ISAPI over HTTP(S) with digest authentication. Firmwares differ: what one does not say is unknown, what it
    lacks is not asked for again for a day.
    Cost: about ten small requests per run, one at a time; none while the device refuses the login.
    Rights: a user of the device of the level Operator, without any right to control or to configure.
    """

    name: ClassVar[str] = "hikvision"
    title: ClassVar[str] = "Hikvision"
    Options: ClassVar[type[Options]] = HikvisionOptions
    interval_seconds: ClassVar[float] = 60.0
    deadline_seconds: ClassVar[float] = 50.0
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("hikvision.up", "1", "Whether the device answers and takes the login.", good="high"),
        Metric("hikvision.answer.duration", "s", "How long the device took for its first answer.", good="low"),
        Metric("hikvision.cpu.utilization", "1", "Share of the device's processors that is busy.", good="low"),
        Metric("hikvision.memory.utilization", "1", "Share of the device's memory that is in use.", good="low"),
        Metric("hikvision.uptime", "s", "Time since the device was started."),
        Metric("hikvision.clock.drift", "s", "How far the device's clock is ahead of this server's."),
        Metric(f"{CHANNEL}.count", "{channel}", "Channels that are online or offline."),
        Metric(f"{CHANNEL}.online", "1", "Whether the channel's camera is online.", good="high"),
        Metric(f"{CHANNEL}.recording", "1", "Whether the channel is recorded at this moment."),
        Metric(f"{CHANNEL}.viewers", "{viewer}", "Clients that watch the channel."),
        Metric("hikvision.disk.size", "By", "Size of the disk or network store."),
        Metric("hikvision.disk.free", "By", "Free space; none is normal where the oldest is written over."),
        Metric("hikvision.disk.up", "1", "Whether the disk or network store is well.", good="high"),
        Metric("hikvision.network.link.speed", "bit/s", "Speed of the network link."),
        Metric("hikvision.stream.sessions", "{session}", "Streams that the device sends."),
    )
    charts: ClassVar[tuple[Chart, ...]] = (
        Chart("Hikvision up", ("hikvision.up",), top=1.0),
        Chart("Hikvision cameras", (f"{CHANNEL}.count",), by=(f"{CHANNEL}.state",), style="stack"),
        Chart("Hikvision cameras online", (f"{CHANNEL}.online",), by=BY_CHANNEL, top=1.0),
        Chart("Hikvision recording", (f"{CHANNEL}.recording",), by=BY_CHANNEL, top=1.0),
        Chart("Hikvision viewers", (f"{CHANNEL}.viewers",), by=BY_CHANNEL, style="stack"),
        Chart("Hikvision load", ("hikvision.cpu.utilization", "hikvision.memory.utilization"), top=1.0),
        Chart("Hikvision disks well", ("hikvision.disk.up",), by=BY_DISK, top=1.0),
        Chart("Hikvision free space", ("hikvision.disk.free",), by=BY_DISK),
        Chart("Hikvision disk sizes", ("hikvision.disk.size",), by=BY_DISK),
        Chart("Hikvision clock off by", ("hikvision.clock.drift",)),
        Chart("Hikvision uptime", ("hikvision.uptime",)),
        Chart("Hikvision answer time", ("hikvision.answer.duration",)),
        Chart("Hikvision link speed", ("hikvision.network.link.speed",), by=("hikvision.network.interface",)),
        Chart("Hikvision streams", ("hikvision.stream.sessions",)),
    )
    headlines: ClassVar[tuple[Headline, ...]] = ()
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "device does not answer",
            "critical",
            check="connection",
            hold="2m",
            clear_hold="1m",
            message=f"{SAID}. See its power and network; nothing is known of its cameras meanwhile",
        ),
        Rule("login refused", "critical", check=LOGIN, message=SAID),
        Rule("camera offline", "critical", check="channel:*", hold="90s", clear_hold="2m", message=SAID),
        Rule("not recording", "critical", check="recording:*", hold="2m", clear_hold="1m", message=SAID),
        Rule("disk failed", "critical", check="disk:*", hold="1m", message=SAID),
        Rule("network store failed", "critical", check="nas:*", hold="3m", message=SAID),
        Rule("no disk", "critical", check="storage", hold="1m", message=SAID),
        Rule("fault told by the device", check="event:*", states=("degraded",), message=SAID),
        Rule("clock off", check="clock", states=("degraded", "down"), hold="10m", message=SAID),
        Rule("another device or firmware", check="identity", states=("degraded",), message=SAID),
        Rule(
            "device restarted",
            metric="hikvision.uptime",
            below=600.0,
            message="A Hikvision device, seen from {server}, was started {value} ago: see its power supply, unless "
            "somebody did that",
        ),
        Rule(
            "cannot be read",
            check=READ,
            states=("degraded",),
            hold="10m",
            message=SAID,
        ),
    )

    def __init__(self, options: HikvisionOptions) -> None:
        self._options = options
        self._session = Session(options)
        self._channels = Channels(options)
        self._memory: Memory | None = None
        self._kept = b""
        self._kind = ""
        self._events = Events()
        self._signed_in = asyncio.Event()
        """Whether the device has taken the login, so that events may be asked for."""
        self._news = False
        self._asked_at: float | None = None
        self._last: list[Finding] = []

    async def read(self, world: World, moment: Moment) -> list[Finding]:
        """One run.

        Raises: Unreadable if it cannot be kept in mind which logins were tried.
        """
        memory = await self._remembered(world)
        now = moment.monotonic_seconds
        if self._news and self._asked_at is not None and 0 <= now - self._asked_at < QUIET_SECONDS:
            # Woken by an event: the device need not be asked everything anew.
            self._news = False
            return [*self._last, *self._events.checks(now)]
        self._news, self._asked_at = False, now
        checks = await self._session.open(world, moment.time)
        is_in = any(one.name == LOGIN and one.state == "up" for one in checks)
        found: list[Finding] = [Reading("hikvision.up", int(is_in))]
        if self._session.duration_seconds is not None:
            found.append(Reading("hikvision.answer.duration", round(self._session.duration_seconds, 4)))
        if is_in:
            run = _Run(self._options, Asking(self._session, world, memory, moment.time), memory)
            found += await self._parts(run)
            if run.stopped:
                message = "The device refused a request in the middle of this run; it is signed in at anew in the next"
                checks = [one for one in checks if one.name != LOGIN] + [
                    Check(LOGIN, "unknown", message, "refused-once")
                ]
            found += checks
            if not run.stopped:
                found.append(run.check())
            found += _unjudged(memory, found, run.failed)
        else:
            found += checks
            everything = dict.fromkeys(OF_PARTS.values(), "not asked, see the check login")
            found += _unjudged(memory, found, everything)
        if is_in:
            self._signed_in.set()
        self._last = [one for one in found if isinstance(one, Check)]
        if self._options.events:
            found += self._events.checks(now)
        memory.checks = sorted(one.name for one in found if isinstance(one, Check) and _part_of(one.name) is not None)[
            :CHECKS
        ]
        await self._remember(world, memory)
        return found

    async def watch(self, world: World, changed: Callable[[], None]) -> None:
        """Listens to what the device tells of itself, if that is wanted, for as long as the connection lasts.

        Raises: Absent if there is none; the check ``events`` says why.
        """
        if not self._options.events:
            await asyncio.Event().wait()
        await self._signed_in.wait()
        memory = await self._remembered(world)
        events, now = self._events, world.clock.now()
        try:
            if not memory.has(PATH, now):
                raise Unsupported
            tail = await self._session.tail(world, PATH, now)
        except Unsupported as err:
            memory.lacking(PATH, now)
            events.reason = "the device has none"
            raise Absent(events.reason) from err
        except NoRight as err:
            events.reason = "the user lacks the right Notify Surveillance Center"
            raise Absent(events.reason) from err
        except (Stopped, Away) as err:
            events.reason = str(err) or "the device does not take the login"
            self._signed_in.clear()
            raise Absent(events.reason) from err
        events.begin()
        try:
            while content := await tail.receive(silence_seconds=HEARTBEAT_SECONDS):
                if events.feed(content, world.clock.monotonic()):
                    self._news = True
                    changed()
            events.reason = "the device closed the connection"
        except Unreachable as err:
            events.reason = str(err)
        finally:
            await tail.close()
        raise Absent(events.reason)

    async def _parts(self, run: _Run) -> list[Finding]:
        ask, options = run.ask, self._options

        async def identity() -> list[Finding]:
            found, self._kind = await device.identity(ask, run.memory)
            return found

        self._channels.known = {}
        found: list[Finding] = []
        found += await run.part("device", identity)
        found += await run.part("load", lambda: device.load(ask))
        found += await run.part("clock", lambda: device.clock(ask, options.clock_off_by))
        found += await run.part("channels", lambda: self._channels.read(ask, self._kind))
        found += await run.part("recording", lambda: self._channels.recording(ask))
        found += await run.part("storage", lambda: storage(ask, self._kind))
        found += await run.part("streams", lambda: device.streams(ask))
        found += await run.part("network", lambda: device.network(ask))
        return found

    async def _remembered(self, world: World) -> Memory:
        if self._memory is None:
            try:
                self._kept = await world.shelf.read(f"hikvision-{self._session.key}-device")
            except ShelfBroken:
                self._kept = b""  # the session says so, and does not sign in
            self._memory = memory_of(self._kept)
        return self._memory

    async def _remember(self, world: World, memory: Memory) -> None:
        content = msgspec.json.encode(memory)
        if content != self._kept:
            try:
                await world.shelf.change(f"hikvision-{self._session.key}-device", lambda _: content)
            except ShelfBroken:
                return  # it is tried again in the next run; nothing but a notice is at stake
            self._kept = content


class _Run:
    """The parts of one run, each of which fails alone."""

    def __init__(self, options: HikvisionOptions, ask: Asking, memory: Memory) -> None:
        self.ask = ask
        self.memory = memory
        self.failed: dict[Part, str] = {}
        self.stopped = False
        self._denied: list[Part] = []
        self._options = options

    async def part(self, name: Part, read: Callable[[], Awaitable[list[Finding]]]) -> list[Finding]:
        """What it finds; nothing where it fails."""
        if not self._options.wants(name):
            return []
        if self.stopped:
            self.failed[name] = "not asked, see the check login"
            return []
        try:
            return await read()
        except Unsupported:
            return []
        except Stopped:
            self.stopped = True
            self.failed[name] = "not judged, see the check login"
        except NoRight:
            self._denied.append(name)
            self.failed[name] = "not judged: the user may not see it"
        except (Away, NoMarkup) as err:
            self.failed[name] = f"not judged: {err}"
        return []

    def check(self) -> Check:
        """What could not be read, and why."""
        if self._denied:
            message = (
                f"The user {self._options.username} may not see: {', '.join(self._denied)}. Give it the remote rights "
                "to see parameters and working status, or leave these out with parts"
            )
            return Check(READ, "degraded", message[:MESSAGE_CHARACTERS], "no-right")
        if self.failed:
            said = "; ".join(f"{name}: {why.removeprefix('not judged: ')}" for name, why in self.failed.items())
            return Check(READ, "unknown", said[:MESSAGE_CHARACTERS], "not-read")
        return Check(READ, "up")


def _part_of(check: str) -> Part | None:
    for beginning, part in OF_PARTS.items():
        if check == beginning or (beginning.endswith(":") and check.startswith(beginning)):
            return part
    return None


def _unjudged(memory: Memory, found: list[Finding], failed: dict[Part, str]) -> list[Finding]:
    """What was judged before and could not be judged now: unknown, and not gone."""
    now = {one.name for one in found if isinstance(one, Check)}
    return [
        Check(name, "unknown", failed[part][:MESSAGE_CHARACTERS], "not-judged")
        for name in memory.checks
        if name not in now and (part := _part_of(name)) is not None and part in failed
    ]
