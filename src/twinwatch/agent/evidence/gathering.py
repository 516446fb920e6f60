"""Gathers what was true: all parts side by side, the own ones first, each with what is ready in time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

import msgspec

from twinwatch.agent.buffer import Tick
from twinwatch.agent.evidence import surroundings
from twinwatch.agent.evidence.figures import course_of
from twinwatch.agent.evidence.masking import masked
from twinwatch.protocol.alerts import EVIDENCE_BYTES, Evidence
from twinwatch.protocol.rules import Rule
from twinwatch.world.commands import CommandFailed
from twinwatch.world.doors import World

MOMENT_SECONDS = 0.6
"""What is ready by then goes along with the alert."""
LATER_SECONDS = 8.0
"""What is ready by then follows."""
SHARED_SECONDS = 5.0
JOURNAL_LINES = 20
JOURNALS = 3
"""Asked for at a time."""
LINE_CHARACTERS = 300
PART_LINES = 40
COURSE_MILLISECONDS = 30 * 60_000
UNITS = (".service", ".timer", ".socket", ".mount", ".path", ".target", ".scope", ".slice", ".swap", ".automount")
KERNEL = ("filesystem:", "raid:", "system.memory", "system.paging", "system.disk")
"""Alerts about these have their reason in the kernel's journal, where they have one."""

Lines = dict[str, list[str]]
Read = Callable[[], Awaitable[Lines]]
Recent = Callable[[str, int, int], Awaitable[Iterable[Tick]]]
"""Ticks that hold a metric, of ``[since, until)``, ms UTC."""

T = TypeVar("T")
_log = logging.getLogger(__name__)


class About(NamedTuple):
    """What the alert is about. ``metric`` is empty for a check; then ``thing`` is its name."""

    rule: Rule
    thing: str
    labels: Mapping[str, str] = {}
    metric: str = ""
    value: float | None = None


class Gatherer:
    """``recent`` reads what the buffer kept."""

    def __init__(self, world: World, recent: Recent) -> None:
        self._world = world
        self._recent = recent
        self._journals = asyncio.Semaphore(JOURNALS)
        self._shared: dict[str, tuple[float, asyncio.Task[Lines]]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    def close(self) -> None:
        """Let go of what is still being collected."""
        for task in self._tasks:
            task.cancel()

    async def collect(self, about: About, later: Callable[[Evidence], None]) -> Evidence:
        """What is ready within a moment. ``later`` gets all of it if more comes after that."""
        at = self._world.clock.now()
        reading = [self._begun(self._lawful(name, read)) for name, read in self._parts(about)]
        _, waiting = await asyncio.wait(reading, timeout=MOMENT_SECONDS)
        if waiting:
            self._begun(self._rest(at, reading, later))
        return _packed(at, reading)

    async def _rest(self, at: int, reading: list[asyncio.Task[Lines]], later: Callable[[Evidence], None]) -> None:
        before = _packed(at, reading)
        _, waiting = await asyncio.wait(reading, timeout=LATER_SECONDS)
        for task in waiting:
            task.cancel()
        whole = _packed(at, reading)
        if whole != before:
            later(whole)

    def _begun(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work, name="evidence")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _parts(self, about: About) -> list[tuple[str, Read]]:
        """What is to be read, what matters most first."""
        host, clock = self._world.host, self._world.clock
        own: list[tuple[str, Read]] = []
        if about.metric:
            own.append(("course", lambda: self._course(about)))
        unit = about.thing.partition(":")[2]
        if not about.metric and unit.endswith(UNITS):
            own.append(("journal", lambda: self._journal(f"Journal of {unit}", f"--unit={unit}")))
        elif any(word in (about.metric or about.thing) for word in KERNEL):
            own.append(("kernel", lambda: self._journal("Journal of the kernel", "--dmesg")))
        around: dict[str, Read] = {
            "load": lambda: surroundings.load_and_memory(host),
            "pressure": lambda: surroundings.pressure(host),
            "processes": lambda: surroundings.processes(host, clock),
            "filesystems": lambda: surroundings.filesystems(host),
        }
        if "filesystem" in (about.metric or about.thing):
            around = {"filesystems": around.pop("filesystems"), **around}
        return own + [(name, self._sharing(name, read)) for name, read in around.items()]

    def _sharing(self, name: str, read: Read) -> Read:
        async def shared() -> Lines:
            now = self._world.clock.monotonic()
            at, task = self._shared.get(name, (0.0, None))
            if task is None or now - at > SHARED_SECONDS:
                task = self._begun(self._lawful(name, read))
                self._shared[name] = (now, task)
            return await asyncio.shield(task)

        return shared

    async def _lawful(self, name: str, read: Read) -> Lines:
        try:
            return await read()
        except Exception as err:  # noqa: BLE001 - what cannot be read hurts neither the alert nor the rest
            _log.warning("evidence: %s could not be read: %s: %s", name, type(err).__name__, err)
            return {}

    async def _course(self, about: About) -> Lines:
        now = self._world.clock.now()
        ticks = await self._recent(about.metric, now - COURSE_MILLISECONDS, now + 1)
        return {"Course of the value": course_of(ticks, about.metric, about.labels, about.rule, about.value, now)}

    async def _journal(self, title: str, chosen: str) -> Lines:
        arguments = ("journalctl", chosen, f"--lines={JOURNAL_LINES}", "--output=short-iso", "--no-pager", "--quiet")
        async with self._journals:
            try:
                ended = await self._world.commands.run(arguments, timeout_seconds=LATER_SECONDS - 1)
            except CommandFailed:
                return {}
        return {title: ended.output.splitlines()[-JOURNAL_LINES:]} if not ended.code else {}


def _packed(at: int, reading: list[asyncio.Task[Lines]]) -> Evidence:
    """What has been read, in order, masked, and cut to what an event may carry."""
    parts: Lines = {}
    room = EVIDENCE_BYTES - 512
    for task in reading:
        if not task.done() or task.cancelled():
            continue
        for title, lines in task.result().items():
            kept = []
            for line in lines[:PART_LINES]:
                text = masked("".join(letter if letter.isprintable() else " " for letter in line))
                text = text if len(text) <= LINE_CHARACTERS else f"{text[: LINE_CHARACTERS - 1]}…"
                room -= len(msgspec.json.encode(text)) + 1
                if room < 0:
                    break
                kept.append(text)
            room -= len(msgspec.json.encode(title)) + 4
            if kept and room >= 0:
                parts[title] = kept
    return Evidence(at, parts)
