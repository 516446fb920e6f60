"""What the processors do, and how many tasks want them."""

from __future__ import annotations

from typing import ClassVar

from twinwatch.monitors import Moment, Reading, Unreadable
from twinwatch.monitors.digits import ratio
from twinwatch.monitors.rates import Rates
from twinwatch.monitors.system import procfs
from twinwatch.protocol.metrics import Chart, Headline, Metric
from twinwatch.world.host import Host

STAT = "/proc/stat"
CORES = 512
"""Cores that get a series of their own; the rest are in the total."""

MODES = ("user", "nice", "system", "interrupt", "iowait", "steal")
MODE_LABELS = tuple({"cpu.mode": mode} for mode in MODES)

SLACK_TICKS = 300
"""On a tickless kernel a core's idle and iowait may step back a little (proc(5)); beyond 3 s it is a reset."""


class Cpu:
    """Shares of the processors' time between two runs.

    Source: /proc/stat (proc_stat(5)). Guest time is part of user and nice there and is not counted twice.
    Cost: one read; a series per core.
    Rights: none.
    """

    name: ClassVar[str] = "cpu"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(
            "system.cpu.utilization",
            "1",
            "Share of all cores' time spent in each mode. What is missing to 1 is idle.",
            good="low",
        ),
        Metric(
            "system.cpu.busy",
            "1",
            "Share of all cores' time that was neither idle nor waiting for I/O. Time stolen by the hypervisor counts "
            "as busy, since this server could not use it.",
            good="low",
        ),
        Metric("system.cpu.core.busy", "1", "The same as system.cpu.busy, of each core.", good="low"),
    )
    charts: ClassVar[tuple[Chart, ...]] = (
        Chart("CPU", ("system.cpu.utilization",), by=("cpu.mode",), style="stack", top=1.0),
        Chart("CPU cores", ("system.cpu.core.busy",), by=("cpu.logical_number",), top=1.0),
    )
    headlines: ClassVar[tuple[Headline, ...]] = (Headline("CPU", "system.cpu.busy"),)

    def __init__(self) -> None:
        self._rates = Rates()
        self._labels: dict[str, dict[str, str]] = {}

    async def read(self, host: Host, moment: Moment) -> list[Reading]:
        """One run; without readings if it is the first."""
        ticks = _ticks(host.read_text(STAT))
        self._rates.begin(moment.monotonic_seconds)
        readings = []
        for name, counters in ticks.items():
            grown = self._rates.growth(name, counters, SLACK_TICKS)
            total = sum(grown) if grown else 0
            if not grown or not total:
                continue
            user, nice, system, idle, iowait, interrupt, soft_interrupt, steal = grown
            busy = ratio(1 - (idle + iowait) / total)
            if name == "cpu":
                readings.append(Reading("system.cpu.busy", busy))
                spent = (user, nice, system, interrupt + soft_interrupt, iowait, steal)
                for labels, amount in zip(MODE_LABELS, spent, strict=True):
                    readings.append(Reading("system.cpu.utilization", ratio(amount / total), labels))
            elif len(readings) <= CORES + len(MODES):
                readings.append(Reading("system.cpu.core.busy", busy, self._label(name)))
        return readings

    def _label(self, name: str) -> dict[str, str]:
        labels = self._labels.get(name)
        if labels is None:
            labels = self._labels[name] = {"cpu.logical_number": name.removeprefix("cpu")}
        return labels


def _ticks(text: str) -> dict[str, tuple[int, ...]]:
    """Clock ticks by ``cpu`` (all) and ``cpu0`` …, in the kernel's order, cut or filled up to ``steal``."""
    end = text.find("\nintr ") + 1  # the interrupts that follow are most of the file on a large machine
    ticks = {}
    for line in procfs.lines(text[:end] if end else text):
        if not line.startswith("cpu"):
            break
        name, *words = line.split()
        number = name[3:]
        if number and not (number.isascii() and number.isdigit() and len(number) <= 6):
            raise Unreadable(f"{STAT}: {name[:40]!r}: expected cpu or cpu and a number")
        if len(words) < 4:
            raise Unreadable(f"{STAT}: {line[:80]!r}: expected at least 4 numbers")
        counters = procfs.counters(STAT, words[:8])
        ticks[name] = counters + (0,) * (8 - len(counters))
    if not ticks:
        raise Unreadable(f"{STAT}: expected a line that starts with cpu")
    return ticks
