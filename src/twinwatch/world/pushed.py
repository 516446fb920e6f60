"""The door to what programs of this host push to the agent: the newest value of each series of a service.

Only services that somebody asks for are remembered: the first question has no answer yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class Heard(NamedTuple):
    """The newest value of one series. ``labels`` are the point's own, without those of the service.

    ``value`` is a number, or a histogram of ``twinwatch.monitors.distributions``. ``rising``: it has been counted since
    its program began. ``age_seconds``: how long ago it came.
    """

    name: str
    labels: dict[str, str]
    value: object
    rising: bool
    age_seconds: float


class PushBoard(Protocol):
    """Tells what was pushed."""

    def newest(self, service: str) -> Sequence[Heard]:
        """Of each series that the service of this ``service.name`` has pushed of late; none of an unknown one."""
        ...


class NothingPushed:
    """Where nobody can push."""

    def newest(self, service: str) -> Sequence[Heard]:
        """See ``PushBoard``."""
        return ()
