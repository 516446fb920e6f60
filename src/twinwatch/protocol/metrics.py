"""What a monitor declares about itself: the catalogue that travels from the agent to the hub.

Names and units follow the OpenTelemetry semantic conventions (units are UCUM: ``1`` is a ratio of 0 to 1,
``By`` bytes, ``s`` seconds). The hub and the dashboard draw everything from here and know no metric by name.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, Literal

import msgspec

from twinwatch.protocol.rules import Rule

Good = Literal["low", "high", "none"]


class Metric(msgspec.Struct, frozen=True, omit_defaults=True):
    """One metric: the truth about its series, said once."""

    name: str
    unit: str
    help: str
    good: Good = "none"
    """Which direction is the better one; ``none`` where neither is."""


class Chart(msgspec.Struct, frozen=True, omit_defaults=True):
    """How to draw one or more metrics of the same unit. Each series of each metric is a line."""

    title: str
    metrics: tuple[str, ...]
    by: tuple[str, ...] = ()
    """Labels that name a line in the legend; empty: the metric's own name does."""
    style: Literal["line", "area", "stack"] = "line"
    mirror: tuple[str, ...] = ()
    """Label values drawn below the axis (``transmit`` under ``receive``)."""
    top: float | None = None
    """Upper end of the axis where the unit has one (``1.0`` for a ratio)."""


class Headline(msgspec.Struct, frozen=True, omit_defaults=True):
    """A figure that stands for the server in the overview. Of several series the highest is shown."""

    title: str
    metric: str


class MonitorFacts(msgspec.Struct, frozen=True, omit_defaults=True):
    """One monitor as the agent runs it."""

    name: str
    """The type; of several monitors of one type, the catalogue has one entry."""
    title: str
    interval_seconds: float
    metrics: tuple[Metric, ...]
    charts: tuple[Chart, ...] = ()
    headlines: tuple[Headline, ...] = ()
    rules: tuple[Rule, ...] = ()
    """What alerts by default. The check of a rule lacks the monitor's name, as does the rule's own."""


class MonitorKind(msgspec.Struct, frozen=True, omit_defaults=True):
    """A type of monitor that this agent could run. ``options`` is the JSON Schema of its options, for forms."""

    type: str
    title: str
    help: str
    interval_seconds: float
    options: dict[str, Any] = {}


class Catalogue(msgspec.Struct, frozen=True, omit_defaults=True):
    """All that an agent declares: its monitors and the facts of its host (``os.type``, ``host.name``, …)."""

    agent_version: str
    monitors: tuple[MonitorFacts, ...]
    host: dict[str, str] = {}
    kinds: tuple[MonitorKind, ...] = ()
    """Every type of monitor that is installed there, running or not."""
    digest: str = ""
    """What the sender calls this content; the hub repeats it in its heartbeat answers. A hub that is older than the
    agent drops fields that it does not know, and could not arrive at the same digest by itself."""

    def fingerprint(self) -> str:
        """Sixteen hex digits that change when anything in the catalogue does, the digest excepted."""
        content = msgspec.msgpack.encode(msgspec.structs.replace(self, digest=""), order="deterministic")
        return blake2b(content, digest_size=8).hexdigest()
