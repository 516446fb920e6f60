"""Email: text and HTML, over the channel's own SMTP server or the one that agent or hub have for all.

Messages about one alert make one conversation. The first bears an id that follows from the alert's key alone, so that
agent and hub give the same message the same one, and whoever gets both shows one; what comes later refers to it.

Invariants: no header comes of text (it is one line, and encoded); in HTML it is escaped; no answer is asked for
(RFC 3834), and no image or script is loaded.
Source: RFC 5322 (3.6.4 identification), RFC 2919 (List-Id), RFC 3834 (Auto-Submitted).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.message import EmailMessage
from email.utils import format_datetime
from hashlib import blake2b
from html import escape
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from twinwatch.notify import Delivered, Note, Outcome, Refused, Retry, SecretText, Settings, Subject, wording
from twinwatch.notify.settings import secrets_of
from twinwatch.world.doors import Outside
from twinwatch.world.mail import MailAway, MailRefused, Relay
from twinwatch.world.secret import hidden

DOMAIN = "alerts.twinwatch.invalid"
"""On the right of every id: the same whoever sends, and nobody's (RFC 2606)."""
SUBJECT_CHARACTERS = 150
EVIDENCE_LINES = 200
GRAVE = {"critical", "down"}
COLOURS = {"Resolved": "#15803d", "Acknowledged": "#1d4ed8", "Test": "#475569", "Drill": "#475569"}
_ATOM = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_ADDRESS = re.compile(rf"(?=.{{1,64}}@){_ATOM}(\.{_ATOM})*@(?=.{{1,253}}$)[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")


class EmailSettings(Settings, frozen=True, kw_only=True):
    """Whom to write to, and through which server."""

    recipients: Annotated[
        tuple[str, ...],
        Meta(
            title="Recipients",
            description="Addresses that each message goes to; they see one another.",
            min_length=1,
            max_length=50,
        ),
    ]
    sender: Annotated[
        str, Meta(title="Sender", description="The address in From; empty: that of the agent or hub.", max_length=254)
    ] = ""
    smtp_host: Annotated[
        str,
        Meta(
            title="SMTP server",
            description="Host name of a mail server for this channel; empty: that of the agent or hub.",
            max_length=253,
        ),
    ] = ""
    smtp_port: Annotated[
        int, Meta(title="SMTP port", description="587, or 465 for TLS from the start.", ge=1, le=65535)
    ] = 587
    smtp_security: Annotated[
        Literal["", "starttls", "tls", "none"],
        Meta(
            title="Security",
            description="How TLS is agreed; empty: as the port has it. With none, no password leaves this machine.",
        ),
    ] = ""
    smtp_username: Annotated[str, Meta(title="User name", description="Empty: nobody signs in.", max_length=254)] = ""
    smtp_password: Annotated[
        SecretText | None, Meta(title="Password", description="An app password where the provider has such.")
    ] = None

    def __post_init__(self) -> None:
        for address in (*self.recipients, *((self.sender,) if self.sender else ())):
            if not _ADDRESS.fullmatch(address):
                raise ValueError(f"{address[:60]!r}: expected an address such as ops@example.org")
        if not self.smtp_host and (self.smtp_username or self.smtp_password):
            raise ValueError("smtp_username and smtp_password: expected smtp_host beside them")


class Email:
    """Email with the alerts of one conversation as replies to the first."""

    name: ClassVar[str] = "email"
    title: ClassVar[str] = "Email"
    Settings: ClassVar[type[Settings]] = EmailSettings
    gap_seconds: ClassVar[float] = 15.0
    deadline_seconds: ClassVar[float] = 30.0
    extra: ClassVar[str] = ""
    hears_acknowledgements: ClassVar[bool] = False

    def __init__(self, settings: EmailSettings) -> None:
        self._settings = settings

    def render(self, note: Note) -> EmailMessage:
        """The message, without ``From`` if that is not the channel's own."""
        message = EmailMessage()
        settings, root, own = self._settings, root_id(note), message_id(note)
        message["Subject"] = subject_line(note)
        if settings.sender:
            message["From"] = settings.sender
        message["To"] = ", ".join(settings.recipients)
        message["Date"] = format_datetime(wording.at(note.now))
        message["Message-ID"] = own
        if own != root:
            message["In-Reply-To"] = root
            message["References"] = root
        message["Auto-Submitted"] = "auto-generated"
        message["X-Auto-Response-Suppress"] = "All"
        message["List-Id"] = f"Twinwatch alerts <{DOMAIN}>"
        message["X-Twinwatch"] = f"{note.occasion}; {note.subjects[0].severity}; {note.teller}"
        if note.occasion in ("firing", "worse", "escalation") and note.subjects[0].severity in GRAVE:
            message["Importance"] = "high"
            message["X-Priority"] = "1"
        message.set_content(wording.text(note, evidence_lines=EVIDENCE_LINES) + _signature(note))
        message.add_alternative(page(note), subtype="html")
        return message

    async def send(self, note: Note, outside: Outside) -> Outcome:
        """As ``Channel`` says."""
        settings = self._settings
        relay = None
        if settings.smtp_host:
            relay = Relay(
                settings.smtp_host,
                settings.smtp_port,
                settings.smtp_security,
                settings.smtp_username,
                settings.smtp_password,
            )
        try:
            taken = await outside.mail.send(
                self.render(note),
                relay=relay,
                sender=settings.sender,
                recipients=settings.recipients,
                timeout_seconds=self.deadline_seconds - 1,
            )
        except MailAway as err:
            return Retry(hidden(str(err), *secrets_of(settings)))
        except MailRefused as err:
            return Refused(hidden(str(err), *secrets_of(settings)))
        refused = ", ".join(f"{recipient}: {why}" for recipient, why in taken.refused.items())
        return Delivered(message_id(note), f"not taken for {refused}" if refused else "")

    def reaches(self) -> str:
        """The recipients."""
        return ", ".join(self._settings.recipients)


