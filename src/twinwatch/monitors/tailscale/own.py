"""How this server stands in its tailnet: state, control connection, warnings, version, key, routes, exit node. Pure."""

from __future__ import annotations

from twinwatch.monitors import Check, Finding, Moment, Reading
from twinwatch.monitors.tailscale.status import Fields, fields_in, instant, text, texts
from twinwatch.protocol.durations import Duration
from twinwatch.protocol.metrics import Metric

SETTLING = {"NoState", "Starting"}
REMEDIES = {
    "NeedsLogin": "log in with: tailscale up",
    "NeedsMachineAuth": "an admin has to approve this machine in the admin console",
    "Stopped": "start it with: tailscale up",
    "NoState": "see: journalctl -u tailscaled -n 20",
    "Starting": "see: journalctl -u tailscaled -n 20",
    "InUseOtherUser": "another user of this machine is logged in",
}
RENEW = "renew it with: tailscale up --force-reauth"
PASSING = ("Tailscale is starting",)
"""Warnings that mean nothing yet."""
ELSEWHERE = ("An update from", "A security update from")
"""What the check of the version tells."""
CONTROL_LOST = "Unable to connect to the Tailscale coordination server"
"""What the check of the control connection tells."""
SECURITY_UPDATE = "A security update from"
WARNINGS = 3
EXIT_ROUTES = {"0.0.0.0/0", "::/0"}
"""Advertised by an exit node, and approved like any other route."""
ROUTES_SHOWN = 5

CONNECTED, CONTROL, WARNED = "tailscale.connected", "tailscale.control.connected", "tailscale.health.messages"
KEY, ADVERTISED, APPROVED = "tailscale.key.expires_in", "tailscale.routes.advertised", "tailscale.routes.approved"

METRICS = (
    Metric(CONNECTED, "1", "Whether this server is in its tailnet: 1 it is, 0 it is not.", good="high"),
    Metric(CONTROL, "1", "Whether tailscaled is connected to the control server.", good="high"),
    Metric(WARNED, "{message}", "Warnings of tailscaled about itself.", good="low"),
    Metric(KEY, "s", "Time until this server's node key expires.", good="high"),
    Metric(ADVERTISED, "{route}", "Routes that this server offers to the tailnet."),
    Metric(APPROVED, "{route}", "Routes of those that an admin has approved."),
)
CHECKS = ("control", "health", "key", "version", "routes", "exit-node")
"""Those that cannot be judged while tailscaled does not run."""


def findings(status: Fields, prefs: Fields, moment: Moment, key_expires_within: Duration) -> list[Finding]:
    """All of it. What tailscaled says nothing of is left out."""
    state = text(status, "BackendState") or "NoState"
    connected = state == "Running"
    own = fields_in(status, "Self")
    control = own.get("Online")
    found: list[Finding] = [Reading(CONNECTED, int(connected)), _connection(state, own)]
    if connected and isinstance(control, bool):
        found += [Reading(CONTROL, int(control)), _control(control)]
    elif not connected:
        found.append(Check("control", "unknown", "Not known: this server is not in the tailnet", "not-connected"))
    found += _health(status, connected=connected, control=control is not False)
    found += _key(own, moment, key_expires_within)
    found += _version(status)
    if connected:
        found += _routes(own, prefs)
        found += _exit_node(status)
    return found


def _connection(state: str, own: Fields) -> Check:
    if state == "Running":
        return Check("connection", "up")
    if state == "NeedsLogin" and own.get("Expired") is True:
        return Check("connection", "down", f"Not in the tailnet: the node key has expired; {RENEW}", "key-expired")
    message = f"Not in the tailnet (state {state[:40]}); {REMEDIES.get(state, 'see: tailscale status')}"
    return Check("connection", "degraded" if state in SETTLING else "down", message, _slug(state))


def _control(connected: bool) -> Check:
    if connected:
        return Check("control", "up")
    message = (
        "tailscaled has no connection to the control server: peers stay reachable for now, changes and new keys do "
        "not arrive; see whether this server reaches it: tailscale netcheck"
    )
    return Check("control", "down", message, "no-control")


