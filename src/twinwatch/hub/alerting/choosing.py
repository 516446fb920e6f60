"""What of that which waits for a channel is still worth saying there, and as what. Pure.

Invariants: a channel hears of the beginning of one episode once, and of each worsening once; it hears of an end only
where it heard of the beginning, or may have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from psycopg.rows import DictRow

from twinwatch.notify import Occasion

BEGINNINGS = ("firing", "flapping", "worse")
"""Occasions on which somebody hears that it is bad, or has become so."""
ON_ITS_WAY = ("waiting", "sending", "delivered")


def is_worth_saying(note: DictRow, alerts: Mapping[UUID, DictRow], said: Sequence[DictRow]) -> bool:
    """Whether a note is to be sent now. ``said`` is all that the channel had, has or will have of these alerts."""
    alert = alerts.get(note["alert_id"])
    if alert is None:
        return False
    if note["occasion"] in BEGINNINGS:
        # What was under way while the alert became worse comes back as waiting when it fails, and is out of date then.
        return bool(alert["state"] != "resolved") and not any(
            one["created_at"] > note["created_at"] for one in _beginnings(note, said)
        )
    if note["occasion"] != "resolved":
        return bool(alert["state"] != "resolved")
    return any(
        one["alert_id"] == note["alert_id"]
        and one["occasion"] != "resolved"
        and (one["state"] in ("delivered", "sending") or one["attempts"] > 0)
        for one in said
    )


def occasion_of(note: DictRow, said: Sequence[DictRow]) -> Occasion:
    """As what it is said: whoever heard of the beginning since it was written hears that it has become worse."""
    if note["occasion"] == "firing" and any(one["state"] == "delivered" for one in _beginnings(note, said)):
        return "worse"
    found: Occasion = note["occasion"]
    return found


def is_told_besides(note: DictRow, said: Sequence[DictRow]) -> bool:
    """Whether the channel with this history hears of what ``note`` tells another one anyhow."""
    if note["occasion"] in BEGINNINGS:
        return any(one["created_at"] >= note["created_at"] for one in _beginnings(note, said))
    return any(
        one["alert_id"] == note["alert_id"] and one["occasion"] == note["occasion"] and one["state"] in ON_ITS_WAY
        for one in said
    )


def _beginnings(note: DictRow, said: Sequence[DictRow]) -> list[DictRow]:
    """The other ones about the same alert that arrived, or are to."""
    return [
        one
        for one in said
        if one["alert_id"] == note["alert_id"]
        and one["id"] != note["id"]
        and one["teller"] == "hub"
        and one["occasion"] in BEGINNINGS
        and one["state"] in ON_ITS_WAY
    ]
