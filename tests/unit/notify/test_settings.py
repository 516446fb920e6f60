from __future__ import annotations

from typing import Any

import msgspec
import pytest

from twinwatch.notify import Channel
from twinwatch.notify.apprise import Apprise
from twinwatch.notify.email import Email
from twinwatch.notify.pagerduty import PagerDuty
from twinwatch.notify.settings import check_url, place_of, schema_of, secrets_of, settings_of
from twinwatch.notify.slack import Slack
from twinwatch.notify.sms import Sms
from twinwatch.notify.webhook import Webhook
from twinwatch.world.secret import Secret

OPS = ["ops@example.org"]
BOT = {"bot_token": "xoxb-1-2-abc", "channel": "C0123456789"}
SMS = {
    "account_sid": "AC" + "a" * 32,
    "auth_token": "token",
    "to": "+41791234567",
    "sender": "+15005550006",
}


@pytest.mark.parametrize(
    ("kind", "given", "told"),
    [
        (Email, {}, "missing required field `recipients`"),
        (Email, {"recipients": []}, "length >= 1"),
        (Email, {"recipients": ["ops"]}, "'ops': expected an address"),
        (Email, {"recipients": ["ops@example.org\nBcc: all@example.org"]}, "expected an address"),
        (Email, {"recipients": ["a b@example.org"]}, "expected an address"),
        (Email, {"recipients": ["Ops <ops@example.org>"]}, "expected an address"),
        (Email, {"recipients": ["a..b@example.org"]}, "expected an address"),
        (Email, {"recipients": ["ops@exämple.org"]}, "expected an address"),
        (Email, {"recipients": OPS, "sender": "a,b@example.org"}, "expected an address"),
        (Email, {"recipients": OPS, "smtp_port": 0}, ">= 1"),
        (Email, {"recipients": OPS, "smtp_security": "ssl"}, "Invalid enum value 'ssl'"),
        (Email, {"recipients": OPS, "smtp_password": "x"}, "expected smtp_host beside them"),
        (Slack, {}, "expected either webhook_url, or bot_token and channel"),
        (Slack, {**BOT, "webhook_url": "https://hooks.slack.com/services/x"}, "expected either"),
        (Slack, {"webhook_url": "http://hooks.slack.com/services/x"}, "webhook_url: expected https"),
        (Slack, {"webhook_url": "hooks.slack.com"}, "webhook_url: expected an address"),
        (Slack, {"bot_token": "xoxb-1-2-abc"}, "channel: expected an id"),
        (Slack, {**BOT, "bot_token": "xoxb 1\r\nX: y"}, "bot_token: expected a token"),
        (Slack, {**BOT, "api_url": "http://slack.example/api"}, "api_url: expected https"),
        (Sms, {**SMS, "account_sid": "AC1"}, "account_sid: expected AC and 32"),
        (Sms, {**SMS, "to": "0791234567"}, "to: expected a number in international form"),
        (Sms, {**SMS, "sender": ""}, "expected either sender or messaging_service_sid"),
        (Sms, {**SMS, "messaging_service_sid": "MG" + "a" * 32}, "expected either sender"),
        (Sms, {**SMS, "sender": "much too long a name"}, "sender: expected"),
        (Sms, {**SMS, "auth_token": ""}, "auth_token: expected"),
        (Sms, {**SMS, "api_key_sid": "nonsense"}, "api_key_sid: expected SK"),
        (Webhook, {"url": "ftp://example.org/"}, "url: expected an address"),
        (Webhook, {"url": "https://"}, "url: expected an address"),
        (Webhook, {"url": "https://example.org:99999/"}, "url: expected an address"),
        (Webhook, {"url": "https://example.org/a b"}, "url: expected an address"),
        (Webhook, {"url": "https://x.org/", "headers": {"Host": "y"}}, "'Host' is no name of a header of your own"),
        (Webhook, {"url": "https://x.org/", "headers": {"Webhook-Signature": "y"}}, "no name of a header of your own"),
        (Webhook, {"url": "https://x.org/", "headers": {"X: Y": "y"}}, "no name of a header"),
        (Webhook, {"url": "https://x.org/", "headers": {"X": "y\r\nZ: w"}}, "X: expected printable ASCII in one line"),
        (Webhook, {"url": "https://x.org/", "secret": "whsec_***"}, "secret: expected base64 after whsec_"),
        (PagerDuty, {"routing_key": "short"}, "routing_key: expected 32"),
        (Apprise, {"url": "not an address"}, "url: expected an address of Apprise"),
    ],
)
def test_what_cannot_work_is_told_before_it_is_needed(kind: type[Channel], given: dict[str, Any], told: str) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        settings_of(kind, given)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        (Email, {"recipients": ["o'brien+x@sub.example.org", "ops@localhost"], "sender": "tw@example.org"}),
        (Slack, {"webhook_url": "http://127.0.0.1:9/x"}),
        (Slack, {**BOT, "channel": "#ops-alerts", "api_url": "https://slack-gov.com/api"}),
        (Sms, {**SMS, "sender": "Twinwatch"}),
        (Sms, {**SMS, "sender": "", "messaging_service_sid": "MG" + "0" * 32}),
        (Webhook, {"url": "http://intern.lan/x", "headers": {"Authorization": "Bearer x"}, "secret": "any text"}),
        (Apprise, {"url": "ntfys://"}),
    ],
)
def test_what_can_work_is_taken(kind: type[Channel], given: dict[str, Any]) -> None:
    assert kind(settings_of(kind, given)).reaches()


def test_secrets_are_found_wherever_they_stand() -> None:
    given = {"url": "https://x.org/path", "secret": "s1gning", "headers": {"A": "first", "B": "second"}}
    found = secrets_of(settings_of(Webhook, given))
    assert [secret.reveal() for secret in found] == ["https://x.org/path", "s1gning", "first", "second"]
    assert "first" not in repr(settings_of(Webhook, given))


def test_the_form_says_what_is_secret() -> None:
    properties = schema_of(Webhook)["properties"]
    assert properties["headers"]["additionalProperties"]["format"] == "password"
    assert properties["url"]["title"] == "Address"


def test_a_place_is_shown_without_what_may_be_secret() -> None:
    assert place_of("https://user:pass@hooks.example.org:8443/t0ken?k=v#f") == "https://hooks.example.org:8443/…"
    with pytest.raises(ValueError, match="expected https") as caught:
        check_url("url", "http://hooks.example.org/t0ken")
    assert "t0ken" not in str(caught.value)
    assert Secret("x") not in secrets_of(settings_of(Email, {"recipients": OPS}))
