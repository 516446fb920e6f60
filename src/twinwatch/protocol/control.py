"""What the hub says on the control connection: a WebSocket that the agent dials (``GET /api/v1/agent/control``).

Each message is one text frame of JSON, tagged with ``kind``. A kind that the agent does not know is ignored, so that
the hub may be the newer one. Nothing depends on the connection: all that it says is also in the answers to heartbeats,
only later.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from twinwatch.protocol.alerts import Told
from twinwatch.protocol.configuration import Version

PING_SECONDS = 25.0
"""How often the hub pings: below the minute after which proxies cut what is silent."""
SILENCE_SECONDS = 65.0
"""After so long without a frame, pings included, the agent takes the connection for dead."""

WITNESS_SECONDS = 20.0
"""Longest that a witness looks."""

REVOKED_CODE = 4401
"""Closes the connection once the key that opened it is worthless: the server was deleted, or registered anew."""
REPLACED_CODE = 4409
"""Closes the connection when the same server opens another one: the newest stays."""


class ConfigurationChanged(msgspec.Struct, frozen=True, tag_field="kind", tag="configuration"):
    """There is a newer configuration to fetch. Sent once after the connection opens, and at each change."""

    version: Version


class BundleChanged(msgspec.Struct, frozen=True, tag_field="kind", tag="bundle"):
    """There is another bundle to fetch: rules, silences, policies or channels have changed."""

    digest: str


class WitnessAsked(msgspec.Struct, frozen=True, tag_field="kind", tag="witness"):
    """Another pair of eyes is wanted: can this be reached from there?

    ``target`` is a URL for ``http``, ``host:port`` (``[v6]:port``) for ``tcp``, a host for ``ping``, and for ``peer`` a
    server's host name, which is looked up in the agent's list of Tailscale peers.
    """

    id: str
    """Chosen by the hub, at most 64 letters; comes back with the answer."""
    probe: Literal["http", "tcp", "ping", "peer"]
    target: str
    timeout_seconds: float = 5.0
    """For the whole look, at most ``WITNESS_SECONDS``. The answer is sent at once after that; later there is none."""
    options: dict[str, Any] = {}
    """What is expected, by the names that the monitor of this kind has for one target. Of ``http``: ``method`` (GET or
    HEAD), ``expected_status``, ``keyword``, ``keyword_absent``, ``follow_redirects``, ``verify``, ``family``; of
    ``tcp``: ``tls``, ``server_name``, ``verify``, ``expect``, ``family``; of ``ping``: ``count``, ``family``. One that
    the agent does not know makes it answer ``unknown``. No secret is ever among them."""


class DrillAsked(msgspec.Struct, frozen=True, tag_field="kind", tag="drill"):
    """Send a marked test on each of these channels, and say what came of it."""

    id: str
    channels: tuple[str, ...] = ()
    """Ids; empty: all that the agent may speak on."""


Notice = ConfigurationChanged | BundleChanged | WitnessAsked | DrillAsked
"""Every message of the hub's."""


class WitnessAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a witness saw, posted to ``/api/v1/agent/witness`` (204).

    ``up``: all is as expected; ``down``: it is not; ``unknown``: the agent could not look, may not, or has its own
    network down: that says nothing about the target.
    """

    id: str
    outcome: Literal["up", "down", "unknown"]
    message: str = ""
    """What was seen, for people; at most 500 letters."""
    reason: str = ""
    """A slug for programs; empty while up. Of ``unknown``: ``forbidden`` (by the agent's file, or an address that no
    witness touches), ``busy`` (beyond its limits), ``not-understood``, ``no-tailscale``, ``not-a-peer``, or what the
    monitor of this kind has for a fault of its own host."""
    seconds: float = 0.0
    """How long the look took."""


class DrillResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """What came of a drill, by channel."""

    id: str
    told: tuple[Told, ...] = ()
