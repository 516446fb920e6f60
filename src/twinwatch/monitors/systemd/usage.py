"""What services use, as readings. Counters become rates here.

Only what systemd accounts for is there: ``CPUAccounting=``, ``MemoryAccounting=``, ``TasksAccounting=`` are on by
default, ``IOAccounting=`` and ``IPAccounting=`` are not.
Source: systemd.resource-control(5). Names follow the OpenTelemetry conventions for systemd and containers.
"""

from __future__ import annotations

from twinwatch.monitors import Reading
from twinwatch.monitors.digits import rate, ratio
from twinwatch.monitors.rates import LEAP_PER_SECOND
from twinwatch.monitors.systemd.facts import Service
from twinwatch.monitors.systemd.past import Past
from twinwatch.protocol.metrics import Chart, Metric

UNIT = "systemd.unit.name"
DIRECTIONS = ("read", "write")
WAYS = ("receive", "transmit")
NANOSECONDS = 1e9

METRICS = (
    Metric("systemd.service.cpu.usage", "{cpu}", "Processors that a service keeps busy.", "low"),
    Metric("systemd.service.memory.usage", "By", "Memory of a service, page cache included.", "low"),
    Metric("systemd.service.memory.peak", "By", "Most memory since the service was started.", "low"),
    Metric("systemd.service.memory.utilization", "1", "Share of its MemoryMax that a service uses for good.", "low"),
    Metric("systemd.service.tasks", "{task}", "Processes and threads of a service."),
    Metric("systemd.service.restarts", "{restart}", "Automatic restarts since it was last started by hand.", "low"),
    Metric("systemd.service.io", "By/s", "Bytes that a service reads and writes, where IOAccounting is on."),
    Metric("systemd.service.network.io", "By/s", "Bytes received and sent, where IPAccounting is on."),
)
CHARTS = (
    Chart("CPU of services", ("systemd.service.cpu.usage",), by=(UNIT,), style="stack"),
    Chart("Memory of services", ("systemd.service.memory.usage",), by=(UNIT,), style="stack"),
    Chart("Share of MemoryMax", ("systemd.service.memory.utilization",), by=(UNIT,), top=1.0),
    Chart("Tasks of services", ("systemd.service.tasks",), by=(UNIT,)),
    Chart("Restarts of services", ("systemd.service.restarts",), by=(UNIT,)),
    Chart("Disk traffic of services", ("systemd.service.io",), by=(UNIT, "disk.io.direction"), mirror=("write",)),
    Chart(
        "Network traffic of services",
        ("systemd.service.network.io",),
        by=(UNIT, "network.io.direction"),
        mirror=("transmit",),
    ),
)


class Usage:
    """The counters of the last run, of every service."""

    def __init__(self) -> None:
        self._before: dict[tuple[str, str], tuple[float, int]] = {}

    def forget(self, names: set[str]) -> None:
        """Keeps only what is of these units."""
        self._before = {key: value for key, value in self._before.items() if key[0] in names}

    def read(self, name: str, service: Service, past: Past, now: float, working_set: int | None) -> list[Reading]:
        """The readings of one service at monotonic second ``now``."""
        labels = {UNIT: name}
        found: list[Reading] = []
        if service.restarts is not None:
            found.append(Reading("systemd.service.restarts", service.restarts, labels))
        cpu = self._per_second(name, "cpu", service.cpu_nanoseconds, now)
        if cpu is not None:
            found.append(Reading("systemd.service.cpu.usage", rate(cpu / NANOSECONDS), labels))
        if service.memory is not None:
            found.append(Reading("systemd.service.memory.usage", service.memory, labels))
            peak = service.memory_peak or past.peak(service.main_pid, service.memory)
            found.append(Reading("systemd.service.memory.peak", peak, labels))
            if service.memory_max and working_set is not None:
                share = ratio(working_set / service.memory_max)
                found.append(Reading("systemd.service.memory.utilization", share, labels))
        if service.tasks is not None:
            found.append(Reading("systemd.service.tasks", service.tasks, labels))
        for metric, key, counters, words in (
            ("systemd.service.io", "disk.io.direction", service.io, DIRECTIONS),
            ("systemd.service.network.io", "network.io.direction", service.network, WAYS),
        ):
            for counter, word in zip(counters, words, strict=True):
                grown = self._per_second(name, word, counter, now)
                if grown is not None:
                    found.append(Reading(metric, rate(grown), {**labels, key: word}))
        return found

    def _per_second(self, name: str, what: str, counter: int | None, now: float) -> float | None:
        if counter is None:
            return None
        at, before = self._before.get((name, what), (now, counter))
        self._before[name, what] = (now, counter)
        grown = counter - before
        if now <= at or grown < 0 or grown > LEAP_PER_SECOND * (now - at):
            return None
        return grown / (now - at)
