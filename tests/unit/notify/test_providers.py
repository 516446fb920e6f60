"""What only one provider has: errors of Twilio, a webhook's signature, PagerDuty's incidents, the child of Apprise."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

import msgspec
import pytest

from twinwatch.notify import Delivered, Note, Outcome, Refused, Retry
from twinwatch.notify.apprise import INSTALL, Apprise
from twinwatch.notify.apprise_child import Answer as ChildAnswer
from twinwatch.notify.apprise_child import hidden_parts
from twinwatch.notify.gsm import units
from twinwatch.notify.pagerduty import PagerDuty
from twinwatch.notify.posting import retry_after
from twinwatch.notify.settings import settings_of
from twinwatch.notify.sms import Sms
from twinwatch.notify.webhook import Webhook, key_of, signature
from twinwatch.testing.channels import notes
from twinwatch.testing.channels.apprise import PaperApprise
from twinwatch.testing.channels.contract import paper_outside
from twinwatch.testing.channels.paper import ScriptedHttp
from twinwatch.world.commands import CommandFailed, Ended
from twinwatch.world.guard import Guard
from twinwatch.world.http import Answer
from twinwatch.world.secret import Secret

SMS = {"account_sid": "AC" + "a" * 32, "auth_token": "t0ken", "to": "+41791234567", "sender": "+15005550006"}
SECRET = Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")


# ---- SMS ----


def sms(**changes: Any) -> Sms:
    return Sms(settings_of(Sms, {**SMS, **changes}))


@pytest.mark.parametrize(
    ("status", "code", "kind", "told"),
    [
        (400, 21211, Refused, "none that can be called"),
        (400, 21610, Refused, "STOP"),
        (400, 21408, Refused, "Geo permissions"),
        (400, 21606, Refused, "not of this account"),
        (400, 21614, Refused, "no mobile one"),
        (401, 20003, Refused, "account, token or key"),
        (404, 20404, Refused, "no such account"),
        (429, 20429, Retry, "20429"),
        (400, 30001, Retry, "30001"),
        (429, 21611, Retry, "21611"),
        (503, 20503, Retry, "20503"),
        (500, 20500, Retry, "20500"),
        (400, 99999, Refused, "as Twilio says"),
    ],
)
async def test_twilios_errors_are_passing_or_for_good(status: int, code: int, kind: type[Any], told: str) -> None:
    body = msgspec.json.encode({"code": code, "message": "as Twilio says", "status": status})
    outcome = await sms().send(notes.note(), paper_outside(ScriptedHttp(Answer(status, body))))
    assert isinstance(outcome, kind)
    assert not isinstance(outcome, Delivered)
    assert told in outcome.reason


async def test_a_message_that_failed_at_once_was_not_sent() -> None:
    for fields, kind in (
        ({"sid": "SM1", "status": "failed", "error_code": 30001, "error_message": "Queue overflow"}, Retry),
        ({"sid": "SM1", "status": "failed", "error_code": "30007"}, Refused),
        ({"sid": "SM1", "status": "undelivered", "error_code": None}, Refused),
        ({"sid": "SM1", "status": "queued", "error_code": None}, Delivered),
    ):
        http = ScriptedHttp(Answer(201, msgspec.json.encode(fields)))
        assert isinstance(await sms().send(notes.note(), paper_outside(http)), kind)


async def test_the_form_names_the_sender_or_the_service() -> None:
    http = ScriptedHttp(Answer(201, b'{"sid":"SM1"}'))
    assert await sms().send(notes.note(), paper_outside(http)) == Delivered("SM1")
    service = "MG" + "b" * 32
    key = {"api_key_sid": "SK" + "c" * 32}
    await sms(sender="", messaging_service_sid=service, **key).send(notes.note(), paper_outside(http))
    first, second = (parse_qs(asked.body.decode()) for asked in http.asked)
    assert (first["To"], first["From"], "MessagingServiceSid" in first) == (["+41791234567"], ["+15005550006"], False)
    assert (second["MessagingServiceSid"], "From" in second) == ([service], False)
    assert http.asked[0].url.endswith(f"/2010-04-01/Accounts/{SMS['account_sid']}/Messages.json")


def test_other_scripts_get_seventy_characters_and_keep_the_time() -> None:
    subject = notes.subject(server="сервер-базы-данных-1", title="служба nginx не работает уже давно " * 5)
    text = sms().render(notes.note("firing", subject, notes.subject(1)))
    assert units(text) <= 70
    assert text.startswith("CRITICAL сервер-базы-да…: служба")
    assert text.endswith(" 14:00 UTC +1 more")


def test_a_long_title_gives_way_to_the_time() -> None:
    subject = notes.subject(server="database-primary-of-the-shop", title="replication lag is too high " * 20)
    text = sms().render(notes.note("firing", subject))
    assert units(text) <= 160
    assert text.startswith("CRITICAL database-primary-of-the-shop: replication lag")
    assert text.endswith("..., since 14:00 UTC")


def test_yesterday_has_its_date() -> None:
    subject = notes.subject(since=notes.NOW - 90_000_000)
    assert sms().render(notes.note("firing", subject)).endswith(", since 2026-01-01 13:03 UTC")


# ---- webhook ----


def test_the_signature_is_that_of_the_specification() -> None:
    """Standard Webhooks' own vector."""
    made = signature(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", b'{"test": 2432232314}')
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert key_of(Secret("any text")) == b"any text"


async def test_a_request_bears_what_proves_it() -> None:
    settings = {"url": "https://x.org/p", "secret": SECRET.reveal(), "headers": {"Authorization": "Bearer mine"}}
    channel = Webhook(settings_of(Webhook, settings))
    http = ScriptedHttp(Answer(204))
    note = notes.note(now=1_767_362_600_999)
    assert await channel.send(note, paper_outside(http)) == Delivered(note.id)
    (asked,) = http.asked
    assert asked.headers["webhook-id"] == note.id
    assert asked.headers["webhook-timestamp"] == "1767362600"
    assert asked.headers["webhook-signature"] == signature(SECRET, note.id, "1767362600", asked.body)
    assert asked.headers["Authorization"] == "Bearer mine"
    plain = Webhook(settings_of(Webhook, {"url": "https://x.org/p"}))
    await plain.send(note, paper_outside(http))
    assert "webhook-signature" not in http.asked[1].headers


async def test_a_note_whose_id_is_no_header_gets_another() -> None:
    http = ScriptedHttp(Answer(204))
    channel = Webhook(settings_of(Webhook, {"url": "https://x.org/p"}))
    await channel.send(notes.note(id="a\r\nX: y.é"), paper_outside(http))
    assert http.asked[0].headers["webhook-id"].isalnum()
    assert msgspec.json.decode(http.asked[0].body)["id"] == http.asked[0].headers["webhook-id"]


# ---- PagerDuty ----


def events(note: Note) -> list[dict[str, Any]]:
    return PagerDuty(settings_of(PagerDuty, {"routing_key": "a" * 32})).render(note)


def test_each_alert_is_an_event_of_its_own_key() -> None:
    assert [event["dedup_key"] for event in events(notes.crowd(3))] == [one.key for one in notes.crowd(3).subjects]
    actions = {occasion: events(notes.note(occasion))[0]["event_action"] for occasion in notes.OCCASIONS}
    assert actions.pop("resolved") == "resolve"
    assert actions.pop("acknowledged") == "acknowledge"
    assert set(actions.values()) == {"trigger"}


@pytest.mark.parametrize(
    ("severity", "theirs"), [("down", "critical"), ("critical", "critical"), ("warning", "warning")]
)
def test_severities_are_theirs(severity: Any, theirs: str) -> None:
    assert events(notes.note("firing", notes.subject(severity=severity)))[0]["payload"]["severity"] == theirs


@pytest.mark.parametrize("occasion", ["test", "drill"])
def test_a_rehearsal_closes_what_it_opened_and_nothing_else(occasion: Any) -> None:
    opened, closed = events(notes.note(occasion, notes.subject(), notes.subject(1)))
    assert (opened["event_action"], closed["event_action"]) == ("trigger", "resolve")
    assert opened["dedup_key"] == closed["dedup_key"] != notes.KEY
    assert opened["payload"]["severity"] == "info"
    assert opened["payload"]["summary"].startswith(f"[{occasion.upper()}] ")


async def test_the_first_event_that_is_not_taken_decides() -> None:
    channel = PagerDuty(settings_of(PagerDuty, {"routing_key": "a" * 32}))
    good, busy = Answer(202, b'{"status":"success"}'), Answer(429, b"", {"retry-after": "9"})
    http = ScriptedHttp(good, good, busy, good)
    assert await channel.send(notes.crowd(40), paper_outside(http)) == Retry("the answer was 429", 9.0)
    assert len(http.asked) == 1 + 8, "no more after that"
    bad = Answer(400, b'{"status":"invalid event","errors":["\'payload\' is missing"]}')
    assert await channel.send(notes.note(), paper_outside(ScriptedHttp(bad))) == Refused(
        "the answer was 400: 'payload' is missing"
    )


# ---- Apprise ----

URL = "discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js"


async def apprised(
    answer: ChildAnswer | Ended | CommandFailed, guard: Guard | None = None
) -> tuple[Outcome, PaperApprise]:
    child = PaperApprise(answer)
    channel = Apprise(settings_of(Apprise, {"url": URL}))
    outside = paper_outside(ScriptedHttp(), commands=child, guard=guard)
    return await channel.send(notes.note(), outside), child


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (ChildAnswer("sent"), Delivered()),
        (ChildAnswer("missing"), Refused(INSTALL)),
        (
            ChildAnswer("unknown", ("Unparseable URL ***",)),
            Refused("Apprise does not take this address: Unparseable URL ***"),
        ),
        (ChildAnswer("blocked", ("10.0.0.5 is a private address",)), Refused("10.0.0.5 is a private address")),
        (ChildAnswer("failed", ("Failed: error=404.",)), Refused("Apprise could not send it: Failed: error=404.")),
        (ChildAnswer("failed", ("Failed: error=429.",)), Retry("Apprise could not send it: Failed: error=429.")),
        (ChildAnswer("failed", ("Failed: error=503.",)), Retry("Apprise could not send it: Failed: error=503.")),
        (ChildAnswer("failed", ("A Connection error",)), Retry("Apprise could not send it: A Connection error")),
        (ChildAnswer("failed", ("error=404", "error=500")), Retry("Apprise could not send it: error=404; error=500")),
        (ChildAnswer("failed"), Retry("Apprise could not send it")),
        (CommandFailed("python: not ended within 28 s"), Retry("Apprise: python: not ended within 28 s")),
        (Ended(1, "", f"Traceback\nOSError: {URL}"), Retry("Apprise ended with 1: OSError: discord://***/***")),
    ],
)
async def test_what_the_child_says_is_an_outcome(answer: Any, outcome: Outcome) -> None:
    assert (await apprised(answer))[0] == outcome


