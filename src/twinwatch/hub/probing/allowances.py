"""How much each plan may ask of the hub's probing. Whoever runs a hub of their own is on ``enterprise``."""

from __future__ import annotations

from typing import NamedTuple


class Allowance(NamedTuple):
    """Of one organization: how many probes it may have, and how many of them are tried at a time by one hub process."""

    probes: int
    at_once: int


ALLOWANCES: dict[str, Allowance] = {
    "free": Allowance(20, 5),
    "pro": Allowance(500, 25),
    "enterprise": Allowance(20_000, 500),
}

INTERVAL_SECONDS = (10, 3600)
"""Least and most between two tries of one probe."""
