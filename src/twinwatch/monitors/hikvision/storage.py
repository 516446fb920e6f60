"""Disks and network storage of a recorder.

A disk without free space is none that fails: recorders write over what is oldest.
Source: ISAPI ``ContentMgmt/Storage``.
"""

from __future__ import annotations

from twinwatch.monitors import Check, Finding, Reading
from twinwatch.monitors.hikvision.asking import Asking
from twinwatch.monitors.hikvision.markup import Element

DISKS = 128
MEGABYTE = 1 << 20
LARGEST = 1 << 40
"""Megabytes."""
WELL = ("ok", "normal", "idle", "sleeping", "sleep", "active", "standby", "online", "rw")
PASSING = {
    "formating": "is being formatted",
    "formatting": "is being formatted",
    "repairing": "is being repaired",
    "syncing": "is being synchronized",
    "initializing": "is being initialized",
}
FAILED = {
    "unformatted": "is not formatted: format it on the recorder's storage page",
    "uninitialized": "is not initialized: initialize it on the recorder's storage page",
    "error": "fails: replace it",
    "abnormal": "fails: replace it",
    "exception": "fails: replace it",
    "smartfailed": "is about to fail, as S.M.A.R.T. says: replace it",
    "mismatch": "does not fit this recorder or its array",
    "notexist": "is not there any more: see its cable, or replace it",
    "offline": "is not connected: see its cable or its server",
}
RECORDERS = ("NVR", "DVR", "HVR", "XVR")


async def storage(ask: Asking, kind: str) -> list[Finding]:
    """Size, free space and a check for each disk and network store; ``storage`` where a recorder has none."""
    root = await ask.xml("/ISAPI/ContentMgmt/Storage")
    found: dict[str, list[Finding]] = {}
    for word, title, sort in (("hdd", "Disk", "disk"), ("nas", "Network store", "nas")):
        for one in root.all(word):
            number = one.said("id")
            if number.isascii() and number.isalnum() and len(number) < 20 and len(found) < DISKS:
                found.setdefault(f"{sort}:{number}", _disk(one, f"{sort}:{number}", title, number, sort))
    if not found and any(word in kind.upper() for word in RECORDERS):
        message = "The recorder has no disk: nothing is recorded. See the disk and its cable"
        return [Check("storage", "down", message, "no-disk")]
    several = [finding for findings in found.values() for finding in findings]
    return [*several, Check("storage", "up")] if found else several


def _disk(one: Element, name: str, title: str, number: str, sort: str) -> list[Finding]:
    labels = {"hikvision.disk.id": name}
    found: list[Finding] = []
    for field, metric in (("capacity", "hikvision.disk.size"), ("freeSpace", "hikvision.disk.free")):
        size = one.number(field)
        if size is not None and 0 <= size < LARGEST:
            found.append(Reading(metric, round(size) * MEGABYTE, labels))
    said = one.said("status")
    status = "".join(letter for letter in said.lower() if letter.isalnum())
    where = one.said("ipAddress") if sort == "nas" else one.said("hddName")
    shown = f"{title} {number}{f' ({where[:50]})' if where else ''}"
    if status in WELL:
        return [*found, Reading("hikvision.disk.up", 1, labels), Check(name, "up")]
    if status in PASSING:
        return [*found, Check(name, "degraded", f"{shown} {PASSING[status]}", status)]
    if status in FAILED:
        return [
            *found,
            Reading("hikvision.disk.up", 0, labels),
            Check(name, "down", f"{shown} {FAILED[status]}", status),
        ]
    message = f"{shown}: the device says {said!r}" if said else f"{shown}: the device does not say how it is"
    return [*found, Check(name, "unknown", message[:500], "not-told")]
