"""One alert as the agent knows it: what is wrong, who is to tell it, and what was said on each channel."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from twinwatch.alerts.tellers import TRY_MILLISECONDS
from twinwatch.protocol.alerts import AlertEvent, Evidence, Told
from twinwatch.protocol.rules import Rule

Stance = Literal["mine", "asked", "hub", "theirs", "held", "nobody"]
"""Who is to tell now. ``mine``: the agent, as its tellings have it; ``asked``: the hub was asked, and has until then to
answer; ``hub``: it has accepted, and until then to tell; ``theirs``: it has told, or nobody is to be told; ``held``: a
silence or quiet hours, until then; ``nobody``: there is no channel here."""
Said = Literal["firing", "flapping", "settled", "resolved"]
TellingState = Literal["waiting", "trying", "delivered", "refused", "dropped"]

FILE = "file:"
"""How the channels begin that only the agent's file has."""
RETRY_MILLISECONDS = TRY_MILLISECONDS - 5_000
"""So long after a first try the agent tries again by itself; later the hub may have told instead."""


class Telling(msgspec.Struct, omit_defaults=True):
    """One message on one channel about one alert. Times are ms UTC."""

    channel: str
    occasion: Said = "firing"
    state: TellingState = "trying"
    """``trying``: it is under way, or was when the agent ended."""
    began: int = 0
    """When it was first to be said."""
    due: int = 0
    at: int = 0
    """When it came to its end."""
    attempts: int = 0
    reason: str = ""
    reference: str = ""
    note: str = ""
    """The id of the message that it went in: the same when that is tried again."""
    doubtful: bool = False
    """Whether a try may have arrived for all that is known."""

    @property
    def over(self) -> bool:
        """Whether nothing more comes of it."""
        return self.state in ("delivered", "refused", "dropped")

    @property
    def was_heard(self) -> bool:
        """Whether somebody may have heard it."""
        return self.state == "delivered" or self.doubtful

    @property
    def may_be_theirs(self) -> bool:
        """Whether the hub may tell it too."""
        return self.occasion in ("firing", "flapping") and not self.channel.startswith(FILE)

    def is_late(self, now: int) -> bool:
        """Whether the hub may have told it by now, taking the agent's try for lost."""
        return self.began + RETRY_MILLISECONDS < now and self.may_be_theirs

    def drop(self, reason: str) -> None:
        """Nothing comes of it."""
        self.state, self.reason = "dropped", reason[:500]


class Alert(msgspec.Struct, omit_defaults=True):
    """One firing of one rule on one thing. It is ``over`` once it is resolved and everybody knows who is to."""

    rule: Rule
    thing: str
    episode: int
    since: int
    at: int
    title: str
    message: str
    labels: dict[str, str] = {}
    value: float | None = None
    unit: str = ""
    flapping: bool = False
    stance: Stance = "mine"
    until: int = 0
    """When the stance is to be looked at again; 0: never by itself."""
    asks: int = 0
    """How often the hub was asked since it accepted."""
    fence: int = 0
    known: bool = False
    """Whether the hub has answered for it."""
    silenced: bool = False
    resolved_at: int = 0
    why: str = ""
    closed: bool = False
    """Somebody resolved it by hand while it was still so: it is nobody's matter until it fires anew."""
    thread: str = ""
    evidence: tuple[str, ...] = ()
    tellings: list[Telling] = []

    @property
    def place(self) -> tuple[str, str]:
        """Which of all things judged it is about."""
        return self.rule.name, self.thing

    @property
    def open(self) -> bool:
        """Whether it goes on and is somebody's matter."""
        return not self.resolved_at and not self.closed

    @property
    def over(self) -> bool:
        """Whether there is nothing left to do."""
        return bool(self.resolved_at) and all(telling.over for telling in self.tellings)

    @property
    def leaves_at(self) -> int:
        """When what could not be said is left to the hub for the first time, ms UTC; 0: never by itself. Sooner than
        it is due again: that may be long after the hub has told, when nobody is there to say so."""
        if self.stance != "mine" or not self.known or self.asks:
            return 0
        began = [one.began for one in self.tellings if one.state == "waiting" and one.attempts and one.may_be_theirs]
        return min(began, default=-RETRY_MILLISECONDS - 1) + RETRY_MILLISECONDS + 1

    def stand(self, stance: Stance, until: int) -> None:
        """Who is to tell from now on, and until when where that has an end."""
        self.stance, self.until = stance, until if stance in ("asked", "hub", "held") else 0

    def tell(self, channels: Iterable[str], now: int) -> list[Telling]:
        """Say that it began on those of these channels on which that was not to be said so far; the result is what
        there is to say of it."""
        known = {one.channel for one in self.tellings if one.occasion in ("firing", "flapping")}
        occasion: Said = "flapping" if self.flapping else "firing"
        fresh = [Telling(name, occasion, began=now, due=now) for name in channels if name not in known]
        self.tellings = [*self.tellings, *fresh]
        return fresh

    def follow(self, occasion: Said, now: int) -> None:
        """Say it to everybody who may have heard that it began, once."""
        began = [one for one in self.tellings if one.occasion in ("firing", "flapping") and one.was_heard]
        said = {one.channel for one in self.tellings if one.occasion == occasion}
        fresh = [one.channel for one in began if one.channel not in said and one.state != "trying"]
        self.tellings = [
            *self.tellings,
            *(Telling(name, occasion, began=now, due=now) for name in dict.fromkeys(fresh)),
        ]

    def is_left(self, telling: Telling) -> bool:
        """Whether the hub was asked to say it, and has not answered that it did or does not."""
        return self.stance == "hub" and telling.may_be_theirs

    def leave(self, telling: Telling) -> None:
        """The hub has told. The end is the hub's to tell as well, whether or not a try of ours has arrived."""
        telling.drop("the hub has told")
        telling.doubtful = False

    def outlive(self, telling: Telling) -> None:
        """It was not said in time. Whoever may have heard it all the same is told of the end."""
        telling.drop(f"over before it was told: {telling.reason}")
        if telling.doubtful and self.resolved_at:
            self.follow("resolved", self.resolved_at)


def told_of(telling: Telling, now: int) -> Told:
    """What the hub is told of it."""
    ended = telling.state in ("delivered", "refused")
    return Told(
        channel=telling.channel,
        at=telling.at or now,
        state="delivered" if telling.state == "delivered" else "refused" if ended else "trying",
        reason=telling.reason[:500] if ended else "",
        reference=telling.reference[:500],
        occasion="resolved" if telling.occasion == "resolved" else "firing",
    )


def event_of(
    alert: Alert,
    kind: Literal["fired", "yielded", "told", "settled", "resolved"],
    at: int,
    *,
    told: Iterable[Told] = (),
    evidence: Evidence | None = None,
) -> AlertEvent:
    """An event about it; number and key are for whoever sends it."""
    whole = kind in ("fired", "resolved")  # the hub may hear of it for the first time at its end
    return AlertEvent(
        number=1,
        key="",
        kind=kind,
        at=at,
        rule=alert.rule.name,
        thing=alert.thing,
        episode=alert.episode,
        severity=alert.rule.severity,
        since=alert.since,
        order=alert.rule.order,
        title=alert.title,
        message=alert.message if whole else "",
        labels=alert.labels if whole else {},
        value=alert.value if whole else None,
        unit=alert.unit if whole else "",
        definition=alert.rule if whole else None,
        why=alert.why if kind == "resolved" else "",
        flapping=alert.flapping,
        silenced=alert.silenced,
        told=tuple(told),
        fence=alert.fence,
        evidence=evidence,
    )
