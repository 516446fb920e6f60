"""What probing thousands of targets costs one hub: 5,000 pages of this machine, each every 60 s.

The targets note when they are asked. When that was due follows from the probe: each keeps a beat that its id settles.
"""

from __future__ import annotations

import asyncio
import resource
import sys
import time
from collections import defaultdict
from typing import Any

from bench.figures import Figure, percentile
from bench.rig import Failed
from bench.rig.crowd import each
from bench.rig.processes import descendants
from bench.rig.up import Up

PROBES, INTERVAL_SECONDS = 5_000, 60
QUICK_PROBES, QUICK_INTERVAL_SECONDS = 830, 10
"""As many tries a second."""
WINDOW_SECONDS = 180.0
QUICK_WINDOW_SECONDS = 20.0
LEAST_SHARE = 0.95
"""Of the tries that were due; at the edges of the window some are on the other side."""
AT_ONCE = 8
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nfine"
DESCRIPTORS = 4_096


class Targets:
    """Pages by number; ``asked`` says when each was asked for, seconds UTC."""

    def __init__(self) -> None:
        self.asked: dict[int, list[float]] = defaultdict(list)
        self._server: asyncio.Server | None = None

    async def open(self) -> int:
        """Listens; its port is the result."""
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0, backlog=1024)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def close(self) -> None:
        """No longer listens."""
        if self._server is not None:
            self._server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        at = time.time()
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.asked[int(head.split(b" ", 2)[1].removeprefix(b"/"))].append(at)
            writer.write(ANSWER)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError, ValueError):
            pass
        finally:
            writer.close()


async def measure(quick: bool) -> list[Figure]:
    """The hub's share of a core, its memory, and how late it is."""
    count, interval = (QUICK_PROBES, QUICK_INTERVAL_SECONDS) if quick else (PROBES, INTERVAL_SECONDS)
    _allow_connections()
    targets = Targets()
    async with Up(agent=False, settings={"TWINWATCH_ALLOW_PRIVATE_NETWORKS": "1"}) as up:
        port = await targets.open()
        try:
            beats: dict[int, float] = {}
            before = up.hub.stat().rss_bytes
            began = time.monotonic()
            await each(range(count), lambda number: _add(up, port, number, interval, beats), at_once=AT_ONCE)
            _note(f"{count} probes made in {time.monotonic() - began:.0f} s")
            await asyncio.sleep(1.5 * interval)  # from their first try they find to their beat
            since = time.time()
            spent = up.hub.cpu_seconds()
            database = _database_seconds(up)
            await asyncio.sleep(QUICK_WINDOW_SECONDS if quick else WINDOW_SECONDS)
            to = time.time()
            window = to - since
            spent, database = up.hub.cpu_seconds() - spent, _database_seconds(up) - database
            rss = up.hub.stat().rss_bytes
            answer = await up.person.ask("GET", f"/api/v1/probes?organization_id={up.person.organization_id}&limit=500")
        finally:
            targets.close()
    wrong = [one["name"] for one in answer["probes"] if one["state"] != "up"]
    if wrong:
        raise Failed(f"{len(wrong)} probes are not up, such as {wrong[0]}")
    late = [
        _late(at, beats[number], interval) for number, ats in targets.asked.items() for at in ats if since <= at < to
    ]
    expected = count * window / interval
    if len(late) < LEAST_SHARE * expected:
        raise Failed(f"{len(late)} tries in {window:.0f} s, expected {expected:.0f}")
    _note(f"{len(late)} tries in {window:.0f} s, {expected:.0f} were due")
    return [
        Figure("probes", "tries_per_second", len(late) / window, "{try}/s"),
        Figure("probes", "hub_cpu", spent / window, "1"),
        Figure("probes", "database_cpu", database / window, "1"),
        Figure("probes", "hub_rss", rss, "By"),
        Figure("probes", "hub_rss_for_probes", rss - before, "By"),
        Figure("probes", "lateness_p50", percentile(late, 0.5), "s"),
        Figure("probes", "lateness_p99", percentile(late, 0.99), "s"),
    ]


async def _add(up: Up, port: int, number: int, interval: int, beats: dict[int, float]) -> None:
    wanted: dict[str, Any] = {
        "organization_id": up.person.organization_id,
        "name": f"page {number}",
        "kind": "http",
        "settings": {"url": f"http://127.0.0.1:{port}/{number}", "timeout": "5s"},
        "interval_seconds": interval,
    }
    made = await up.person.ask("POST", "/api/v1/probes", json=wanted)
    beats[number] = int(made["id"][:8], 16) / (1 << 32)


def _late(at: float, beat: float, interval: int) -> float:
    """Seconds after the beat."""
    return (at / interval - beat) % 1.0 * interval


def _database_seconds(up: Up) -> float:
    """CPU time of PostgreSQL's processes so far."""
    found = 0.0
    for one in descendants(up.pid):
        if "postgres" in one.command():
            found += one.cpu_seconds()
    return found


def _allow_connections() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < DESCRIPTORS <= hard or hard == resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, DESCRIPTORS), hard))


def _note(text: str) -> None:
    print(f"bench: probes: {text}", file=sys.stderr, flush=True)
