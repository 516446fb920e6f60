"""How far flash memory that is soldered in is used up."""

from __future__ import annotations

from typing import ClassVar

from twinwatch.monitors import Check, Finding, Moment, Reading
from twinwatch.monitors.system import procfs
from twinwatch.protocol.metrics import Chart, Headline, Metric
from twinwatch.world.host import Host, Missing, Refused

BLOCK = "/sys/block"
DEVICES = 16
STEP = 0.1
"""The device tells its use in tenths; 11 is beyond what it was made for."""
BEYOND = 11
WORN = 0.9
URGENT = 3
"""Of pre_eol_info: 1 normal, 2 four fifths of the spare blocks are used, 3 nine tenths."""


class Wear:
    """Use of the life of eMMC devices, as they estimate it themselves.

    Source: /sys/block/mmcblk*/device/{life_time,pre_eol_info} (kernel: driver-api/mmc; JEDEC JESD84-B51). SD cards tell
    nothing.
    Cost: a look at /sys/block, two reads per device.
    Rights: none.
    """

    name: ClassVar[str] = "wear"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("system.disk.wear", "1", "Share of the device's life that is used, in steps of a tenth.", good="low"),
    )
    charts: ClassVar[tuple[Chart, ...]] = (
        Chart("Flash memory used up", ("system.disk.wear",), by=("system.device",), top=1.0),
    )
    headlines: ClassVar[tuple[Headline, ...]] = ()

    async def read(self, host: Host, moment: Moment) -> list[Finding]:
        """One run; nothing where no device tells."""
        found: list[Finding] = []
        names = [name for name in host.list(BLOCK) if name.startswith("mmcblk") and name[6:].isdigit()]
        for name in names[:DEVICES]:
            device = procfs.device_name(BLOCK, name)
            steps = _numbers(host, f"{BLOCK}/{device}/device/life_time")
            if not steps or not 0 < max(steps) <= BEYOND:
                continue  # 0: the device does not say
            used = min(round(max(steps) * STEP, 1), 1.0)
            found.append(Reading("system.disk.wear", used, {"system.device": device}))
            found.append(_check(device, used, _numbers(host, f"{BLOCK}/{device}/device/pre_eol_info")))
        return found


def _check(device: str, used: float, spare: list[int]) -> Check:
    name = f"wear:{device}"
    if spare and max(spare) == URGENT:
        return Check(name, "down", f"Nine tenths of {device}'s spare blocks are used: replace it now", "worn-out")
    if used >= WORN or (spare and max(spare) == URGENT - 1):
        return Check(
            name, "degraded", f"{used:.0%} of the life of {device} are used: plan to replace it", "wearing-out"
        )
    return Check(name, "up")


def _numbers(host: Host, path: str) -> list[int]:
    """The hexadecimal numbers of a file such as ``0x02 0x01``; none if it is not there or says something else."""
    try:
        words = host.read_text(path).split()
    except (Missing, Refused):
        return []
    try:
        return [int(word, 16) for word in words if len(word) <= 6]
    except ValueError:
        return []
