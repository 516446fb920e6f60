"""A webhook: the note as JSON, signed so that the receiver knows who sent it and when.

The signature is that of Standard Webhooks (standardwebhooks.com), which libraries of many languages verify: HMAC-SHA256
over ``id.timestamp.body``. ``webhook-id`` is the note's, the same for every try of it, so that a receiver can drop what
it has; the time is that of the try.

Invariants: redirects are not followed; own headers cannot replace those of the signature or of the body.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from hashlib import blake2b, sha256
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

from twinwatch.notify import Delivered, Note, Outcome, SecretText, Settings, Subject, wording
from twinwatch.notify.posting import judged, post, said
from twinwatch.notify.settings import check_url, place_of, secrets_of
from twinwatch.world.doors import Outside
from twinwatch.world.http import Answer
from twinwatch.world.secret import Secret

VERSION = 1
PREFIX = "whsec_"
EVIDENCE_LINES = 500
HEADERS = 20
RESERVED = frozenset(
    {"connection", "content-encoding", "content-length", "content-type", "expect", "host", "te", "trailer", "upgrade"}
    | {"transfer-encoding", "webhook-id", "webhook-signature", "webhook-timestamp"}
)
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_ID = re.compile(r"[A-Za-z0-9_:-]{1,100}")
_VALUE = re.compile(r"[\t\x20-\x7e]{0,2000}")


class WebhookSettings(Settings, frozen=True, kw_only=True):
    """Where the note is posted to, and what proves who sent it."""

    url: Annotated[SecretText, Meta(title="Address", description="Where the JSON document is posted to.")]
    secret: Annotated[
        SecretText | None,
        Meta(
            title="Signing secret",
            description="whsec_ and 24 to 64 bytes in base64, or any text; empty: requests are not signed.",
        ),
    ] = None
    headers: Annotated[
        dict[str, SecretText],
        Meta(title="Headers", description="Sent along, such as Authorization.", max_length=HEADERS),
    ] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        check_url("url", self.url.reveal(), secure=False)
        for name, value in self.headers.items():
            if not _NAME.fullmatch(name) or name.lower() in RESERVED:
                raise ValueError(f"headers: {name[:60]!r} is no name of a header of your own")
            if not _VALUE.fullmatch(value.reveal()):
                raise ValueError(f"headers: {name}: expected printable ASCII in one line")
        if self.secret and self.secret.reveal().startswith(PREFIX):
            key_of(self.secret)


class Webhook:
    """A JSON document, posted to an address of yours and signed."""

    name: ClassVar[str] = "webhook"
    title: ClassVar[str] = "Webhook"
    Settings: ClassVar[type[Settings]] = WebhookSettings
    gap_seconds: ClassVar[float] = 1.0
    deadline_seconds: ClassVar[float] = 15.0
    extra: ClassVar[str] = ""
    hears_acknowledgements: ClassVar[bool] = True

    def __init__(self, settings: WebhookSettings) -> None:
        self._settings = settings

    def render(self, note: Note) -> dict[str, Any]:
        """The document. ``text`` is the whole of it for people, for receivers that show nothing else."""
        return {
            "version": VERSION,
            "id": _name(note.id),
            "occasion": note.occasion,
            "sent_at": _instant(note.now),
            "teller": note.teller,
            "sender": wording.line(note.sender),
            "organization": wording.line(note.organization),
            "thread": note.thread,
            "first": note.first,
            "title": wording.title(note),
            "text": wording.text(note),
            "link": wording.url(note.link),
            "count": len(note.subjects),
            "alerts": [_alert(note, one) for one in note.subjects[: wording.MOST_SUBJECTS]],
        }

    async def send(self, note: Note, outside: Outside) -> Outcome:
        """As ``Channel`` says."""
        settings = self._settings
        body = msgspec.json.encode(self.render(note))
        seconds = str(note.now // 1000)
        headers = {name: value.reveal() for name, value in settings.headers.items()}
        name = _name(note.id)
        headers |= {"Content-Type": "application/json", "webhook-id": name, "webhook-timestamp": seconds}
        if settings.secret:
            headers["webhook-signature"] = signature(settings.secret, name, seconds, body)
        secrets = secrets_of(settings)
        answer = await post(
            outside,
            settings.url.reveal(),
            headers=headers,
            body=body,
            timeout_seconds=self.deadline_seconds - 1,
            secrets=secrets,
        )
        if not isinstance(answer, Answer):
            return answer
        outcome = judged(answer, now=note.now, told=said(answer, *secrets))
        return Delivered(note.id) if isinstance(outcome, Delivered) else outcome

    def reaches(self) -> str:
        """Where it is, without path and query."""
        return place_of(self._settings.url.reveal())


def signature(secret: Secret, message_id: str, seconds: str, body: bytes) -> str:
    """The value of ``webhook-signature``."""
    content = f"{message_id}.{seconds}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key_of(secret), content, sha256).digest()).decode()


def key_of(secret: Secret) -> bytes:
    """The bytes of the key: base64 after ``whsec_``, else the text's own.

    Raises: ValueError.
    """
    text = secret.reveal()
    if not text.startswith(PREFIX):
        return text.encode()
    try:
        key = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        raise ValueError("secret: expected base64 after whsec_")
    return key


def _name(note_id: str) -> str:
    """The id as it may stand in a header; a full stop would end it in what is signed."""
    if _ID.fullmatch(note_id):
        return note_id
    return blake2b(note_id.encode("utf-8", "replace"), digest_size=16).hexdigest()


def _alert(note: Note, subject: Subject) -> dict[str, Any]:
    return {
        "key": subject.key,
        "occasion": wording.occasion_of(note, subject),
        "state": wording.state(note, subject),
        "severity": subject.severity,
        "server": wording.line(subject.server),
        "title": wording.line(subject.title),
        "message": wording.lines(subject.message),
        "since": _instant(subject.since),
        "resolved_at": _instant(subject.resolved_at) if subject.resolved_at is not None else None,
        "cause": wording.line(subject.cause),
        "by": wording.line(subject.by),
        "facts": [{"name": wording.line(name), "value": wording.line(value)} for name, value in subject.facts],
        "evidence": wording.evidence(subject.evidence, EVIDENCE_LINES),
        "url": wording.url(subject.url),
        "acknowledge_url": wording.acknowledge_url(note, subject),
    }


def _instant(milliseconds: int) -> str:
    """RFC 3339: ``2026-01-01T14:03:20.000Z``."""
    return wording.at(milliseconds).isoformat(timespec="milliseconds").replace("+00:00", "Z")
