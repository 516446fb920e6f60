"""Linux software RAID: is every disk of each array there?"""

from __future__ import annotations

from typing import ClassVar

from twinwatch.monitors import Check, Finding, Moment, Reading, Unreadable
from twinwatch.monitors.system import procfs
from twinwatch.protocol.metrics import Chart, Headline, Metric
from twinwatch.world.host import Host, Missing, Refused

BLOCK = "/sys/block"
ARRAYS = 64
BROKEN = {"inactive", "broken", "clear"}
REBUILDING = {"recover", "resync", "reshape"}


class Raid:
    """Each array's missing disks and mismatches, and a check that says what is wrong.

    Source: /sys/block/md*/md/{array_state,degraded,sync_action,mismatch_cnt} (kernel: admin-guide/md).
    Cost: a look at /sys/block, four reads per array.
    Rights: none.
    """

    name: ClassVar[str] = "raid"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("system.raid.disks.missing", "{disk}", "Disks that the array lacks.", good="low"),
        Metric(
            "system.raid.mismatches",
            "{sector}",
            "Sectors on which the disks did not agree at the last check of the array.",
            good="low",
        ),
    )
    charts: ClassVar[tuple[Chart, ...]] = (
        Chart("RAID disks missing", ("system.raid.disks.missing",), by=("system.device",)),
        Chart("RAID mismatches", ("system.raid.mismatches",), by=("system.device",)),
    )
    headlines: ClassVar[tuple[Headline, ...]] = ()

    async def read(self, host: Host, moment: Moment) -> list[Finding]:
        """One run; nothing where there is no array."""
        found: list[Finding] = []
        for name in [name for name in host.list(BLOCK) if name.startswith("md")][:ARRAYS]:
            folder = f"{BLOCK}/{procfs.device_name(BLOCK, name)}/md"
            state = _word(host, f"{folder}/array_state")
            if not state:
                continue
            labels = {"system.device": name}
            missing = _number(host, f"{folder}/degraded")
            mismatches = _number(host, f"{folder}/mismatch_cnt")
            if missing is not None:
                found.append(Reading("system.raid.disks.missing", missing, labels))
            if mismatches is not None:
                found.append(Reading("system.raid.mismatches", mismatches, labels))
            found.append(_check(name, state, missing, _word(host, f"{folder}/sync_action")))
        return found


def _check(name: str, state: str, missing: int | None, action: str) -> Check:
    check = f"raid:{name}"
    if state in BROKEN:
        return Check(
            check, "down", f"Array {name} does not run (state {state}); see: mdadm --detail /dev/{name}", "stopped"
        )
    if missing:
        doing = f", {action} is under way" if action in REBUILDING else ""
        disks = "disk" if missing == 1 else "disks"
        message = f"Array {name} lacks {missing} {disks}{doing}; see: mdadm --detail /dev/{name}"
        return Check(check, "degraded" if doing else "down", message, "rebuilding" if doing else "disk-missing")
    # RAID 0 and linear arrays have no disk to spare, and no such number: they run or they do not.
    return Check(check, "up")


def _word(host: Host, path: str) -> str:
    try:
        word = host.read_text(path).strip()
    except (Missing, Refused):
        return ""
    return word if word.isascii() and word.replace("-", "").isalpha() and len(word) < 32 else ""


def _number(host: Host, path: str) -> int | None:
    try:
        number = procfs.counters(path, (host.read_text(path).strip(),))[0]
    except (Missing, Refused, Unreadable):
        return None
    return number if number < procfs.LARGEST_EXACT else None
