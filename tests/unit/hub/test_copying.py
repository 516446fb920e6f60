"""What counts as the same after samples were copied, and what is remembered of it."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID, uuid4

import numpy as np
import pytest

from twinwatch.hub.copy_samples import line_of
from twinwatch.hub.copying import Day, Ledger, Progress, is_held, tally
from twinwatch.hub.stores import Points


def points(times: list[int], *rows: list[float | None]) -> Points:
    return Points(np.array(times, dtype=np.int64), np.array(rows, dtype=np.float64), 0)


KEPT = points([1, 2, 3], [1.0, None, 3.0], [0.1, 0.2, None])


@pytest.mark.parametrize(
    ("found", "exact", "near"),
    [
        (KEPT, True, True),
        (points([0, 1, 2, 3], [9.0, 1.0, 9.0, 3.0], [None, 0.1, 0.2, 9.0]), True, True),
        (points([1, 2, 3], [1.0, None, 3.0 + 1e-12], [0.1, 0.2, None]), False, True),
        (points([1, 2, 3], [1.0, None, 3.1], [0.1, 0.2, None]), False, False),
        (points([1, 2, 3], [1.0, None, 3.0], [0.1, None, None]), False, False),
        (points([1, 2], [1.0, None], [0.1, 0.2]), False, False),
        (points([], [], []), False, False),
    ],
)
def test_what_was_copied_is_there_to_the_last_bit_or_nearly(found: Points, exact: bool, near: bool) -> None:
    assert is_held(KEPT, found, is_exact=True) == exact
    assert is_held(KEPT, found, is_exact=False) == near


def test_a_checksum_knows_samples_and_their_places() -> None:
    count, checksum = tally(KEPT)
    assert count == 4
    others = [
        points([1, 2, 4], [1.0, None, 3.0], [0.1, 0.2, None]),
        points([1, 2, 3], [0.1, 0.2, None], [1.0, None, 3.0]),
        points([1, 2, 3], [1.0, 3.0, None], [0.1, 0.2, None]),
    ]
    assert len({checksum, *(tally(one)[1] for one in others)}) == 4


def test_what_is_done_is_known_after_whoever_did_it_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "new" / "done.jsonl"
    one, other = uuid4(), UUID(int=7)
    Ledger(path).add(Day(one, 20_000, 5, "ab"))
    with path.open("ab") as file:
        file.write(b'{"server":"00000000-0000-0000-00')
    ledger = Ledger(path)
    ledger.add(Day(other, 20_001, 6, "cd"))
    again = Ledger(path)
    assert (one, 20_000) in again
    assert (other, 20_001) in again
    assert (other, 20_000) not in again
    assert path.stat().st_mode & 0o077 == 0


def test_the_bar_says_how_far_it_is() -> None:
    shown = line_of(Progress(3, 12, 4_500, []), 2.0)
    assert shown == "[#######.......................]  25%  3 of 12 server days, 4,500 samples, 2,250/s"
    assert "100%" in line_of(Progress(), 0.0)
