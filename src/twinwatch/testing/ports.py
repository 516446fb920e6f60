"""Ports that a test may leave, and find free again."""

from __future__ import annotations

import random
import socket
from itertools import count
from pathlib import Path

_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST, _LEAST = 11_000, 1_000
"""Below the first are ports that services have for themselves, and the last of those that browsers refuse."""
_any = random.SystemRandom()
_claims: dict[int, int] = {}


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port of this address that nobody has, and that nobody else is given while this process lives.

    What the kernel chooses may be the next connection's as soon as it is let go, so this is none of those it chooses
    from. Who asks here in another process is kept off by a name that lives as long as this process.
    """
    above = _first_of_the_kernel()
    for tries in count(1):
        port = _any.randrange(_LOWEST, above)
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0twinwatch-test-port-{port}")
            with socket.socket() as probe:
                probe.bind((host, port))
        except OSError:
            claim.close()
            if tries == _LEAST:
                raise
        else:
            _claims[port] = claim.detach()
            return port
    raise AssertionError


def _first_of_the_kernel() -> int:
    """Below it are ours; where next to nothing is, a port may be anybody's."""
    try:
        first = int(_RANGE.read_text().split()[0])
    except OSError:
        first = 32_768
    return first if first - _LOWEST >= _LEAST else 32_768
