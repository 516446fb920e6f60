"""What services pushed, for who asks."""

from __future__ import annotations

from twinwatch.agent.local.board import KEPT_SECONDS, SERIES, SERVICES, Board
from twinwatch.agent.local.pushed import Pushed, Way
from twinwatch.monitors.distributions import Distribution
from twinwatch.testing.paper import PaperClock


def _pushed(name: str, value: float | Distribution, way: Way = "gauge", **labels: str) -> Pushed:
    return Pushed(name, way, value, {"service.name": "shop", **labels})


def test_nothing_is_remembered_before_somebody_asks() -> None:
    board = Board(PaperClock())
    board.note(_pushed("a", 1.0))
    assert board.newest("shop") == []
    board.note(_pushed("a", 2.0, kind="x"))
    board.note(Pushed("a", "gauge", 3.0, {"service.name": "other"}))
    (heard,) = board.newest("shop")
    assert (heard.name, heard.value, heard.labels, heard.rising) == ("a", 2.0, {"kind": "x"}, False)
    assert board.newest("other") == []


def test_deltas_are_added_up_and_counters_are_as_they_are() -> None:
    board = Board(PaperClock())
    board.newest("shop")
    for value in (2.0, 3.0):
        board.note(_pushed("delta", value, "delta"))
        board.note(_pushed("counter", value, "counter"))
        board.note(_pushed("histogram", Distribution((1.0,), (value, 0.0), value), "delta"))
    found = {one.name: one for one in board.newest("shop")}
    assert found["delta"].value == 5.0
    assert found["counter"].value == 3.0
    assert found["histogram"].value == Distribution((1.0,), (5.0, 0.0), 5.0)
    assert all(one.rising for one in found.values())


def test_what_was_not_pushed_of_late_is_forgotten_and_nothing_grows_without_bound() -> None:
    clock = PaperClock()
    board = Board(clock)
    board.newest("shop")
    for number in range(SERIES + 50):
        board.note(_pushed("a", 1.0, number=str(number)))
    assert len(board.newest("shop")) == SERIES
    clock.monotonic_seconds += KEPT_SECONDS + 1
    assert board.newest("shop") == []
    for number in range(SERVICES + 10):
        board.newest(f"service-{number}")
    assert len(board._asked) == SERVICES
