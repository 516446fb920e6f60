"""The door to the network step by step, for monitors that say which step took how long or failed."""

from __future__ import annotations

from typing import Protocol


class Net(Protocol):
    """Names, connections, packets."""


class HostNet:
    """The real door."""
