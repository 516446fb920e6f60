"""``python -m bench.smoke``: brings everything up, reads every series of this machine through the API, takes it down.

Prints one line of JSON on standard output and exits 0, or the reason on standard error and exits 1.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from typing import Any

from bench.rig import Failed
from bench.rig.expectation import Expectation, Key, key_of
from bench.rig.up import Up

SERIES_SECONDS = 60.0
"""How long the first samples may take."""
LOOK_SECONDS = 0.1
WINDOW_SECONDS = 30.0
"""Over which the agent's CPU is measured: two runs of every monitor and one push."""
METRICS_PER_QUERY = 5


async def smoke() -> dict[str, float]:
    """The figures of one go.

    Raises: Failed with the reason.
    """
    async with Up(agent=True) as up:
        server_id, first_at, series = await _all_series(up)
        await _all_ranges(up, server_id, series)
        began, cpu = time.monotonic(), up.agent.cpu_seconds()
        await asyncio.sleep(WINDOW_SECONDS)
        used = up.agent.cpu_seconds() - cpu
        return {
            "up_seconds": round(up.up_seconds, 3),
            "first_sample_seconds": round(first_at - up.began, 3),
            "series": len(series),
            "agent_rss_bytes": up.agent.stat().rss_bytes,
            "agent_cpu_ratio": round(used / (time.monotonic() - began), 5),
            "hub_rss_bytes": up.hub.stat().rss_bytes,
        }


async def _all_series(up: Up) -> tuple[str, float, dict[Key, int]]:
    """Waits until the newest sample of every expected series can be read: server, when the first was there, numbers."""
    expectation = Expectation()
    first_at = 0.0
    missing: set[Key] = set()
    while time.monotonic() - up.began < up.up_seconds + SERIES_SECONDS:
        servers = (await up.person.ask("GET", "/api/v1/servers"))["servers"]
        if len(servers) > 1:
            raise Failed(f"one agent became {len(servers)} servers")
        if servers:
            server_id: str = servers[0]["id"]
            latest = (await up.person.ask("GET", f"/api/v1/servers/{server_id}/latest"))["series"]
            if latest and not first_at:
                first_at = time.monotonic()
            found = {key_of(one["metric"], one["labels"]): int(one["id"]) for one in latest}
            missing = await expectation.series() - found.keys()
            if found and not missing:
                await _all_declared(up, server_id, found)
                return server_id, first_at, found
        await asyncio.sleep(LOOK_SECONDS)
    some = ", ".join(sorted(f"{metric} {dict(labels)}" for metric, labels in missing)[:5])
    raise Failed(f"{len(missing)} series cannot be read after {SERIES_SECONDS:g} s: {some or 'no server appeared'}")


async def _all_declared(up: Up, server_id: str, found: dict[Key, int]) -> None:
    catalogue = await up.person.ask("GET", f"/api/v1/servers/{server_id}/catalogue")
    declared = {metric["name"] for monitor in catalogue["monitors"] for metric in monitor["metrics"]}
    if strays := {metric for metric, _ in found} - declared:
        raise Failed(f"not in the catalogue, but among the samples: {', '.join(sorted(strays))}")


async def _all_ranges(up: Up, server_id: str, series: dict[Key, int]) -> None:
    """Every series has points in a range query that covers all of this run."""
    since = time.time_ns() // 1_000_000 - 3_600_000
    metrics = sorted({metric for metric, _ in series})
    answered: set[int] = set()
    for start in range(0, len(metrics), METRICS_PER_QUERY):
        asked = metrics[start : start + METRICS_PER_QUERY]
        answer: dict[str, Any] = await up.person.points(server_id, asked, since, since + 2 * 3_600_000, 1_000)
        answered |= {one["id"] for one in answer["series"] if any(value is not None for value in one["values"])}
    if silent := [key for key, number in series.items() if number not in answered]:
        raise Failed(f"{len(silent)} series have a newest sample but no points, such as {silent[0]}")


def main() -> int:
    """Runs it; returns the exit code."""

    async def run() -> dict[str, float]:
        going = asyncio.current_task()
        if going is not None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, going.cancel)
        return await smoke()

    try:
        print(json.dumps(asyncio.run(run())))
    except Failed as err:
        print(f"smoke: {err}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("smoke: interrupted; everything was taken down", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
