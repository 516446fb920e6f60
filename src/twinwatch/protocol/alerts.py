"""Alerts on their way from the agent to the hub, and what the hub answers.

The agent numbers its events; the hub counts each number once, in order. Every event about an episode bears its key. The
hub may hear of an episode late, in the middle, or for the first time at its end.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Annotated, Literal

import msgspec

from twinwatch.protocol.rules import Order, Rule, Severity
from twinwatch.protocol.samples import Milliseconds

EVENTS = 200
"""Most events of one request."""
EVIDENCE_BYTES = 32 << 10
OPEN_ALERTS = 1_000
"""Most alerts of one server that are open at a time; what is beyond that is counted and not told."""

THE_WAY = ("twinwatch:hub", "twinwatch:internet")
"""Checks of an agent about the way between it and its hub. The hub keeps what was wrong with it and tells nobody: who
was to know was told by the agent."""

Number = Annotated[int, msgspec.Meta(ge=1, le=1 << 62)]
ToldState = Literal["trying", "delivered", "refused"]


class Told(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the agent itself said, or is about to say, on a channel."""

    channel: str
    """The hub's id of the channel; ``file:<name>`` for one that only the agent's file has."""
    at: Milliseconds
    state: ToldState
    reason: str = ""
    reference: str = ""
    """What the provider returned to continue the conversation."""
    occasion: Literal["firing", "resolved"] = "firing"


class Evidence(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was true at that moment, so that it outlives the host: titles, each with its lines."""

    at: Milliseconds
    parts: dict[str, list[str]] = {}


class AlertEvent(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something that happened to one episode."""

    number: Number
    key: str
    kind: Literal["fired", "yielded", "told", "settled", "resolved"]
    """``yielded``: the agent has the hub's answer and leaves it to the hub to tell. Until then the hub does not, since
    an agent that has no answer tells people itself."""
    at: Milliseconds
    """When the agent found out, by its clock."""
    rule: str
    thing: str
    episode: int
    severity: Severity
    since: Milliseconds
    """When it became true."""
    order: Order = ""
    title: str = ""
    message: str = ""
    labels: dict[str, str] = {}
    value: float | None = None
    unit: str = ""
    definition: Rule | None = None
    why: str = ""
    """Of ``resolved``: recovered, gone, changed or closed."""
    flapping: bool = False
    silenced: bool = False
    """Whether the agent knew of a silence."""
    told: tuple[Told, ...] = ()
    fence: int = 0
    """Who tells: the hub as long as it has given the highest one."""
    evidence: Evidence | None = None


class AlertEvents(msgspec.Struct, frozen=True, omit_defaults=True):
    """Events in order."""

    events: tuple[AlertEvent, ...] = ()
    more: bool = False
    """Whether others follow at once: what is fired here may be resolved there."""
    ask: tuple[str, ...] = ()
    """Keys of which an answer is wanted."""
    open: tuple[str, ...] | None = None
    """The keys of all that is open, where the hub asked for it: what else it has of this agent is over."""


class AlertAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the hub makes of one episode."""

    key: str
    accepted: bool = True
    """Whether the hub sees to it that people are told. False: the agent is to do what it can."""
    told: bool = False
    """Whether the hub has told somebody already, or nobody is to be told."""
    will_notify_by: int = 0
    """When the hub will have told, ms UTC by the hub's clock."""
    fence: int = 0
    closed: bool = False
    """Somebody resolved it by hand: it is to be open no more until it fires anew."""
    acknowledged: bool = False
    unknown: bool = False
    """The hub has never heard of it and needs its ``fired`` event."""
    on: tuple[str, ...] = ()
    """The channels on which the hub has told of it: there the end is its to tell as well."""


class AlertAnswers(msgspec.Struct, frozen=True, omit_defaults=True):
    """``mark`` is the highest number committed; an answer for each key that was spoken of."""

    mark: int
    answers: tuple[AlertAnswer, ...] = ()


def digest_of(keys: Iterable[str]) -> str:
    """Sixteen hex digits for a set of open alerts; empty for none. Both sides compare it at every heartbeat."""
    ordered = sorted(keys)
    return blake2b("\n".join(ordered).encode(), digest_size=8).hexdigest() if ordered else ""
