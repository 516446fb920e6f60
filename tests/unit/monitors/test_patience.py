"""How many failures make it down."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinwatch.monitors.patience import Patience, Verdict

WORDS = {"u": Verdict("up"), "d": Verdict("down", "refused", "refused"), "?": Verdict("unknown", "x", "x")}
WORDS["s"] = Verdict("degraded", "slow", "slow")


def told(patience: Patience, runs: str) -> str:
    """The first letter of each state after these runs; ``x`` for degraded, ``?`` for unknown."""
    letters = {"up": "u", "down": "d", "unknown": "?", "degraded": "x"}
    return "".join(letters[patience.check("c", WORDS[run]).state] for run in runs)


@pytest.mark.parametrize(
    ("patience", "runs", "states"),
    [
        (Patience(), "uduud", "uduud"),
        (Patience(3), "uddudddu", "uxxuxxdu"),
        (Patience(1, 0, 2), "dudddudu u".replace(" ", ""), "dddddddd" + "u"),
        (Patience(3, 5), "dududu", "xuxudu"),
        (Patience(3, 5), "duuuududu", "xuuuuxuxu"),
        (Patience(2), "d?d", "x?d"),
        (Patience(2), "dsd", "xxx"),
        (Patience(1, 0, 2), "ds", "dd"),
    ],
)
def test_so_many_of_so_many(patience: Patience, runs: str, states: str) -> None:
    assert told(patience, runs) == states


@given(st.integers(1, 5), st.integers(0, 8), st.integers(1, 4), st.text(alphabet="uds?", max_size=60))
def test_it_ends_down_after_enough_failures_and_up_after_enough_successes(
    failures: int, window: int, successes: int, before: str
) -> None:
    patience = Patience(failures, window, successes)
    told(patience, before)
    assert told(patience, "d" * failures)[-1] == "d"
    assert told(patience, "u" * successes)[-1] == "u"


def test_the_first_failures_say_how_many_are_missing() -> None:
    found = Patience(2).check("c", WORDS["d"])
    assert (found.state, found.reason) == ("degraded", "refused")
    assert found.message == "refused (failure 1 of 2 before it counts as down)"
