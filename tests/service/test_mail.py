"""The door to mail against a real SMTP server: security, replies, hangs and cuts at every step."""

from __future__ import annotations

import asyncio
import base64
import socket
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path
from typing import get_args

import pytest

from twinwatch.testing.certificates import Certificate, certificate_for, lacking
from twinwatch.testing.channels.mailbox import MailBox, Place
from twinwatch.testing.ports import free_port
from twinwatch.world.guard import Guard
from twinwatch.world.mail import MailAway, MailRefused, Relay, SmtpMail, Taken
from twinwatch.world.net.naming import Names
from twinwatch.world.secret import Secret

PASSWORD = "corréct horse"
USERS = {"ops": PASSWORD}
LOOPBACK = "127.0.0.1"
ELSEWHERE = "192.0.2.7"


def letter(text: str = "It is down.\n.\n..dots\n") -> EmailMessage:
    message = EmailMessage()
    message["Subject"] = "Über web-1"
    message["To"] = "ops@example.org"
    message.set_content(text)
    return message


async def send(
    mail: SmtpMail,
    relay: Relay | None,
    *,
    to: tuple[str, ...] = ("ops@example.org",),
    within: float = 10,
    text: str = "x",
) -> Taken:
    return await mail.send(letter(text), relay=relay, sender="tw@example.org", recipients=to, timeout_seconds=within)


def leads_to(*addresses: str) -> Names:
    """A resolver for which every name has these addresses."""
    return Names(lambda *_: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in addresses])


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    if lacking():
        pytest.skip(lacking())
    return certificate_for(tmp_path, "mail.example.org", LOOPBACK)


async def test_a_message_arrives_as_it_was_written() -> None:
    async with MailBox() as box:
        taken = await SmtpMail().send(
            letter("It is down.\n.\n..dots\nüber\n"),
            relay=box.relay(),
            sender="tw@example.org",
            recipients=("ops@example.org", "on.call@example.org"),
            timeout_seconds=10,
        )
    (got,) = box.letters
    assert taken == Taken("2.0.0 Ok: queued as 1")
    assert (got.sender, got.recipients) == ("tw@example.org", ("ops@example.org", "on.call@example.org"))
    assert (got.subject, got.message["From"]) == ("Über web-1", "tw@example.org")
    assert got.part("plain").replace("\r\n", "\n") == "It is down.\n.\n..dots\nüber\n"
    assert got.content.isascii(), "whatever the server can do"
    assert box.commands[0] == "EHLO [127.0.0.1]", "no name of this machine is asked for"
    assert box.commands[-1] == "QUIT"


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_tls_is_agreed_and_a_password_is_taken(security: str, certificate: Certificate) -> None:
    async with MailBox(security, certificate.server(), USERS) as box:  # type: ignore[arg-type]
        mail = SmtpMail(ca_file=certificate.file, names=leads_to(LOOPBACK))
        await send(mail, box.relay("ops", PASSWORD, host="mail.example.org"))
    (got,) = box.letters
    assert (got.over_tls, got.username) == (True, "ops")


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_certificate_that_is_not_trusted_or_of_another_ends_it(security: str, certificate: Certificate) -> None:
    async with MailBox(security, certificate.server(), USERS) as box:  # type: ignore[arg-type]
        with pytest.raises(MailAway, match=r"TLS: self.signed certificate"):
            await send(SmtpMail(), box.relay("ops", PASSWORD))
        trusting = SmtpMail(ca_file=certificate.file, names=leads_to(LOOPBACK))
        with pytest.raises(MailAway, match=r"TLS: .*other\.example"):
            await send(trusting, box.relay("ops", PASSWORD, host="other.example"))
    assert box.letters == []
    assert not [command for command in box.commands if command.startswith("AUTH")]


async def test_a_server_without_starttls_is_not_spoken_to_in_clear() -> None:
    async with MailBox() as box:
        relay = Relay(LOOPBACK, box.port, "starttls", "ops", Secret(PASSWORD))
        with pytest.raises(MailRefused, match="does not offer STARTTLS"):
            await send(SmtpMail(), relay)
    assert box.commands == ["EHLO [127.0.0.1]"]


