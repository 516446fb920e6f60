"""The agent's sign of life, apart from samples, so that a backlog never looks like a dead server."""

from __future__ import annotations

from typing import Annotated

import msgspec

from twinwatch.protocol.configuration import Version
from twinwatch.protocol.life import Life
from twinwatch.protocol.samples import Milliseconds

Count = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]


class Delivery(msgspec.Struct, frozen=True):
    """What became of the ticks that the agent has collected since its buffer was made.

    ``collected = delivered + pending + dropped``.
    """

    collected: Count
    delivered: Count
    pending: Count
    dropped: Count
    """Lost for good: by age, by the buffer's size, by a disk that was full, or refused by the hub."""
    buffer_bytes: Count = 0
    oldest_pending: Milliseconds | None = None


class Heartbeat(msgspec.Struct, frozen=True, omit_defaults=True):
    """Sent every 60 s and at start. ``timestamp`` is the agent's clock, ms UTC."""

    server_uuid: str
    timestamp: Milliseconds
    agent_version: str
    delivery: Delivery | None = None
    alerts: str = ""
    """``alerts.digest_of`` the keys of all that is open; empty: nothing is."""
    bundle: str = ""
    """Digest of the bundle that it holds; empty: none."""
    life: Life | None = None


class HeartbeatAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """The hub's clock, ms UTC, and what it holds of this server."""

    received_at: int
    catalogue: str = ""
    """Fingerprint of the catalogue; empty: none."""
    report: str = ""
    """Digest of the last report; empty: none."""
    configuration: Version = 0
    """The version that the agent should run; 0: none."""
    bundle: str = ""
    """Digest of the bundle that the agent should hold; empty: none."""
    reconcile: bool = False
    """The hub has other alerts of this agent open: it wants to be told all that are."""
    interval_seconds: float = 0.0
    """How far apart heartbeats are to be; 0: as the agent has it."""
