"""What services have pushed of late, for the monitors that ask for it by ``service.name``.

Invariants: nothing is remembered of a service that nobody has asked for within ``ASKED_SECONDS``; of one, at most
``SERIES`` series, each for ``KEPT_SECONDS`` after its last push. Deltas are added up, so that all counters only rise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from twinwatch.agent.local.pushed import Pushed
from twinwatch.monitors.distributions import Distribution, Exponential
from twinwatch.world.clock import Clock
from twinwatch.world.pushed import Heard

SERVICE = "service.name"
INSTANCE = "service.instance.id"
ASKED_SECONDS = 3600.0
KEPT_SECONDS = 300.0
SERIES = 1_000
SERVICES = 100

Key = tuple[str, tuple[tuple[str, str], ...]]


@dataclass(slots=True)
class _Entry:
    pushed: Pushed
    value: float | Distribution | Exponential
    at: float


class Board:
    """The board. ``note`` is told of everything that was pushed."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._asked: dict[str, float] = {}
        self._series: dict[str, dict[Key, _Entry]] = {}

    def note(self, pushed: Pushed) -> None:
        """Remember it, if somebody has asked for its service."""
        service = pushed.labels.get(SERVICE, "")
        if service not in self._asked:
            return
        now = self._clock.monotonic()
        entries = self._series.setdefault(service, {})
        key = pushed.name, tuple(sorted(pushed.labels.items()))
        before = entries.get(key)
        if before is None and len(entries) >= SERIES:
            self._prune(service, now)
            if len(entries) >= SERIES:
                return
        value = pushed.value
        if pushed.way == "delta" and before is not None:
            value = _together(before.value, value)
        entries[key] = _Entry(pushed, value, now)

    def newest(self, service: str) -> Sequence[Heard]:
        """See ``PushBoard``."""
        now = self._clock.monotonic()
        if service not in self._asked and len(self._asked) >= SERVICES:
            self._forget(now)
            if len(self._asked) >= SERVICES:
                return ()
        self._asked[service] = now
        self._prune(service, now)
        return [
            Heard(
                one.pushed.name,
                {name: text for name, text in one.pushed.labels.items() if name != SERVICE},
                one.value,
                one.pushed.way != "gauge",
                max(now - one.at, 0.0),
            )
            for one in self._series.get(service, {}).values()
        ]

    def _prune(self, service: str, now: float) -> None:
        entries = self._series.get(service, {})
        for key in [key for key, one in entries.items() if now - one.at > KEPT_SECONDS]:
            del entries[key]

    def _forget(self, now: float) -> None:
        for service in [one for one, at in self._asked.items() if now - at > ASKED_SECONDS]:
            del self._asked[service]
            self._series.pop(service, None)


def _together(before: Any, grown: Any) -> Any:
    """Both together; what does not fit begins anew."""
    if isinstance(before, int | float) and isinstance(grown, int | float):
        return before + grown
    if type(before) is type(grown):
        return before.plus(grown) or grown
    return grown
