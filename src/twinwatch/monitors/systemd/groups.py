"""What the kernel says of a service's control group, where systemd does not: kills for lack of memory (systemd tells
them from 259 on) and the memory that cannot be dropped. Control groups v2, and v1 as a second try.

Source: the kernel's admin-guide/cgroup-v2 (``memory.events``, ``memory.stat``) and cgroup-v1/memory.
"""

from __future__ import annotations

from twinwatch.world.host import Host, Missing, Refused

ROOT = "/sys/fs/cgroup"
KILLS = ((f"{ROOT}{{}}/memory.events", "oom_kill"), (f"{ROOT}/memory{{}}/memory.oom_control", "oom_kill"))
DROPPABLE = (
    (f"{ROOT}{{}}/memory.stat", "inactive_file"),
    (f"{ROOT}/memory{{}}/memory.stat", "total_inactive_file"),
)
LIMIT_BYTES = 1 << 16


def kills(host: Host, group: str) -> int | None:
    """Processes of the group that were killed for lack of memory since it was made."""
    return _first(host, group, KILLS)


def working_set(host: Host, group: str, memory: int | None) -> int | None:
    """Memory without the file cache that was not used lately; None if it is not known."""
    droppable = _first(host, group, DROPPABLE)
    return None if memory is None or droppable is None else max(memory - droppable, 0)


def _first(host: Host, group: str, places: tuple[tuple[str, str], ...]) -> int | None:
    if not group.startswith("/") or ".." in group.split("/") or "\0" in group:
        return None
    for path, name in places:
        try:
            text = host.read_text(path.format(group), LIMIT_BYTES)
        except (Missing, Refused, ValueError):
            continue
        found = number_after(text, name)
        if found is not None:
            return found
    return None


def number_after(text: str, name: str) -> int | None:
    """The number on the complete line that begins with ``name``; None if there is none or it is no number."""
    for line in text.split("\n")[:-1]:
        word, _, value = line.partition(" ")
        if word == name:
            return int(value) if value.isascii() and value.isdigit() and len(value) < 19 else None
    return None
