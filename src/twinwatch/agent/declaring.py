"""Keeps the catalogue: made anew whenever the plan changes or something was learned."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from twinwatch.agent.catalogue import catalogue_of
from twinwatch.agent.local import custom as custom_metrics
from twinwatch.agent.local.custom import Custom
from twinwatch.agent.scheduler import Scheduler
from twinwatch.protocol.metrics import Catalogue, MonitorFacts, MonitorKind

SETTLE_SECONDS = 1.0
"""Changes are gathered for so long."""


class Declaring:
    """The catalogue of what ``scheduler`` runs and of what was pushed to ``custom``."""

    def __init__(
        self, scheduler: Scheduler, custom: Custom, *, host: Mapping[str, str], kinds: tuple[MonitorKind, ...]
    ) -> None:
        self._scheduler = scheduler
        self._custom = custom
        self._host = host
        self._kinds = kinds
        self._owners: dict[str, str] = {}
        self.catalogue = self._made()

    def owner_of(self, metric: str) -> str | None:
        """The monitor that declares this metric; None if none does, or if it was pushed."""
        return self._owners.get(metric)

    async def run(self, changed: Callable[[], None]) -> None:
        """Make it anew when that is due, until cancelled; ``changed`` is called when it is another one."""
        while True:
            await self._scheduler.facts_changed.wait()
            self._scheduler.facts_changed.clear()
            fresh = self._made()
            if fresh != self.catalogue:
                self.catalogue = fresh
                changed()
            await asyncio.sleep(SETTLE_SECONDS)

    def _made(self) -> Catalogue:
        metrics, charts = self._custom.declaration
        pushed = MonitorFacts(
            custom_metrics.MONITOR, custom_metrics.TITLE, custom_metrics.INTERVAL_SECONDS, metrics, charts
        )
        catalogue = catalogue_of(
            self._scheduler.plan,
            self._scheduler.learned(),
            host=self._host,
            kinds=self._kinds,
            more=[pushed] if metrics else [],
        )
        self._owners = {
            metric.name: facts.name
            for facts in catalogue.monitors
            if facts.name != custom_metrics.MONITOR
            for metric in facts.metrics
        }
        return catalogue
