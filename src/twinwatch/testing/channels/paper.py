"""Channels and doors made of paper: no sockets, for stories in virtual time and for the contract."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from msgspec import Meta

from twinwatch.notify import Channel, Delivered, Note, Outcome, Retry, Settings
from twinwatch.world.doors import Outside
from twinwatch.world.http import Answer, Socket, Unreachable


@dataclass(frozen=True, slots=True)
class Heard:
    """A note that reached somebody. ``at_seconds`` is the loop's clock."""

    at_seconds: float
    to: str
    note: Note


class PaperSettings(Settings, frozen=True, kw_only=True):
    """Who gets it."""

    to: Annotated[str, Meta(title="To", description="A name that the test gives.")]


@dataclass
class PaperPost:
    """Whom notes go to. ``kind()`` is the class of a channel that brings them here; all are delivered at once but for
    what ``script`` says."""

    heard: list[Heard] = field(default_factory=list)
    tried: list[Heard] = field(default_factory=list)
    """Those that were not delivered, too."""

    def __post_init__(self) -> None:
        self._scripts: dict[str, list[Outcome | float]] = {}

    def script(self, to: str, *outcomes: Outcome | float) -> None:
        """What the next tries come to, in order: an outcome, or so many seconds until it is delivered. After these all
        is delivered."""
        self._scripts.setdefault(to, []).extend(outcomes)

    def always(self, to: str, outcome: Outcome | None) -> None:
        """What all tries come to from now on; None: delivered."""
        self._scripts[to] = [] if outcome is None else [outcome] * 100_000

    def told(self, to: str) -> list[Note]:
        """The notes that reached this one, in order."""
        return [one.note for one in self.heard if one.to == to]

    def kind(self, name: str = "paper") -> type[Channel]:
        """A kind of channel of this name."""
        return type("Paper", (_Paper,), {"name": name, "post": self, "__doc__": _Paper.__doc__})

    async def bring(self, to: str, note: Note, deadline_seconds: float) -> Outcome:
        """One try."""
        loop = asyncio.get_running_loop()
        script = self._scripts.get(to)
        outcome = script.pop(0) if script else Delivered(f"{to}:{len(self.tried) + 1}")
        self.tried.append(Heard(loop.time(), to, note))
        if isinstance(outcome, float | int):
            if outcome >= deadline_seconds:
                await asyncio.sleep(deadline_seconds)
                return Retry(f"no answer within {deadline_seconds:g} s")
            await asyncio.sleep(outcome)
            outcome = Delivered(f"{to}:{len(self.tried)}")
        if isinstance(outcome, Delivered):
            self.heard.append(Heard(loop.time(), to, note))
        return outcome


class _Paper:
    """Nowhere: a test reads it."""

    name: ClassVar[str] = "paper"
    title: ClassVar[str] = "Paper"
    Settings: ClassVar[type[Settings]] = PaperSettings
    gap_seconds: ClassVar[float] = 0.0
    deadline_seconds: ClassVar[float] = 10.0
    extra: ClassVar[str] = ""
    hears_acknowledgements: ClassVar[bool] = False
    post: ClassVar[PaperPost]

    def __init__(self, settings: PaperSettings) -> None:
        self._settings = settings

    def render(self, note: Note) -> Note:
        """The note as it is."""
        return note

    async def send(self, note: Note, outside: Outside) -> Outcome:
        """Bring it."""
        return await self.post.bring(self._settings.to, note, self.deadline_seconds)

    def reaches(self) -> str:
        """The name."""
        return self._settings.to


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that was made."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes


class ScriptedHttp:
    """A door to HTTP that answers what ``answers`` says: an answer, a failure, or a function of the request. The last
    one stays. ``hangs``: nobody answers."""

    def __init__(self, *answers: Answer | Unreachable | Callable[[Asked], Answer], hangs: bool = False) -> None:
        self._answers: Sequence[Answer | Unreachable | Callable[[Asked], Answer]] = answers
        self.hangs = hangs
        self.asked: list[Asked] = []

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: dict[str, str] | None = None,
        body: bytes | None = None,
        timeout_seconds: float,
    ) -> Answer:
        """See ``Http``."""
        asked = Asked(method, url, dict(headers or {}), body or b"")
        self.asked.append(asked)
        if self.hangs:
            await asyncio.sleep(timeout_seconds)
            raise Unreachable(f"no answer within {timeout_seconds:g} s")
        answer = self._answers[min(len(self.asked), len(self._answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer(asked) if callable(answer) else answer

    async def websocket(self, url: str, *, headers: dict[str, str] | None = None, timeout_seconds: float) -> Socket:
        """See ``Http``. There are none on paper."""
        raise Unreachable("connection refused")
