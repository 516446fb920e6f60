"""How full the file systems are, in bytes and in inodes."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from twinwatch.monitors import Check, Finding, Moment, Reading
from twinwatch.monitors.digits import rate, ratio
from twinwatch.monitors.forecast import Forecast
from twinwatch.monitors.system.mounts import MOUNTINFO, Mount, watched
from twinwatch.protocol.limits import CHECK_NAME_CHARACTERS
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
        Metric(
            "system.filesystem.full_in",
            "s",
            "Time until the space or the inodes are used up if it goes on as in the last hour; no sample while it does "
            "not fill up, or not within 30 days.",
            good="high",
        ),
    )
    charts: ClassVar[tuple[Chart, ...]] = (
        Chart("Disk space used", ("system.filesystem.utilization",), by=("system.filesystem.mountpoint",), top=1.0),
        Chart("Inodes used", ("system.filesystem.inodes.utilization",), by=("system.filesystem.mountpoint",), top=1.0),
        Chart("Time until full", ("system.filesystem.full_in",), by=("system.filesystem.mountpoint", "resource")),
    )
    headlines: ClassVar[tuple[Headline, ...]] = (Headline("Disk", "system.filesystem.utilization"),)

    def __init__(self) -> None:
        self._fingerprint = 0
        self._mounts: list[tuple[Mount, _Labels]] = []
        self._forecast = Forecast()

    async def read(self, host: Host, moment: Moment) -> list[Finding]:
        """One run. A mount that fails or hangs is left out; one that hangs or locked itself fails its check."""
        text = host.read_text(MOUNTINFO)
        if hash(text) != self._fingerprint:  # it hardly ever changes, and a container host has hundreds of lines
            self._mounts = [(mount, _labels(mount)) for mount in watched(text)[:MOUNTS]]
            self._fingerprint = hash(text)
        spaces = await host.statvfs([mount.point for mount, _ in self._mounts], timeout_seconds=SURVEY_SECONDS)
        stuck = host.stuck_mounts
        found: list[Finding] = []
        for mount, labels in self._mounts:
            space = spaces.get(mount.point)
            if space and 0 < space.blocks * space.block_bytes < ENDLESS:
                found += _readings(space, labels)
                found += self._forecasts(mount, space, labels, moment.monotonic_seconds)
            if space or mount.point in stuck:
                found.append(_check(mount, mount.point in stuck))
        self._forecast.keep({(mount.point, kind) for mount, _ in self._mounts for kind in ("space", "inodes")})
        return found

    def _forecasts(self, mount: Mount, space: Space, labels: _Labels, now: float) -> list[Finding]:
        found: list[Finding] = []
        amounts = [("space", min(space.blocks_available, space.blocks) * space.block_bytes, labels.space)]
        if 0 < space.files < ENDLESS:
            amounts.append(("inodes", min(space.files_free, space.files), labels.inodes))
        for kind, free, named in amounts:
            seconds = self._forecast.seconds_to_full((mount.point, kind), free, now)
            if seconds is not None:
                found.append(Reading("system.filesystem.full_in", rate(seconds), named))
        return found


def _check(mount: Mount, is_stuck: bool) -> Check:
    name = f"filesystem:{mount.point}"[:CHECK_NAME_CHARACTERS]
    if is_stuck:
        message = f"{mount.device} on {mount.point} does not answer; programs that use it hang"
        return Check(name, "down", message, "hanging")
    if mount.is_locked:
        message = (
            f"{mount.point} has become read-only, as after an error of the disk; see: journalctl -k -g {mount.kind}"
        )
        return Check(name, "down", message, "read-only")
    return Check(name, "up")


class _Labels(NamedTuple):
    plain: dict[str, str]
    used: dict[str, str]
    free: dict[str, str]
    reserved: dict[str, str]
    space: dict[str, str]
    inodes: dict[str, str]


def _labels(mount: Mount) -> _Labels:
    plain = {
        "system.device": mount.device,
        "system.filesystem.mountpoint": mount.point,
        "system.filesystem.type": mount.kind,
    }
    return _Labels(
        plain,
        *(plain | {"system.filesystem.state": state} for state in ("used", "free", "reserved")),
        *(plain | {"resource": resource} for resource in ("space", "inodes")),
    )


def _readings(space: Space, labels: _Labels) -> list[Finding]:
    # Some network servers report more free than there is, or a huge number for "less than none".
    free = min(space.blocks_free, space.blocks)
    available = min(space.blocks_available, free)
    used = space.blocks - free
    readings: list[Finding] = [
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
