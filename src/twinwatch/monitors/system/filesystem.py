"""How full the file systems are, in bytes and in inodes."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from twinwatch.monitors import Moment, Reading
from twinwatch.monitors.digits import ratio
from twinwatch.monitors.system.mounts import MOUNTINFO, Mount, watched
from twinwatch.protocol.metrics import Chart, Headline, Metric
from twinwatch.world.host import Host
from twinwatch.world.space import Space

MOUNTS = 64
ENDLESS = 1 << 60
"""Bytes, or inodes, that mounts of object stores claim when they have no bound."""

SURVEY_SECONDS = 2.0
"""For all mounts together. One that hangs costs a quarter of it once, and nothing until it answers."""


class Filesystem:
    """Space and inodes per file system.

    Source: /proc/self/mountinfo, statvfs(3). Utilization is used / (used + free), as df(1) has it: what is reserved to
    root is neither. File systems that make inodes as they need them (btrfs, vfat) report none and have no such series.
    Cost: one read and one system call per mount, in a thread.
    Rights: search permission on the mount point; a mount without it is left out.
    """

    name: ClassVar[str] = "filesystem"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(
            "system.filesystem.usage",
            "By",
            "Space by state. Reserved is kept for root: programs get a full disk once free is 0.",
        ),
        Metric("system.filesystem.utilization", "1", "Share of the space open to programs that is used.", good="low"),
        Metric("system.filesystem.inodes.usage", "{inode}", "Inodes by state. Each file and each folder takes one."),
        Metric(
            "system.filesystem.inodes.utilization",
            "1",
            "Share of the inodes that is used. At 1 no file can be made, however much space is free.",
            good="low",
        ),
    )
    charts: ClassVar[tuple[Chart, ...]] = (
        Chart("Disk space used", ("system.filesystem.utilization",), by=("system.filesystem.mountpoint",), top=1.0),
        Chart("Inodes used", ("system.filesystem.inodes.utilization",), by=("system.filesystem.mountpoint",), top=1.0),
    )
    headlines: ClassVar[tuple[Headline, ...]] = (Headline("Disk", "system.filesystem.utilization"),)

    def __init__(self) -> None:
        self._fingerprint = 0
        self._mounts: list[tuple[Mount, _Labels]] = []

    async def read(self, host: Host, moment: Moment) -> list[Reading]:
        """One run. A mount that fails or hangs is left out."""
        text = host.read_text(MOUNTINFO)
        if hash(text) != self._fingerprint:  # it hardly ever changes, and a container host has hundreds of lines
            self._mounts = [(mount, _labels(mount)) for mount in watched(text)[:MOUNTS]]
            self._fingerprint = hash(text)
        spaces = await host.statvfs([mount.point for mount, _ in self._mounts], timeout_seconds=SURVEY_SECONDS)
        readings = []
        for mount, labels in self._mounts:
            space = spaces.get(mount.point)
            if space and 0 < space.blocks * space.block_bytes < ENDLESS:
                readings += _readings(space, labels)
        return readings


class _Labels(NamedTuple):
    plain: dict[str, str]
    used: dict[str, str]
    free: dict[str, str]
    reserved: dict[str, str]


def _labels(mount: Mount) -> _Labels:
    plain = {
        "system.device": mount.device,
        "system.filesystem.mountpoint": mount.point,
        "system.filesystem.type": mount.kind,
    }
    return _Labels(plain, *(plain | {"system.filesystem.state": state} for state in ("used", "free", "reserved")))


def _readings(space: Space, labels: _Labels) -> list[Reading]:
    # Some network servers report more free than there is, or a huge number for "less than none".
    free = min(space.blocks_free, space.blocks)
    available = min(space.blocks_available, free)
    used = space.blocks - free
    readings = [
        Reading("system.filesystem.usage", used * space.block_bytes, labels.used),
        Reading("system.filesystem.usage", available * space.block_bytes, labels.free),
        Reading("system.filesystem.usage", (free - available) * space.block_bytes, labels.reserved),
    ]
    if used + available:
        readings.append(Reading("system.filesystem.utilization", ratio(used / (used + available)), labels.plain))
    if 0 < space.files < ENDLESS:
        left = min(space.files_free, space.files)
        taken = space.files - left
        readings.append(Reading("system.filesystem.inodes.usage", taken, labels.used))
        readings.append(Reading("system.filesystem.inodes.usage", left, labels.free))
        readings.append(Reading("system.filesystem.inodes.utilization", ratio(taken / space.files), labels.plain))
    return readings
