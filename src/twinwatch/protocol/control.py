"""What the hub says on the control connection: a WebSocket that the agent dials (``GET /api/v1/agent/control``).

Each message is one text frame of JSON, tagged with ``kind``. A kind that the agent does not know is ignored, so that
the hub may be the newer one. Nothing depends on the connection: all that it says is also in the answers to heartbeats,
only later.
"""

from __future__ import annotations

import msgspec

from twinwatch.protocol.configuration import Version

PING_SECONDS = 25.0
"""How often the hub pings: below the minute after which proxies cut what is silent."""
SILENCE_SECONDS = 65.0
"""After so long without a frame, pings included, the agent takes the connection for dead."""

REVOKED_CODE = 4401
"""Closes the connection once the key that opened it is worthless: the server was deleted, or registered anew."""
REPLACED_CODE = 4409
"""Closes the connection when the same server opens another one: the newest stays."""


class ConfigurationChanged(msgspec.Struct, frozen=True, tag_field="kind", tag="configuration"):
    """There is a newer configuration to fetch. Sent once after the connection opens, and at each change."""

    version: Version


Notice = ConfigurationChanged
"""Every message of the hub's; a union, once there is a second."""
