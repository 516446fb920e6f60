"""Keys are the same on both sides, and differ wherever anything does."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from twinwatch.alerts.episodes import THING_CHARACTERS, bounded, key_of, series_thing

TEXT = st.text(alphabet="ab\0{}=,", max_size=6)


def test_a_key_is_known_by_its_bytes() -> None:
    thing = series_thing("system.filesystem.utilization", {"b": "2", "a": "1"})
    assert thing == "system.filesystem.utilization{a=1,b=2}"
    assert key_of("6b1c", "disk full", thing, 1_767_225_600_000) == "2950384495c4b0c1e8b7a3a6d27d8b58"


@given(st.tuples(TEXT, TEXT, TEXT), st.tuples(TEXT, TEXT, TEXT), st.integers(0, 3), st.integers(0, 3))
def test_two_keys_are_one_only_for_one_episode(one, other, first, second) -> None:  # type: ignore[no-untyped-def]
    lawful = all("\0" not in text for text in (*one, *other))
    if lawful:
        mine, theirs = key_of(one[0], one[1], one[2], first), key_of(other[0], other[1], other[2], second)
        assert (mine == theirs) is (one == other and first == second)


@given(st.text(min_size=290, max_size=320))
def test_a_long_thing_is_cut_and_stays_apart_from_its_like(thing: str) -> None:
    assert len(bounded(thing)) <= THING_CHARACTERS
    if len(thing) >= THING_CHARACTERS:
        assert bounded(thing + "a") != bounded(thing + "b")
