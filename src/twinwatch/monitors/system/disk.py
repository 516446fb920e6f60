"""What the disks do."""

from __future__ import annotations

from contextlib import suppress
from typing import ClassVar, NamedTuple

from twinwatch.monitors import Moment, Reading, Unreadable
from twinwatch.monitors.digits import rate, ratio
from twinwatch.monitors.rates import Rates
from twinwatch.monitors.system import procfs
from twinwatch.protocol.metrics import Chart, Headline, Metric
from twinwatch.world.host import Host, Missing, Refused

DISKSTATS = "/proc/diskstats"
SECTOR_BYTES = 512
"""The unit of /proc/diskstats, whatever the disk's own sectors are."""

DISKS = 128
NOT_DISKS = ("loop", "ram", "zram", "sr", "fd")


class Disk:
    """Bytes, operations, waiting and busy time of each disk and each volume on disks (LVM, RAID), not of partitions.

    A volume's traffic is its disks' traffic too, so devices are to be compared, not added. A device that was never
    used since boot is left out.
    Source: /proc/diskstats (kernel: admin-guide/iostats), /sys/block (which of them are whole devices).
    Cost: one read, one or two look-ups per new device.
    Rights: none.
    """

    name: ClassVar[str] = "disk"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("system.disk.io", "By/s", "Bytes read from and written to the device, per second."),
        Metric("system.disk.operations", "{operation}/s", "Reads and writes that the device completed, per second."),
        Metric(
            "system.disk.await",
            "s",
            "How long a read or write took on average, waiting included; 0 if there was none.",
            good="low",
        ),
        Metric(
            "system.disk.utilization",
            "1",
            "Share of the time in which the device had something to do. SSDs and arrays can do more even at 1.",
            good="low",
        ),
    )
    charts: ClassVar[tuple[Chart, ...]] = (
        Chart(
            "Disk throughput",
            ("system.disk.io",),
            by=("system.device", "disk.io.direction"),
            style="area",
            mirror=("write",),
        ),
        Chart(
            "Disk operations",
            ("system.disk.operations",),
            by=("system.device", "disk.io.direction"),
            style="area",
            mirror=("write",),
        ),
        Chart("Disk latency", ("system.disk.await",), by=("system.device", "disk.io.direction"), mirror=("write",)),
        Chart("Disk busy", ("system.disk.utilization",), by=("system.device",), top=1.0),
    )
    headlines: ClassVar[tuple[Headline, ...]] = ()

    def __init__(self) -> None:
        self._rates = Rates()
        self._devices: dict[str, _Device | None] = {}

    async def read(self, host: Host, moment: Moment) -> list[Reading]:
        """One run; without readings if it is the first."""
        counters = _counters(host.read_text(DISKSTATS))
        self._devices = {name: device for name, device in self._devices.items() if name in counters}
        self._rates.begin(moment.monotonic_seconds)
        seconds = self._rates.seconds
        readings = []
        watched = 0
        for name, numbers in counters.items():
            if name not in self._devices:
                self._devices[name] = _device(host, name, counters)
            device = self._devices[name]
            if device is None or not (numbers[0] or numbers[3]) or watched == DISKS:
                continue
            watched += 1
            if not (grown := self._rates.growth(name, numbers)):
                continue
            # Volumes such as md on older kernels count what they carry, but not how long it took.
            is_timed = bool(numbers[2] or numbers[5] or numbers[6])
            for labels, (operations, sectors, milliseconds) in (
                (device.read, grown[0:3]),
                (device.write, grown[3:6]),
            ):
                readings.append(Reading("system.disk.io", rate(sectors * SECTOR_BYTES / seconds), labels))
                readings.append(Reading("system.disk.operations", rate(operations / seconds), labels))
                if is_timed:
                    # The kernel counts whole milliseconds; hundredths of them are already a mean of many.
                    wait = round(milliseconds / operations / 1000, 5) if operations else 0.0
                    readings.append(Reading("system.disk.await", wait, labels))
            if is_timed:
                readings.append(Reading("system.disk.utilization", ratio(grown[6] / 1000 / seconds), device.plain))
        return readings


class _Device(NamedTuple):
    plain: dict[str, str]
    read: dict[str, str]
    write: dict[str, str]


def _counters(text: str) -> dict[str, tuple[int, ...]]:
    """By name: reads, sectors read, ms reading, writes, sectors written, ms writing, ms busy."""
    counters = {}
    for line in procfs.lines(text):
        words = line.split()
        if len(words) < 14:  # Linux 4.18 added discards, 5.5 flushes: columns beyond these
            raise Unreadable(f"{DISKSTATS}: {line[:80]!r}: expected at least 14 columns")
        if not words[2].startswith(NOT_DISKS):
            numbers = procfs.counters(DISKSTATS, words[3:13])
            name = procfs.device_name(DISKSTATS, words[2])
            counters[name] = (*numbers[0:1], *numbers[2:5], *numbers[6:8], numbers[9])
    return counters


def _device(host: Host, name: str, counters: dict[str, tuple[int, ...]]) -> _Device | None:
    """The labels of a whole device; None for a partition."""
    if host.exists("/sys/block"):
        folder = f"/sys/block/{name.replace('/', '!')}"  # cciss/c0d0 is a folder name there
        whole = host.exists(folder)
    else:
        folder = ""
        whole = not any(_is_partition(name, other) for other in counters)
    if not whole:
        return None
    label = name
    if folder and name.startswith("dm-"):
        with suppress(Missing, Refused, Unreadable):  # people know the volume as vg0-root, not as dm-3
            label = procfs.device_name(folder, host.read_text(f"{folder}/dm/name").strip())
    plain = {"system.device": label}
    return _Device(plain, *(plain | {"disk.io.direction": direction} for direction in ("read", "write")))


def _is_partition(name: str, disk: str) -> bool:
    """Whether the names say so: ``sda1`` of ``sda``, ``nvme0n1p2`` of ``nvme0n1``."""
    stem = disk + "p" if disk[-1].isdigit() else disk
    return name.startswith(stem) and name[len(stem) :].isdigit()
