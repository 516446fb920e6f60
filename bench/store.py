"""Bytes per sample at rest, and how costs grow with the servers.

The same replayed day of a fleet, once of a busy machine's recording and once of a quieter one's, is put into
``blocks``, into a table with a row per sample, and into VictoriaMetrics. ``blocks`` is filled as a hub fills it, batch
by batch, and compacted as its clock goes on; what is counted is every table, index and piece of TOAST in the schema of
samples, and the names of the series. VictoriaMetrics' figure has its samples and its index.
"""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

from bench.figures import Figure, Peer
from bench.rig.fleet_day import DAY_TICKS, QUIET, RECORDING, TICK_MILLISECONDS, describe, fleet
from bench.rig.recorder import load
from bench.rig.shelf import FOREVER, Shelf, shelf
from bench.rig.up import temporary_folder
from bench.rig.victoria import is_there, victoria
from twinwatch.hub.stores import Window
from twinwatch.hub.stores.log import instant
from twinwatch.hub.stores.steps import HOUR

BYTES_BUDGET = 1.0
GROWTH_BUDGET = 1.2
SERVERS, QUICK_SERVERS = 20, 4
FEW, MANY = 8, 128
GROWTH_TICKS = 240
ROUNDS = 3
READS = 100
ROWS = "create table public.plain (series_id bigint, time timestamptz, value float8, primary key (series_id, time))"
SINCE = 1_767_225_600_000
"""A midnight in UTC, so that a day is one day."""
NAMES = "select pg_total_relation_size('public.series') + pg_total_relation_size('public.shapes')"
DAY = DAY_TICKS * TICK_MILLISECONDS


async def measure(quick: bool) -> list[Figure]:
    """Bytes of a day; then costs at 16 times the servers over those at one."""
    servers = QUICK_SERVERS if quick else SERVERS
    figures = []
    for source, called in ((RECORDING, ""), (QUIET, "_quiet")):
        _note(f"{source.name}: {describe(load(source))}")
        samples, merged, alone, fresh, rows = await _blocks(servers, source)
        peer = await _victoria(servers, samples, source)
        figures += [
            Figure("store", f"bytes_per_sample{called}", merged, "By/{sample}", BYTES_BUDGET, peer),
            Figure("store", f"bytes_per_sample{called}_without_names", alone, "By/{sample}"),
            Figure("store", f"bytes_per_sample{called}_until_merged", fresh, "By/{sample}"),
            Figure("store", f"bytes_per_sample{called}_rows", rows, "By/{sample}"),
        ]
    return figures + ([] if quick else await _growth())


async def _blocks(servers: int, source: Path) -> tuple[int, float, float, float, float]:
    """Samples of the day; bytes each once it is merged, without names (kept once for all days), the night before, and
    as plain rows."""
    async with shelf() as one:
        organization = await one.organization()
        days = [
            (await one.server(organization, day.name, day.series), day) for day in fleet(servers, SINCE, source=source)
        ]
        written = 0
        began = time.perf_counter()
        for hour in range(24):
            begin = hour * 240
            await one.store.tend(SINCE + hour * HOUR, FOREVER)
            written += await one.write(days, begin=begin, end=begin + 240)
            await one.compaction.round(SINCE + (hour + 1) * HOUR + 600_000, FOREVER)
        _note(f"{written} samples written and compacted by the hour in {time.perf_counter() - began:.0f} s")
        await one.store.tend(SINCE + DAY + HOUR, FOREVER)
        names = await one.one(NAMES)
        fresh = (await one.store.stats()).size_bytes + names
        await one.compaction.round(SINCE + DAY + 2 * HOUR, FOREVER)
        await one.store.tend(SINCE + 5 * DAY, FOREVER)
        # As autovacuum does by and by: tables grow ahead of what is put into them, and give back what is too much.
        await one.owner.execute("vacuum")
        names = await one.one(NAMES)
        stats = await one.store.stats()
        if stats.samples != written:
            raise AssertionError(f"{written} samples written, {stats.samples} kept")
        parts = await one.one(
            "select string_agg(relname || ' ' || pg_total_relation_size(oid), ', ' order by relname) from pg_class"
            " where relnamespace = 'samples'::regnamespace and relkind = 'r' and pg_total_relation_size(oid) > 100000"
        )
        _note(f"of it names {names}; {parts}")
        rows = await _rows(one, source)
        return written, (stats.size_bytes + names) / written, stats.size_bytes / written, fresh / written, rows