def subject_line(note: Note) -> str:
    """The mail's subject: ``[Critical] web-1: nginx.service failed``. What is in brackets at its beginning is no part
    of what mail programs compare to find a conversation (RFC 5256, 2.1)."""
    first = note.subjects[0]
    head = f"[{wording.state(note, first)}] "
    tail = f" ({wording.more(len(note.subjects) - 1)})" if len(note.subjects) > 1 else ""
    return head + wording.headline(first, SUBJECT_CHARACTERS - len(head) - len(tail)) + tail


def root_id(note: Note) -> str:
    """The id of the message that began the conversation, or would have."""
    return _identified("firing", note.thread)


def message_id(note: Note) -> str:
    """The id of this message: of a first or last one what it says, so that two who say the same give the same; of any
    other that of the note, since the like is said more than once."""
    keys = sorted(subject.key for subject in note.subjects)
    once = note.occasion in ("firing", "resolved")
    if once and all(subject.occasion == note.occasion for subject in note.subjects):
        return _identified(note.occasion, *keys)
    return _identified(note.occasion, note.id, *keys)


def page(note: Note) -> str:
    """The HTML part."""
    return "\n".join(_page(note))


def _page(note: Note) -> Iterator[str]:
    first = note.subjects[0]
    colour = COLOURS.get(wording.state(note, first), "#b45309" if first.severity == "warning" else "#b91c1c")
    font = "font-family:-apple-system,Segoe UI,Roboto,Helvetica,Arial,sans-serif;font-size:15px;line-height:1.5"
    yield '<!DOCTYPE html><html><head><meta charset="utf-8">'
    yield '<meta name="color-scheme" content="light dark"></head>'
    yield f'<body style="margin:0;padding:16px;{font}"><div style="max-width:640px">'
    yield f'<p style="margin:0;color:{colour};font-weight:600">{escape(wording.state(note, first))}</p>'
    yield f'<h1 style="margin:4px 0 12px;font-size:20px">{escape(wording.headline(first))}</h1>'
    if opening := wording.opening(note):
        yield f'<p style="margin:0 0 12px">{escape(opening)}</p>'
    if first.message:
        yield f'<p style="margin:0 0 12px;white-space:pre-line">{escape(wording.lines(first.message))}</p>'
    yield '<table style="border-collapse:collapse;margin:0 0 16px">'
    for name, value in wording.rows(note, first):
        yield f'<tr><th align="left" valign="top" style="padding:2px 16px 2px 0;font-weight:600">{escape(name)}</th>'
        yield f'<td style="padding:2px 0">{escape(value)}</td></tr>'
    yield "</table>"
    yield from _buttons(note, first)
    if len(note.subjects) > 1:
        yield '<p style="margin:0 0 4px;font-weight:600">Also</p><ul style="margin:0 0 16px;padding-left:20px">'
        for one in wording.others(note):
            yield f"<li>{_linked(wording.brief(note, one), wording.url(one.url))}</li>"
        for line in wording.rest(note):
            yield f"<li>{escape(line)}</li>"
        yield "</ul>"
    if first.evidence:
        lines = "\n".join(wording.evidence(first.evidence, EVIDENCE_LINES))
        yield '<p style="margin:0 0 4px;font-weight:600">At that moment</p>'
        yield f'<pre style="margin:0 0 16px;padding:8px;overflow:auto;font-size:12px">{escape(lines)}</pre>'
    yield f'<p style="margin:0 0 4px">{escape(wording.teller(note))}</p>'
    yield f'<p style="margin:0;font-size:12px;color:#64748b">{escape(_source(note))}</p></div></body></html>'


def _buttons(note: Note, subject: Subject) -> Iterator[str]:
    style = "display:inline-block;padding:8px 14px;border-radius:6px;text-decoration:none;margin:0 8px 16px 0"
    if acknowledge := wording.acknowledge_url(note, subject):
        yield f'<a href="{escape(acknowledge)}" style="{style};background:#1d4ed8;color:#ffffff">Acknowledge</a>'
    if details := wording.url(subject.url) or wording.url(note.link):
        yield f'<a href="{escape(details)}" style="{style};border:1px solid #94a3b8">Details</a>'


def _linked(text: str, url: str) -> str:
    return f'<a href="{escape(url)}">{escape(text)}</a>' if url else escape(text)


def _source(note: Note) -> str:
    organization = wording.line(note.organization, 100)
    return f"Twinwatch{f', {organization}' if organization else ''}"


def _signature(note: Note) -> str:
    return f"\n\n-- \n{_source(note)}\n"


def _identified(*words: str) -> str:
    digest = blake2b("\0".join(words).encode("utf-8", "replace"), digest_size=16).hexdigest()
    return f"<{digest}@{DOMAIN}>"
