"""Several alerts in one message to one channel, said alike by agent and hub. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from twinwatch.alerts.group import arranged
from twinwatch.notify import Note, Occasion, Subject

SUBJECTS = 100
"""Most alerts of one message."""
URGENCY: Sequence[Occasion] = (
    *("worse", "firing", "escalation", "flapping", "repeat", "settled", "resolved", "acknowledged", "drill", "test"),
)
"""A message about several says why it is sent by the most urgent of them."""


def note_about(
    note_id: str,
    subjects: Sequence[Subject],
    now: int,
    *,
    teller: Literal["agent", "hub"],
    first: bool = True,
    reference: str = "",
    organization: str = "",
    link: str = "",
    sender: str = "",
) -> Note:
    """One message about these alerts, the first cause on top. ``first`` and ``reference`` are of an alert that is told
    alone; several begin a conversation of their own."""
    ordered = arranged(subjects)
    occasions = {one.occasion for one in ordered}
    alone = len(ordered) == 1
    return Note(
        id=note_id,
        occasion=next(one for one in URGENCY if one in occasions),
        subjects=tuple(ordered[:SUBJECTS]),
        now=now,
        teller=teller,
        thread=ordered[0].key,
        first=first or not alone,
        reference=reference if alone else "",
        organization=organization,
        link=link,
        sender=sender,
    )
