"""Runs every planned monitor on its own, and follows the plan while they run.

Invariants:
- No monitor waits for another. One that hangs, fails or cannot be made hurts nobody else.
- A new plan leaves alone what is planned as before; only what differs is stopped, started or started anew. The checks
  of what is no longer planned vanish.
"""

from __future__ import annotations

import asyncio

from twinwatch.agent.own import Keep
from twinwatch.agent.plan import Plan, Planned
from twinwatch.agent.runner import Runner
from twinwatch.agent.standing import Standing
from twinwatch.monitors import Declaration
from twinwatch.world.doors import World


class Scheduler:
    """The running monitors. ``warm`` is set once each has run twice, that is when rates can be expected.

    ``facts_changed`` is set when the catalogue may have changed: by a plan, or by what a monitor has learned.
    """

    def __init__(self, world: World, keep: Keep, seed: str, standing: Standing) -> None:
        self.warm = asyncio.Event()
        self.facts_changed = asyncio.Event()
        self._world = world
        self._keep = keep
        self._seed = seed
        self._standing = standing
        self._runners: dict[str, Runner] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._cold: set[Runner] = set()
        self._defect: asyncio.Future[None] | None = None
        self._lag_seconds = 0.0

    @property
    def plan(self) -> Plan:
        """What runs now."""
        return Plan(tuple(runner.planned for runner in self._runners.values()))

    def learned(self) -> list[tuple[Planned, Declaration]]:
        """What running monitors have learned to declare."""
        return [
            (runner.planned, runner.declaration) for runner in self._runners.values() if runner.declaration is not None
        ]

    def lag_seconds(self) -> float:
        """How late the latest run began since this was asked before."""
        lag, self._lag_seconds = self._lag_seconds, 0.0
        return lag

    def apply(self, plan: Plan) -> None:
        """Run this plan from now on, or from ``run`` on."""
        planned = {one.label: one for one in plan.monitors}
        before: dict[str, asyncio.Task[None]] = {}
        for label, runner in list(self._runners.items()):
            if planned.get(label) != runner.planned:
                del self._runners[label]
                self._cold.discard(runner)
                if (task := self._tasks.pop(label, None)) is not None:
                    task.cancel()
                    self._ending.add(task)
                    before[label] = task
        self._standing.plan(plan.monitors)
        for label, one in planned.items():
            if label not in self._runners:
                self._runners[label] = runner = self._runner(one)
                self._cold.add(runner)
                if self._defect is not None:
                    self._start(runner, before.get(label))
        # In the plan's order, whichever came first.
        self._runners = {label: self._runners[label] for label in planned}
        self._judge_warmth()
        self.facts_changed.set()

    async def run(self) -> None:
        """Run all monitors until cancelled. Raises what a defect of the scheduler itself raises, and nothing else."""
        self._defect = asyncio.get_running_loop().create_future()
        for runner in self._runners.values():
            self._start(runner, None)
        self._judge_warmth()
        try:
            await self._defect
        finally:
            self._defect = None
            tasks = {*self._tasks.values(), *self._ending}
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks)
            self._tasks.clear()

    def _runner(self, planned: Planned) -> Runner:
        return Runner(
            planned,
            world=self._world,
            keep=self._keep,
            standing=self._standing,
            seed=f"{self._seed}:{planned.label}",
            learned=self.facts_changed.set,
            late=self._late,
        )

    def _start(self, runner: Runner, before: asyncio.Task[None] | None) -> None:
        task = asyncio.create_task(self._follow(runner, before), name=f"monitor {runner.planned.label}")
        self._tasks[runner.planned.label] = task
        task.add_done_callback(self._ended)

    async def _follow(self, runner: Runner, before: asyncio.Task[None] | None) -> None:
        """Run it, after the one that it replaces has ended, which takes a second at most."""
        if before is not None:
            await asyncio.wait({before})
        await runner.run(lambda: self._warmed(runner))

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._ending.discard(task)
        err = None if task.cancelled() else task.exception()
        if err is not None and self._defect is not None and not self._defect.done():
            self._defect.set_exception(err)

    def _warmed(self, runner: Runner) -> None:
        self._cold.discard(runner)
        self._judge_warmth()

    def _judge_warmth(self) -> None:
        if not self._cold:
            self.warm.set()

    def _late(self, seconds: float) -> None:
        self._lag_seconds = max(self._lag_seconds, seconds)
