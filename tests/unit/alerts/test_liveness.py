"""Silence, its ladder, and what a hub that could not hear makes of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinwatch.alerts.blindness import Heard, is_suspected
from twinwatch.alerts.liveness import (
    REBOOT_MILLISECONDS,
    RECOVERY_MILLISECONDS,
    Signs,
    Threshold,
    ladder_of,
    level_of,
    silence,
)

LADDER = ladder_of([Threshold(120, "down", "Server down"), Threshold(90, "warning", "Server late")])
T = 1_767_225_600_000


def test_a_ladder_ascends_and_leaves_out_what_is_no_graver() -> None:
    assert [rung.seconds for rung in LADDER] == [90, 120]
    several = [Threshold(60, "critical", "a"), Threshold(90, "warning", "b"), Threshold(300, "down", "c")]
    assert [rung.rule for rung in ladder_of(several)] == ["a", "c"]


@pytest.mark.parametrize(("seconds", "level"), [(0, 0), (90, 0), (90.001, 1), (120, 1), (120.001, 2), (1e6, 2)])
def test_silence_climbs_the_ladder(seconds: float, level: int) -> None:
    assert level_of(Signs(T), LADDER, T + round(seconds * 1000)) == level


def test_a_server_that_was_never_heard_is_not_silent() -> None:
    assert level_of(Signs(0), LADDER, T) == 0


def test_time_in_which_nobody_could_hear_does_not_count() -> None:
    blind = [(T + 10_000, T + 100_000)]
    assert level_of(Signs(T), LADDER, T + 179_000, blind) == 0
    assert level_of(Signs(T), LADDER, T + 181_000, blind) == 1
    assert level_of(Signs(T), LADDER, T + 211_000, blind) == 2
    heard_again = T + 100_000 - RECOVERY_MILLISECONDS
    assert level_of(Signs(heard_again), LADDER, heard_again + 121_000, blind) == 2, "it needs no time to be heard again"


@given(st.integers(0, 10**6), st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), max_size=5))
def test_silence_is_never_negative_and_never_longer_than_time(now: int, spans: list[tuple[int, int]]) -> None:
    disjoint: list[tuple[int, int]] = []
    for since, to in sorted((min(span), max(span)) for span in spans):
        if not disjoint or since > disjoint[-1][1]:
            disjoint.append((since, to))
    assert 0 <= silence(0, now, disjoint) <= now


def test_fast_mode_needs_silence_and_evidence() -> None:
    fast = Signs(T, fast=True)
    assert level_of(fast, LADDER, T + 20_000) == 0, "silence alone is not enough before its time"
    closed = fast._replace(control_lost_at=T + 1_000)
    assert level_of(closed, LADDER, T + 10_000) == 0, "evidence alone alerts nobody"
    assert level_of(closed, LADDER, T + 13_000) == 2
    failed = fast._replace(failed_from_outside=True)
    assert level_of(failed, LADDER, T + 13_000) == 2
    old = fast._replace(control_lost_at=T - 1_000)
    assert level_of(old, LADDER, T + 13_000) == 0, "it was heard after the connection had closed"
    assert level_of(closed._replace(fast=False), LADDER, T + 13_000) == 0


def test_a_reboot_that_was_announced_gets_its_time_and_no_more() -> None:
    signs = Signs(T, leaving="reboot", left_at=T + 1_000)
    assert level_of(signs, LADDER, T + REBOOT_MILLISECONDS) == 0
    assert level_of(signs, LADDER, T + REBOOT_MILLISECONDS + 2_000) == 2
    longer = signs._replace(back_by=T + 30 * 60_000)
    assert level_of(longer, LADDER, T + 29 * 60_000) == 0
    assert level_of(signs._replace(leaving="shutdown"), LADDER, T + 121_000) == 2


def network(silent: int, *, heard: int = 0, at: int = T) -> Heard:
    """Of those that are silent one fell silent every second."""
    return Heard(silent + heard, silent, at if silent else 0, at + (silent - 1) * 1000 if silent else 0)


@pytest.mark.parametrize(
    ("networks", "suspected"),
    [
        ([network(10), network(10)], True),
        ([network(10), network(0, heard=11)], False),
        ([network(10), network(10), network(0, heard=19)], True),
        ([network(20)], False),
        ([network(3)], False),
        ([network(10), network(10, at=T - 3_600_000)], False),
        ([network(10), network(8, heard=1)], False),
        ([], False),
    ],
    ids=["two", "most are heard", "some are heard", "one", "few", "not together", "its own is heard", "nobody"],
)
def test_the_hub_suspects_itself_when_most_of_several_networks_fall_silent_together(
    networks: list[Heard], suspected: bool
) -> None:
    assert is_suspected(networks) is suspected
