"""Channels through the real doors to providers on real ports, which keep what they got."""

from __future__ import annotations

import asyncio
import base64
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from twinwatch.notify import Channel, Delivered, Note, Outcome, Refused, Retry
from twinwatch.notify.apprise import Apprise
from twinwatch.notify.email import Email
from twinwatch.notify.pagerduty import PagerDuty
from twinwatch.notify.settings import settings_of
from twinwatch.notify.slack import Slack
from twinwatch.notify.sms import Sms
from twinwatch.notify.webhook import Webhook
from twinwatch.testing.certificates import certificate_for, lacking
from twinwatch.testing.channels import notes
from twinwatch.testing.channels.mailbox import MailBox, subjects
from twinwatch.testing.channels.pagerduty import FakePagerDuty
from twinwatch.testing.channels.services import Service
from twinwatch.testing.channels.slack import FakeSlack
from twinwatch.testing.channels.twilio import FakeTwilio
from twinwatch.testing.channels.webhook import SECRET, FakeWebhook
from twinwatch.world.commands import HostCommands
from twinwatch.world.doors import Outside
from twinwatch.world.guard import Guard
from twinwatch.world.http import AiohttpHttp
from twinwatch.world.mail import SmtpMail

REHEARSED = notes.note("resolved", first=False)


@pytest.fixture
async def outside() -> AsyncIterator[Outside]:
    http = AiohttpHttp()
    yield Outside(http, SmtpMail())
    await http.close()


@pytest.fixture
async def hub_outside() -> AsyncIterator[Outside]:
    """That of a hub whose operator allows nothing special."""
    guard = Guard()
    http = AiohttpHttp(guard=guard)
    yield Outside(http, SmtpMail(guard=guard), HostCommands(), guard)
    await http.close()


def made(kind: type[Channel], **settings: Any) -> Channel:
    return kind(settings_of(kind, settings))


def bot(slack: FakeSlack, **changes: Any) -> Channel:
    return made(Slack, **{"bot_token": slack.token, "channel": "#ops", "api_url": slack.api_url, **changes})


def sms(twilio: FakeTwilio, **changes: Any) -> Channel:
    settings = {
        "account_sid": twilio.account_sid,
        "auth_token": twilio.auth_token,
        "to": "+41791234567",
        "sender": twilio.sender,
        "api_url": twilio.url,
    }
    return made(Sms, **{**settings, **changes})


def pagerduty(service: FakePagerDuty) -> Channel:
    return made(PagerDuty, routing_key=service.routing_key, events_url=service.events_url)


def webhook(service: FakeWebhook, **changes: Any) -> Channel:
    return made(Webhook, **{"url": f"{service.url}/in/t0ken", "secret": SECRET, **changes})


async def of_each() -> AsyncIterator[tuple[Service, Channel]]:
    """Each provider that speaks HTTP, and a channel to it."""
    async with FakeSlack() as slack, FakeTwilio() as twilio, FakePagerDuty() as duty, FakeWebhook() as receiver:
        yield slack, bot(slack)
        yield slack, made(Slack, webhook_url=slack.webhook_url)
        yield twilio, sms(twilio)
        yield duty, pagerduty(duty)
        yield receiver, webhook(receiver)


async def test_each_provider_fails_and_heals(outside: Outside) -> None:
    note = notes.note()
    async for service, channel in of_each():
        service.refuse(429, times=1, retry_after=7)
        service.refuse(500, times=1)
        service.cut(times=1)
        service.refuse(400, times=1, body=b"what?")
        service.refuse(302, times=1)
        busy, broken, cut, wrong, moved, taken = [await channel.send(note, outside) for _ in range(6)]
        assert isinstance(busy, Retry), service
        assert busy.after_seconds == 7.0
        assert isinstance(broken, Retry)
        assert isinstance(cut, Retry)
        assert isinstance(wrong, Refused)
        assert isinstance(moved, Refused)
        assert isinstance(taken, Delivered)


