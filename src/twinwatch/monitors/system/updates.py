"""Updates that wait: for a person, or for a reboot."""

from __future__ import annotations

import re
from typing import ClassVar

from twinwatch.monitors import Check, Finding, Moment, Reading
from twinwatch.protocol.metrics import Chart, Headline, Metric
from twinwatch.world.host import Host, Missing, Refused

REBOOT = "/run/reboot-required"
PACKAGES = "/run/reboot-required.pkgs"
NOTICE = "/var/lib/update-notifier/updates-available"
NAMED = 5
COUNTS = (
    ("all", re.compile(r"^(\d{1,6}) (?:updates?|packages?) can be", re.MULTILINE)),
    (
        "security",
        re.compile(r"^(\d{1,6}) (?:of these )?updates? (?:is|are)(?: a)?(?: standard)? security", re.MULTILINE),
    ),
)


class Updates:
    """Whether installed updates need a reboot, and how many wait to be installed.

    Source: /run/reboot-required[.pkgs] (Debian and Ubuntu: update-notifier, unattended-upgrades),
    /var/lib/update-notifier/updates-available (Ubuntu). On other systems there is nothing of the kind to read.
    Cost: a look at two files.
    Rights: none.
    """

    name: ClassVar[str] = "updates"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("system.updates.pending", "{package}", "Packages with an update that is not installed.", good="low"),
    )
    charts: ClassVar[tuple[Chart, ...]] = (
        Chart("Updates not installed", ("system.updates.pending",), by=("system.updates.kind",)),
    )
    headlines: ClassVar[tuple[Headline, ...]] = ()

    async def read(self, host: Host, moment: Moment) -> list[Finding]:
        """One run."""
        if not host.exists("/run"):
            raise Missing("/run")
        found: list[Finding] = []
        notice = _text(host, NOTICE)
        for kind, count in COUNTS:
            if match := count.search(notice):
                found.append(Reading("system.updates.pending", int(match[1]), {"system.updates.kind": kind}))
        if not host.exists(REBOOT):
            return [*found, Check("reboot", "up")]
        names = [word for word in _text(host, PACKAGES).split() if word.isprintable()][:NAMED]
        why = f" ({', '.join(dict.fromkeys(names))})"[:200] if names else ""
        message = f"Installed updates take effect only after a reboot{why}"
        return [*found, Check("reboot", "degraded", message, "reboot-required")]


def _text(host: Host, path: str) -> str:
    try:
        return host.read_text(path)
    except (Missing, Refused):
        return ""