async def test_a_password_goes_in_clear_within_this_machine_only(monkeypatch: pytest.MonkeyPatch) -> None:
    async with MailBox(users=USERS) as box:
        await send(SmtpMail(), box.relay("ops", PASSWORD))
        assert box.letters[0].username == "ops"
        # The same server as another machine: only the address that it seems to have is bent.
        real = socket.socket.getpeername
        monkeypatch.setattr(socket.socket, "getpeername", lambda self: (ELSEWHERE, real(self)[1]))
        with pytest.raises(MailRefused, match="not sent without TLS"):
            await send(SmtpMail(), box.relay("ops", PASSWORD))
        monkeypatch.undo()
    assert len([command for command in box.commands if command.startswith("AUTH")]) == 1


async def test_a_wrong_password_is_told_once_and_not_shown() -> None:
    said = f"535 5.7.8 wrong: {base64.b64encode(PASSWORD.encode()).decode()}"
    async with MailBox(users=USERS) as box:
        with pytest.raises(MailRefused, match=r"refused the sign-in of ops: 535 5\.7\.8") as caught:
            await send(SmtpMail(), box.relay("ops", "wrong horse"))
        assert len([command for command in box.commands if command.startswith("AUTH")]) == 1, "one way, not all"
        box.refuse("AUTH", said)
        with pytest.raises(MailRefused, match=r"535 5\.7\.8 wrong: \*\*\*") as echoed:
            await send(SmtpMail(), box.relay("ops", PASSWORD))
        box.heal()
        box.refuse("AUTH", "454 4.7.0 later")
        with pytest.raises(MailAway, match="454"):
            await send(SmtpMail(), box.relay("ops", PASSWORD))
    for shown in (str(caught.value), str(echoed.value)):
        assert "horse" not in shown


async def test_a_server_that_knows_no_way_to_sign_in_is_told() -> None:
    async with MailBox() as box:
        box.refuse("EHLO", "250 bare.example")
        with pytest.raises(MailRefused, match="no way to sign in"):
            await send(SmtpMail(), box.relay("ops", PASSWORD))


@pytest.mark.parametrize(
    ("place", "reply", "kind", "told"),
    [
        ("connect", "421 4.3.2 shutting down", MailAway, "waiting for its greeting: 421 4.3.2 shutting down"),
        ("connect", "554 5.7.1 blocked", MailRefused, "554 5.7.1 blocked"),
        ("MAIL", "451 4.7.1 greylisted, come again", MailAway, "451 4.7.1 greylisted"),
        ("MAIL", "550 5.7.1 no such sender", MailRefused, "550 5.7.1 no such sender"),
        ("MAIL", "552 5.3.4 message size exceeds limit", MailRefused, "552 5.3.4"),
        ("RCPT", "451 4.7.1 greylisted, come again", MailAway, "refused ops@example.org: 451 4.7.1 greylisted"),
        ("RCPT", "550 5.1.1 no such user", MailRefused, "refused ops@example.org: 550 5.1.1 no such user"),
        ("DATA", "452 4.3.1 disk is full", MailAway, "handing the message over: 452 4.3.1 disk is full"),
        ("content", "554 5.6.0 spam", MailRefused, "554 5.6.0 spam"),
        ("content", "451 4.3.0 queue is full", MailAway, "451 4.3.0 queue is full"),
        ("content", "nonsense", MailAway, "nonsense"),
    ],
)
async def test_replies_are_passing_or_for_good(place: Place, reply: str, kind: type[Exception], told: str) -> None:
    async with MailBox() as box:
        box.refuse(place, reply)
        with pytest.raises(kind) as caught:
            await send(SmtpMail(), box.relay())
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
    assert box.letters == []


async def test_a_message_that_is_too_large_is_refused() -> None:
    async with MailBox(most_bytes=1000) as box:
        with pytest.raises(MailRefused, match="552"):
            await send(SmtpMail(), box.relay(), text="long\n" * 1000)


async def test_who_is_refused_among_others_is_told() -> None:
    async with MailBox() as box:
        box.refuse("RCPT", "550 5.1.1 no such user", about="gone@")
        taken = await send(SmtpMail(), box.relay(), to=("gone@example.org", "ops@example.org"))
        assert taken.refused == {"gone@example.org": "550 5.1.1 no such user"}
        assert box.letters[0].recipients == ("ops@example.org",)
        box.refuse("RCPT", "451 4.7.1 come again", about="ops@")
        with pytest.raises(MailAway, match=r"refused gone@example.org \(and 1 more\)"):
            await send(SmtpMail(), box.relay(), to=("gone@example.org", "ops@example.org"))


