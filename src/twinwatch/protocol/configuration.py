"""What the hub wants an agent to watch: a versioned bundle, kept by the agent and used without the hub as well.

Invariants: versions of a server only rise; 0 is *none*. Options are JSON; what they mean is known to the monitor alone,
so the agent judges them and answers with what is wrong (``checks.ConfigurationStanding``).
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from twinwatch.protocol.rules import Rule

Version = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]


class MonitorEntry(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One monitor that shall run, or with ``enabled`` false shall not."""

    type: str
    name: str = ""
    """Tells two of one type apart; empty: the type."""
    enabled: bool = True
    interval: str = ""
    """A duration such as ``30s``; empty: the monitor's own."""
    timeout: str = ""
    """What one run may take; empty: the monitor's own."""
    options: dict[str, Any] = {}


class Configuration(msgspec.Struct, frozen=True, omit_defaults=True):
    """The bundle of one server."""

    version: Version = 0
    monitors: tuple[MonitorEntry, ...] = ()
    rules: tuple[Rule, ...] = ()
