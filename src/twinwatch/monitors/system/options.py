"""What of the system is watched, as a person may choose it."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Annotated, Literal

from msgspec import Meta

from twinwatch.monitors import Check, Finding, Options
from twinwatch.monitors.system.cpu import Cpu
from twinwatch.monitors.system.disk import Disk
from twinwatch.monitors.system.distress import Distress
from twinwatch.monitors.system.filesystem import Filesystem
from twinwatch.monitors.system.links import Links
from twinwatch.monitors.system.load import Load
from twinwatch.monitors.system.memory import Memory
from twinwatch.monitors.system.network import Network
from twinwatch.monitors.system.paging import Paging
from twinwatch.monitors.system.part import Part
from twinwatch.monitors.system.pressure import Pressure
from twinwatch.monitors.system.raid import Raid
from twinwatch.monitors.system.sensors import Sensors
from twinwatch.monitors.system.sockets import Sockets
from twinwatch.monitors.system.softnet import Softnet
from twinwatch.monitors.system.tasks import Tasks
from twinwatch.monitors.system.timekeeping import Clock
from twinwatch.monitors.system.updates import Updates
from twinwatch.monitors.system.uptime import Uptime
from twinwatch.monitors.system.wear import Wear

Group = Literal["cpu", "ram", "memory", "disk", "network", "pressure", "processes", "sensors", "clock", "updates"]

GROUPS: dict[str, tuple[type[Part], ...]] = {
    "cpu": (Cpu, Load),
    "ram": (Memory, Paging, Distress),
    "pressure": (Pressure,),
    "disk": (Disk, Filesystem, Raid, Wear),
    "network": (Network, Links, Sockets, Softnet),
    "processes": (Tasks,),
    "sensors": (Sensors,),
    "clock": (Clock,),
    "updates": (Updates,),
}
ALWAYS: tuple[type[Part], ...] = (Uptime,)
PARTS: tuple[type[Part], ...] = (*(part for parts in GROUPS.values() for part in parts), *ALWAYS)

Patterns = tuple[Annotated[str, Meta(min_length=1, max_length=200)], ...]


class SystemOptions(Options, frozen=True, kw_only=True):
    """What of the system is watched."""

    metrics: Annotated[
        tuple[Group, ...],
        Meta(title="Groups", description="Only these groups of metrics; none named means all. ram and memory are one."),
    ] = ()
    ignore_mounts: Annotated[
        Patterns, Meta(title="Mounts to leave out", description="Mount points, with * and ?, such as /mnt/backup*.")
    ] = ()
    ignore_devices: Annotated[
        Patterns, Meta(title="Disks to leave out", description="Devices, with * and ?, such as sdz or /dev/sdz*.")
    ] = ()
    ignore_interfaces: Annotated[
        Patterns,
        Meta(title="Network interfaces to leave out", description="Names of interfaces, with * and ?, such as wg*."),
    ] = ()

    def parts(self) -> tuple[type[Part], ...]:
        """The parts that are wanted, in the order of their charts."""
        if not self.metrics:
            return PARTS
        wanted = {"ram" if group == "memory" else group for group in self.metrics}
        return (*(part for group, parts in GROUPS.items() if group in wanted for part in parts), *ALWAYS)

    def wants(self, finding: Finding) -> bool:
        """Whether the finding is about something that was not left out."""
        if isinstance(finding, Check):
            kind, _, thing = finding.name.partition(":")
            ignored = {"filesystem": self.ignore_mounts, "raid": self.ignore_devices}.get(kind, ())
            return not _matches(thing, ignored)
        labels = finding.labels
        return not (
            _matches(labels.get("system.filesystem.mountpoint", ""), self.ignore_mounts)
            or _matches(labels.get("system.device", ""), self.ignore_devices)
            or _matches(labels.get("network.interface.name", ""), self.ignore_interfaces)
        )

    @property
    def leaves_out(self) -> bool:
        """Whether ``wants`` has anything to judge."""
        return bool(self.ignore_mounts or self.ignore_devices or self.ignore_interfaces)


def _matches(name: str, patterns: Patterns) -> bool:
    return bool(name) and any(fnmatchcase(name, pattern) for pattern in patterns)
