"""Several alerts in one message: the first cause on top."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

from twinwatch.protocol.rules import Severity

GRAVITY: dict[Severity, int] = {"down": 0, "critical": 1, "warning": 2}


class Told(Protocol):
    """What is to be put in order."""

    @property
    def severity(self) -> Severity:
        """How grave it is."""
        ...

    @property
    def since(self) -> int:
        """When it became true, ms UTC."""
        ...

    @property
    def server(self) -> str:
        """What it is about."""
        ...


T = TypeVar("T", bound=Told)


def arranged(alerts: Iterable[T]) -> list[T]:
    """A server that is down before everything else, since that explains the rest; then what began first, for what came
    later may have come of it; of one moment the graver first."""
    return sorted(
        alerts,
        key=lambda one: (one.severity != "down", one.since, GRAVITY[one.severity], one.server),
    )
