"""Slack: through an incoming webhook, or as a bot, which answers in the thread of the first message and turns that
green in the end.

Text of others stands in ``rich_text`` elements only, where nothing is markup; in the fallback for notifications its
control characters are escaped, and markup is switched off.

Source: docs.slack.dev: Block Kit (50 blocks to a message, 150 characters to a header, 3,000 to a text), formatting,
incoming webhooks, chat.postMessage, chat.update, rate limits (about a message a second to a channel; 429 with
Retry-After).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

from twinwatch.notify import Delivered, Note, Outcome, Refused, Retry, SecretText, Settings, Subject, wording
from twinwatch.notify.posting import fields_of, judged, post, retry_after, said
from twinwatch.notify.settings import check_url, place_of, secrets_of
from twinwatch.world.doors import Outside
from twinwatch.world.http import Answer
from twinwatch.world.secret import Secret, hidden

TEXT_CHARACTERS = 2_900
FALLBACK_CHARACTERS = 1_000
NAMED = 40
"""Subjects of one message that are named."""
EVIDENCE_LINES = 25
REQUEST_SECONDS = 8.0
SIGNS = {"Resolved": "🟢", "Acknowledged": "🔵", "Test": "⚪", "Drill": "⚪"}
PASSING = frozenset(
    {"ratelimited", "rate_limited", "fatal_error", "internal_error", "request_timeout", "service_unavailable"}
)
FOR_ALL = frozenset({"worse", "repeat", "escalation", "settled"})
"""Answers in a thread that the whole channel is to see."""
THREAD_GONE = ("thread_not_found", "message_not_found", "cannot_reply_to_message")
"""Somebody has deleted the first message: a new one is posted."""
REMEDIES = {
    "invalid_auth": "the bot token is not valid; copy it anew from the app's page",
    "not_authed": "the bot token is missing",
    "account_inactive": "the bot was removed; install the app anew",
    "token_revoked": "the bot token was revoked; install the app anew",
    "token_expired": "the bot token has expired",
    "missing_scope": "the app needs the scope chat:write",
    "channel_not_found": "no such channel, or a private one that the app is not in; invite it there",
    "not_in_channel": "the app is not in the channel; invite it there",
    "is_archived": "the channel is archived",
    "channel_is_archived": "the channel is archived",
    "no_service": "the webhook was removed, or its app",
    "no_team": "the workspace of this webhook is gone",
    "action_prohibited": "an administrator has forbidden this webhook to post",
    "invalid_token": "the webhook's address is not valid; copy it anew",
}
_CHANNEL = re.compile(r"[#@]?[\w.-]{1,80}")
_TOKEN = re.compile(r"[\w.-]{10,500}", re.ASCII)


class SlackSettings(Settings, frozen=True, kw_only=True):
    """Either an incoming webhook, or a bot token and a channel."""

    webhook_url: Annotated[
        SecretText | None,
        Meta(title="Incoming webhook", description="Address of an incoming webhook: it posts to one channel."),
    ] = None
    bot_token: Annotated[
        SecretText | None,
        Meta(title="Bot token", description="Token of a bot (xoxb-…) with the scope chat:write, for threads."),
    ] = None
    channel: Annotated[
        str, Meta(title="Channel", description="Id of the channel (C…) that the bot posts to, or its #name.")
    ] = ""
    api_url: Annotated[
        str, Meta(title="API", description="Where Slack's Web API is: https://slack-gov.com/api for GovSlack.")
    ] = "https://slack.com/api"

    def __post_init__(self) -> None:
        if bool(self.webhook_url) == bool(self.bot_token):
            raise ValueError("expected either webhook_url, or bot_token and channel")
        if self.webhook_url:
            check_url("webhook_url", self.webhook_url.reveal())
        if self.bot_token:
            if not _TOKEN.fullmatch(self.bot_token.reveal()):
                raise ValueError("bot_token: expected a token such as xoxb-…")
            if not _CHANNEL.fullmatch(self.channel):
                raise ValueError("channel: expected an id such as C0123456789, or a #name")
        check_url("api_url", self.api_url)


class Slack:
    """A message to a Slack channel; with a bot token, a thread to each alert."""

    name: ClassVar[str] = "slack"
    title: ClassVar[str] = "Slack"
    Settings: ClassVar[type[Settings]] = SlackSettings
    gap_seconds: ClassVar[float] = 2.0
    deadline_seconds: ClassVar[float] = 20.0
    extra: ClassVar[str] = ""
    hears_acknowledgements: ClassVar[bool] = True

    def __init__(self, settings: SlackSettings) -> None:
        self._settings = settings

    def render(self, note: Note) -> dict[str, Any]:
        """The message, without where it goes."""
        return {
            "text": escaped(wording.title(note, FALLBACK_CHARACTERS)),
            "blocks": list(_blocks(note)),
            "mrkdwn": False,
            "unfurl_links": False,
            "unfurl_media": False,
        }

    async def send(self, note: Note, outside: Outside) -> Outcome:
        """As ``Channel`` says. The first message is changed before the answer is posted: that may be done twice."""
        message = self.render(note)
        if self._settings.webhook_url:
            return await self._posted_to_webhook(self._settings.webhook_url, message, note, outside)
        channel, stamp, told = _conversation(note.reference)
        if stamp:
            changed = await self._changed(channel, stamp, told, message, note, outside)
            if isinstance(changed, Retry) or note.occasion == "acknowledged":
                return changed
            thread = {"thread_ts": stamp, "reply_broadcast": note.occasion in FOR_ALL}
            posted = await self._call("chat.postMessage", {"channel": channel, **message, **thread}, note, outside)
            if not (isinstance(posted, Refused) and any(word in posted.reason for word in THREAD_GONE)):
                return Delivered(note.reference) if isinstance(posted, dict) else posted
        posted = await self._call("chat.postMessage", {"channel": self._settings.channel, **message}, note, outside)
        return Delivered(_reference(posted, len(note.subjects))) if isinstance(posted, dict) else posted

    def reaches(self) -> str:
        """The channel, or where the webhook is."""
        settings = self._settings
        return place_of(settings.webhook_url.reveal()) if settings.webhook_url else settings.channel

    async def _changed(
        self, channel: str, stamp: str, told: int, message: dict[str, Any], note: Note, outside: Outside
    ) -> Outcome:
        """Make the first message say how it stands, if what it told of is in this note. A failure for good does not
        matter: the answer in the thread says the same."""
        if note.occasion not in ("resolved", "acknowledged") or len(note.subjects) < told:
            return Delivered(note.reference)
        shown = {"text": message["text"], "blocks": message["blocks"]}
        changed = await self._call("chat.update", {"channel": channel, "ts": stamp, **shown}, note, outside)
        return changed if isinstance(changed, Retry) else Delivered(note.reference)

    async def _posted_to_webhook(self, url: Secret, message: dict[str, Any], note: Note, outside: Outside) -> Outcome:
        answer = await self._posted(url.reveal(), message, {}, outside)
        if not isinstance(answer, Answer):
            return answer
        word = said(answer, *secrets_of(self._settings))
        return judged(answer, now=note.now, told=REMEDIES.get(word, word))

    async def _call(
        self, method: str, message: dict[str, Any], note: Note, outside: Outside
    ) -> dict[str, Any] | Retry | Refused:
        """What a method of the Web API answered, if it is ``ok``."""
        settings = self._settings
        token = settings.bot_token.reveal() if settings.bot_token else ""
        url = f"{settings.api_url.rstrip('/')}/{method}"
        answer = await self._posted(url, message, {"Authorization": f"Bearer {token}"}, outside)
        if not isinstance(answer, Answer):
            return answer
        fields = fields_of(answer)
        if fields.get("ok") is True and 200 <= answer.status < 300:
            return fields
        secrets = secrets_of(settings)
        word = wording.line(hidden(str(fields.get("error", "")), *secrets), 100)
        if word and answer.status < 300:
            reason = f"{method}: {word}{f' ({REMEDIES[word]})' if word in REMEDIES else ''}"
            return Retry(reason, retry_after(answer, note.now)) if word in PASSING else Refused(reason)
        outcome = judged(answer, now=note.now, told=word or said(answer, *secrets))
        return Retry(f"{method}: the answer was no lawful one") if isinstance(outcome, Delivered) else outcome

    async def _posted(
        self, url: str, message: dict[str, Any], headers: dict[str, str], outside: Outside
    ) -> Answer | Retry | Refused:
        return await post(
            outside,
            url,
            headers={"Content-Type": "application/json; charset=utf-8", **headers},
            body=msgspec.json.encode(message),
            timeout_seconds=REQUEST_SECONDS,
            secrets=secrets_of(self._settings),
        )


def escaped(text: str) -> str:
    """The text with Slack's three control characters as entities, so that no mention and no link comes of it."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _blocks(note: Note) -> Iterator[dict[str, Any]]:
    first = note.subjects[0]
    state = wording.state(note, first)
    sign = SIGNS.get(state, "🟠" if first.severity == "warning" else "🔴")
    told = (wording.opening(note), wording.lines(first.message, 2_000))
    below = [_plain(f"\n{part}") for part in told if part]
    yield _rich(_section([_bold(f"{sign} {state}: {wording.headline(first)}"), *below]))
    yield _rich(_section(list(_rows(note, first))))
    if len(note.subjects) > 1:
        yield _rich(_section([_bold("Also")]), {"type": "rich_text_list", "style": "bullet", "elements": _also(note)})
    if first.evidence:
        lines = wording.cut("\n".join(wording.evidence(first.evidence, EVIDENCE_LINES)), TEXT_CHARACTERS)
        yield _rich({"type": "rich_text_preformatted", "elements": [_plain(lines or "–")]})
    yield _rich(_section(list(_foot(note, first))))


