"""From what an agent sees of the hub and of the internet, and for how long, to what it says of both. Pure.

Invariants: nothing is said of a hub while the own internet is down, and the time for which it was down counts for
nothing; a clock that was set and a process that stood still make nothing seem long; the hub is well again with its
first answer, the internet with the first target that takes a connection.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Internet = Literal["works", "down", "unknown"]
"""``unknown``: not looked at, or its targets have never been reached from here: then they say nothing."""
Standing = Literal["up", "down", "unknown"]

RANK_SECONDS = 20.0
DOUBT = 2.0
"""So many times as long an agent waits that cannot tell whether its internet works."""
OFFLINE_SECONDS = 45.0
LONGEST_STEP_SECONDS = 30.0
"""Between two looks; what is more was time in which nothing ran here."""


class Sight(NamedTuple):
    """What one look saw. ``hub``: whether it answers; None: nobody has asked it yet, or it refuses this server."""

    hub: bool | None
    internet: Internet = "unknown"


class Watch(NamedTuple):
    """What is remembered between looks."""

    away_seconds: float = 0.0
    """For how long the hub has not answered, while the internet worked for all that is known."""
    offline_seconds: float = 0.0
    hub: Standing = "unknown"
    internet: Standing = "unknown"


def looked(watch: Watch, sight: Sight, elapsed_seconds: float, *, after_seconds: float, rank: int) -> Watch:
    """What is remembered after a look, ``elapsed_seconds`` after the one before.

    ``after_seconds``: how long the hub may be away before the first agent of an organization says so; the one of rank k
    waits k * ``RANK_SECONDS`` more.
    """
    step = min(max(elapsed_seconds, 0.0), LONGEST_STEP_SECONDS)
    if sight.hub:
        # Whoever reaches the hub is on the internet, or needs none.
        return Watch(hub="up", internet="up")
    if sight.hub is None:
        return watch._replace(away_seconds=0.0, offline_seconds=0.0)
    if sight.internet == "down":
        offline = watch.offline_seconds + step
        internet: Standing = "down" if offline >= OFFLINE_SECONDS else watch.internet
        return watch._replace(away_seconds=0.0, offline_seconds=offline, internet=internet)
    away = watch.away_seconds + step
    patience = (after_seconds + max(rank, 0) * RANK_SECONDS) * (DOUBT if sight.internet == "unknown" else 1.0)
    hub: Standing = "down" if away >= patience else watch.hub
    seen: Standing = "up" if sight.internet == "works" else watch.internet
    return Watch(away, 0.0, hub, seen)
