"""What the contract of a sample store is tried on: the fake, and every engine in each of its states."""

from __future__ import annotations

from typing import Any

from .store_ground import BlocksGround, DaysGround, MemoryGround, SegmentsGround
from .victoria_ground import VictoriaClusterGround, VictoriaGround

GROUNDS: list[Any] = [
    MemoryGround,
    BlocksGround,
    SegmentsGround,
    DaysGround,
    VictoriaGround,
    VictoriaClusterGround,
]
