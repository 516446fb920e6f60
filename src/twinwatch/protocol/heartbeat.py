"""The agent's sign of life, apart from samples, so that a backlog never looks like a dead server."""

from __future__ import annotations

import msgspec

from twinwatch.protocol.samples import Milliseconds


class Heartbeat(msgspec.Struct, frozen=True):
    """Sent every 60 s and at start. ``timestamp`` is the agent's clock, ms UTC."""

    server_uuid: str
    timestamp: Milliseconds
    agent_version: str


class HeartbeatAnswer(msgspec.Struct, frozen=True):
    """The hub's clock, ms UTC, and the fingerprint of the catalogue it holds (empty: none)."""

    received_at: int
    catalogue: str = ""
