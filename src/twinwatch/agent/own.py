"""What the agent says of itself: of each run of its monitors, of their checks, and of its own appetite and queue.

Source: proc(5), ``/proc/self/statm``; times(2).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

from twinwatch.agent.buffer import Tick
from twinwatch.agent.shaping import Shaper
from twinwatch.monitors import Reading
from twinwatch.protocol.heartbeat import Delivery
from twinwatch.protocol.metrics import Chart, Metric, MonitorFacts
from twinwatch.protocol.rules import Rule
from twinwatch.world.clock import Clock
from twinwatch.world.host import Host, Missing, Refused

NAME = "twinwatch"
"""The monitor that all of this counts as; no other may have the name."""
NAME_LABEL = "twinwatch.monitor.name"
CHECK_LABEL = "twinwatch.check.name"
INTERVAL_SECONDS = 15.0

UP = Metric("twinwatch.monitor.up", "1", "Whether the monitor's last run succeeded: 1 it did, 0 it failed", good="high")
DURATION = Metric("twinwatch.monitor.duration", "s", "How long the monitor's last run took", good="low")
CHECK_UP = Metric(
    "twinwatch.check.up", "1", "How the check stood: 1 up, 0.5 degraded, 0 down; no sample while unknown", good="high"
)
CPU = Metric("twinwatch.agent.cpu.utilization", "1", "Share of one core that the agent itself uses", good="low")
RSS = Metric("twinwatch.agent.memory.rss", "By", "Memory that the agent itself holds", good="low")
LAG = Metric("twinwatch.agent.lag", "s", "Latest start of a monitor's run after it was due", good="low")
PENDING = Metric("twinwatch.agent.pending", "{tick}", "Runs of monitors that wait to be taken by the hub", good="low")
DROPPED = Metric("twinwatch.agent.dropped", "{tick}", "Runs of monitors that were lost for good", good="low")
BUFFER_SIZE = Metric("twinwatch.buffer.size", "By", "Size of the buffer's files", good="low")

HUB_AWAY = Rule("not reachable", severity="critical", check="hub", order="agent_first")
"""Told by each agent on its own, on channels of its own: nobody else could."""
OFFLINE = Rule("down", severity="warning", check="internet", order="agent_first")
"""Told to nobody but where the file has a channel that needs no internet: later the hub has it for its history."""
FAILING = Rule(
    "monitor failing",
    metric=UP.name,
    below=1.0,
    hold="10m",
    message="The monitor {twinwatch.monitor.name} on {server} has failed for ten minutes: what it watches is not "
    "judged. Why says: twinwatch agent status",
)

SELF = MonitorFacts(
    name=NAME,
    title="Twinwatch agent",
    interval_seconds=INTERVAL_SECONDS,
    rules=(HUB_AWAY, OFFLINE, FAILING),
    metrics=(UP, DURATION, CHECK_UP, CPU, RSS, LAG, PENDING, DROPPED, BUFFER_SIZE),
    charts=(
        Chart("Monitor up", (UP.name,), by=(NAME_LABEL,), top=1.0),
        Chart("Monitor run time", (DURATION.name,), by=(NAME_LABEL,)),
        Chart("Checks", (CHECK_UP.name,), by=(CHECK_LABEL,), top=1.0),
        Chart("Agent CPU", (CPU.name,)),
        Chart("Agent memory", (RSS.name,)),
        Chart("Agent lag", (LAG.name,)),
        Chart("Waiting and lost runs", (PENDING.name, DROPPED.name)),
        Chart("Buffer", (BUFFER_SIZE.name,), style="area"),
    ),
)

Keep = Callable[[Sequence[Tick]], Awaitable[None]]


class Appetite:
    """The figures of this process, read every ``interval_seconds``. ``lag`` gives the lag since it was last asked."""

    def __init__(
        self,
        *,
        clock: Clock,
        host: Host,
        keep: Keep,
        delivery: Callable[[], Awaitable[Delivery]],
        lag: Callable[[], float],
        interval_seconds: Callable[[], float],
        cpu_seconds: Callable[[], float] = time.process_time,
    ) -> None:
        self._clock = clock
        self._host = host
        self._keep = keep
        self._delivery = delivery
        self._lag = lag
        self._interval = interval_seconds
        self._cpu_seconds = cpu_seconds
        self._page_bytes = host.kernel().page_bytes
        self._shaper = Shaper(NAME)

    async def run(self) -> None:
        """Read and keep until cancelled."""
        used, at = self._cpu_seconds(), self._clock.monotonic()
        while True:
            await asyncio.sleep(self._interval())
            delivery = await self._delivery()
            readings = [
                Reading(LAG.name, self._lag()),
                Reading(PENDING.name, delivery.pending),
                Reading(DROPPED.name, delivery.dropped),
                Reading(BUFFER_SIZE.name, delivery.buffer_bytes),
            ]
            now, before, used = self._clock.monotonic(), used, self._cpu_seconds()
            if now > at:
                readings.append(Reading(CPU.name, (used - before) / (now - at)))
            at = now
            rss = self._rss_bytes()
            if rss is not None:
                readings.append(Reading(RSS.name, rss))
            moment = self._clock.now()
            await self._keep([Tick(shape, moment, values) for shape, values in self._shaper.shape(readings)])

    def _rss_bytes(self) -> int | None:
        try:
            return int(self._host.read_text("/proc/self/statm").split()[1]) * self._page_bytes
        except (Missing, Refused, ValueError, IndexError):
            return None
