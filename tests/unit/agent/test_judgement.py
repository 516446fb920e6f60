"""From looks at the hub and the internet to what is said of both."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from twinwatch.agent.watching.judgement import (
    LONGEST_STEP_SECONDS,
    OFFLINE_SECONDS,
    RANK_SECONDS,
    Internet,
    Sight,
    Watch,
    looked,
)

AFTER = 120.0
STEP = 10.0
AWAY, OFFLINE, DOUBTFUL = Sight(False, "works"), Sight(False, "down"), Sight(False, "unknown")
UP = Sight(True)


def after(sights: Iterable[Sight], *, rank: int = 0, watch: Watch | None = None) -> list[Watch]:
    """What is remembered after each of these looks."""
    watch = watch or Watch()
    found = []
    for sight in sights:
        watch = looked(watch, sight, STEP, after_seconds=AFTER, rank=rank)
        found.append(watch)
    return found


def seconds_until_told(sight: Sight, rank: int = 0) -> float:
    states = [one.hub for one in after([sight] * 1_000, rank=rank)]
    return (states.index("down") + 1) * STEP


def test_the_first_agent_says_so_after_two_minutes_and_each_rank_twenty_seconds_later() -> None:
    assert seconds_until_told(AWAY) == AFTER
    assert seconds_until_told(AWAY, rank=1) == AFTER + RANK_SECONDS
    assert seconds_until_told(AWAY, rank=5) == AFTER + 5 * RANK_SECONDS


def test_who_cannot_tell_whether_its_internet_works_waits_twice_as_long() -> None:
    assert seconds_until_told(DOUBTFUL, rank=1) == 2 * (AFTER + RANK_SECONDS)


def test_nothing_is_said_of_the_hub_while_the_internet_is_down() -> None:
    seen = after([OFFLINE] * 1_000)
    assert {one.hub for one in seen} == {"unknown"}
    states = [one.internet for one in seen]
    assert states.index("down") * STEP < OFFLINE_SECONDS <= (states.index("down") + 1) * STEP


def test_time_without_internet_is_not_counted_against_the_hub() -> None:
    seen = after([AWAY] * 11 + [OFFLINE] * 100 + [AWAY] * 11)
    assert {one.hub for one in seen} == {"unknown"}
    assert after([AWAY], watch=seen[-1])[-1].hub == "down"


def test_an_internet_that_returns_is_well_whether_the_hub_is_or_not() -> None:
    offline = after([OFFLINE] * 10)[-1]
    assert after([AWAY], watch=offline)[-1].internet == "up"
    assert after([DOUBTFUL], watch=offline)[-1].internet == "down", "nobody knows"
    assert after([UP], watch=offline)[-1] == Watch(hub="up", internet="up")


def test_the_first_answer_makes_the_hub_well_and_a_single_missed_look_does_not_make_it_ill() -> None:
    down = after([AWAY] * 12)[-1]
    assert down.hub == "down"
    assert after([UP], watch=down)[-1].hub == "up"
    assert after([UP, AWAY, AWAY, UP, AWAY])[-1].hub == "up"


def test_what_was_said_of_the_hub_stands_while_the_internet_is_down_too() -> None:
    down = after([AWAY] * 12)[-1]
    assert after([OFFLINE] * 100, watch=down)[-1].hub == "down"


def test_a_hub_that_refuses_this_server_is_not_away() -> None:
    assert after([Sight(None)] * 1_000)[-1] == Watch()


def test_a_process_that_stood_still_for_hours_finds_nothing_long() -> None:
    watch = looked(Watch(), AWAY, 8 * 3600.0, after_seconds=AFTER, rank=0)
    assert watch == Watch(away_seconds=LONGEST_STEP_SECONDS, internet="up")
    assert looked(watch, AWAY, -50.0, after_seconds=AFTER, rank=0) == watch


@given(
    st.lists(
        st.tuples(
            st.sampled_from([True, False, None]),
            st.sampled_from(["works", "down", "unknown"]),
            st.floats(-1e6, 1e6),
        ),
        max_size=60,
    ),
    st.integers(-3, 50),
)
def test_the_hub_is_called_away_only_by_who_has_long_seen_it_away_with_internet(
    looks: list[tuple[bool | None, Internet, float]], rank: int
) -> None:
    watch, seen = Watch(), 0.0
    for hub, internet, elapsed in looks:
        before = watch
        watch = looked(watch, Sight(hub, internet), elapsed, after_seconds=AFTER, rank=rank)
        seen = seen + min(max(elapsed, 0.0), LONGEST_STEP_SECONDS) if hub is False and internet != "down" else 0.0
        if watch.hub == "down" and before.hub != "down":
            assert seen >= AFTER + max(rank, 0) * RANK_SECONDS
            assert hub is False
        if hub:
            assert watch == Watch(hub="up", internet="up")
