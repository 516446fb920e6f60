"""What MinIO's metrics say of drives, nodes, erasure sets and replication, as checks. Pure."""

from __future__ import annotations

from twinwatch.monitors import Check
from twinwatch.monitors.minio.figures import Values, erasure_sets
from twinwatch.monitors.minio.names import STATE, TARGET

ALWAYS = ("drives", "nodes", "erasure")
LOOK = "see which, and why: mc admin info ALIAS"


def judged(values: Values) -> list[Check]:
    """``ALWAYS``, ``unknown`` where nothing was said; and ``replication`` where there is any."""
    drives, nodes = _count(values, "drive"), _count(values, "node")
    if drives is not None and (whole := values.get("drive.all", {}).get(())):
        # Version 3 keeps each page for a minute: the sets may know already what the count does not.
        there = min(drives[0], sum(values.get("set.online", {}).values()) or drives[0])
        drives = int(min(there, whole)), int(max(whole - there, drives[1]))
    return [
        _counted("drives", drives),
        _counted("nodes", nodes),
        _erasure(values, 0 if drives is None else drives[1]),
        *_replication(values),
    ]


def _count(values: Values, thing: str) -> tuple[int, int] | None:
    """How many are online, and offline."""
    series = values.get(f"minio.{thing}.count", {})
    return (int(series[((STATE, "online"),)]), int(series[((STATE, "offline"),)])) if series else None


def _counted(name: str, count: tuple[int, int] | None) -> Check:
    if count is None:
        return Check(name, "unknown", f"MinIO does not say how many {name} are online", "not-told")
    online, offline = count
    if not offline:
        return Check(name, "up")
    message = f"{offline} of {online + offline} {name} offline; {LOOK}"
    return Check(name, "degraded" if online else "down", message, "offline")


def _erasure(values: Values, lost: int) -> Check:
    """How near the worst set is to losing quorum; a set whose drives are all there is well, however small it is."""
    sets = erasure_sets(values)
    if not sets:
        return Check("erasure", "unknown", "MinIO does not say how its erasure sets are", "not-told")
    worst = sets[0]
    which = f"Erasure set {worst.number} of pool {worst.pool}"
    if worst.read < 0:
        return Check("erasure", "down", f"{which} has lost read quorum: its objects are out of reach; {LOOK}", "lost")
    if worst.write < 0:
        return Check("erasure", "down", f"{which} has lost write quorum: it takes no objects; {LOOK}", "read-only")
    if not lost or worst.write > 1:
        return Check("erasure", "up")
    if worst.write == 0:
        message = f"{which} may lose no further drive: one more, and it takes no objects; replace what is lost; {LOOK}"
        return Check("erasure", "down", message, "no-tolerance")
    message = f"{which} may lose one more drive and no other; replace what is lost; {LOOK}"
    return Check("erasure", "degraded", message, "one-left")


def _replication(values: Values) -> list[Check]:
    links = values.get("minio.replication.link", {})
    if not links:
        return []
    away = sorted(dict(labels)[TARGET] for labels, online in links.items() if not online)
    if not away:
        return [Check("replication", "up")]
    more = f" and {len(away) - 3} more" if len(away) > 3 else ""
    message = f"Replication cannot reach {', '.join(away[:3])}{more}; see: mc admin replicate status ALIAS"
    return [Check("replication", "degraded", message, "target-away")]
