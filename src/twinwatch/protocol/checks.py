"""Checks on the wire: named states on a server, and the agent's report of all of them.

A report is the whole truth each time, never a difference: sent when something in it changes and whenever the hub's
answer to a heartbeat names another digest. One that is lost, late or sent twice does no harm.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Literal

import msgspec

from twinwatch.protocol.samples import Milliseconds

CheckState = Literal["up", "degraded", "down", "unknown"]
MonitorState = Literal["new", "ok", "absent", "failing"]
Origin = Literal["default", "file", "hub"]


class CheckStanding(msgspec.Struct, frozen=True, omit_defaults=True):
    """One check as it stands. ``name`` is unique on the server and begins with the monitor's (``systemd:ssh.service``).

    ``unknown`` says that it could not be judged: neither ok nor failed.
    """

    name: str
    monitor: str
    state: CheckState
    message: str = ""
    """For people: what is wrong, in a sentence."""
    reason: str = ""
    """For programs: a slug such as ``start-limit-hit``; empty while the state is ``up``."""
    since: Milliseconds = 0
    """When it took on this state and reason, ms UTC, by the agent's clock."""


class MonitorStanding(msgspec.Struct, frozen=True, omit_defaults=True):
    """One configured monitor as the agent runs it."""

    name: str
    type: str
    origin: Origin
    state: MonitorState
    reason: str = ""
    """Why it is absent or failing; empty otherwise."""
    interval_seconds: float = 0.0
    since: Milliseconds = 0


class ConfigurationStanding(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of the configuration that the agent was given."""

    version: int = 0
    """The hub's version in force; 0: none."""
    refused: int = 0
    """A newer version of the hub's that could not be taken; 0: none."""
    problems: tuple[str, ...] = ()
    """What is wrong with the hub's version or the file, for people, with place, expectation and remedy."""


class Report(msgspec.Struct, frozen=True, omit_defaults=True):
    """How the agent's monitors, checks and configuration stand."""

    monitors: tuple[MonitorStanding, ...] = ()
    checks: tuple[CheckStanding, ...] = ()
    configuration: ConfigurationStanding = ConfigurationStanding()
    digest: str = ""
    """What the sender calls this content; the hub repeats it in its heartbeat answers."""

    def fingerprint(self) -> str:
        """Sixteen hex digits that change when anything in the report does, the digest excepted."""
        content = msgspec.msgpack.encode(msgspec.structs.replace(self, digest=""), order="deterministic")
        return blake2b(content, digest_size=8).hexdigest()
