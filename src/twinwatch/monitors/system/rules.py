"""What alerts of the server itself unless somebody says otherwise: few rules, each one a reason to do something.

Bounds are where trouble is near on servers of any size, and held so long that a job which is meant to be heavy passes.
"""

from __future__ import annotations

from twinwatch.protocol.rules import Rule

_PLACE = "{system.filesystem.mountpoint}"

RULES: tuple[Rule, ...] = (
    Rule("check failed", severity="critical", check="*"),
    Rule("check degraded", check="*", states=("degraded",), hold="2m"),
    Rule(
        "disk full",
        severity="critical",
        metric="system.filesystem.utilization",
        above=0.97,
        above_clear=0.95,
        hold="1m",
        message=f"{_PLACE} is {{value}} full on {{server}}: programs fail once nothing is left. What takes the space "
        f"says: du -xh {_PLACE} | sort -h | tail",
    ),
    Rule(
        "disk almost full",
        metric="system.filesystem.utilization",
        above=0.9,
        above_clear=0.88,
        hold="10m",
        message=f"{_PLACE} is {{value}} full on {{server}}. What takes the space says: "
        f"du -xh {_PLACE} | sort -h | tail",
    ),
    Rule(
        "disk fills up",
        metric="system.filesystem.full_in",
        below=4 * 3600.0,
        below_clear=6 * 3600.0,
        hold="20m",
        message=f"{_PLACE} on {{server}} is full in {{value}} if it goes on as in the last hour.",
    ),
    Rule(
        "inodes almost used up",
        metric="system.filesystem.inodes.utilization",
        above=0.95,
        above_clear=0.93,
        hold="10m",
        message=f"{{value}} of the inodes of {_PLACE} on {{server}} are used: at 100 % no file can be made, however "
        "much space is free. Look for folders with very many small files.",
    ),
    Rule(
        "memory almost used up",
        metric="system.memory.utilization",
        above=0.95,
        above_clear=0.92,
        hold="5m",
        message="{value} of the memory of {server} is used and cannot be given back: soon the kernel kills a process. "
        "What holds it says: ps -eo pid,rss,comm --sort -rss | head",
    ),
    Rule(
        "memory too small",
        severity="critical",
        metric="system.pressure.stalled",
        labels={"system.pressure.resource": "memory", "system.pressure.stall_type": "full"},
        above=0.2,
        above_clear=0.05,
        hold="2m",
        message="{server} stood still for want of memory {value} of the time: it swaps or reads programs anew all the "
        "while. End what is too large, or give it more memory.",
    ),
    Rule(
        "swap almost used up",
        metric="system.paging.utilization",
        above=0.9,
        above_clear=0.8,
        hold="15m",
        message="{value} of the swap space of {server} is used.",
    ),
    Rule(
        "processors busy",
        metric="system.cpu.busy",
        above=0.95,
        above_clear=0.85,
        hold="30m",
        message="The processors of {server} have been {value} busy for more than half an hour. See: top",
    ),
    Rule(
        "disks too slow",
        metric="system.pressure.stalled",
        labels={"system.pressure.resource": "io", "system.pressure.stall_type": "full"},
        above=0.5,
        above_clear=0.3,
        hold="15m",
        message="Everything on {server} waited for its disks {value} of the time. What uses them says: iotop -oPa",
    ),
    Rule(
        "connection table full",
        severity="critical",
        metric="system.network.conntrack.utilization",
        above=0.9,
        above_clear=0.8,
        hold="1m",
        message="{value} of the table of tracked connections of {server} is used: at 100 % new ones are dropped. "
        "Raise net.netfilter.nf_conntrack_max, or find who opens so many.",
    ),
    Rule(
        "open files near the limit",
        metric="system.file_descriptor.utilization",
        above=0.9,
        above_clear=0.8,
        hold="5m",
        message="{value} of the open files that the kernel of {server} allows are in use: raise fs.file-max, or find "
        "who opens so many.",
    ),
    Rule(
        "threads near the limit",
        severity="critical",
        metric="system.thread.utilization",
        above=0.9,
        above_clear=0.8,
        hold="2m",
        message="{value} of the threads that the kernel of {server} allows exist: at 100 % nothing can be started.",
    ),
    Rule(
        "disk worn out",
        metric="system.disk.wear",
        above=0.9,
        hold="1h",
        message="A disk of {server} ({system.device}) has used {value} of what its maker grants: plan to replace it.",
    ),
)
