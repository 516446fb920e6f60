"""How the agent's alerting stands, for the local page and ``twinwatch agent status``. Nothing secret is in it."""

from __future__ import annotations

import msgspec


class ChannelStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    """One channel as the status shows it. Nothing secret is in it."""

    id: str
    name: str
    kind: str
    delivered_at: int = 0
    """When it last took a message, ms UTC; 0: not since the agent started."""
    trouble: str = ""
    """Why it did not take the last one."""


class AlertStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    """One open alert as the status shows it."""

    title: str
    severity: str
    since: int
    message: str = ""
    told: tuple[str, ...] = ()
    """The names of the channels that have taken it."""
    stance: str = ""


class AlertingStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    """How alerting stands. Times are ms UTC, 0 for never."""

    open: tuple[AlertStatus, ...] = ()
    channels: tuple[ChannelStatus, ...] = ()
    rules: int = 0
    last_delivery_at: int = 0
    bundle_issued_at: int = 0
    events_waiting: int = 0
    trouble: str = ""
    """Why alerts are remembered in memory only."""
