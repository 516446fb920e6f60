"""Whether it is the hub that does not hear, rather than the servers that do not speak.

When most servers of several networks fall silent within seconds, the cause they share is most likely the one who
listens. One alert is raised about that then, instead of one for each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

LEAST_SERVERS = 4
LEAST_NETWORKS = 2
SHARE = 0.5
TOGETHER_MILLISECONDS = 90_000
"""Heartbeats are a minute apart: servers that were cut off at the same moment fall silent within so long."""


class Heard(NamedTuple):
    """One server that should be speaking. ``network`` is where it speaks from, empty if that is not known."""

    network: str
    last_sign_at: int
    silent: bool


def is_suspected(servers: Iterable[Heard]) -> bool:
    """Whether most of them, in several networks, fell silent together."""
    everyone = list(servers)
    silent = [one for one in everyone if one.silent]
    if len(silent) < LEAST_SERVERS or len(silent) <= len(everyone) * SHARE:
        return False
    times = sorted(one.last_sign_at for one in silent)
    if times[-1] - times[0] > TOGETHER_MILLISECONDS:
        return False
    networks = Counter(one.network for one in silent)
    # A network of its own that is still heard shows that the hub hears.
    whole = [network for network in networks if all(one.silent for one in everyone if one.network == network)]
    return len(whole) >= LEAST_NETWORKS
