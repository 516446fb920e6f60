"""Runs every monitor on its own: own task, interval, deadline and failure.

Invariants:
- Runs of one monitor never overlap; a run that outlives its deadline is cancelled, and while it does not end, later
  ones are skipped. No monitor waits for another.
- Runs are due on a grid of the monotonic clock (start + phase + n × interval), so that neither their own length nor a
  jump of the wall clock makes them drift. A missed slot is skipped, never caught up.
- A change of a monitor's state (ok, absent, failing) is logged once, a state never.
- Each run also yields ``twinwatch.monitor.up`` (no sample where the monitor has nothing to watch) and
  ``twinwatch.monitor.duration``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from math import floor, nan
from typing import Literal

import msgspec

from twinwatch.agent.buffer import BufferUnusable, Tick
from twinwatch.agent.shaping import Shaper
from twinwatch.monitors import Absent, Check, Finding, Moment, Monitor, Reading, Unreadable
from twinwatch.protocol.metrics import Chart, Metric, MonitorFacts
from twinwatch.protocol.samples import Shape
from twinwatch.world.backoff import fraction
from twinwatch.world.doors import World

WARM_UP_SECONDS = 2.0
"""Pause between the first two runs: a rate needs two, and a person who has just installed the agent is watching."""
CANCEL_SECONDS = 1.0
"""What a run cut off at its deadline gets to end in."""

UP = Metric("twinwatch.monitor.up", "1", "Whether the monitor's last run succeeded: 1 it did, 0 it failed", good="high")
DURATION = Metric("twinwatch.monitor.duration", "s", "How long the monitor's last run took", good="low")
NAME_LABEL = "twinwatch.monitor.name"

SELF = MonitorFacts(
    name="twinwatch",
    title="Monitors",
    interval_seconds=0.0,
    metrics=(UP, DURATION),
    charts=(
        Chart("Monitor up", (UP.name,), by=(NAME_LABEL,), top=1.0),
        Chart("Monitor run time", (DURATION.name,), by=(NAME_LABEL,)),
    ),
)

Shaped = list[tuple[Shape, list[float | None]]]
Keep = Callable[[Sequence[Tick]], Awaitable[None]]
State = Literal["new", "ok", "absent", "failing"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Timing:
    """How a monitor is run, after settings have had their say."""

    interval_seconds: float
    deadline_seconds: float


def timing_of(monitor: Monitor, interval_seconds: float | None = None) -> Timing:
    """The monitor's own timing, or that of another interval; a deadline never exceeds the interval."""
    interval = interval_seconds or monitor.interval_seconds
    return Timing(interval, min(monitor.deadline_seconds, interval))


def facts_of(monitors: Sequence[Monitor], interval_seconds: float | None = None) -> tuple[MonitorFacts, ...]:
    """What the catalogue says of these monitors and of the scheduler's own metrics."""
    declared = [
        MonitorFacts(
            name=monitor.name,
            title=monitor.title,
            interval_seconds=timing_of(monitor, interval_seconds).interval_seconds,
            metrics=monitor.metrics,
            charts=monitor.charts,
            headlines=monitor.headlines,
        )
        for monitor in monitors
    ]
    shortest = min((facts.interval_seconds for facts in declared), default=60.0)
    return (*declared, msgspec.structs.replace(SELF, interval_seconds=shortest))


class Scheduler:
    """The running monitors. ``warm`` is set once each has run twice, that is when rates can be expected."""

    def __init__(
        self,
        monitors: Sequence[Monitor],
        *,
        world: World,
        keep: Keep,
        seed: str,
        interval_seconds: float | None = None,
    ) -> None:
        self.warm = asyncio.Event()
        self._cold = len(monitors)
        self._runners = [
            _Runner(monitor, timing_of(monitor, interval_seconds), world=world, keep=keep) for monitor in monitors
        ]
        self._clock = world.clock
        self._seed = seed

    async def run(self) -> None:
        """Run all monitors until cancelled."""
        if not self._runners:
            self.warm.set()
        async with asyncio.TaskGroup() as group:
            for number, runner in enumerate(self._runners):
                group.create_task(self._keep_running(runner, fraction(self._seed, number)), name=runner.name)

    async def _keep_running(self, runner: _Runner, phase: float) -> None:
        interval = runner.timing.interval_seconds
        origin = self._clock.monotonic() + phase * interval
        await asyncio.sleep(phase * min(1.0, interval / 4))
        await runner.run()
        await asyncio.sleep(min(WARM_UP_SECONDS, interval))
        await runner.run()
        self._cold -= 1
        if not self._cold:
            self.warm.set()
        slot = -1
        while True:
            now = self._clock.monotonic()
            # A timer may fire a hair early: never the same slot twice.
            slot = max(slot, floor((now - origin) / interval)) + 1
            await asyncio.sleep(origin + slot * interval - now)
            await runner.run()