def _rows(note: Note, first: Subject) -> Iterator[dict[str, Any]]:
    left = TEXT_CHARACTERS
    for place, (name, value) in enumerate(wording.rows(note, first)):
        left -= len(name) + len(value) + 3
        if left < 0:
            yield _plain("\n…")
            return
        yield _bold(f"{chr(10) if place else ''}{name}: ")
        yield _plain(value or "–")


def _also(note: Note) -> list[dict[str, Any]]:
    found = []
    for one in wording.others(note, NAMED):
        text, place = wording.brief(note, one, 300), wording.url(one.url)
        found.append(_section([{"type": "link", "url": place, "text": text} if place else _plain(text)]))
    return [*found, *(_section([_plain(line)]) for line in wording.rest(note, NAMED))]


def _foot(note: Note, first: Subject) -> Iterator[dict[str, Any]]:
    """Links, and who tells. No buttons: an app without a server of its own cannot answer those."""
    acknowledge = wording.acknowledge_url(note, first)
    if acknowledge:
        yield {"type": "link", "url": acknowledge, "text": "Acknowledge", "style": {"bold": True}}
        yield _plain("  ")
    if details := wording.url(first.url) or wording.url(note.link):
        yield {"type": "link", "url": details, "text": "Details"}
        yield _plain("  ")
    yield {"type": "text", "text": wording.teller(note), "style": {"italic": True}}


def _rich(*elements: dict[str, Any]) -> dict[str, Any]:
    return {"type": "rich_text", "elements": list(elements)}


def _section(elements: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "rich_text_section", "elements": elements}


def _plain(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _bold(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text, "style": {"bold": True}}


def _reference(answer: dict[str, Any], told: int) -> str:
    """``channel:ts``, and how many alerts the message told of if it was not one."""
    place = f"{answer.get('channel', '')}:{answer.get('ts', '')}"
    return f"{place}:{told}" if told > 1 else place


def _conversation(reference: str) -> tuple[str, str, int]:
    """Channel, time stamp and number of alerts of the first message; empty if there is none."""
    channel, _, rest = reference.partition(":")
    stamp, _, told = rest.partition(":")
    return (channel, stamp, int(told) if told.isdecimal() else 1) if channel and stamp else ("", "", 1)
