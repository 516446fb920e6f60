"""What an alert is about, and the one name that both sides have for one firing of it."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b

THING_CHARACTERS = 300
HEARTBEAT = "heartbeat"
"""The thing of alerts about a server that is silent."""


def series_thing(metric: str, labels: Mapping[str, str]) -> str:
    """A series as a thing: ``system.filesystem.utilization{system.filesystem.mountpoint=/var}``, labels sorted."""
    inside = ",".join(f"{name}={labels[name]}" for name in sorted(labels))
    return bounded(f"{metric}{{{inside}}}" if inside else metric)


def bounded(thing: str) -> str:
    """The thing, cut where it is too long, with a digest of the whole so that two stay two."""
    if len(thing) <= THING_CHARACTERS:
        return thing
    digest = blake2b(thing.encode(errors="replace"), digest_size=8).hexdigest()
    return f"{thing[: THING_CHARACTERS - 17]}…{digest}"


def key_of(owner: str, rule: str, thing: str, episode: int) -> str:
    """32 hex digits for one firing: of the owner (a server's uuid, or an organization's), the rule and the thing."""
    content = "\0".join((owner, rule, thing, str(episode)))
    return blake2b(content.encode(errors="replace"), digest_size=16).hexdigest()
