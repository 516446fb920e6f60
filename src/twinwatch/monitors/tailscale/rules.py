"""What of Tailscale alerts by default."""

from __future__ import annotations

from twinwatch.monitors.tailscale.own import KEY
from twinwatch.protocol.rules import Rule

DAY_SECONDS = 86_400.0

RULES = (
    Rule("not in the tailnet", "critical", check="connection", hold="1m", message="Tailscale on {server}: {message}"),
    Rule("control connection lost", check="control", hold="3m", message="Tailscale on {server}: {message}"),
    Rule(
        "warnings",
        check="health",
        states=("degraded",),
        hold="5m",
        clear_hold="2m",
        message="Tailscale on {server} warns: {message}",
    ),
    Rule("key expires soon", check="key", states=("degraded",), message="Tailscale on {server}: {message}"),
    Rule(
        "key expires now",
        "critical",
        metric=KEY,
        below=3 * DAY_SECONDS,
        message="The node key of {server} expires in {value}, and the server leaves the tailnet then: "
        "tailscale up --force-reauth, or disable its expiry in the admin console",
    ),
    Rule("security update", check="version", states=("degraded",), message="{server}: {message}"),
    Rule("routes not approved", check="routes", states=("degraded",), hold="5m", message="{server}: {message}"),
    Rule("exit node offline", "critical", check="exit-node", hold="2m", message="Tailscale on {server}: {message}"),
    Rule("peer lost", "critical", check="peer:*", hold="2m", message="Seen from {server}: {message}"),
    Rule(
        "peer ails",
        check="peer:*",
        states=("degraded",),
        hold="10m",
        clear_hold="5m",
        message="From {server}: {message}",
    ),
)
