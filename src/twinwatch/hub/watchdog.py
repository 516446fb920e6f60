"""Who is alive: from the time of the last heartbeat to a state, and a look every second at whose state has changed."""

from __future__ import annotations

from typing import Literal

from twinwatch.hub.settings import Patience

State = Literal["new", "up", "late", "down"]


def state_of(last_heartbeat_at: int | None, now: int, patience: Patience) -> State:
    """The state that a silence amounts to. ``new``: registered, and not heard yet. Times are ms UTC, the hub's own."""
    if last_heartbeat_at is None:
        return "new"
    silent_seconds = (now - last_heartbeat_at) / 1000
    if silent_seconds > patience.down_seconds:
        return "down"
    return "late" if silent_seconds > patience.late_seconds else "up"