@pytest.mark.parametrize("place", [place for place in get_args(Place) if place != "QUIT"])
async def test_a_hang_at_any_step_ends_at_the_deadline(place: Place, certificate: Certificate) -> None:
    async with MailBox("starttls", certificate.server(), USERS) as box:
        box.hang(place)
        mail = SmtpMail(ca_file=certificate.file)
        with pytest.raises(MailAway, match=r"no answer within 0\.4 s, \w+"):
            await send(mail, box.relay("ops", PASSWORD), within=0.4)
        box.heal()
        await send(mail, box.relay("ops", PASSWORD))
    assert len(box.letters) == 1


@pytest.mark.parametrize("place", [place for place in get_args(Place) if place != "QUIT"])
async def test_a_cut_at_any_step_is_told(place: Place, certificate: Certificate) -> None:
    async with MailBox("starttls", certificate.server(), USERS) as box:
        box.cut(place)
        mail = SmtpMail(ca_file=certificate.file)
        with pytest.raises(MailAway):
            await send(mail, box.relay("ops", PASSWORD))
        box.heal()
        await send(mail, box.relay("ops", PASSWORD))
    assert len(box.letters) == 1


@pytest.mark.parametrize("fault", [MailBox.hang, MailBox.cut])
async def test_what_happens_after_the_message_was_taken_changes_nothing(
    fault: Callable[[MailBox, Place], None],
) -> None:
    async with MailBox() as box:
        fault(box, "QUIT")
        assert (await send(SmtpMail(), box.relay())).said.endswith("queued as 1")


async def test_nobody_there_is_told() -> None:
    port = free_port()
    with pytest.raises(MailAway, match=f"127.0.0.1:{port}: connection refused"):
        await send(SmtpMail(), Relay(LOOPBACK, port))
    with pytest.raises(MailAway, match="does not exist"):
        await send(SmtpMail(), Relay("name.invalid"))


async def test_of_several_addresses_the_first_that_answers_is_taken() -> None:
    async with MailBox() as box:
        await send(SmtpMail(names=leads_to("127.0.0.9", LOOPBACK)), box.relay(host="mail.example.org"))
    assert len(box.letters) == 1


async def test_who_brings_no_server_takes_the_operators() -> None:
    async with MailBox() as box:
        mail = SmtpMail(relay=box.relay(), sender="twinwatch@example.org")
        await mail.send(letter(), relay=None, sender="", recipients=["ops@example.org"], timeout_seconds=10)
        assert (box.letters[0].sender, box.letters[0].message["From"]) == ("twinwatch@example.org",) * 2
    with pytest.raises(MailRefused, match="no mail server is set"):
        await send(SmtpMail(), None)
    with pytest.raises(MailRefused, match="no sender is set"):
        await SmtpMail(relay=box.relay()).send(
            letter(), relay=None, sender="", recipients=["ops@example.org"], timeout_seconds=10
        )


async def test_the_guard_judges_servers_of_others_and_not_the_operators() -> None:
    async with MailBox() as box:
        mail = SmtpMail(relay=box.relay(), guard=Guard(names=leads_to(LOOPBACK)))
        for host in (LOOPBACK, "mail.example.org", "localhost"):
            with pytest.raises(MailRefused, match="this machine itself"):
                await send(mail, box.relay(host=host))
        assert box.connections == 0
        await send(mail, None)
    assert len(box.letters) == 1


async def test_cancelled_it_leaves_no_connection() -> None:
    async with MailBox() as box:
        box.hang("MAIL")
        sending = asyncio.create_task(send(SmtpMail(), box.relay(), within=60))
        async with asyncio.timeout(10):
            while not [command for command in box.commands if command.startswith("MAIL")]:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending


async def test_a_file_of_certificates_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "noise.pem").write_text("noise")
    async with MailBox() as box:
        with pytest.raises(MailRefused, match="expected certificates in PEM"):
            await send(SmtpMail(ca_file=tmp_path / "noise.pem"), Relay(LOOPBACK, box.port, "starttls"))