async def _rows(one: Shelf, source: Path) -> float:
    await one.owner.execute(ROWS)
    day = next(fleet(1, SINCE, source=source))
    async with (
        one.owner.cursor() as cursor,
        cursor.copy("copy public.plain from stdin (format binary)") as copy,
    ):
        copy.set_types(["int8", "timestamptz", "float8"])
        times = [instant(moment) for moment in day.times.tolist()]
        for number, column in enumerate(day.values.tolist()):
            for moment, value in zip(times, column, strict=True):
                await copy.write_row((number, moment, value))
    size = await one.one("select pg_total_relation_size('public.plain')")
    return float(size) / day.values.size


async def _victoria(servers: int, samples: int, source: Path) -> Peer | None:
    if not is_there():
        _note("no VictoriaMetrics on this machine")
        return None
    folder = temporary_folder()
    try:
        async with victoria(folder) as node:
            for day in fleet(servers, SINCE, source=source):
                await node.fill(day)
            await node.settle()
            held = await node.count("system.cpu.busy", SINCE + DAY)
            if held != servers * DAY_TICKS:
                _note(f"VictoriaMetrics holds {held} of {servers * DAY_TICKS} samples of one metric")
            return Peer("victoriametrics", node.size_bytes() / samples)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _growth() -> list[Figure]:
    few, many = await _costs(FEW), await _costs(MANY)
    _note(f"CPU us per sample (per point read): {FEW} servers {few}, {MANY} servers {many}")
    return [
        Figure("store.growth", f"{name}_16x", many[name] / few[name], "1", GROWTH_BUDGET)
        for name in ("ingest", "compact", "query")
    ]


async def _costs(servers: int) -> dict[str, float]:
    """CPU microseconds, ours and the database's, of each sample of an hour taken in and compacted, and of each point
    read; the best of several rounds. CPU rather than time: who else is busy here is nobody's growth."""
    async with shelf() as one:
        organization = await one.organization()
        made = list(fleet(FEW, SINCE, ticks=GROWTH_TICKS * (ROUNDS + 1)))
        days = [
            (await one.server(organization, f"{day.name}-{copy}", day.series), day)
            for copy in range(servers // FEW)
            for day in made
        ]
        ingest, compact = [], []
        spent = one.cpu_seconds
        groups = [days[start : start + FEW] for start in range(0, servers, FEW)]
        for hour in range(ROUNDS + 1):
            await one.store.tend(SINCE + hour * HOUR, FOREVER)
            began = spent()
            begin = hour * GROWTH_TICKS
            written = sum([await one.write(group, begin=begin, end=begin + GROWTH_TICKS) for group in groups])
            ingest.append((spent() - began) / written * 1e6)
            began = spent()
            await one.compaction.round(SINCE + (hour + 1) * HOUR + 600_000, FOREVER)
            compact.append((spent() - began) / written * 1e6)
        window = Window(SINCE, SINCE + (ROUNDS + 1) * HOUR, 2_000)
        read = 0
        began = spent()
        for number in range(READS):
            known = days[number * 7 % len(days)][0]
            points = await one.store.read(known.server_id, known.series[:20], window)
            read += points.values.size
        query = (spent() - began) / read * 1e6
        return {"ingest": min(ingest[1:]), "compact": min(compact[1:]), "query": query}


def _note(text: str) -> None:
    print(f"bench: store: {text}", file=sys.stderr, flush=True)
