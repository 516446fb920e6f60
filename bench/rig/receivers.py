"""Where alerts arrive: a mail server, a Slack and a Twilio of our own, on loopback, which keep what they got.

Times are those of the running loop's clock, at the moment that the receiving end had all of the message.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, TypeVar

from bench.rig import Failed
from bench.rig.person import Person
from twinwatch.testing.channels.mailbox import Letter, MailBox
from twinwatch.testing.channels.slack import FakeSlack, Posted
from twinwatch.testing.channels.twilio import FakeTwilio, Text

T = TypeVar("T")

LOOK_SECONDS = 0.01
PHONE = "+41791234567"


class Receivers:
    """All three; a context manager."""

    def __init__(self) -> None:
        self.mail = MailBox()
        self.slack = FakeSlack()
        self.twilio = FakeTwilio()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Receivers:
        """Listening."""
        for one in (self.mail, self.slack, self.twilio):
            await self._stack.enter_async_context(one)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ended."""
        await self._stack.__aexit__(kind, err, trace)

    async def become_channels(self, person: Person, mailboxes: Sequence[str]) -> dict[str, str]:
        """Makes channels of the person's organization, in place of those that it began with: ids by name, ``slack``,
        ``sms`` and one of email for each of these names."""
        old = await person.ask("GET", "/api/v1/channels", params={"organization_id": person.organization_id})
        for one in old["channels"]:
            await person.forget(f"/api/v1/channels/{one['id']}")
        relay = {"smtp_host": self.mail.host, "smtp_port": self.mail.port, "smtp_security": "none"}
        account = {"account_sid": self.twilio.account_sid, "auth_token": self.twilio.auth_token}
        wanted: dict[str, tuple[str, dict[str, Any]]] = {
            "slack": ("slack", {"webhook_url": self.slack.webhook_url}),
            "sms": ("sms", {**account, "to": PHONE, "sender": self.twilio.sender, "api_url": self.twilio.url}),
        }
        for name in mailboxes:
            letters = {"recipients": [f"{name}@example.org"], "sender": "alerts@example.org", **relay}
            wanted[name] = ("email", letters)
        ids = {}
        for name, (kind, settings) in wanted.items():
            channel = {"organization_id": person.organization_id, "name": name, "kind": kind, "settings": settings}
            ids[name] = (await person.ask("POST", "/api/v1/channels", json=channel))["id"]
        return ids

    async def letter(self, *words: str, within_seconds: float) -> Letter:
        """The first email whose subject has all these words.

        Raises: Failed if none comes.
        """
        return await self._first(lambda: self.mail.letters, lambda one: one.subject, words, within_seconds)

    async def post(self, *words: str, within_seconds: float) -> Posted:
        """The first message on Slack that has them."""
        return await self._first(lambda: self.slack.messages, lambda one: one.title, words, within_seconds)

    async def text(self, *words: str, within_seconds: float) -> Text:
        """The first SMS that has them."""
        return await self._first(lambda: self.twilio.texts, lambda one: one.body, words, within_seconds)

    async def _first(
        self, got: Callable[[], list[T]], said: Callable[[T], str], words: tuple[str, ...], within_seconds: float
    ) -> T:
        loop = asyncio.get_running_loop()
        end = loop.time() + within_seconds
        while loop.time() < end:
            for one in got():
                if all(word in said(one) for word in words):
                    return one
            await asyncio.sleep(LOOK_SECONDS)
        heard = "; ".join(said(one) for one in got()) or "nothing"
        raise Failed(f"no message with {' and '.join(words)} within {within_seconds:g} s; what came: {heard}")
