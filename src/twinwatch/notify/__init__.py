"""What a channel is: where a notification goes. One file each: it declares its settings, turns a note into a payload
and sends it once.

A channel touches only the doors (``Outside``) handed to it and never tries again by itself: retries are the outbox's
and the teller's. Importing it has no side effect: it is found by ``discover``. A library that it alone needs is
imported within its methods.

Invariants: text of others stays text (no markup, no mention, no header comes of it); what is too long is cut with "…";
no secret of the settings stands in a reason, a payload's repr or a log; redirects are not followed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol, TypeAlias

import msgspec

from twinwatch.protocol.rules import Severity
from twinwatch.world.doors import Outside
from twinwatch.world.forms import SecretText as SecretText

Occasion = Literal[
    "firing", "worse", "resolved", "repeat", "escalation", "flapping", "settled", "acknowledged", "test", "drill"
]
"""Why a note is sent: a first message; graver than before; well again; still open and nobody has acknowledged; the same
to the next in line; keeps coming and going; has come to rest and is bad; somebody has taken it on; a person pressed the
button; a rehearsal of the whole way."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person sets on a channel: a subclass per channel. Each field is ``Annotated[type, Meta(title=…,
    description=…)]``, where forms and docs come from; credentials are ``SecretText``."""


@dataclass(frozen=True, slots=True)
class Subject:
    """One alert, as people are told of it. Times are ms UTC."""

    key: str
    """The episode's: the same on every side, in every message about it."""
    server: str
    """Name of the server, or of what else it is about."""
    title: str
    """What is wrong in a few words: ``nginx.service failed``."""
    message: str
    """The whole sentence, with what to do."""
    severity: Severity
    since: int
    """When it became true."""
    occasion: Occasion = "firing"
    resolved_at: int | None = None
    cause: str = ""
    """What it was, once that is known: ``unclean reboot or power loss``."""
    by: str = ""
    """Who acknowledged it, or resolved it by hand."""
    facts: tuple[tuple[str, str], ...] = ()
    """Names and values worth a line each: value, threshold, labels, verdict."""
    evidence: tuple[str, ...] = ()
    """Lines of what was true at that moment; a channel with little room leaves them out."""
    url: str = ""
    """Where to see it; empty without a hub."""
    acknowledge_url: str = ""
    """Opens a page with a button; opening alone does nothing."""


@dataclass(frozen=True, slots=True)
class Note:
    """One message to one channel about one alert, or about several at once: the first cause first."""

    id: str
    """The same for every try of the same message: what a provider that knows duplicates is given."""
    occasion: Occasion
    subjects: tuple[Subject, ...]
    now: int
    """When it is said, ms UTC: of a later try the time of that."""
    teller: Literal["agent", "hub"]
    thread: str
    """Names the conversation that it belongs to: the key of its first subject."""
    first: bool = True
    """Whether nothing was said in this conversation on this channel before."""
    reference: str = ""
    """What the channel returned as ``Delivered.reference`` when the conversation began; empty: that is not known."""
    sender: str = ""
    """Of an agent that tells: the name of its server; empty: it is that of the first subject."""
    organization: str = ""
    link: str = ""
    """Where all open alerts are seen."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """The provider has accepted it. ``reference`` is what later messages of the conversation need; ``warning`` what a
    person should know all the same, such as a recipient among others who was refused."""

    reference: str = ""
    warning: str = ""


@dataclass(frozen=True, slots=True)
class Retry:
    """Not now: no answer, too many, a failure of theirs. ``after_seconds`` is what they asked for."""

    reason: str
    after_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """It will not be taken this way, now or later: a person has to change something. The reason says what."""

    reason: str


Outcome: TypeAlias = Delivered | Retry | Refused


class Channel(Protocol):
    """A kind of channel: ``kind(settings)`` is one."""

    name: ClassVar[str]
    """The kind in configurations: ``slack``."""
    title: ClassVar[str]
    Settings: ClassVar[type[Settings]]
    gap_seconds: ClassVar[float]
    """Between two messages to one such channel: what comes meanwhile goes together in the next."""
    deadline_seconds: ClassVar[float]
    extra: ClassVar[str]
    """The extra of pip that it needs; empty: none."""
    hears_acknowledgements: ClassVar[bool]
    """Whether it is told that somebody has taken an alert on. Where that would be one more message, it is not."""

    def __init__(self, settings: Any) -> None: ...

    def render(self, note: Note) -> Any:
        """What is sent. Pure."""
        ...

    async def send(self, note: Note, outside: Outside) -> Outcome:
        """Send it once. Raises nothing but what is a defect."""
        ...

    def reaches(self) -> str:
        """Whom or what it reaches, for people, without a secret: ``ops@example.org``."""
        ...


@dataclass(frozen=True, slots=True)
class Chosen:
    """A channel with a name, as a policy speaks of it."""

    id: str
    name: str
    channel: Channel = field(repr=False)