async def test_a_hang_is_ended_by_the_channel(outside: Outside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twinwatch.notify.slack.REQUEST_SECONDS", 0.3)
    async with FakeSlack() as slack:
        slack.hang(times=1)
        assert await bot(slack).send(notes.note(), outside) == Retry("no answer within 0.3 s")
        assert isinstance(await bot(slack).send(notes.note(), outside), Delivered)
        assert len(slack.messages) == 1


async def test_slack_has_a_thread_to_each_alert(outside: Outside) -> None:
    async with FakeSlack() as slack:
        channel = bot(slack)
        first = await channel.send(notes.note("firing"), outside)
        other = await channel.send(notes.note("firing", notes.subject(1)), outside)
        assert isinstance(first, Delivered)
        assert isinstance(other, Delivered)
        for occasion in ("repeat", "acknowledged", "resolved"):
            later = notes.note(occasion, first=False, reference=first.reference)
            assert isinstance(await channel.send(later, outside), Delivered)
    told, second, *answers = slack.messages
    assert first.reference == f"C0000000001:{told.stamp}"
    assert [message.thread for message in answers] == [told.stamp] * 2
    assert [len(told.before), len(second.before)] == [2, 0], "acknowledged, then over"
    assert "🟢 Resolved: web-1: nginx.service failed" in told.text
    assert "🔴 Critical: web-2: nginx.service failed" in second.text
    assert answers[1].title == "Resolved: web-1: nginx.service failed"


async def test_slack_takes_every_note(outside: Outside) -> None:
    """Within the limits of Block Kit, which the fake holds."""
    long = notes.subject(server="s" * 5_000, title="t" * 5_000, message="m" * 50_000, evidence=("e" * 9_000,) * 500)
    async with FakeSlack() as slack:
        for channel in (bot(slack), made(Slack, webhook_url=slack.webhook_url)):
            for note in (*notes.golden().values(), notes.crowd(300), notes.note("firing", long, long)):
                assert isinstance(await channel.send(note, outside), Delivered)
    hostile = notes.subject(title="<!channel> & <@U1>")
    async with FakeSlack() as slack:
        await bot(slack).send(notes.note("firing", hostile), outside)
        assert slack.messages[0].title == "Critical: web-1: <!channel> & <@U1>"
        assert "<!channel>" not in slack.messages[0].payload["text"]
        assert "web-1: <!channel> & <@U1>" in slack.messages[0].text


async def test_slack_says_what_is_to_be_mended(outside: Outside) -> None:
    async with FakeSlack() as slack:
        for changes, told in (
            ({"bot_token": "xoxb-wrong-wrong"}, "invalid_auth"),
            ({"channel": "#private"}, "not_in_channel"),
            ({"channel": "#nowhere"}, "channel_not_found"),
        ):
            outcome = await bot(slack, **changes).send(notes.note(), outside)
            assert isinstance(outcome, Refused)
            assert told in outcome.reason
        gone = await made(Slack, webhook_url=f"{slack.url}/services/T0/B0/x").send(notes.note(), outside)
        assert gone == Refused("the answer was 404: the webhook was removed, or its app")
        slack.archived.add("C0000000001")
        archived = await made(Slack, webhook_url=slack.webhook_url).send(notes.note(), outside)
        assert archived == Refused("the answer was 410: the channel is archived")


async def test_slacks_rate_limit_is_kept(outside: Outside) -> None:
    async with FakeSlack(gap_seconds=60) as slack:
        assert isinstance(await bot(slack).send(notes.note(), outside), Delivered)
        busy = await bot(slack).send(notes.note(), outside)
        assert isinstance(busy, Retry)
        assert 50 < (busy.after_seconds or 0) <= 60
        assert len(slack.messages) == 1


async def test_a_text_message_arrives_in_one_part(outside: Outside) -> None:
    async with FakeTwilio() as twilio:
        for note in (*notes.golden().values(), notes.crowd(137)):
            assert isinstance(await sms(twilio).send(note, outside), Delivered)
        key = {"api_key_sid": twilio.api_key_sid, "auth_token": twilio.api_key_secret}
        service = {"sender": "", "messaging_service_sid": twilio.messaging_service_sid}
        assert await sms(twilio, **key, **service).send(notes.note(), outside) == Delivered(twilio.texts[-1].sid)
    assert {text.parts for text in twilio.texts} == {1}
    assert twilio.texts[0].body == "CRITICAL web-1: nginx.service failed, since 14:00 UTC"
    assert twilio.texts[-2].body == "CRITICAL web-1: nginx.service failed, since 14:00 UTC +136 more"


async def test_twilio_says_what_is_to_be_mended(outside: Outside) -> None:
    async with FakeTwilio() as twilio:
        twilio.stopped.add("+41790000000")
        for changes, told in (
            ({"auth_token": "wrong"}, "20003"),
            ({"to": "+41790000000"}, "21610"),
            ({"to": "+81312345678"}, "21408"),
            ({"sender": "+15005550001"}, "21606"),
        ):
            outcome = await sms(twilio, **changes).send(notes.note(), outside)
            assert isinstance(outcome, Refused)
            assert told in outcome.reason
        twilio.errors = [(429, 20429), (400, 30001)]
        for _ in range(2):
            assert isinstance(await sms(twilio).send(notes.note(), outside), Retry)
        assert twilio.texts == []


async def test_pagerduty_has_an_incident_to_each_alert_and_none_after_it(outside: Outside) -> None:
    async with FakePagerDuty() as service:
        channel = pagerduty(service)
        for _ in range(2):
            assert isinstance(await channel.send(notes.crowd(100), outside), Delivered)
        assert len(service.incidents) == 100, "twice the same is one"
        assert service.incidents[0].summary == "web-1: nginx.service failed"
        await channel.send(notes.note("acknowledged", replace(notes.subject(), occasion="acknowledged")), outside)
        assert [one.state for one in service.incidents[:2]] == ["acknowledged", "triggered"]
        over = [replace(one, occasion="resolved", resolved_at=notes.NOW) for one in notes.crowd(100).subjects]
        assert isinstance(await channel.send(notes.note("resolved", *over), outside), Delivered)
        for occasion in ("test", "drill"):
            assert isinstance(await channel.send(notes.note(occasion), outside), Delivered)
        assert service.open() == []
        wrong = made(PagerDuty, routing_key="0" * 32, events_url=service.events_url)
        assert await wrong.send(notes.note(), outside) == Refused("the answer was 400: 'routing_key' is not known")


async def test_a_webhook_is_signed_and_counts_once(outside: Outside) -> None:
    async with FakeWebhook() as receiver:
        note = notes.note()
        for _ in range(2):
            assert isinstance(await webhook(receiver).send(note, outside), Delivered)
        assert [document["id"] for document in receiver.documents] == [note.id]
        assert receiver.documents[0]["alerts"][0]["title"] == "nginx.service failed"
        forged = await webhook(receiver, secret="whsec_AAAA").send(note, outside)
        assert forged == Refused("the answer was 401: the signature is not right")


async def test_a_mail_arrives_with_text_and_page(outside: Outside) -> None:
    async with MailBox() as box:
        settings = {"recipients": ["ops@example.org"], "sender": "tw@example.org", "smtp_host": box.host}
        channel = made(Email, **settings, smtp_port=box.port, smtp_security="none")
        for note in (notes.golden()["firing"], replace(REHEARSED, teller="agent"), notes.crowd(137)):
            assert isinstance(await channel.send(note, outside), Delivered)
        first, last, crowd = box.letters
        assert subjects(box.letters) == [
            "[Critical] web-1: nginx.service failed",
            "[Resolved] web-1: nginx.service failed",
            "[Critical] web-1: nginx.service failed (and 136 more)",
        ]
        assert last.message["In-Reply-To"] == first.message["Message-ID"]
        assert "Told by the agent on web-1, on the server itself." in first.part("plain")
        assert "Lasted: 3 min 15 s" in last.part("plain")
        assert "<li>and 37 more</li>" in crowd.part("html")
        box.refuse("RCPT", "550 5.1.1 no such user", times=1)
        refused = await channel.send(notes.note(), outside)
        assert isinstance(refused, Refused)
        box.refuse("MAIL", "451 4.7.1 greylisted", times=1)
        assert isinstance(await channel.send(notes.note(), outside), Retry)


async def test_a_hub_reaches_no_provider_within_its_own_house(hub_outside: Outside) -> None:
    async for service, channel in of_each():
        outcome = await channel.send(notes.note(), hub_outside)
        assert isinstance(outcome, Refused), channel
        assert "this machine itself" in outcome.reason
        assert service.got == []
    async with MailBox() as box:
        mail = made(Email, recipients=["a@b.ch"], sender="a@b.ch", smtp_host="localhost", smtp_port=box.port)
        assert isinstance(await mail.send(notes.note(), hub_outside), Refused)
        assert box.connections == 0


async def test_secrets_go_over_tls_and_to_the_right_host_only(tmp_path: Path) -> None:
    if lacking():
        pytest.skip(lacking())
    certificate = certificate_for(tmp_path, "127.0.0.1")
    async with FakeTwilio(tls=certificate.server()) as twilio:
        trusting, strange = AiohttpHttp(ca_file=certificate.file), AiohttpHttp()
        assert isinstance(await sms(twilio).send(notes.note(), Outside(trusting, SmtpMail())), Delivered)
        outcome = await sms(twilio).send(notes.note(), Outside(strange, SmtpMail()))
        assert isinstance(outcome, Retry)
        assert outcome.reason.startswith("TLS: ")
        await trusting.close()
        await strange.close()
        assert len(twilio.got) == 1


# ---- Apprise, in its own process ----


def apprise(url: str) -> Channel:
    return made(Apprise, url=url)


async def send(channel: Channel, outside: Outside, note: Note | None = None) -> Outcome:
    return await channel.send(note or notes.note(), outside)


async def test_apprise_sends_from_a_process_of_its_own(outside: Outside) -> None:
    async with FakeWebhook(secret="") as receiver:
        place = receiver.url.removeprefix("http://")
        assert await send(apprise(f"json://user:pa55word@{place}/in/t0ken"), outside) == Delivered()
        (got,) = receiver.got
        assert got.path == "/in/t0ken"
        assert got.headers["authorization"] == "Basic " + base64.b64encode(b"user:pa55word").decode()
        assert got.json()["title"] == "Critical: web-1: nginx.service failed"
        assert "Told by the hub." in got.json()["message"]
        receiver.refuse(404, times=1)
        receiver.refuse(503, times=1)
        receiver.refuse(302, times=1)
        wrong, broken, moved = [await send(apprise(f"json://{place}/in/t0ken"), outside) for _ in range(3)]
        assert isinstance(wrong, Refused)
        assert isinstance(broken, Retry)
        assert isinstance(moved, Refused)
        assert len(receiver.got) == 4, "no redirect was followed"
        for outcome in (wrong, broken, moved):
            assert "t0ken" not in repr(outcome)
    nobody = await send(apprise(f"json://{place}/in/t0ken"), outside)
    assert isinstance(nobody, Retry)
    assert isinstance(await send(apprise("nosuch://x/t0ken"), outside), Refused)


async def test_what_is_secret_is_in_no_process_list_and_the_process_ends_at_the_deadline(
    outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Apprise, "deadline_seconds", 6.0)
    async with FakeWebhook(secret="") as receiver:
        receiver.hang()
        place = receiver.url.removeprefix("http://")
        sending = asyncio.create_task(send(apprise(f"json://{place}/in/t0ken?rto=60&cto=60"), outside))
        await receiver.wait(lambda: bool(receiver.got))
        child = _child()
        for file in ("cmdline", "environ"):
            content = (child / file).read_bytes()
            assert content
            assert b"t0ken" not in content
        assert await sending == Retry(f"Apprise: {sys.executable}: not ended within 4 s")
        assert not child.exists()


async def test_apprise_is_guarded_as_the_hub_is(hub_outside: Outside, tmp_path: Path) -> None:
    secret = tmp_path / "secret.pem"
    secret.write_text("-----BEGIN PRIVATE KEY-----")
    async with FakeWebhook(secret="") as receiver:
        port = receiver.url.rpartition(":")[2]
        for url, told in (
            (f"json://127.0.0.1:{port}/in", "this machine itself"),
            (f"json://localhost:{port}/in", "this machine itself"),
            ("json://169.254.169.254/latest", "metadata"),
            (f"mailto://u:p@127.0.0.1:{port}?from=a@b.ch&to=c@d.ch", "this machine itself"),
            ("syslog://", "on the hub's machine"),
            ("dbus://", "on the hub's machine"),
            (f"vapid://a@b.ch/c@d.ch?keyfile={secret}", "no file of this machine"),
        ):
            outcome = await send(apprise(url), hub_outside)
            assert isinstance(outcome, Refused), (url, outcome)
            assert told in outcome.reason, (url, outcome)
        assert receiver.got == []
        lenient = replace(hub_outside, guard=Guard(private=True))
        assert await send(apprise(f"json://127.0.0.1:{port}/in"), lenient) == Delivered()
        metadata = await send(apprise("json://169.254.169.254/latest"), lenient)
        assert isinstance(metadata, Refused)


def _child() -> Path:
    """The process that this one has started for Apprise."""
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and b"twinwatch.notify.apprise_child" in (folder / "cmdline").read_bytes():
                parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
                if int(parent) == os.getpid():
                    return folder
        except OSError:
            continue
    raise AssertionError("no such process")
