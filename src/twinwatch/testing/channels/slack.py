"""Slack as its documentation has it: an incoming webhook, chat.postMessage and chat.update, the limits of Block Kit,
the errors of each, a rate limit to each channel.

Source: docs.slack.dev (Block Kit reference, incoming webhooks, Web API methods, rate limits).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from twinwatch.testing.channels.services import Got, Service, json_answer

BLOCKS = 50
TEXT = 3_000
INLINE = {"text", "link", "emoji", "user", "channel", "usergroup", "broadcast", "date"}


@dataclass
class Posted:
    """A message in a channel. ``payload`` is how it reads now, ``before`` how it read before each change."""

    at_seconds: float
    channel: str
    stamp: str
    payload: dict[str, Any]
    thread: str = ""
    before: list[dict[str, Any]] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All its texts, a line each; in its fallback entities are what they stand for."""
        return "\n".join(texts_of(self.payload.get("blocks", []))) or str(self.payload.get("text", ""))

    @property
    def title(self) -> str:
        """The fallback, as a notification shows it."""
        plain = str(self.payload.get("text", ""))
        return plain.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


class FakeSlack(Service):
    """One workspace with one app. ``channels``: ids by name; the app is in those of ``joined``. ``gap_seconds``: less
    between two messages to a channel is answered with 429."""

    token = "xoxb-1234567890-fake"  # noqa: S105
    secret_path = "/services/T00000000/B00000000/fakefakefakefakefakefake"  # noqa: S105

    def __init__(self, *, gap_seconds: float = 0.0, **options: Any) -> None:
        super().__init__(**options)
        self.messages: list[Posted] = []
        self.channels = {"ops": "C0000000001", "private": "C0000000002"}
        self.joined = {"C0000000001"}
        self.archived: set[str] = set()
        self.gap_seconds = gap_seconds
        self._last: dict[str, float] = {}

    @property
    def webhook_url(self) -> str:
        """The address of the incoming webhook, which posts to ``#ops``."""
        return f"{self.url}{self.secret_path}"

    @property
    def api_url(self) -> str:
        """Where the Web API is."""
        return f"{self.url}/api"

    def thread(self, stamp: str) -> list[Posted]:
        """The answers to a message, in order."""
        return [message for message in self.messages if message.thread == stamp]

    def answer(self, got: Got) -> web.Response:
        """As Slack would."""
        payload = got.json()
        if got.path.startswith("/services/"):
            return self._webhook(got, payload)
        if not got.path.startswith("/api/") or got.method != "POST":
            return web.Response(status=404)
        authorization = got.headers.get("authorization", "")
        if not authorization:
            return _error("not_authed")
        if authorization != f"Bearer {self.token}":
            return _error("invalid_auth")
        if not isinstance(payload, dict):
            return _error("invalid_json")
        match got.path.removeprefix("/api/"):
            case "chat.postMessage":
                return self._post(got, payload)
            case "chat.update":
                return self._update(payload)
            case _:
                return _error("unknown_method")

    def _webhook(self, got: Got, payload: Any) -> web.Response:
        if got.path != self.secret_path:
            return web.Response(status=404, text="no_service")
        if not isinstance(payload, dict):
            return web.Response(status=400, text="invalid_payload")
        if message_flaw(payload):
            return web.Response(status=400, text="invalid_blocks")
        channel = self.channels["ops"]
        if channel in self.archived:
            return web.Response(status=410, text="channel_is_archived")
        if wait := self._hurried(channel, got):
            return web.Response(status=429, text="rate_limited", headers={"Retry-After": wait})
        self._keep(got, channel, payload)
        return web.Response(text="ok")

    def _post(self, got: Got, payload: dict[str, Any]) -> web.Response:
        name = str(payload.get("channel", ""))
        channel = self.channels.get(name.removeprefix("#"), name)
        if channel not in self.channels.values():
            return _error("channel_not_found")
        if channel not in self.joined:
            return _error("not_in_channel")
        if channel in self.archived:
            return _error("is_archived")
        if flaw := message_flaw(payload):
            return json_answer({"ok": False, "error": "invalid_blocks", "errors": [flaw]})
        thread = str(payload.get("thread_ts", ""))
        if thread and not self._found(channel, thread):
            return _error("thread_not_found")
        if wait := self._hurried(channel, got):
            return json_answer({"ok": False, "error": "ratelimited"}, 429, {"Retry-After": wait})
        message = self._keep(got, channel, payload, thread)
        return json_answer({"ok": True, "channel": channel, "ts": message.stamp, "message": {"text": message.title}})

    def _update(self, payload: dict[str, Any]) -> web.Response:
        channel, stamp = str(payload.get("channel", "")), str(payload.get("ts", ""))
        message = self._found(channel, stamp)
        if message is None:
            return _error("message_not_found")
        if flaw := message_flaw(payload):
            return json_answer({"ok": False, "error": "invalid_blocks", "errors": [flaw]})
        message.before.append(message.payload)
        message.payload = payload
        return json_answer({"ok": True, "channel": channel, "ts": stamp, "text": payload.get("text", "")})

    def _found(self, channel: str, stamp: str) -> Posted | None:
        return next((one for one in self.messages if (one.channel, one.stamp) == (channel, stamp)), None)

    def _keep(self, got: Got, channel: str, payload: dict[str, Any], thread: str = "") -> Posted:
        stamp = f"1767225600.{len(self.messages) + 1:06}"
        self.messages.append(Posted(got.at_seconds, channel, stamp, payload, thread))
        return self.messages[-1]

    def _hurried(self, channel: str, got: Got) -> str:
        """The seconds to wait, if it is too early for another message."""
        left = self._last.get(channel, float("-inf")) + self.gap_seconds - got.at_seconds
        if left > 0:
            return str(int(left) + 1)
        self._last[channel] = got.at_seconds
        return ""


