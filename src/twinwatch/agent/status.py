"""How the running agent stands, in one piece: what the local page shows and ``twinwatch agent status`` prints.

It is JSON at ``GET /api/v1/status`` on the agent's unix socket and its local address. Nothing secret is in it.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from twinwatch.agent.alerting.standing import AlertingStatus
from twinwatch.protocol.checks import CheckStanding, ConfigurationStanding, MonitorStanding
from twinwatch.protocol.heartbeat import Delivery
from twinwatch.protocol.samples import Milliseconds

SOCKET_FILE = "agent.sock"
"""Below the state directory; mode 0600."""

LinkState = Literal["none", "new", "up", "away", "refused"]


class LinkStatus(msgspec.Struct, frozen=True):
    """The line to the hub. ``none``: no hub is configured; ``new``: nothing was heard yet."""

    state: LinkState = "none"
    hub: str = ""
    since: Milliseconds = 0
    error: str = ""
    """Why it is not up; empty while it is."""
    clock_ahead_seconds: float | None = None
    """How far this machine's clock is ahead of the hub's; negative if behind; None while unknown."""
    control: bool = False
    """Whether the control connection is open."""


class BufferStatus(msgspec.Struct, frozen=True):
    """The file that keeps the last 24 hours."""

    path: str = ""
    size_bytes: int = 0
    most_bytes: int = 0
    """Its cap; 0: none."""
    trouble: str = ""
    """Why ticks are kept in memory only; empty while all is well."""


class Status(msgspec.Struct, frozen=True):
    """Everything at one moment (``time``, ms UTC). Monitors and checks are sorted by name."""

    version: str
    server_name: str
    time: Milliseconds
    uptime_seconds: float
    pid: int
    server_uuid: str = ""
    """Who it is to the hub; empty until registered."""
    link: LinkStatus = LinkStatus()
    delivery: Delivery = Delivery(0, 0, 0, 0)
    buffer: BufferStatus = BufferStatus()
    monitors: tuple[MonitorStanding, ...] = ()
    checks: tuple[CheckStanding, ...] = ()
    configuration: ConfigurationStanding = ConfigurationStanding()
    alerting: AlertingStatus = AlertingStatus()

    @property
    def well(self) -> bool:
        """Whether nothing is down, failing, refused or lost: exit code 0 of ``twinwatch agent status``.

        A hub that is away is no failure of the agent: what it keeps is delivered later.
        """
        return (
            all(check.state in ("up", "unknown") for check in self.checks)
            and all(monitor.state != "failing" for monitor in self.monitors)
            and self.link.state != "refused"
            and not self.buffer.trouble
            and not self.configuration.problems
        )
