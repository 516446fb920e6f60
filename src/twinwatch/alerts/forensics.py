"""Why a server was silent: before it is back, what is likely; once it is, what its own facts say. Pure.

Only what is known is said. A fact that is missing makes the answer weaker, never wrong.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from twinwatch.alerts.liveness import Signs
from twinwatch.protocol.life import Life

Cause = Literal[
    "agent-crashed",
    "agent-restarted",
    "planned-reboot",
    "unclean-reboot",
    "network-lost",
    "host-frozen",
    "unknown",
]

CAUSES: dict[Cause, str] = {
    "agent-crashed": "the agent crashed or was killed; the server ran on",
    "agent-restarted": "the agent was stopped and started again; the server ran on",
    "planned-reboot": "planned reboot",
    "unclean-reboot": "reboot without a clean shutdown, or power loss",
    "network-lost": "the network was lost; server and agent ran on",
    "host-frozen": "the host was frozen or asleep",
    "unknown": "cause unknown",
}

SLACK_MILLISECONDS = 15_000
RAN_ON_MILLISECONDS = 90_000
"""Who lived so much longer than it was heard ran on unheard: between two heartbeats lies a minute."""
FROZEN_SHARE = 0.5
"""A host whose clocks lost more than this share of the silence was frozen for it."""
LONGER_MILLISECONDS = 120_000
"""So much longer than the silence a gap may be; beyond that it was a clock that was set."""


class Outside(NamedTuple):
    """What is seen of a silent server from elsewhere. None: nobody looked."""

    probes_up: int = 0
    probes_down: int = 0
    witnesses_up: int = 0
    witnesses_down: int = 0
    peers_online: bool | None = None
    """What others see in their Tailscale peer list."""


class Verdict(NamedTuple):
    """What is likely, in a sentence, and the evidence for it, a line each."""

    words: str
    evidence: tuple[str, ...]


def cause_of(life: Life | None, silent_from: int, silent_to: int, ahead: int = 0) -> Cause:
    """Why it was silent from its last sign of life to its return, ms UTC.

    ``ahead``: how far the clock by which the life was written down is ahead of the one that heard the silence, ms.
    """
    if life is None or not life.started_at:
        return "unknown"
    silent_from, silent_to = silent_from + ahead, silent_to + ahead
    previous = life.previous
    if life.started_at <= silent_from + SLACK_MILLISECONDS:
        # The agent that came back is the one that fell silent.
        silent, gap = silent_to - silent_from, life.longest_gap_seconds * 1000
        if silent * FROZEN_SHARE <= gap <= silent + LONGER_MILLISECONDS:
            return "host-frozen"
        return "network-lost"
    if previous is None or not previous.boot_id or not life.boot_id:
        rebooted = life.booted_at > silent_from
    else:
        rebooted = previous.boot_id != life.boot_id
    clean = previous is not None and previous.clean
    if rebooted:
        return "planned-reboot" if clean else "unclean-reboot"
    if previous is not None and previous.last_at > silent_from + RAN_ON_MILLISECONDS:
        # It ran on unheard, and was started anew before the line came back.
        return "network-lost"
    return "agent-restarted" if clean else "agent-crashed"


def verdict_of(signs: Signs, outside: Outside) -> Verdict:
    """What is likely while it is silent."""
    evidence = []
    if signs.control_lost_at:
        evidence.append(
            "control connection: closed without a goodbye" if not signs.leaving else "control connection: closed"
        )
    if outside.probes_up or outside.probes_down:
        evidence.append(f"probes from the hub: {outside.probes_down} fail, {outside.probes_up} succeed")
    if outside.witnesses_up or outside.witnesses_down:
        evidence.append(f"seen by other agents: {outside.witnesses_down} cannot reach it, {outside.witnesses_up} can")
    if outside.peers_online is not None:
        evidence.append(f"Tailscale peers see it {'online' if outside.peers_online else 'offline'}")
    reachable = bool(outside.probes_up or outside.witnesses_up or outside.peers_online)
    unreachable = bool(outside.probes_down or outside.witnesses_down or outside.peers_online is False)
    if signs.leaving == "shutdown":
        words = "it said that it shuts down"
    elif signs.leaving == "reboot":
        words = "it said that it reboots, and has not come back"
    elif signs.leaving == "stop":
        words = "its agent was stopped, and said so"
    elif reachable and not unreachable:
        words = "it answers others: its agent has crashed, or only its way to the hub is cut"
    elif reachable:
        words = "some of it answers: it may be cut off in part"
    elif unreachable:
        words = "nobody reaches it: the server or its network is down"
    else:
        words = "the server, its network or its agent is down; nothing else looks at it"
    return Verdict(words, tuple(evidence))
