from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from twinwatch.notify import Delivered, Note, Outcome, Refused, Retry, Subject
from twinwatch.notify.email import Email, message_id, root_id
from twinwatch.notify.settings import settings_of
from twinwatch.testing.channels import notes
from twinwatch.testing.channels.contract import paper_outside
from twinwatch.testing.channels.paper import ScriptedHttp
from twinwatch.testing.paper import PaperMail
from twinwatch.world.mail import MailAway, MailRefused, Taken

OPS = {"recipients": ["ops@example.org", "boss@example.org"]}


def channel(**changes: Any) -> Email:
    return Email(settings_of(Email, {**OPS, **changes}))


async def sent(mail: PaperMail, note: Note | None = None, **changes: Any) -> Outcome:
    return await channel(**changes).send(note or notes.note(), paper_outside(ScriptedHttp(), mail=mail))


def firing(*subjects: Subject, **changes: Any) -> Note:
    return notes.note("firing", *subjects, **changes)


def test_agent_and_hub_give_the_first_message_the_same_id() -> None:
    by_agent = firing(id="agent-1", teller="agent", now=notes.NOW)
    by_hub = firing(id="hub-7", teller="hub", now=notes.NOW + 60_000)
    assert message_id(by_agent) == message_id(by_hub) == root_id(by_hub)
    ends = [notes.note("resolved", id=name, teller=teller) for name, teller in (("a", "agent"), ("h", "hub"))]
    assert message_id(ends[0]) == message_id(ends[1]) != message_id(by_hub)


def test_what_says_more_is_another_message() -> None:
    """A mailbox that drops what has an id that it has would lose the second alert else."""
    one, other = notes.subject(1), notes.subject(2)
    assert message_id(firing(one)) != message_id(firing(one, other)) != message_id(firing(one, notes.subject(3)))
    assert message_id(firing(one, other)) == message_id(firing(other, one, thread=one.key))


@pytest.mark.parametrize("occasion", ["repeat", "escalation", "worse", "flapping", "settled", "test", "drill"])
def test_what_is_said_more_than_once_is_another_message_each_time(occasion: Any) -> None:
    assert message_id(notes.note(occasion, id="n1")) != message_id(notes.note(occasion, id="n2"))
    assert message_id(notes.note(occasion, id="n1")) == message_id(notes.note(occasion, id="n1"))


def test_later_messages_are_answers_to_the_first_and_keep_its_subject() -> None:
    first = channel().render(firing())
    assert "In-Reply-To" not in first
    later = channel().render(notes.note("resolved", first=False))
    assert later["In-Reply-To"] == later["References"] == first["Message-ID"]
    assert first["Subject"] == "[Critical] web-1: nginx.service failed"
    assert later["Subject"] == "[Resolved] web-1: nginx.service failed"
    grouped = channel().render(firing(notes.subject(), notes.subject(1)))
    assert grouped["In-Reply-To"] == first["Message-ID"], "the end of the first alert finds it"


def test_only_what_is_grave_is_marked_so() -> None:
    assert channel().render(firing())["Importance"] == "high"
    assert "Importance" not in channel().render(firing(notes.subject(severity="warning")))
    assert "Importance" not in channel().render(notes.note("resolved"))


async def test_the_channels_own_server_is_used_or_the_one_for_all() -> None:
    mail = PaperMail()
    await sent(mail)
    await sent(
        mail,
        sender="tw@example.org",
        smtp_host="mail.example.org",
        smtp_port=465,
        smtp_username="u",
        smtp_password="p",
    )
    default, own = mail.letters
    assert (default.relay, default.sender, "From" in default.message) == (None, "", False)
    assert own.relay is not None
    assert own.relay.agreed == "tls"
    assert (own.relay.host, own.relay.username, own.sender) == ("mail.example.org", "u", "tw@example.org")
    assert own.message["From"] == "tw@example.org"
    assert own.recipients == ("ops@example.org", "boss@example.org")


async def test_outcomes_are_those_of_the_door() -> None:
    refused = {"boss@example.org": "550 no such user"}
    mail = PaperMail([MailAway("451 later"), MailRefused("550 no"), Taken("queued", refused), Taken("queued")])
    assert await sent(mail) == Retry("451 later")
    assert await sent(mail) == Refused("550 no")
    partly = await sent(mail)
    assert isinstance(partly, Delivered)
    assert partly.warning == "not taken for boss@example.org: 550 no such user"
    assert await sent(mail) == Delivered(message_id(notes.note()))


async def test_no_password_is_in_a_reason() -> None:
    mail = PaperMail([MailRefused("535 no: c0rrect h0rse"), MailAway("c0rrect h0rse")])
    for _ in range(2):
        outcome = await sent(mail, smtp_host="m.example.org", smtp_username="u", smtp_password="c0rrect h0rse")
        assert "h0rse" not in repr(outcome)


def test_headers_are_of_ours_alone() -> None:
    evil = "x\r\nBcc: all@evil.example\r\n\r\n<script>alert(1)</script>"
    subject = notes.subject(server=evil, title=evil, message=evil, cause=evil)
    message = channel().render(replace(firing(subject), organization=evil))
    assert set(message.keys()) == set(channel().render(firing()).keys())
    assert "\n" not in str(message["Subject"])
    html = message.get_body(("html",)).get_content()  # type: ignore[union-attr]
    assert "<script" not in html
    assert "&lt;script&gt;" in html