def _health(status: Fields, *, connected: bool, control: bool) -> list[Finding]:
    said = [line for line in texts(status, "Health") if not line.startswith((*PASSING, *ELSEWHERE))]
    found: list[Finding] = [Reading(WARNED, len(said))]
    if not connected:
        return [*found, Check("health", "unknown", "Not known: this server is not in the tailnet", "not-connected")]
    told = said if control else [line for line in said if not line.startswith(CONTROL_LOST)]
    if not told:
        return [*found, Check("health", "up")]
    more = f"; and {len(told) - WARNINGS} more" if len(told) > WARNINGS else ""
    return [*found, Check("health", "degraded", "; ".join(told[:WARNINGS]) + more, "warnings")]


def _key(own: Fields, moment: Moment, within: Duration) -> list[Finding]:
    if own.get("Expired") is True:
        message = f"The node key has expired, this server has left the tailnet: {RENEW}"
        return [Reading(KEY, 0), Check("key", "down", message, "expired")]
    expiry = instant(own, "KeyExpiry")
    if expiry is None:
        return []  # a key that never expires has no such field
    left = max(expiry - moment.time / 1000, 0.0)
    found: list[Finding] = [Reading(KEY, round(left))]
    if left > within:
        return [*found, Check("key", "up")]
    if not left:
        return [*found, Check("key", "down", f"The node key has expired: {RENEW}", "expired")]
    return [*found, Check("key", "degraded", f"The node key expires in {lasting_still(left)}: {RENEW}", "expires-soon")]


def _version(status: Fields) -> list[Finding]:
    known = fields_in(status, "ClientVersion")
    version, latest = text(status, "Version").partition("-")[0][:40], text(known, "LatestVersion")[:40]
    security = any(line.startswith(SECURITY_UPDATE) for line in texts(status, "Health"))
    if known.get("UrgentSecurityUpdate") is True or security:
        to = f" to {latest}" if latest else ""
        message = f"There is a security update: bring Tailscale {version} up{to} with: tailscale update"
        return [Check("version", "degraded", message, "security-update")]
    if not known:
        return []  # this control server does not say which version is the latest
    if known.get("RunningLatest") is True or not latest or latest == version:
        return [Check("version", "up")]
    return [Check("version", "up", f"Tailscale {version}; {latest} is there", "update-available")]


def _routes(own: Fields, prefs: Fields) -> list[Finding]:
    if not prefs:
        return []
    advertised = list(dict.fromkeys(texts(prefs, "AdvertiseRoutes")))
    allowed = {*texts(own, "AllowedIPs"), *texts(own, "PrimaryRoutes")}
    missing = [route for route in advertised if route not in allowed]
    if set(missing) >= EXIT_ROUTES:
        missing = ["exit node", *(route for route in missing if route not in EXIT_ROUTES)]
    unapproved = len([route for route in advertised if route not in allowed])
    found: list[Finding] = [
        Reading(ADVERTISED, len(advertised)),
        Reading(APPROVED, len(advertised) - unapproved),
    ]
    if not advertised:
        return found
    if not missing:
        return [*found, Check("routes", "up")]
    more = f" and {len(missing) - ROUTES_SHOWN} more" if len(missing) > ROUTES_SHOWN else ""
    named = ", ".join(route[:60] for route in missing[:ROUTES_SHOWN]) + more
    message = f"Advertised, but not approved: {named}; approve them in the admin console, or stop advertising them"
    return [*found, Check("routes", "degraded", message, "not-approved")]


def _exit_node(status: Fields) -> list[Finding]:
    node = fields_in(status, "ExitNodeStatus")
    if not node:
        return []
    if node.get("Online") is False:
        message = (
            "The exit node is offline: what goes through it is lost; bring it back, or: tailscale set --exit-node="
        )
        return [Check("exit-node", "down", message, "offline")]
    return [Check("exit-node", "up")]


def lasting_still(seconds: float) -> str:
    """A time that is left, for people."""
    return f"{seconds / 86_400:.1f} days" if seconds >= 86_400 else f"{seconds / 3600:.1f} hours"


def _slug(state: str) -> str:
    words = "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in state if letter.isascii())
    return "".join(letter for letter in words if letter.isalnum() or letter == "-").strip("-")[:40]
