"""Rules and histories for the laws of the engine."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from twinwatch.alerts.conditions import Condition, condition_of
from twinwatch.alerts.step import Gone, Observation, Sample, Seen, State, Tick, Transition, step
from twinwatch.protocol.rules import Rule

START = 1_767_225_600_000
MINUTE = 60_000

RULES: tuple[Rule, ...] = (
    Rule("above", metric="m", above=0.9, above_clear=0.8),
    Rule("held", metric="m", below=0.1, hold="2m", clear_hold="1m"),
    Rule("outside", metric="m", above=0.9, below=0.1),
    Rule("mean", metric="m", aggregate="mean", window="5m", above=0.5, hold="1m"),
    Rule("rate", metric="m", aggregate="rate", window="10m", above=0.001),
    Rule("full", metric="m", aggregate="forecast", window="10m", target=1.0, below=3600.0),
    Rule("silence", metric="m", no_data="5m"),
    Rule("check", check="c"),
    Rule("held check", check="c", hold="2m", states=("down", "degraded")),
    Rule("two of five", check="c", times=2, of=5, recover=2),
    Rule("probe", probe="p", times=3),
    Rule("silent", silent="90s"),
)
CONDITIONS: tuple[Condition, ...] = tuple(condition_of(rule) for rule in RULES)

_STATES = ("up", "degraded", "down", "unknown")
_VALUES = st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.05, 0.5, 0.85, 0.95, 1.0]), st.floats())


@st.composite
def observations(draw: st.DrawFn, most: int = 60) -> list[Observation]:
    """A history: mostly regular, sometimes with holes, repetitions and steps back."""
    time = START
    seen: list[Observation] = []
    for _ in range(draw(st.integers(0, most))):
        time += draw(st.sampled_from([15_000, 15_000, 15_000, 60_000, 1, 0, -30_000, 11 * MINUTE, 40 * MINUTE]))
        kind = draw(st.sampled_from("sssccctg"))
        if kind == "s":
            seen.append(Sample(time, draw(_VALUES), draw(st.sampled_from([0, 15_000]))))
        elif kind == "c":
            seen.append(Seen(time, draw(st.sampled_from(_STATES)), "m", "r"))
        elif kind == "t":
            seen.append(Tick(time, draw(st.booleans())))
        elif draw(st.integers(0, 4)) == 0:
            seen.append(Gone(time))
    return seen


def run(
    condition: Condition, seen: Sequence[Observation], state: State | None = None
) -> tuple[State, list[Transition]]:
    """The state after a history, and all that came of it."""
    state = state or State()
    told: list[Transition] = []
    for one in seen:
        state, transitions = step(condition, state, one)
        told += transitions
    return state, told


def samples(values: Sequence[float | None], *, start: int = START, apart: int = 15_000) -> list[Observation]:
    """Samples at regular times; None is none."""
    return [Sample(start + place * apart, value, apart) for place, value in enumerate(values) if value is not None]
