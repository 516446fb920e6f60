"""Recorded machines: the files that monitors read, taken twice, so that the same code can be run on them anywhere.

A capture is a folder with ``first/`` and ``second/``, each a root for ``Host``, and ``capture.json`` with the seconds
between them. ``python -m twinwatch.testing.captures record FOLDER`` makes one of this machine and takes out what
names it: host name, boot id, the kernel's local version, mount points, sources and options that are not standard.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from twinwatch.monitors import Moment
from twinwatch.world.host import Host, Missing, Refused
from twinwatch.world.space import kernel_space

FILES = (
    "/.dockerenv",
    "/etc/os-release",
    "/proc/cpuinfo",
    "/proc/device-tree/model",
    "/proc/diskstats",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/net/dev",
    "/proc/pressure/cpu",
    "/proc/pressure/io",
    "/proc/pressure/memory",
    "/proc/self/mountinfo",
    "/proc/stat",
    "/proc/sys/kernel/hostname",
    "/proc/sys/kernel/osrelease",
    "/proc/sys/kernel/random/boot_id",
    "/proc/uptime",
    "/proc/vmstat",
    "/run/.containerenv",
    "/run/systemd/container",
    "/sys/class/dmi/id/product_name",
    "/sys/class/dmi/id/sys_vendor",
    "/sys/hypervisor/type",
)
FILES_PER_DISK = ("size", "dm/name")
SNAPSHOTS = ("first", "second")

HOST_NAME = "recorded"
BOOT_ID = "00000000-0000-4000-8000-000000000000"
STANDARD_MOUNTS = ("/proc", "/sys", "/dev", "/run", "/boot", "/home", "/tmp", "/var", "/usr", "/opt", "/srv")  # noqa: S108


@dataclass(frozen=True, slots=True)
class Capture:
    """One machine at two moments."""

    name: str
    folder: Path
    seconds: float

    def hosts(self) -> tuple[Host, Host]:
        """The machine at the first moment, and at the second."""
        return Host(self.folder / SNAPSHOTS[0]), Host(self.folder / SNAPSHOTS[1])

    def moments(self) -> tuple[Moment, Moment]:
        """When that was, on a clock that begins with the first."""
        start = 1_700_000_000_000
        return Moment(start, 1000.0), Moment(start + int(self.seconds * 1000), 1000.0 + self.seconds)


def captures(folder: Path) -> list[Capture]:
    """The captures in a folder, by name."""
    found = []
    for about in sorted(folder.glob("*/capture.json")):
        seconds = json.loads(about.read_text())["seconds"]
        found.append(Capture(about.parent.name, about.parent, float(seconds)))
    return found


def record(folder: Path, seconds: float) -> Capture:
    """Takes two snapshots of this machine, ``seconds`` apart, and writes them to ``folder``."""
    if folder.exists():
        shutil.rmtree(folder)
    started = time.monotonic()
    _snapshot(folder / SNAPSHOTS[0])
    time.sleep(max(0.0, started + seconds - time.monotonic()))
    between = round(time.monotonic() - started, 3)
    _snapshot(folder / SNAPSHOTS[1])
    (folder / "capture.json").write_text(json.dumps({"seconds": between}) + "\n")
    return Capture(folder.name, folder, between)


def _snapshot(root: Path) -> None:
    host = Host()
    paths = [*FILES]
    with suppress(Missing, Refused):
        paths += [f"/sys/block/{disk}/{name}" for disk in host.list("/sys/block") for name in FILES_PER_DISK]
    for path in paths:
        try:
            text = host.read_text(path)
        except (Missing, Refused):
            continue
        if path == "/proc/self/mountinfo":
            text = _without_places(text, root)
        elif path == "/proc/sys/kernel/hostname":
            text = HOST_NAME + "\n"
        elif path == "/proc/sys/kernel/random/boot_id":
            text = BOOT_ID + "\n"
        elif path == "/proc/sys/kernel/osrelease":
            text = text.split("-")[0].strip() + "\n"  # what follows may name who built it
        _write(root / path[1:], text)
    kernel = host.kernel()
    _write(root / "kernel.json", json.dumps(kernel._asdict(), indent=1) + "\n")


def _without_places(mountinfo: str, root: Path) -> str:
    """The table with neutral names in place of this machine's own; writes ``statvfs.json`` under the same names."""
    lines = []
    spaces = {}
    for number, line in enumerate(mountinfo.splitlines()):
        words = line.split(" ")
        dash = words.index("-")
        point, source = words[4], words[dash + 2]
        neutral = point if point == "/" or point.startswith(STANDARD_MOUNTS) else f"/mnt/{number}"
        if not (source.startswith("/dev/") or source == words[dash + 1]):
            words[dash + 2] = f"source-{number}"
        words[3] = words[3] if words[3] == "/" else f"/folder-{number}"
        words[4] = neutral
        words[dash + 3] = words[dash + 3].split(",")[0]  # the other options may hold addresses and names
        lines.append(" ".join(words) + "\n")
        try:
            spaces[neutral] = kernel_space(point)._asdict()
        except OSError:
            continue
    _write(root / "statvfs.json", json.dumps(spaces, indent=1) + "\n")
    return "".join(lines)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def main(arguments: list[str] | None = None) -> int:
    """``record FOLDER [--seconds 15]``."""
    parser = argparse.ArgumentParser(prog="python -m twinwatch.testing.captures", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    recorder = commands.add_parser("record", help="record this machine")
    recorder.add_argument("folder", type=Path)
    recorder.add_argument("--seconds", type=float, default=15.0, help="between the two snapshots")
    chosen = parser.parse_args(arguments)
    capture = record(chosen.folder, chosen.seconds)
    sys.stdout.write(f"{capture.folder}: two snapshots {capture.seconds} s apart{os.linesep}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
