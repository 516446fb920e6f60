"""What the system monitor is made of: each part has one source and fails alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol

from twinwatch.monitors import Finding, Moment
from twinwatch.protocol.metrics import Chart, Headline, Metric
from twinwatch.world.host import Host


class Part(Protocol):
    """A group of metrics that are there or missing together."""

    name: ClassVar[str]
    metrics: ClassVar[tuple[Metric, ...]]
    charts: ClassVar[tuple[Chart, ...]]
    headlines: ClassVar[tuple[Headline, ...]]

    async def read(self, host: Host, moment: Moment) -> Sequence[Finding]:
        """One run of this part.

        Raises: world.host.Missing, world.host.Refused, Unreadable.
        """
        ...
