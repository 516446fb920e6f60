"""What the contract of a sample store is tried on: the fake, and every engine in each of its states."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from twinwatch.testing.postgres import Cluster

from .store_ground import BlocksGround, DaysGround, Ground, MemoryGround, SegmentsGround
from .timescale_ground import ApacheGround, CompressedGround, TimescaleGround
from .victoria_ground import VictoriaClusterGround, VictoriaGround

GROUNDS: list[Any] = [
    MemoryGround,
    BlocksGround,
    SegmentsGround,
    DaysGround,
    TimescaleGround,
    CompressedGround,
    ApacheGround,
    VictoriaGround,
    VictoriaClusterGround,
]


def opened(request: pytest.FixtureRequest, cluster: Cluster) -> AbstractAsyncContextManager[Ground]:
    """The ground that is the parameter of a fixture. What only some stand on is started when the first of them is."""
    kind = request.param
    ground: AbstractAsyncContextManager[Ground]
    if issubclass(kind, TimescaleGround):
        ground = kind.on(request.getfixturevalue("timescale"))
    elif issubclass(kind, VictoriaGround):
        ground = kind.before(request.getfixturevalue("victoria"), cluster)
    else:
        ground = kind.open(cluster)
    return ground
