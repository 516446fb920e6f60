"""Apprise: the hundred other services, by their Apprise address.

The library is synchronous and makes its connections itself. So each message is sent by a process of its own
(``apprise_child``), which is handed all that is secret on its standard input, is killed at the deadline, and judges
its connections by the guard of this side where there is one.

Apprise says of a failure little more than that it was one. Where it names a status, that is judged as elsewhere; what
is left is tried again.
Source: the wiki of Apprise (addresses of its services).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from twinwatch.notify import Delivered, Note, Outcome, Refused, Retry, SecretText, Settings, wording
from twinwatch.notify.apprise_child import Answer, Order, hidden_parts
from twinwatch.world.commands import CommandFailed
from twinwatch.world.doors import Outside

BODY_CHARACTERS = 1_800
"""Discord takes 2,000, most others more."""
NAMED = 10
INSTALL = "Apprise is not installed: pip install 'twinwatch[apprise]'"
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{1,40}://[!-~]*")
_STATUS = re.compile(r"error=(\d{3})\b")
_PASSING = {408, 425, 429}

Kind = Literal["info", "success", "warning", "failure"]


class AppriseSettings(Settings, frozen=True, kw_only=True):
    """One service, as Apprise spells it."""

    url: Annotated[
        SecretText,
        Meta(title="Apprise address", description="Such as tgram://token/chat, discord://id/token or ntfys://topic."),
    ]

    def __post_init__(self) -> None:
        if not _URL.fullmatch(self.url.reveal()):
            raise ValueError("url: expected an address of Apprise, such as tgram://token/chat")


class Apprise:
    """A message through Apprise, which knows a hundred services and more."""

    name: ClassVar[str] = "apprise"
    title: ClassVar[str] = "Apprise"
    Settings: ClassVar[type[Settings]] = AppriseSettings
    gap_seconds: ClassVar[float] = 5.0
    deadline_seconds: ClassVar[float] = 30.0
    extra: ClassVar[str] = "apprise"
    hears_acknowledgements: ClassVar[bool] = False

    def __init__(self, settings: AppriseSettings) -> None:
        self._settings = settings

    def render(self, note: Note) -> dict[str, Any]:
        """Title, body and kind."""
        return {"title": defused(wording.title(note)), "body": defused(_body(note)), "kind": _kind(note)}

    async def send(self, note: Note, outside: Outside) -> Outcome:
        """As ``Channel`` says."""
        guard = outside.guard
        order = Order(
            url=self._settings.url.reveal(),
            **self.render(note),
            guarded=guard is not None,
            private=guard.private if guard else True,
            own=tuple(sorted(guard.own)) if guard else (),
        )
        try:
            ended = await outside.commands.run(
                [sys.executable, "-P", "-m", "twinwatch.notify.apprise_child"],
                content=msgspec.json.encode(order),
                timeout_seconds=self.deadline_seconds - 2,
            )
        except CommandFailed as err:
            return Retry(wording.line(f"Apprise: {err}"))
        try:
            answer = msgspec.json.decode(ended.output, type=Answer)
        except msgspec.MsgspecError:
            said = hidden_parts(ended.errors.strip().rpartition("\n")[2], self._settings.url.reveal())
            return Retry(wording.line(f"Apprise ended with {ended.code}: {said}", 300))
        return self._judged(answer)

    def reaches(self) -> str:
        """The service."""
        return f"{self._settings.url.reveal().partition('://')[0]}://…"

    def _judged(self, answer: Answer) -> Outcome:
        said = wording.cut("; ".join(dict.fromkeys(wording.line(one, 200) for one in answer.said)), 400)
        if answer.outcome == "sent":
            return Delivered()
        if answer.outcome == "missing":
            return Refused(INSTALL)
        if answer.outcome == "unknown":
            return Refused(f"Apprise does not take this address{f': {said}' if said else ''}")
        if answer.outcome == "blocked":
            return Refused(said)
        statuses = [int(status) for one in answer.said for status in _STATUS.findall(one)]
        reason = f"Apprise could not send it{f': {said}' if said else ''}"
        return Refused(reason) if _is_final(statuses) else Retry(reason)


def defused(text: str) -> str:
    """The text with nothing in it that a service would take for a mention, a link or a picture: which one it goes to,
    and how that marks text up, only Apprise knows."""
    text = re.sub(r"([@<])(?=[\w!#@&:/])", "\\1\u200b", text)
    return text.replace("](", "]\u200b(")


def _is_final(statuses: Sequence[int]) -> bool:
    return bool(statuses) and all(300 <= status < 500 and status not in _PASSING for status in statuses)


def _body(note: Note) -> str:
    first = note.subjects[0]
    parts = [wording.opening(note), wording.lines(first.message, 600)]
    parts.append("\n".join(f"{name}: {value}" for name, value in wording.rows(note, first)))
    foot = "\n\n".join(part for part in (wording.links(note, first), wording.teller(note)) if part)
    also = [f"- {wording.brief(note, one, 120)}" for one in wording.others(note, NAMED)]
    if also:
        parts.append("\n".join(["Also:", *also, *wording.rest(note, NAMED)]))
    body = wording.cut("\n\n".join(part for part in parts if part), max(BODY_CHARACTERS - len(foot), 500))
    return f"{body}\n\n{foot}"


def _kind(note: Note) -> Kind:
    if note.occasion in (*wording.REHEARSALS, "acknowledged"):
        return "info"
    if note.occasion == "resolved":
        return "success"
    return "warning" if note.subjects[0].severity == "warning" else "failure"
