"""One seed of the simulation that ``python -m bench simulate`` runs by the hundred."""

from __future__ import annotations

from pathlib import Path

from bench.rig.simulation import Simulation


async def test_what_people_hear_keeps_the_laws_whatever_breaks(database_url: str, tmp_path: Path) -> None:
    outcomes = await Simulation(2, database_url, tmp_path).run()
    assert outcomes.broken == []
    assert outcomes.messages >= 10, "else nothing was put to the test"
    assert outcomes.outages >= 1
