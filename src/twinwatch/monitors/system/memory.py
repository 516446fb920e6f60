"""Memory: what is used, and what could still be had."""

from __future__ import annotations

from typing import ClassVar

from twinwatch.monitors import Moment, Reading, Unreadable
from twinwatch.monitors.digits import ratio
from twinwatch.monitors.system import procfs
from twinwatch.protocol.metrics import Chart, Headline, Metric
from twinwatch.world.host import Host

MEMINFO = "/proc/meminfo"
KIBIBYTE = 1024
WANTED = frozenset(
    (
        "MemTotal",
        "MemFree",
        "MemAvailable",
        "Buffers",
        "Cached",
        "SReclaimable",
        "Shmem",
        "SwapTotal",
        "SwapFree",
        "Dirty",
        "Writeback",
        "Committed_AS",
        "HugePages_Total",
        "HugePages_Free",
        "HardwareCorrupted",
    )
)  # fmt: skip
STATE_LABELS = tuple({"system.memory.state": state} for state in ("used", "buffers", "cached", "free"))


class Memory:
    """Physical memory by state. The states add up to all there is.

    Source: /proc/meminfo (proc_meminfo(5)); used is MemTotal - MemAvailable, as the OpenTelemetry conventions say.
    Cost: one read.
    Rights: none.
    """

    name: ClassVar[str] = "memory"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(
            "system.memory.usage",
            "By",
            "Memory by state. Used is what programs and the kernel cannot give back; cached and buffers are copies of "
            "files that are given back when memory is wanted.",
        ),
        Metric("system.memory.utilization", "1", "Share of memory that is used and cannot be given back.", good="low"),
        Metric(
            "system.memory.linux.available",
            "By",
            "The kernel's estimate of what programs can still get without swapping.",
            good="high",
        ),
        Metric(
            "system.memory.linux.unwritten",
            "By",
            "Copies of files that were changed and wait for the disk (dirty), or are being written (writeback).",
            good="low",
        ),
        Metric(
            "system.memory.linux.committed",
            "By",
            "Memory that programs were promised, whether they use it yet or not.",
        ),
        Metric("system.memory.linux.hugepages.utilization", "1", "Share of the reserved huge pages that is used."),
    )
    charts: ClassVar[tuple[Chart, ...]] = (
        Chart("Memory", ("system.memory.usage",), by=("system.memory.state",), style="stack"),
        Chart("Memory waiting for the disk", ("system.memory.linux.unwritten",), by=("system.memory.state",)),
        Chart("Memory promised", ("system.memory.linux.committed",)),
        Chart("Huge pages", ("system.memory.linux.hugepages.utilization",), top=1.0),
    )
    headlines: ClassVar[tuple[Headline, ...]] = (Headline("Memory", "system.memory.utilization"),)

    async def read(self, host: Host, moment: Moment) -> list[Reading]:
        """One run."""
        sizes = meminfo(host)
        try:
            total, free = sizes["MemTotal"], sizes["MemFree"]
            available = sizes.get("MemAvailable")
            if available is None:  # before Linux 3.14: what free(1) took for it then
                reclaimable = sizes["Buffers"] + sizes["Cached"] + sizes.get("SReclaimable", 0)
                available = max(free, free + reclaimable - sizes.get("Shmem", 0))
        except KeyError as err:
            raise Unreadable(f"{MEMINFO}: expected a line {err}") from err
        if total == 0:
            raise Unreadable(f"{MEMINFO}: MemTotal is 0")
        available = min(available, total)
        # The states are made to add up. The kernel holds back a reserve of what is free and counts it as not
        # available, so `free` is what remains of the available memory here, a little less than MemFree.
        buffers = min(sizes.get("Buffers", 0), available)
        cache = sizes.get("Cached", 0) + sizes.get("SReclaimable", 0) - sizes.get("Shmem", 0)
        cached = min(max(cache, 0), available - buffers)
        amounts = (total - available, buffers, cached, available - buffers - cached)
        readings = [
            Reading("system.memory.usage", amount, labels) for amount, labels in zip(amounts, STATE_LABELS, strict=True)
        ]
        readings.append(Reading("system.memory.utilization", ratio((total - available) / total)))
        readings.append(Reading("system.memory.linux.available", available))
        return readings + _details(sizes)


def _details(sizes: dict[str, int]) -> list[Reading]:
    readings = []
    for name, state in (("Dirty", "dirty"), ("Writeback", "writeback")):
        if name in sizes:
            labels = {"system.memory.state": state}
            readings.append(Reading("system.memory.linux.unwritten", sizes[name], labels))
    if "Committed_AS" in sizes:
        readings.append(Reading("system.memory.linux.committed", sizes["Committed_AS"]))
    pages = sizes.get("HugePages_Total", 0)
    if pages:
        used = pages - min(sizes.get("HugePages_Free", 0), pages)
        readings.append(Reading("system.memory.linux.hugepages.utilization", ratio(used / pages)))
    return readings


def meminfo(host: Host) -> dict[str, int]:
    """The lines of /proc/meminfo that are in ``WANTED``, in bytes.

    Raises: world.host.Missing, world.host.Refused, Unreadable.
    """
    names, words = [], []
    for line in procfs.lines(host.read_text(MEMINFO)):
        name, _, rest = line.partition(":")
        if name in WANTED:
            names.append(name)
            words.append(rest.removesuffix(" kB"))
    sizes = procfs.counters(MEMINFO, words)
    if sizes and max(sizes) > procfs.LARGEST_EXACT // KIBIBYTE:
        raise Unreadable(f"{MEMINFO}: {max(sizes)} kB: expected less than 8 PiB")
    return {name: size * KIBIBYTE for name, size in zip(names, sizes, strict=True)}
