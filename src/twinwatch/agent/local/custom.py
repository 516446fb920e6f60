"""Custom metrics: what is pushed to the agent becomes ticks of one monitor, ``custom``.

Invariants:
- All known series are in one shape (as few as may be), in the order of their names. It changes only where a series is
  new or was idle for ``IDLE_SECONDS``; a series that nothing was pushed for has no sample in a tick.
- Of several samples of one series within one stretch of ``STRETCH_MILLISECONDS`` the last stays; counters and
  histograms are added up within it. A tick bears the newest time of its stretch.
- Counters become rates per second. What fell was reset, and says nothing of that stretch.
- At most ``max_series`` series and ``WAITING`` values are held, whatever is pushed; what is refused is told.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from twinwatch.agent.buffer import BufferUnusable, Tick
from twinwatch.agent.local.learned import FACETS, Clash, Learned
from twinwatch.agent.local.pushed import PAST_MILLISECONDS, Pushed, Way, fault_of
from twinwatch.agent.local.remembered import recall, remember
from twinwatch.agent.shaping import lawful
from twinwatch.monitors import Declaration
from twinwatch.monitors.digits import rate
from twinwatch.monitors.distributions import QUANTILES, Distribution, Exponential
from twinwatch.monitors.rates import LEAP_PER_SECOND
from twinwatch.protocol import limits
from twinwatch.protocol.samples import SeriesKey, Shape, shape_of
from twinwatch.world.clock import Clock

MONITOR = "custom"
TITLE = "Custom metrics"
INTERVAL_SECONDS = 60.0
"""How often programs are expected to push: what the charts' gaps are judged by. OpenTelemetry's SDKs do every 60 s."""
MAX_SERIES = 1_000
FLUSH_SECONDS = 10.0
STRETCH_MILLISECONDS = 10_000
IDLE_SECONDS = 3600.0
PRUNE_SECONDS = 600.0
REMEMBER_SECONDS = 6 * 3600.0
"""How often it is written down when a metric was last pushed, besides whenever there is a new one."""
WAITING = 20_000
"""Most values that wait for the next writing; those of past times wait apart from one another."""

_ROUNDING = 0.002
"""Seconds that times lose by being whole milliseconds."""

Labels = tuple[tuple[str, str], ...]
Key = tuple[str, Labels]
Value = float | Distribution | Exponential

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Source:
    """One pushed series, or one histogram and all series made of it."""

    way: Way
    keys: tuple[Key, ...]
    heard: float
    """Monotonic seconds."""
    time: int = 0
    arrived: float | None = None
    """Monotonic seconds of the last push that gave no time of its own."""
    value: Value | None = None


@dataclass(slots=True)
class _Cell:
    """What a source brought within one stretch: the last value, or a growth and the seconds it took."""

    time: int
    value: Value
    seconds: float = 0.0


@dataclass(slots=True)
class _Stretch:
    cells: dict[Key, _Cell] = field(default_factory=dict)
    time: int = 0


class Custom:
    """Takes pushes and has them kept every ``FLUSH_SECONDS``.

    ``memory`` is the file that keeps their names over a restart; ``taken`` says which monitor a metric's name belongs
    to already, or None; ``changed`` is called when ``declaration`` is a new one; ``heard`` is told of all that is
    taken.
    """

    def __init__(
        self,
        clock: Clock,
        keep: Callable[[Sequence[Tick]], Awaitable[None]],
        *,
        taken: Callable[[str], str | None] = lambda name: None,
        changed: Callable[[], None] = lambda: None,
        heard: Callable[[Pushed], None] = lambda pushed: None,
        max_series: int = MAX_SERIES,
        memory: Path | None = None,
    ) -> None:
        self._heard = heard
        self._clock = clock
        self._keep = keep
        self._taken = taken
        self._changed = changed
        self._max_series = max_series
        self._sources: dict[Key, _Source] = {}
        self._learned = Learned()
        self._memory = memory
        self._remembered = clock.monotonic()
        if memory is not None:
            self._learned.recall(recall(memory), clock.now(), clock.monotonic())
        self._stretches: dict[int, _Stretch] = {}
        self._waiting = self._series = 0
        self._shapes: list[Shape] = []
        self._places: dict[Key, tuple[int, int]] = {}
        self._pruned = float("-inf")
        self._kept = True

    @property
    def declaration(self) -> Declaration:
        """Every metric that was pushed of late, and a chart for each."""
        return self._learned.declaration

    @property
    def series(self) -> int:
        """How many series there are now."""
        return self._series

    def take(self, pushed: Iterable[Pushed]) -> list[str]:
        """Take what is lawful; the result has a sentence for each that is not."""
        now, monotonic = self._clock.now(), self._clock.monotonic()
        return [fault for each in pushed if (fault := self._take(each, now, monotonic))]

    async def run(self) -> None:
        """Write what was pushed, again and again, until cancelled."""
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            await self.flush()

    async def flush(self) -> None:
        """Write what waits. Call it once more at the end."""
        ticks = self._ticks()
        monotonic = self._clock.monotonic()
        news = self._learned.settle(monotonic)
        if self._memory is not None and (news or monotonic - self._remembered > REMEMBER_SECONDS):
            self._remembered = monotonic
            remember(self._memory, self._learned.remembered(self._clock.now(), monotonic))
        if news:
            self._changed()
        if not ticks:
            return
        try:
            await self._keep(ticks)
        except BufferUnusable as err:
            if self._kept:
                _log.error("custom metrics cannot be kept and are lost: %s", err)
            self._kept = False
        else:
            self._kept = True

    def _take(self, pushed: Pushed, now: int, monotonic: float) -> str:
        name, value = pushed.name, pushed.value
        fault = fault_of(name, pushed.labels, pushed.unit)
        if fault:
            return fault
        whole = isinstance(value, float | int)
        if whole and lawful(value) is None:  # type: ignore[arg-type] # narrowed by ``whole``
            return f"{name}: {value}: expected a finite number"
        time = now if pushed.time is None else pushed.time
        if not now - PAST_MILLISECONDS <= time <= now + limits.FUTURE_MILLISECONDS:
            ahead = (time - now) / 1000
            return (
                f"{name}: its time is {abs(ahead):.0f} s {'ahead' if ahead > 0 else 'ago'}; "
                "expected milliseconds since 1970, at most 24 h ago and 5 min ahead"
            )
        if self._waiting >= WAITING:
            return f"{name}: {WAITING} samples wait to be written; push the rest in {FLUSH_SECONDS:g} s"
        key = name, tuple(sorted(pushed.labels.items()))
        source = self._sources.get(key)
        fresh = source is None or source.way != pushed.way or (len(source.keys) == 1) != whole
        if fresh and (fault := self._refusal(key, ("",) if whole else FACETS)):
            return fault
        try:
            self._learned.learn(pushed, monotonic)
        except Clash as err:
            return str(err)
        if source is None or fresh:
            source = self._begin(key, pushed.way, ("",) if whole else FACETS)
        source.heard = monotonic
        self._note(key, source, pushed, time, monotonic)
        self._heard(pushed)
        return ""

    def _refusal(self, key: Key, endings: Sequence[str]) -> str:
        for ending in endings:
            owner = self._taken(key[0] + ending)
            if owner not in (None, MONITOR):
                return f"{key[0]}{ending}: the monitor {owner!r} has a metric of this name; choose another"
        if key not in self._sources and self._series + len(endings) > self._max_series:
            return (
                f"{key[0]} {dict(key[1]) or ''}: more than {self._max_series} series; push fewer label values, "
                "or raise local.max_series. A series leaves an hour after its last push"
            )
        return ""

    def _begin(self, key: Key, way: Way, endings: Sequence[str]) -> _Source:
        before = self._sources.get(key)
        source = _Source(way, tuple((key[0] + ending, key[1]) for ending in endings), heard=0.0)
        self._sources[key] = source
        self._series += len(source.keys) - (len(before.keys) if before else 0)
        self._shapes = []
        for stretch in self._stretches.values():
            self._waiting -= stretch.cells.pop(key, None) is not None
        return source

    def _note(self, key: Key, source: _Source, pushed: Pushed, time: int, monotonic: float) -> None:
        value, seconds = pushed.value, 0.0
        if source.way != "gauge":
            before, elapsed = source.value, self._elapsed(source, pushed, time, monotonic)
            if source.way == "counter" and 0.0 < pushed.seconds < elapsed - _ROUNDING:
                before = None  # its program began anew since
            # A delta of the same time again is one that was sent twice.
            if before is not None and elapsed <= 0.0 and (source.way == "counter" or pushed.time is not None):
                return
            source.value, source.time = value, time
            source.arrived = monotonic if pushed.time is None else None
            grown = _growth(source.way, value, before)
            seconds = elapsed if before is not None else 0.0
            if source.way == "delta":
                seconds = pushed.seconds or seconds
            if grown is None or seconds <= 0.0 or _leapt(grown, seconds):
                return
            value = grown
        stretch = self._stretches.setdefault(time // STRETCH_MILLISECONDS, _Stretch())
        stretch.time = max(stretch.time, time)
        cell = stretch.cells.get(key)
        if cell is None:
            stretch.cells[key] = _Cell(time, value, seconds)
            self._waiting += 1
        elif source.way != "gauge":
            cell.value, cell.seconds, cell.time = _together(cell.value, value), cell.seconds + seconds, time
        elif time >= cell.time:
            cell.value, cell.time = value, time

    @staticmethod
    def _elapsed(source: _Source, pushed: Pushed, time: int, monotonic: float) -> float:
        if pushed.time is None and source.arrived is not None:
            return monotonic - source.arrived
        return (time - source.time) / 1000

    def _ticks(self) -> list[Tick]:
        monotonic = self._clock.monotonic()
        if monotonic - self._pruned >= PRUNE_SECONDS:
            self._pruned = monotonic
            self._prune(monotonic - IDLE_SECONDS)
        stretches, self._stretches, self._waiting = self._stretches, {}, 0
        if not stretches:
            return []
        if not self._shapes:
            self._reshape()
        ticks = []
        for _, stretch in sorted(stretches.items()):
            parts: list[list[float | None]] = [[None] * len(shape.series) for shape in self._shapes]
            for key, cell in stretch.cells.items():
                for series, value in zip(self._sources[key].keys, _values(self._sources[key], cell), strict=True):
                    part, place = self._places[series]
                    parts[part][place] = None if value is None else lawful(value)
            ticks += [
                Tick(shape, stretch.time, values)
                for shape, values in zip(self._shapes, parts, strict=True)
                if any(value is not None for value in values)
            ]
        return ticks

    def _reshape(self) -> None:
        keys = sorted(key for source in self._sources.values() for key in source.keys)
        self._places = {}
        for start in range(0, len(keys), limits.SERIES_PER_SHAPE):
            part = keys[start : start + limits.SERIES_PER_SHAPE]
            self._places |= {key: (len(self._shapes), place) for place, key in enumerate(part)}
            self._shapes.append(shape_of(MONITOR, tuple(SeriesKey(name, dict(labels)) for name, labels in part)))

    def _prune(self, before: float) -> None:
        waiting = {key for stretch in self._stretches.values() for key in stretch.cells}
        idle = [key for key, source in self._sources.items() if source.heard < before and key not in waiting]
        for key in idle:
            self._series -= len(self._sources.pop(key).keys)
            self._shapes = []


def _growth(way: Way, now: Value, before: Value | None) -> Value | None:
    if way == "delta":
        return now
    match now, before:
        case Distribution(), Distribution():
            return now.since(before)
        case Exponential(), Exponential():
            return now.since(before)
        case int() | float(), int() | float():
            return now - before if now >= before else None
    return None


def _leapt(grown: Value, seconds: float) -> bool:
    match grown:
        case Distribution() as distribution:
            return distribution.count > LEAP_PER_SECOND * seconds
        case Exponential():
            return sum((*grown.positive.values(), *grown.negative.values(), grown.zero)) > LEAP_PER_SECOND * seconds
        case _:
            return abs(grown) > LEAP_PER_SECOND * seconds


def _together(one: Value, two: Value) -> Value:
    """Both growths; the later alone where they do not go together, because their buckets differ."""
    match one, two:
        case Distribution(), Distribution():
            return one.plus(two) or two
        case Exponential(), Exponential():
            return one.plus(two)
        case int() | float(), int() | float():
            return one + two
    return two


def _values(source: _Source, cell: _Cell) -> Sequence[float | None]:
    """One value for each of the source's series, in their order."""
    value = cell.value
    if isinstance(value, float | int):
        return (value if source.way == "gauge" else rate(value / cell.seconds),)
    found = value.explicit() if isinstance(value, Exponential) else value
    total = (
        None if found.sum is None else rate(found.sum / cell.seconds) if found.sum >= 0 else found.sum / cell.seconds
    )
    quantiles = (found.quantile(share) for _, share in QUANTILES)
    return (rate(found.count / cell.seconds), total, found.mean, *quantiles)
