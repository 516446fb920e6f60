"""What every channel owes (``twinwatch.testing.channels.contract``), within its provider's limits."""

from __future__ import annotations

import email
import email.policy
import re
from email.message import EmailMessage
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec

from twinwatch.notify.apprise import Apprise, defused
from twinwatch.notify.discover import discover
from twinwatch.notify.email import Email
from twinwatch.notify.gsm import GSM_CHARACTERS, UCS2_CHARACTERS, spelled, units
from twinwatch.notify.pagerduty import PagerDuty
from twinwatch.notify.slack import Slack
from twinwatch.notify.sms import Sms
from twinwatch.notify.webhook import Webhook
from twinwatch.testing.channels.apprise import TAKEN, PaperApprise
from twinwatch.testing.channels.contract import ChannelCase, ChannelContract, HttpChannelContract
from twinwatch.testing.channels.pagerduty import event_flaw
from twinwatch.testing.channels.paper import Asked
from twinwatch.testing.channels.slack import message_flaw
from twinwatch.world.http import Answer

VECTORS = Path(__file__).parent / "vectors"
FOUND = discover(())


# ---- email ----


class Tags(HTMLParser):
    """The tags of a page, with the names of their attributes and what is fixed in them."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, ...]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, *(name for name, _ in attrs)))

    def handle_endtag(self, tag: str) -> None:
        self.tags.append((f"/{tag}",))


def of_email(message: EmailMessage) -> Any:
    """Names of the headers as another program finds them, kinds of the parts, tags of the page."""
    again = email.message_from_bytes(message.as_bytes(policy=email.policy.SMTP), policy=email.policy.default)
    assert not again.defects
    page = Tags()
    page.feed(again.get_body(("html",)).get_content())  # type: ignore[union-attr]
    fixed = {name: again[name] for name in again if name not in ("Subject", "Message-ID", "Content-Type")}
    return fixed, [part.get_content_type() for part in again.walk()], page.tags


def check_email(message: EmailMessage) -> None:
    content = message.as_bytes(policy=email.policy.SMTP.clone(cte_type="7bit"))
    assert content.isascii()
    assert max(map(len, content.splitlines())) <= 998, "RFC 5322, 2.1.1"
    assert len(content) < 200_000
    assert len(message["Subject"]) <= 200


def text_of_email(message: EmailMessage) -> str:
    headers = "".join(f"{name}: {value}\n" for name, value in message.items() if not name.startswith("Content-"))
    return (
        headers
        + "\n"
        + "\n".join(f"---- {part.get_content_type()}\n{part.get_content()}" for part in message.iter_parts())
    )


EMAIL = {
    "recipients": ["ops@example.org", "o'brien+oncall@sub.example.org"],
    "smtp_host": "mail.example.org",
    "smtp_username": "twinwatch",
    "smtp_password": "corr3ct-h0rse",
}


# ---- Slack ----


def of_slack(payload: Any) -> Any:
    """The payload without its texts; what is markup in the fallback."""
    assert re.search(r"[<>]", payload["text"]) is None, "a mention, or a link"

    def form(value: Any) -> Any:
        match value:
            case dict():
                return {
                    name: form(inner) for name, inner in value.items() if name != "text" or not isinstance(inner, str)
                }
            case list():
                return [form(inner) for inner in value]
        return value

    return form(payload)


def check_slack(payload: Any) -> None:
    assert message_flaw(payload) is None


def slack_answers(asked: Asked) -> Answer:
    if "/api/" not in asked.url:
        return Answer(200, b"ok")
    return Answer(200, msgspec.json.encode({"ok": True, "channel": "C0123456789", "ts": "1767362600.000100"}))


# ---- SMS ----


def of_sms(text: str) -> Any:
    """How it begins, and how it ends."""
    return text.split(" ", maxsplit=1)[0], re.search(r"( \+\d+ more)?$", text).group()  # type: ignore[union-attr]


def check_sms(text: str) -> None:
    assert units(text) <= (GSM_CHARACTERS if spelled(text) == text else UCS2_CHARACTERS)
    assert "\n" not in text


SMS = {
    "account_sid": "AC" + "0" * 31 + "1",
    "auth_token": "t0kent0kent0ken",
    "to": "+41791234567",
    "sender": "+15005550006",
}


# ---- webhook ----


def of_document(payload: Any) -> Any:
    """The document with its types in place of its texts."""
    match payload:
        case dict():
            return {name: of_document(inner) for name, inner in payload.items()}
        case list():
            return [of_document(inner) for inner in payload]
    return type(payload)


def check_document(payload: Any) -> None:
    assert len(msgspec.json.encode(payload)) < 1_000_000
    assert len(payload["alerts"]) <= 100 <= max(payload["count"], 100)


# ---- PagerDuty ----


def of_events(events: Any) -> Any:
    """The events without their details, which bear the names of facts."""
    details = [event.get("payload", {}).pop("custom_details", None) for event in events]
    return of_document(events), [sorted(type(value).__name__ for value in one.values()) for one in details if one]


def check_pagerduty(events: Any) -> None:
    for event in events:
        assert event_flaw({"routing_key": "0" * 32, **event}) is None


# ---- Apprise ----


def of_apprise(payload: Any) -> Any:
    """What a service could take for a mention or a link."""
    text = payload["title"] + payload["body"]
    return payload["kind"], re.findall(r"<[\w!#@&:/]|@\w|\]\(", text)


def check_apprise(payload: Any) -> None:
    assert len(payload["body"]) <= 2_000
    assert len(payload["title"]) <= 250


CASES = [
    ChannelCase("email", Email, EMAIL, of_email, check_email, text=text_of_email),
    ChannelCase(
        "email-default",
        Email,
        {"recipients": ["ops@example.org"]},
        of_email,
        check_email,
        text=text_of_email,
        golden=False,
    ),
    ChannelCase(
        "apprise",
        Apprise,
        {"url": "tgram://123456789:abcdefg_hijklmnop/lead2gold/"},
        of_apprise,
        check_apprise,
        doors={"commands": PaperApprise(TAKEN)},
    ),
]
HTTP_CASES = [
    ChannelCase(
        "slack-webhook",
        Slack,
        {"webhook_url": "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX"},
        of_slack,
        check_slack,
        slack_answers,
        golden=False,
    ),
    ChannelCase(
        "slack",
        Slack,
        {"bot_token": "xoxb-123456789012-abcdef", "channel": "C0123456789"},
        of_slack,
        check_slack,
        slack_answers,
        reference="C0123456789:1767362600.000100",
    ),
    ChannelCase(
        "sms", Sms, SMS, of_sms, check_sms, Answer(201, b'{"sid":"SM1","status":"queued","error_code":null}'), text=str
    ),
    ChannelCase(
        "sms-key",
        Sms,
        {k: v for k, v in SMS.items() if k != "sender"}
        | {"api_key_sid": "SK" + "0" * 31 + "2", "messaging_service_sid": "MG" + "0" * 31 + "3"},
        of_sms,
        check_sms,
        Answer(201, b'{"sid":"SM1","status":"accepted"}'),
        text=str,
        golden=False,
    ),
    ChannelCase(
        "webhook",
        Webhook,
        {
            "url": "https://hooks.example.org/in/s3cr3tpath",
            "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "headers": {"Authorization": "Bearer abcdefghijklmnop"},
        },
        of_document,
        check_document,
    ),
    ChannelCase(
        "pagerduty",
        PagerDuty,
        {"routing_key": "e93facc04764012d7bfb002500d5d1a6"},
        of_events,
        check_pagerduty,
        Answer(202, b'{"status":"success","message":"Event processed","dedup_key":"x"}'),
    ),
]


class TestChannels(ChannelContract):
    cases = CASES
    vectors = VECTORS


class TestHttpChannels(HttpChannelContract):
    cases = HTTP_CASES
    vectors = VECTORS


def test_no_channel_is_found_flawed_or_without_a_case() -> None:
    assert FOUND.flaws == ()
    assert set(FOUND.channels) == {case.kind.name for case in (*CASES, *HTTP_CASES)}


def test_mentions_of_any_service_are_defused() -> None:
    assert (
        re.findall(r"<[\w!#@&:/]|@\w|\]\(", defused("<!here> <@U1> <@&1> <b> @everyone [x](http://x) </p> <:fire:1>"))
        == []
    )
