"""A day is looked through when it is past keeping, and not again unless something may have come to it."""

from __future__ import annotations

from uuid import UUID, uuid4

from twinwatch.hub.stores import DAY_MILLISECONDS as DAY
from twinwatch.hub.stores import Retention
from twinwatch.hub.stores.tending import Ended

FREE, PRO, OTHER = uuid4(), uuid4(), uuid4()
NOW = 1000 * DAY + 3_600_000


def ended(memory: Ended, now: int, retention: Retention, *who: UUID) -> dict[UUID, tuple[int, int]]:
    """What is past, in days since 1970; it is ended."""
    found: dict[UUID, tuple[int, int]] = {}
    for past in memory.past(now, retention, who):
        found |= dict.fromkeys(past.organizations, (past.since // DAY, past.cut // DAY))
        memory.note(past)
    return found


def test_a_day_is_ended_once_and_late_samples_of_two_days_before_with_it() -> None:
    memory, retention = Ended(), Retention(7, {PRO: 90})
    assert ended(memory, NOW, retention, FREE, PRO) == {FREE: (0, 993), PRO: (0, 910)}
    for hour in range(1, 23):
        assert ended(memory, NOW + hour * 3_600_000, retention, FREE, PRO) == {}
    assert ended(memory, NOW + DAY, retention, FREE, PRO) == {FREE: (991, 994), PRO: (908, 911)}


def test_those_alike_are_ended_together() -> None:
    (past,) = Ended().past(NOW, Retention(7, {PRO: 7}), (FREE, PRO, OTHER))
    assert set(past.organizations) == {FREE, PRO, OTHER}


def test_a_shorter_plan_ends_what_lies_between() -> None:
    memory = Ended()
    ended(memory, NOW, Retention(7, {PRO: 90}), PRO)
    assert ended(memory, NOW, Retention(7), PRO) == {PRO: (908, 993)}


def test_what_comes_under_a_longer_plan_ends_with_a_shorter_one() -> None:
    memory = Ended()
    ended(memory, NOW, Retention(7), PRO)
    assert ended(memory, NOW, Retention(90), PRO) == {}
    assert ended(memory, NOW, Retention(7), PRO) == {PRO: (908, 993)}


def test_an_organization_that_is_new_is_looked_through() -> None:
    memory = Ended()
    ended(memory, NOW, Retention(7), FREE)
    assert ended(memory, NOW, Retention(7), FREE, OTHER) == {OTHER: (0, 993)}


def test_what_was_not_noted_is_ended_the_next_time() -> None:
    memory = Ended()
    assert memory.past(NOW, Retention(7), [FREE]) == memory.past(NOW, Retention(7), [FREE])
