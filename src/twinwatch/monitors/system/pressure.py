"""Pressure stall information: for how long tasks waited for want of a resource."""

from __future__ import annotations

from typing import ClassVar

from twinwatch.monitors import Moment, Reading, Unreadable
from twinwatch.monitors.digits import ratio
from twinwatch.monitors.rates import Rates
from twinwatch.monitors.system import procfs
from twinwatch.protocol.metrics import Chart, Headline, Metric
from twinwatch.world.host import Host, Missing, Refused

MICROSECONDS = 1_000_000
STALLS = {
    # The kernel prints `full` for cpu too, but it has no meaning for the whole system and is always 0.
    "cpu": {"some": {"system.pressure.resource": "cpu", "system.pressure.stall_type": "some"}},
    "memory": {
        "some": {"system.pressure.resource": "memory", "system.pressure.stall_type": "some"},
        "full": {"system.pressure.resource": "memory", "system.pressure.stall_type": "full"},
    },
    "io": {
        "some": {"system.pressure.resource": "io", "system.pressure.stall_type": "some"},
        "full": {"system.pressure.resource": "io", "system.pressure.stall_type": "full"},
    },
}


class Pressure:
    """Shares of time in which some, or all, tasks that had work were held up.

    Source: /proc/pressure/{cpu,memory,io} (Linux 4.20, Documentation/accounting/psi.rst). Where the kernel has it
    switched off (no ``psi=1``) the files cannot be read and the part is left out.
    Cost: three reads.
    Rights: none.
    """

    name: ClassVar[str] = "pressure"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(
            "system.pressure.stalled",
            "1",
            "Share of the time since the last sample in which some tasks, or all that had work (full), waited for the "
            "resource. Exact, from the kernel's running total.",
            good="low",
        ),
        Metric(
            "system.pressure.avg10",
            "1",
            "The kernel's own moving average of the same over the last ten seconds.",
            good="low",
        ),
    )
    charts: ClassVar[tuple[Chart, ...]] = (
        Chart(
            "Pressure (time spent waiting)",
            ("system.pressure.stalled",),
            by=("system.pressure.resource", "system.pressure.stall_type"),
        ),
    )
    headlines: ClassVar[tuple[Headline, ...]] = ()

    def __init__(self) -> None:
        self._rates = Rates()

    async def read(self, host: Host, moment: Moment) -> list[Reading]:
        """One run. One resource that cannot be read leaves the others."""
        found = []
        failure: Exception | None = None
        for resource, stalls in STALLS.items():
            try:
                text = host.read_text(f"/proc/pressure/{resource}")
                found += [(labels, *_stall(resource, text, kind)) for kind, labels in stalls.items()]
            except (Missing, Refused, Unreadable) as err:
                failure = err
        if not found and failure:
            raise failure
        self._rates.begin(moment.monotonic_seconds)
        readings = []
        for labels, average, total in found:
            readings.append(Reading("system.pressure.avg10", ratio(average / 100), labels))
            series = (labels["system.pressure.resource"], labels["system.pressure.stall_type"])
            if grown := self._rates.growth(series, (total,)):
                share = ratio(grown[0] / MICROSECONDS / self._rates.seconds)
                readings.append(Reading("system.pressure.stalled", share, labels))
        return readings


def _stall(resource: str, text: str, kind: str) -> tuple[float, int]:
    """The ten-second average in percent and the running total in microseconds of the line ``kind``."""
    path = f"/proc/pressure/{resource}"
    for line in procfs.lines(text):
        words = line.split()
        if len(words) == 5 and words[0] == kind and words[1].startswith("avg10=") and words[4].startswith("total="):
            return procfs.decimal(path, words[1][6:]), procfs.counters(path, (words[4][6:],))[0]
    raise Unreadable(f"{path}: expected a line {kind} avg10= … total=")
