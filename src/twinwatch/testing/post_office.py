"""Channels of paper: what a hub or an agent says is kept, with when and to whom, and outcomes are scripted.

``PostOffice.kinds()`` has the kinds that policies speak of (email, slack, sms …), all alike: their one setting is whom
they reach, and a token that must stay secret.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, NamedTuple

import msgspec

from twinwatch.notify import Delivered, Note, Outcome, SecretText, Settings, Subject
from twinwatch.world.clock import Clock
from twinwatch.world.doors import Outside
from twinwatch.world.secret import Secret

NAMES = ("email", "slack", "sms", "webhook")


class Said(NamedTuple):
    """One message that arrived. ``at`` is ms UTC."""

    at: int
    kind: str
    to: str
    note: Note

    @property
    def teller(self) -> str:
        """Who said it."""
        return self.note.teller

    @property
    def occasion(self) -> str:
        """Why."""
        return self.note.occasion


class PaperSettings(Settings, frozen=True, kw_only=True):
    """Whom it reaches."""

    to: Annotated[str, msgspec.Meta(title="To", max_length=100)] = ""
    recipients: Annotated[tuple[str, ...], msgspec.Meta(title="Recipients", max_length=1)] = ()
    """As mail has it: what an organization begins with is mail to its owner."""
    token: Annotated[SecretText, msgspec.Meta(title="Token")] = Secret("")


class PostOffice:
    """Everything that was said. ``fails`` decides what becomes of a message before it arrives: None lets it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.said: list[Said] = []
        self.tried: list[Said] = []
        self.fails: Callable[[str, str, Note], Outcome | None] = lambda kind, to, note: None
        self.delay_seconds = 0.0

    def kinds(self) -> dict[str, type[Any]]:
        """A kind of channel for each name."""
        return {name: self._kind(name) for name in NAMES}

    def heard(self, to: str, *occasions: str) -> list[Said]:
        """What one of them has heard, in order; of these occasions only, if any is named."""
        return [one for one in self.said if one.to == to and (not occasions or one.occasion in occasions)]

    def subjects(self, to: str) -> list[tuple[str, Subject]]:
        """Every alert that one of them was told of, with the occasion, in order."""
        return [(subject.occasion, subject) for one in self.heard(to) for subject in one.note.subjects]

    def _kind(self, kind: str) -> type[Any]:
        office = self

        class Paper:
            """A channel of paper."""

            name: ClassVar[str] = kind
            title: ClassVar[str] = kind.capitalize()
            Settings: ClassVar[type[Settings]] = PaperSettings
            gap_seconds: ClassVar[float] = 10.0
            deadline_seconds: ClassVar[float] = 15.0
            extra: ClassVar[str] = ""
            hears_acknowledgements: ClassVar[bool] = kind == "slack"

            def __init__(self, settings: PaperSettings) -> None:
                (self._to,) = settings.recipients or (settings.to,)
                if not self._to:
                    raise ValueError("to: expected somebody")

            def render(self, note: Note) -> Note:
                """The note itself."""
                return note

            def reaches(self) -> str:
                """To whom."""
                return self._to

            async def send(self, note: Note, outside: Outside) -> Outcome:
                """Keeps it, or fails as scripted."""
                return await office.take(kind, self._to, note)

        return Paper

    async def take(self, kind: str, to: str, note: Note) -> Outcome:
        """A message arrives."""
        one = Said(self._clock.now(), kind, to, note)
        self.tried.append(one)
        if self.delay_seconds:
            await asyncio.sleep(self.delay_seconds)
        failure = self.fails(kind, to, note)
        if failure is not None:
            return failure
        self.said.append(one._replace(at=self._clock.now()))
        return Delivered(f"{kind}-{len(self.said)}")


class NoMail:
    """A door to mail that nobody goes through."""

    async def send(self, *_: object, **__: object) -> Any:
        """Never called."""
        raise AssertionError("nobody sends mail here")


def settings_of(kind: type[Any], given: Mapping[str, Any]) -> Any:
    """Settings of a kind of paper."""

    def read(wanted: type, value: Any) -> Any:
        if wanted is Secret and isinstance(value, str):
            return Secret(value)
        raise ValueError("expected a text")

    return msgspec.convert(dict(given), kind.Settings, dec_hook=read)


def schema_of(kind: type[Any]) -> dict[str, Any]:
    """The JSON Schema of a kind of paper."""
    return {
        "type": "object",
        "properties": {
            "to": {"type": "string", "title": "To", "maxLength": 100},
            "recipients": {"type": "array", "title": "Recipients", "items": {"type": "string"}, "maxItems": 1},
            "token": {"type": "string", "title": "Token", "format": "password"},
        },
    }
