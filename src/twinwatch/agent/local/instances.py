"""Short names for the instances of a service that name themselves at random.

OpenTelemetry's SDKs give each process a new UUID as ``service.instance.id``. As a label it would make new series of all
its metrics at every restart, for ever. So a UUID becomes the lowest number that is free among the instances of its
service: processes that run side by side stay apart, and one that was restarted has a number of before.
An id that somebody chose is left as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable

FREE_SECONDS = 180.0
"""A number is free again when its instance was silent for three of the SDKs' intervals."""
SERVICES = 200
INSTANCES = 200
"""Most of one service; those beyond share the last number."""

_UUID = re.compile(r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}", re.IGNORECASE)


class Instances:
    """Who has which number. ``monotonic`` gives seconds."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._services: dict[str, dict[str, tuple[int, float]]] = {}

    def name_of(self, service: str, instance: str) -> str:
        """``instance`` itself, or its number if it is a UUID."""
        if not _UUID.fullmatch(instance):
            return instance
        now = self._monotonic()
        if service not in self._services and len(self._services) >= SERVICES:
            self._services.pop(next(iter(self._services)))
        known = self._services.setdefault(service, {})
        if instance in known:
            number = known[instance][0]
        else:
            for gone in [each for each, (_, heard) in known.items() if now - heard > FREE_SECONDS]:
                del known[gone]
            taken = {number for number, _ in known.values()}
            number = next((each for each in range(1, INSTANCES) if each not in taken), INSTANCES)
        if number < INSTANCES:
            known[instance] = number, now
        return str(number)
