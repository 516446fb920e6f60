"""Whether it is the hub that does not hear, rather than the servers that do not speak.

When most servers of several networks fall silent within seconds, the cause they share is most likely the one who
listens. One alert is raised about that then, instead of one for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

LEAST_SERVERS = 4
LEAST_NETWORKS = 2
SHARE = 0.5
TOGETHER_MILLISECONDS = 90_000
"""Heartbeats are a minute apart: servers that were cut off at the same moment fall silent within so long."""


class Heard(NamedTuple):
    """The servers of one network that should be speaking: those that share where they speak from."""

    servers: int
    silent: int
    first_at: int
    """When the first of the silent ones was last heard, ms UTC; 0 if none is silent."""
    last_at: int
    """When the last of the silent ones was."""


def is_suspected(networks: Sequence[Heard]) -> bool:
    """Whether most servers, in several networks, fell silent together."""
    silent = [one for one in networks if one.silent]
    count = sum(one.silent for one in silent)
    if count < LEAST_SERVERS or count <= sum(one.servers for one in networks) * SHARE:
        return False
    if max(one.last_at for one in silent) - min(one.first_at for one in silent) > TOGETHER_MILLISECONDS:
        return False
    # A network of which somebody is still heard shows that the hub hears.
    return sum(one.silent == one.servers for one in silent) >= LEAST_NETWORKS