def message_flaw(payload: dict[str, Any]) -> str | None:
    """Why Slack would not take this message, or None."""
    blocks = payload.get("blocks", [])
    if not payload.get("text") and not blocks:
        return "no_text"
    if len(payload.get("text", "")) > 40_000:
        return "text: too long"
    if not isinstance(blocks, list) or len(blocks) > BLOCKS:
        return f"blocks: more than {BLOCKS}"
    return next((flaw for place, block in enumerate(blocks) for flaw in _flaws(block, f"/blocks/{place}")), None)


def texts_of(value: Any) -> Iterator[str]:
    """The texts in blocks, in order."""
    match value:
        case {"type": "rich_text_section" | "rich_text_preformatted", "elements": list(elements)}:
            yield "".join(str(one.get("text", "")) for one in elements)
        case {"text": str(text)}:
            yield text
        case dict():
            for inner in value.values():
                yield from texts_of(inner)
        case list():
            for inner in value:
                yield from texts_of(inner)


def _flaws(block: Any, place: str) -> Iterator[str]:
    match block:
        case {"type": "header", "text": text}:
            yield from _text_flaws(text, f"{place}/text", 150, ("plain_text",))
        case {"type": "section"}:
            if "text" not in block and not block.get("fields"):
                yield f"{place}: a section without text"
            if "text" in block:
                yield from _text_flaws(block["text"], f"{place}/text", TEXT)
            if len(block.get("fields", ())) > 10:
                yield f"{place}/fields: more than 10"
            for one in block.get("fields", ()):
                yield from _text_flaws(one, f"{place}/fields", 2_000)
        case {"type": "context", "elements": list(elements)}:
            if not 0 < len(elements) <= 10:
                yield f"{place}/elements: expected 1 to 10"
            for one in elements:
                yield from _text_flaws(one, f"{place}/elements", TEXT)
        case {"type": "actions", "elements": list(elements)}:
            if not 0 < len(elements) <= 25:
                yield f"{place}/elements: expected 1 to 25"
            if len({one.get("action_id") for one in elements}) != len(elements):
                yield f"{place}/elements: an action_id twice"
            for one in elements:
                yield from _button_flaws(one, f"{place}/elements")
        case {"type": "rich_text", "elements": list(elements)}:
            if not elements:
                yield f"{place}/elements: none"
            for one in elements:
                yield from _rich_flaws(one, f"{place}/elements")
        case {"type": "divider"}:
            return
        case _:
            yield f"{place}: no block that is known here"


def _text_flaws(text: Any, place: str, most: int, kinds: tuple[str, ...] = ("plain_text", "mrkdwn")) -> Iterator[str]:
    if not isinstance(text, dict) or text.get("type") not in kinds or not isinstance(text.get("text"), str):
        yield f"{place}: expected a text object"
    elif not 0 < len(text["text"]) <= most:
        yield f"{place}: expected 1 to {most} characters"


def _button_flaws(button: Any, place: str) -> Iterator[str]:
    if not isinstance(button, dict) or button.get("type") != "button":
        yield f"{place}: expected a button"
        return
    yield from _text_flaws(button.get("text"), f"{place}/text", 75, ("plain_text",))
    if len(button.get("url", "")) > 3_000 or button.get("style", "primary") not in ("primary", "danger"):
        yield f"{place}: url or style"


def _rich_flaws(element: Any, place: str) -> Iterator[str]:
    match element:
        case {"type": "rich_text_section" | "rich_text_quote", "elements": list(inner)}:
            kinds = INLINE
        case {"type": "rich_text_preformatted", "elements": list(inner)}:
            kinds = {"text", "link"}
        case {"type": "rich_text_list", "style": "bullet" | "ordered", "elements": list(sections)}:
            for one in sections:
                yield from _rich_flaws(one, f"{place}/elements")
            return
        case _:
            yield f"{place}: no element that is known here"
            return
    if not inner:
        yield f"{place}/elements: none"
    for one in inner:
        if one.get("type") not in kinds:
            yield f"{place}: {one.get('type')} does not stand there"
        if one.get("type") == "text" and not (isinstance(one.get("text"), str) and one["text"]):
            yield f"{place}: an empty text"
        if one.get("type") == "link" and not one.get("url"):
            yield f"{place}: a link without an address"
    if sum(len(one.get("text", "")) for one in inner) > TEXT:
        yield f"{place}: longer than {TEXT} characters"


def _error(word: str) -> web.Response:
    return json_answer({"ok": False, "error": word})
