"""Whether the promises of alerting hold under faults at every step: seeds of a simulation, and the laws they broke.

``--seeds N`` runs that many, ``--seed K`` one again, with all that happened in it. Virtual time: a seed is 50 minutes
of an organization's life in some seconds.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import sys
from pathlib import Path

from bench.figures import Figure
from bench.rig.simulation import Outcomes, Simulation
from twinwatch.testing.postgres import Cluster, temporary_folder
from twinwatch.testing.virtual_time import VirtualLoop

SEEDS = 20
QUICK_SEEDS = 3


async def measure(quick: bool, *, seeds: int | None = None, seed: int | None = None) -> list[Figure]:
    """Runs the seeds; what breaks a law is printed with its seed."""
    logging.getLogger("twinwatch").setLevel(logging.CRITICAL)
    chosen = [seed] if seed is not None else range(1, (seeds or (QUICK_SEEDS if quick else SEEDS)) + 1)
    came: list[Outcomes] = []
    cluster = await asyncio.to_thread(Cluster().__enter__)
    try:
        for one in chosen:
            outcomes = await asyncio.to_thread(_run, cluster, one)
            came.append(outcomes)
            _report(outcomes, whole=seed is not None)
    finally:
        await asyncio.to_thread(cluster.stop)
    return [
        Figure("simulate", "seeds", len(came), "{seed}"),
        Figure("simulate", "laws_broken", sum(len(one.broken) for one in came), "{law}", budget=0.0),
        Figure("simulate", "outages", sum(one.outages for one in came), "{outage}"),
        Figure("simulate", "messages", sum(one.messages for one in came), "{message}"),
        Figure("simulate", "twice_in_the_window", sum(one.in_the_window for one in came), "{message}"),
    ]


def _run(cluster: Cluster, seed: int) -> Outcomes:
    folder = temporary_folder()
    url = cluster.lend()
    try:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            return runner.run(Simulation(seed, url, Path(folder)).run())
    finally:
        cluster.take_back(url)
        shutil.rmtree(folder, ignore_errors=True)


def _report(outcomes: Outcomes, *, whole: bool) -> None:
    for law in outcomes.broken:
        print(f"bench: seed {outcomes.seed}: {law}", file=sys.stderr, flush=True)
    # What PostgreSQL's own pace decides is not in the seed: what broke a law is told at once.
    if whole or outcomes.broken:
        for step in sorted(outcomes.steps):
            print(f"bench: {step.at} {step.what} {step.who}", file=sys.stderr, flush=True)
