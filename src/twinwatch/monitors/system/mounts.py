"""Which mounts are worth watching: each file system that holds people's data once, under its plainest name. Pure.

Source: /proc/self/mountinfo (proc_pid_mountinfo(5)).
"""

from __future__ import annotations

from typing import NamedTuple

from twinwatch.monitors import Unreadable
from twinwatch.monitors.system import procfs
from twinwatch.protocol.limits import LABEL_VALUE_CHARACTERS

MOUNTINFO = "/proc/self/mountinfo"

PSEUDO = frozenset(
    (
        "autofs", "bdev", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devfs", "devpts",
        "devtmpfs", "efivarfs", "fuse.gvfsd-fuse", "fuse.lxcfs", "fuse.portal", "fusectl", "hugetlbfs", "mqueue",
        "nsfs", "pipefs", "proc", "pstore", "ramfs", "resctrl", "rootfs", "rpc_pipefs", "securityfs", "selinuxfs",
        "smackfs", "sysfs", "tracefs",
    )
)  # fmt: skip
ALWAYS_FULL = frozenset(("cramfs", "erofs", "fuse.snapfuse", "iso9660", "romfs", "squashfs", "udf"))
REMOTE = frozenset(
    (
        "9p", "afs", "beegfs", "ceph", "cifs", "davfs", "gfs2", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4",
        "ocfs2", "smb3", "smbfs", "virtiofs",
    )
)  # fmt: skip
LAYERED = frozenset(("overlay", "aufs"))
"""A container's own root is one. On a container host the others show the host's disk again."""

SCRATCH = frozenset(("/tmp", "/var/tmp"))  # noqa: S108 - names to compare with, nothing is written
"""The only places where a memory file system counts: programs fail when these are full."""

NOT_DATA = (
    "/dev/",
    "/proc/",
    "/sys/",
    "/run/credentials/",
    "/snap/",
    "/var/lib/docker/",
    "/var/lib/containers/storage/",
)
CONTAINER_FILES = frozenset(
    ("/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/dev/termination-log", "/run/.containerenv")
)
"""Single files that container engines mount from the host's disk."""


class Mount(NamedTuple):
    """One file system, where people look for it."""

    point: str
    device: str
    kind: str
    is_locked: bool = False
    """Mounted for writing, but the file system itself is read-only: what it becomes after an error."""

    @property
    def may_hang(self) -> bool:
        """Whether asking it may wait for another machine or program."""
        return self.kind in REMOTE or self.kind.startswith("fuse")


def watched(text: str) -> list[Mount]:
    """The mounts to watch, those that may hang last.

    Raises: Unreadable if there is a line that is no mount.
    """
    visible: dict[str, tuple[str, str, Mount]] = {}
    for line in procfs.lines(text):
        mount, number, folder = _parsed(line)
        visible[mount.point] = number, folder, mount  # of two mounts on one point the later hides the earlier
    plainest: dict[str, tuple[tuple[bool, bool, int, str], Mount]] = {}
    for number, folder, mount in visible.values():
        if not _holds_data(mount):
            continue
        # A device that is mounted in several places (bind mounts, subvolumes) has one fill level.
        order = (mount.point != "/", folder != "/", len(mount.point), mount.point)
        if number not in plainest or order < plainest[number][0]:
            plainest[number] = order, mount
    return sorted((mount for _, mount in plainest.values()), key=lambda mount: (mount.may_hang, mount.point))


def _parsed(line: str) -> tuple[Mount, str, str]:
    words = line.split(" ")
    try:
        dash = words.index("-", 6)
        number, folder, point = words[2:5]
        kind, source = words[dash + 1 : dash + 3]
        wanted, actual = words[5], (words[dash + 3 : dash + 4] or [""])[0]
    except ValueError as err:
        raise Unreadable(f"{MOUNTINFO}: {line[:80]!r}: expected a mount") from err
    if not (number and kind and point.startswith("/")):
        raise Unreadable(f"{MOUNTINFO}: {line[:80]!r}: expected a mount")
    is_locked = "rw" in wanted.split(",") and "ro" in actual.split(",")
    return Mount(_unescaped(point), _unescaped(source) or kind, kind, is_locked), number, _unescaped(folder)


def _unescaped(word: str) -> str:
    """With blanks and backslashes again, which the kernel writes in octal."""
    if "\\" not in word:
        return word
    for octal, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\043", "#"), ("\\134", "\\")):
        word = word.replace(octal, character)
    return word


def _holds_data(mount: Mount) -> bool:
    if mount.kind in PSEUDO or mount.kind in ALWAYS_FULL:
        return False
    if mount.kind in LAYERED:
        return mount.point == "/"
    if mount.kind == "tmpfs":
        return mount.point in SCRATCH
    if mount.point.startswith(NOT_DATA) or mount.point in CONTAINER_FILES:
        return False
    # A name that is no lawful label could be cut, but then two could become one.
    return all(len(word) <= LABEL_VALUE_CHARACTERS and word.isprintable() for word in mount[:3])
