"""One planned monitor with its own task, grid, deadline and failure.

Invariants:
- Runs never overlap; one that outlives its deadline is cancelled, and while it does not end, later ones are skipped.
- Runs are due on a grid of the monotonic clock (start + phase + n × interval), so that neither their own length nor a
  jump of the wall clock makes them drift. A missed slot is skipped, never caught up.
- A wake by ``watch`` adds a run at once, several are one, and the grid stays as it is.
- Ticks have ascending times, but where the wall clock was set back by more than ``SMALL_STEP_MS``.
- A change of the state (ok, absent, failing) is logged once, a state never.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from math import floor, nan
from typing import Any

from twinwatch.agent import own
from twinwatch.agent.buffer import Tick
from twinwatch.agent.own import Keep
from twinwatch.agent.plain import plain
from twinwatch.agent.plan import Planned
from twinwatch.agent.shaping import Shaper
from twinwatch.agent.standing import Standing
from twinwatch.agent.watcher import keep_watching
from twinwatch.monitors import Absent, Check, Declaration, Finding, Moment, Monitor, Reading, Unreadable
from twinwatch.protocol import limits
from twinwatch.protocol.checks import CheckStanding, MonitorState
from twinwatch.protocol.samples import Shape
from twinwatch.world.backoff import fraction
from twinwatch.world.doors import World

WARM_UP_SECONDS = 2.0
"""Pause between the first two runs: a rate needs two, and a person who has just installed the agent is watching."""
CANCEL_SECONDS = 1.0
"""What a run cut off at its deadline gets to end in."""
WAKE_SECONDS = 0.2
"""Shortest time between two runs that ``watch`` asks for …"""
STORM_WAKES = 10
"""… and after so many in one interval …"""
STORM_SECONDS = 1.0
"""… this is."""
SMALL_STEP_MS = 5_000

_VALUES = {"up": 1.0, "degraded": 0.5, "down": 0.0, "unknown": nan}
_log = logging.getLogger("twinwatch.agent.scheduler")


class Runner:
    """The monitor and its memory. ``learned`` is called when the monitor has learned a declaration."""

    def __init__(
        self,
        planned: Planned,
        *,
        world: World,
        keep: Keep,
        standing: Standing,
        seed: str,
        learned: Callable[[], None],
        late: Callable[[float], None],
    ) -> None:
        self.planned = planned
        self.declaration: Declaration | None = None
        self._world = world
        self._clock = world.clock
        self._keep = keep
        self._standing = standing
        self._seed = seed
        self._learned = learned
        self._late = late
        self._monitor: Monitor | None = None
        self._state: MonitorState = "new"
        self._running: asyncio.Task[Sequence[Finding]] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._woken = asyncio.Event()
        self._wakes = 0
        self._last_run = -WAKE_SECONDS
        self._last_time = 0
        self._labels = {own.NAME_LABEL: planned.label}
        self._shaper = Shaper(planned.kind.name, {own.NAME_LABEL: planned.own_name} if planned.own_name else None)
        self._own_shaper = Shaper(own.NAME)
        self._checks: list[CheckStanding] = []
        self._check_labels: dict[str, dict[str, str]] = {}

    async def run(self, warmed: Callable[[], None]) -> None:
        """Run until cancelled; ``warmed`` is called after two runs. Ends within ``CANCEL_SECONDS`` when cancelled."""
        try:
            await self._run(warmed)
        finally:
            await self.end()

    async def once(self) -> list[Tick]:
        """One supervised run: whatever the monitor does, this returns soon after the deadline. Its ticks, unkept."""
        self._woken.clear()
        self._last_run = self._clock.monotonic()
        moment = Moment(time=self._time(), monotonic_seconds=self._last_run)
        shaped = await self._read(moment)
        shaped += self._own_shaper.shape(self._of_itself(self._clock.monotonic() - moment.monotonic_seconds))
        return [Tick(shape, moment.time, values) for shape, values in shaped]

    async def _run(self, warmed: Callable[[], None]) -> None:
        interval = self.planned.interval_seconds
        phase = fraction(self._seed, 0)
        origin = self._clock.monotonic() + phase * interval
        await asyncio.sleep(phase * min(1.0, interval / 4))
        await self._keep(await self.once())
        await self._until(self._clock.monotonic() + min(WARM_UP_SECONDS, interval))
        await self._keep(await self.once())
        warmed()
        slot = -1
        while True:
            # A timer may fire a hair early: never the same slot twice.
            slot = max(slot, floor((self._clock.monotonic() - origin) / interval)) + 1
            due = origin + slot * interval
            await self._until(due)
            self._wakes = 0
            self._late(self._clock.monotonic() - due)
            await self._keep(await self.once())

    async def _until(self, due: float) -> None:
        """Wait, and run whenever ``watch`` asks for it meanwhile."""
        while (left := due - self._clock.monotonic()) > 0:
            try:
                async with asyncio.timeout(left):
                    await self._woken.wait()
            except TimeoutError:
                return
            pause = STORM_SECONDS if self._wakes >= STORM_WAKES else WAKE_SECONDS
            wake_at = self._last_run + pause
            now = self._clock.monotonic()
            if max(wake_at, now) >= due:  # the grid's own run is as soon
                await asyncio.sleep(due - now)
                return
            await asyncio.sleep(wake_at - now)
            self._wakes += 1
            await self._keep(await self.once())
        await asyncio.sleep(0)

    def _time(self) -> int:
        now = self._clock.now()
        if self._last_time - SMALL_STEP_MS <= now <= self._last_time:
            now = self._last_time + 1
        self._last_time = now
        return now

    def _of_itself(self, duration: float) -> list[Reading]:
        up = nan if self._state == "absent" else int(self._state == "ok")
        readings = [Reading(own.DURATION.name, duration, self._labels), Reading(own.UP.name, up, self._labels)]
        if self._check_labels.keys() != {check.name for check in self._checks}:
            self._check_labels = {check.name: {own.CHECK_LABEL: check.name} for check in self._checks}
        readings += [
            Reading(own.CHECK_UP.name, _VALUES[check.state], self._check_labels[check.name]) for check in self._checks
        ]
        return readings

    async def _read(self, moment: Moment) -> list[tuple[Shape, list[float | None]]]:
        self._checks = []
        if self._running is not None and not self._running.done():
            self._fail("an earlier run has not ended")
            return []
        deadline = self.planned.deadline_seconds
        self._running = run = asyncio.ensure_future(self._begin(moment))
        try:
            await asyncio.wait({run}, timeout=deadline)
            if not run.done():
                run.add_done_callback(_drop_outcome)
                run.cancel()
                await asyncio.wait({run}, timeout=CANCEL_SECONDS)
                self._fail(f"cut off at its deadline of {deadline:g} s")
                return []
        except asyncio.CancelledError:
            run.cancel()
            raise
        return self._outcome(run)

    async def _begin(self, moment: Moment) -> Sequence[Finding]:
        if self._monitor is None:
            self._monitor = self.planned.kind(self.planned.options)
            self._watching = asyncio.create_task(
                keep_watching(self._monitor, self._world, self._woken.set, label=self.planned.label, seed=self._seed),
                name=f"watch {self.planned.label}",
            )
        return await self._monitor.read(self._world, moment)

    def _outcome(self, run: asyncio.Task[Sequence[Finding]]) -> list[tuple[Shape, list[float | None]]]:
        try:
            found = run.result()
            checks = [one for one in found if isinstance(one, Check)]
            readings: Sequence[Any] = [one for one in found if not isinstance(one, Check)] if checks else found
            shaped = self._shaper.shape(readings[: limits.SERIES_PER_SERVER])
            self._checks = self._standing.took(self.planned.label, checks)
        except Absent as err:
            reason = str(err) or "not on this host"
            self._standing.absent(self.planned.label, reason)
            self._become("absent", reason)
        except Unreadable as err:
            self._fail(str(err))
        except asyncio.CancelledError:
            self._fail("the run cancelled itself")
        except Exception as err:  # noqa: BLE001 - the supervisor of one monitor's run
            self._fail(f"{type(err).__name__}: {err}", err)
        else:
            self._become("ok", "")
            self._learn()
            return shaped
        return []

    def _learn(self) -> None:
        declaration = getattr(self._monitor, "learned", None)
        if isinstance(declaration, Declaration) and declaration is not self.declaration:
            self.declaration = declaration
            self._learned()

    def _fail(self, reason: str, err: Exception | None = None) -> None:
        self._standing.failed(self.planned.label, reason)
        self._become("failing", reason, err)

    def _become(self, state: MonitorState, reason: str, err: Exception | None = None) -> None:
        before, self._state = self._state, state
        if state == before:
            return
        name, reason = self.planned.label, plain(reason, limits.MESSAGE_CHARACTERS)
        if state == "failing":
            _log.warning("monitor %s: failing: %s", name, reason, exc_info=err)
        elif state == "absent":
            _log.info("monitor %s: nothing to watch: %s", name, reason)
        elif before == "new":
            _log.debug("monitor %s: ok", name)
        else:
            _log.info("monitor %s: ok again", name)

    async def end(self) -> None:
        """Cancel what is under way. What does not end in time is left to itself, its outcome dropped."""
        left = {task for task in (self._running, self._watching) if task is not None and not task.done()}
        for task in left:
            task.add_done_callback(_drop_outcome)
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=CANCEL_SECONDS)


def _drop_outcome(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()