class _Runner:
    """One monitor, supervised."""

    def __init__(self, monitor: Monitor, timing: Timing, *, world: World, keep: Keep) -> None:
        self.name = monitor.name
        self.timing = timing
        self._monitor = monitor
        self._world = world
        self._clock = world.clock
        self._keep = keep
        self._state: State = "new"
        self._kept = True
        self._stuck: asyncio.Task[Sequence[Finding]] | None = None
        self._shaper = Shaper(monitor.name)
        self._own_shaper = Shaper(SELF.name)
        self._labels = {NAME_LABEL: monitor.name}

    async def run(self) -> None:
        """One supervised run: whatever the monitor does, this returns soon after the deadline."""
        moment = Moment(time=self._clock.now(), monotonic_seconds=self._clock.monotonic())
        shaped = await self._read(moment)
        duration = self._clock.monotonic() - moment.monotonic_seconds
        up = nan if self._state == "absent" else int(self._state == "ok")
        shaped += self._own_shaper.shape(
            [Reading(DURATION.name, duration, self._labels), Reading(UP.name, up, self._labels)]
        )
        await self._keep_ticks([Tick(shape, moment.time, values) for shape, values in shaped])

    async def _read(self, moment: Moment) -> Shaped:
        if self._stuck is not None and not self._stuck.done():
            self._become("failing", "an earlier run has not ended")
            return []
        run = asyncio.ensure_future(self._monitor.read(self._world, moment))
        self._stuck = run
        try:
            await asyncio.wait({run}, timeout=self.timing.deadline_seconds)
            if not run.done():
                run.add_done_callback(_drop_outcome)
                run.cancel()
                await asyncio.wait({run}, timeout=CANCEL_SECONDS)
                self._become("failing", f"cut off at its deadline of {self.timing.deadline_seconds:g} s")
                return []
        except asyncio.CancelledError:
            run.cancel()
            raise
        return self._outcome(run)

    def _outcome(self, run: asyncio.Task[Sequence[Finding]]) -> Shaped:
        try:
            shaped = self._shaper.shape([found for found in run.result() if not isinstance(found, Check)])
        except Absent as err:
            self._become("absent", str(err) or "not on this host")
        except Unreadable as err:
            self._become("failing", str(err))
        except asyncio.CancelledError:
            self._become("failing", "the run cancelled itself")
        except Exception as err:  # noqa: BLE001 - the supervisor of one monitor's run
            self._become("failing", f"{type(err).__name__}: {err}", err)
        else:
            self._become("ok", "")
            return shaped
        return []

    def _become(self, state: State, reason: str, err: Exception | None = None) -> None:
        before, self._state = self._state, state
        if state == before:
            return
        if state == "failing":
            _log.warning("monitor %s: failing: %s", self.name, reason, exc_info=err)
        elif state == "absent":
            _log.info("monitor %s: nothing to watch: %s", self.name, reason)
        elif before == "new":
            _log.debug("monitor %s: ok", self.name)
        else:
            _log.info("monitor %s: ok again", self.name)

    async def _keep_ticks(self, ticks: Sequence[Tick]) -> None:
        try:
            await self._keep(ticks)
        except BufferUnusable as err:
            if self._kept:
                _log.error("monitor %s: its ticks cannot be kept and are lost: %s", self.name, err)
            self._kept = False
        else:
            if not self._kept:
                _log.info("monitor %s: its ticks are kept again", self.name)
            self._kept = True


def _drop_outcome(run: asyncio.Task[Sequence[Finding]]) -> None:
    if not run.cancelled():
        run.exception()
