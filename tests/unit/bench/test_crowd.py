"""The simulated load: lawful, repeatable, and due at times settled beforehand."""

from __future__ import annotations

from itertools import pairwise

from bench.rig.crowd import MARK, OWN, SAMPLES_PER_BATCH, SYSTEM, TICK_MILLISECONDS, Crowd
from twinwatch.hub.lawful import check_batch
from twinwatch.protocol.codec import unpack
from twinwatch.protocol.samples import Batch

NOON = 1_800_000_000_000
HUB = "http://127.0.0.1:1"


def crowd(count: int, seed: int = 2) -> Crowd:
    made = Crowd(HUB, count, seed=seed)
    made.agents = [made.made(number) for number in range(count)]
    return made


def test_a_batch_is_lawful_and_its_marks_are_what_it_holds() -> None:
    agent = crowd(1).agents[0]
    body, marks = agent.batch(NOON, shapes=(SYSTEM, OWN))
    batch = unpack(body, Batch)
    check_batch(batch, NOON)
    assert marks == {NOON - TICK_MILLISECONDS: 1, NOON: 2}
    assert SYSTEM.series[0].metric == MARK
    assert batch.frames[0].columns[0] == [1, 2]
    assert sum(len(frame.times) * len(frame.columns) for frame in batch.frames) == SAMPLES_PER_BATCH


def test_numbers_rise_and_marks_never_come_twice() -> None:
    agent = crowd(1).agents[0]
    (first, some), (second, others) = agent.batch(NOON), agent.batch(NOON + 2 * TICK_MILLISECONDS)
    assert unpack(first, Batch).sequence < unpack(second, Batch).sequence
    assert not some.keys() & others.keys()
    assert not set(some.values()) & set(others.values())


def test_every_agent_keeps_its_own_even_pace_from_its_own_start() -> None:
    plan = crowd(50).schedule(120.0, 30.0, 60.0)
    assert plan == sorted(plan)
    assert all(0 <= due.at < 120 for due in plan)
    starts = set()
    for number in range(50):
        pushes = [due.at for due in plan if due.agent == number and due.kind == "push"]
        starts.add(pushes[0])
        assert len(pushes) == 4
        assert all(abs(later - earlier - 30) < 1e-9 for earlier, later in pairwise(pushes))
    assert len(starts) == 50


def test_the_same_seed_gives_the_same_load() -> None:
    assert crowd(5).schedule(60, 30, 60) == crowd(5).schedule(60, 30, 60)
    assert crowd(5).agents[3].batch(NOON) == crowd(5).agents[3].batch(NOON)
    assert crowd(5, seed=3).schedule(60, 30, 60) != crowd(5).schedule(60, 30, 60)