async def test_the_child_is_told_by_standard_input_alone_and_guarded_as_this_side_is() -> None:
    _, child = await apprised(ChildAnswer("sent"))
    assert not [word for word in child.arguments if "4174216298" in word]
    assert (child.orders[0].url, child.orders[0].guarded) == (URL, False)
    _, child = await apprised(ChildAnswer("sent"), Guard(own=["9.9.9.9"]))
    order = child.orders[0]
    assert (order.guarded, order.private, order.own) == (True, False, ("9.9.9.9",))
    _, child = await apprised(ChildAnswer("sent"), Guard(private=True))
    assert (child.orders[0].guarded, child.orders[0].private) == (True, True)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("json://user:p%40ss@host.lan/tok/en1?k=v4lue", "user p@ss p%40ss host.lan en1 v4lue"),
        ("tgram://123456:ABC-DEF/chat", "at https://api.telegram.org/bot123456:ABC-DEF/send chat"),
    ],
)
def test_no_part_of_the_address_is_said(url: str, said: str) -> None:
    hidden = hidden_parts(said, url)
    for part in ("user", "p@ss", "p%40ss", "host.lan", "v4lue", "123456", "ABC-DEF", "chat"):
        assert part not in hidden


# ---- waits ----


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        (" 5 ", 5.0),
        ("Fri, 02 Jan 2026 14:03:50 -0000", 30.0),
        ("Fri, 02 Jan 2026 15:03:50 +0100", 30.0),
        ("Fri, 99 Jan 2026 14:03:50 GMT", None),
        ("٣", None),
        ("1.5", None),
        ("1e9", None),
    ],
)
def test_a_wait_is_seconds_or_a_date(text: str, seconds: float | None) -> None:
    assert retry_after(Answer(429, b"", {"retry-after": text}), notes.NOW) == seconds
