from __future__ import annotations

from pathlib import Path

import pytest

from twinwatch.world.clock import SystemClock
from twinwatch.world.doors import World
from twinwatch.world.host import Host
from twinwatch.world.http import AiohttpHttp
from twinwatch.world.late import Late
from twinwatch.world.shelf import MemoryShelf

MODULE = """
made = []

class Door:
    def __init__(self, *, colour):
        made.append(self)
        self.colour = colour
        self.closed = False

    async def close(self):
        self.closed = True
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "a_late_door.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    return "a_late_door"


async def test_a_door_is_made_once_when_somebody_goes_through_it_and_closed_then(module: str) -> None:
    door = Late(module, "Door", colour="green")
    assert door.colour == "green"
    assert not door.closed
    await door.close()
    assert door.closed


async def test_one_that_nobody_went_through_is_closed_without_being_made() -> None:
    await Late("a_module_that_is_not_there", "Door").close()


async def test_every_door_of_a_machine_is_there_when_it_is_needed() -> None:
    world = World(clock=SystemClock(), http=AiohttpHttp(), host=Host(), shelf=MemoryShelf())
    for door, way in [("postgres", "query"), ("objects", "put"), ("tails", "open"), ("local", "open")]:
        assert callable(getattr(getattr(world, door), way))
    await world.close()
