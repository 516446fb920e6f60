"""SMS through Twilio: one message of one part that says server, what and since when.

One number to a channel: whether it was told is then one fact, and nobody is told twice because another could not be.
Source: Twilio's API reference (Messages resource, version 2010-04-01) and its dictionary of errors.
"""

from __future__ import annotations

import base64
import re
from typing import Annotated, Any, ClassVar
from urllib.parse import urlencode

from msgspec import Meta

from twinwatch.notify import Delivered, Note, Outcome, Refused, Retry, SecretText, Settings, Subject, wording
from twinwatch.notify.gsm import GSM_CHARACTERS, UCS2_CHARACTERS, bounded, spelled, units
from twinwatch.notify.posting import fields_of, judged, post, retry_after
from twinwatch.notify.settings import check_url, secrets_of
from twinwatch.world.doors import Outside
from twinwatch.world.http import Answer
from twinwatch.world.secret import Secret, hidden

REQUEST_SECONDS = 15.0
SERVER_CHARACTERS = 40
SHORT_SERVER_CHARACTERS = 15
PASSING = frozenset({20429, 20500, 20503, 20504, 21611, 30001, 30008, 30022, 63018})
"""Too many at once, a full queue, a failure of theirs."""
REMEDIES = {
    20003: "account, token or key is not right, or the account is suspended",
    20404: "no such account",
    21211: "the number is none that can be called",
    21212: "the sender's number is none",
    21214: "the number cannot be reached",
    21408: "sending to the number's country is not switched on; see Messaging, Geo permissions",
    21606: "the sender's number is not of this account, or cannot send SMS",
    21608: "a trial account sends to verified numbers only",
    21610: "the number has answered STOP; it must answer START",
    21612: "this sender cannot reach this number",
    21614: "the number is no mobile one",
    21659: "the sender's number is not of this account",
    21703: "the messaging service has no sender",
    21705: "no such messaging service",
    30002: "the account is suspended",
    30003: "the phone is off or out of reach",
    30004: "the number has blocked this sender",
    30005: "the number does not exist",
    30006: "the number is a landline, or out of reach",
    30007: "a carrier has filtered the message",
    30034: "the sender's number is not registered for A2P 10DLC",
}
_ACCOUNT = re.compile(r"AC[0-9a-fA-F]{32}")
_KEY = re.compile(r"SK[0-9a-fA-F]{32}")
_SERVICE = re.compile(r"MG[0-9a-fA-F]{32}")
_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")
_SENDER = re.compile(r"\+[1-9][0-9]{6,14}|[0-9]{3,8}|(?=.*[A-Za-z])[A-Za-z0-9 ]{1,11}")


class SmsSettings(Settings, frozen=True, kw_only=True):
    """A Twilio account, who sends and who gets it."""

    account_sid: Annotated[str, Meta(title="Account SID", description="From Twilio's console: AC and 32 digits.")]
    auth_token: Annotated[
        SecretText, Meta(title="Auth token", description="Of the account; or the secret of the API key below.")
    ]
    api_key_sid: Annotated[
        str, Meta(title="API key SID", description="SK and 32 digits, to use a key that can be revoked alone.")
    ] = ""
    to: Annotated[str, Meta(title="To", description="The number that gets it, such as +41791234567.")]
    sender: Annotated[
        str, Meta(title="From", description="A number of the account, a short code or an alphanumeric sender.")
    ] = ""
    messaging_service_sid: Annotated[
        str, Meta(title="Messaging service", description="MG and 32 digits, in place of a number.")
    ] = ""
    api_url: Annotated[str, Meta(title="API", description="Another region's: https://api.dublin.ie1.twilio.com.")] = (
        "https://api.twilio.com"
    )

    def __post_init__(self) -> None:
        if not _ACCOUNT.fullmatch(self.account_sid):
            raise ValueError("account_sid: expected AC and 32 hexadecimal digits")
        if self.api_key_sid and not _KEY.fullmatch(self.api_key_sid):
            raise ValueError("api_key_sid: expected SK and 32 hexadecimal digits")
        if not self.auth_token:
            raise ValueError("auth_token: expected a token")
        if not _NUMBER.fullmatch(self.to):
            raise ValueError("to: expected a number in international form, such as +41791234567")
        if bool(self.sender) == bool(self.messaging_service_sid):
            raise ValueError("expected either sender or messaging_service_sid")
        if self.sender and not _SENDER.fullmatch(self.sender):
            raise ValueError("sender: expected a number such as +15005550006, a short code or up to 11 letters")
        if self.messaging_service_sid and not _SERVICE.fullmatch(self.messaging_service_sid):
            raise ValueError("messaging_service_sid: expected MG and 32 hexadecimal digits")
        check_url("api_url", self.api_url)


class Sms:
    """A text message to one phone, through Twilio."""

    name: ClassVar[str] = "sms"
    title: ClassVar[str] = "SMS (Twilio)"
    Settings: ClassVar[type[Settings]] = SmsSettings
    gap_seconds: ClassVar[float] = 30.0
    deadline_seconds: ClassVar[float] = 20.0
    extra: ClassVar[str] = ""
    hears_acknowledgements: ClassVar[bool] = False

    def __init__(self, settings: SmsSettings) -> None:
        self._settings = settings

    def render(self, note: Note) -> str:
        """The text: one part, in the GSM alphabet where its letters allow that."""
        first = note.subjects[0]
        head = f"{wording.state(note, first).partition(',')[0].upper()} "
        more = f" +{len(note.subjects) - 1} more" if len(note.subjects) > 1 else ""
        if note.occasion in wording.REHEARSALS:
            tail = ". Nothing is wrong."
        elif first.resolved_at is not None:
            tail = f", after {wording.lasted(first.resolved_at - first.since)}{more}"
        else:
            tail = f", since {_clock(first.since, note.now)}{more}"
        plain = spelled(_what(first, SERVER_CHARACTERS))
        if plain is not None:
            return head + bounded(plain, GSM_CHARACTERS - units(head) - units(tail)) + tail
        tail = tail.replace(", since", "").replace(", after", "")
        what = _what(first, SHORT_SERVER_CHARACTERS)
        return head + bounded(what, UCS2_CHARACTERS - len(head) - len(tail)) + tail

    async def send(self, note: Note, outside: Outside) -> Outcome:
        """As ``Channel`` says."""
        settings = self._settings
        pair = f"{settings.api_key_sid or settings.account_sid}:{settings.auth_token.reveal()}"
        authorization = Secret(base64.b64encode(pair.encode()).decode())
        form = {"To": settings.to, "Body": self.render(note)}
        if settings.messaging_service_sid:
            form["MessagingServiceSid"] = settings.messaging_service_sid
        else:
            form["From"] = settings.sender
        secrets = (*secrets_of(settings), authorization)
        answer = await post(
            outside,
            f"{settings.api_url.rstrip('/')}/2010-04-01/Accounts/{settings.account_sid}/Messages.json",
            headers={
                "Authorization": f"Basic {authorization.reveal()}",
                "Content-Type": "application/x-www-form-urlencoded",
                "Accept": "application/json",
            },
            body=urlencode(form).encode(),
            timeout_seconds=REQUEST_SECONDS,
            secrets=secrets,
        )
        return _outcome(answer, note, secrets) if isinstance(answer, Answer) else answer

    def reaches(self) -> str:
        """The number."""
        return self._settings.to


def _what(subject: Subject, server_characters: int) -> str:
    server, title = wording.line(subject.server, server_characters), wording.line(subject.title)
    return f"{server}: {title}" if server else title


def _outcome(answer: Answer, note: Note, secrets: tuple[Secret, ...]) -> Outcome:
    fields = fields_of(answer)
    good = 200 <= answer.status < 300
    code = _number(fields.get("error_code") if good else fields.get("code"))
    said = wording.line(hidden(str(fields.get("error_message" if good else "message") or ""), *secrets), 200)
    if code is None and not (good and fields.get("status") in ("failed", "undelivered", "canceled")):
        outcome = judged(answer, now=note.now, told=said)
        return Delivered(wording.line(str(fields.get("sid") or ""), 100)) if isinstance(outcome, Delivered) else outcome
    reason = (
        f"Twilio's error {code}: {REMEDIES.get(code or 0) or said}" if code else f"Twilio could not send it: {said}"
    )
    if code in PASSING or answer.status in (408, 425, 429) or answer.status >= 500:
        return Retry(reason, retry_after(answer, note.now))
    return Refused(reason)


def _number(given: Any) -> int | None:
    """An error's number, which is a number or digits."""
    if isinstance(given, int) and not isinstance(given, bool):
        return given or None
    return int(given) if isinstance(given, str) and given.isascii() and given.isdigit() and len(given) < 9 else None


def _clock(since: int, now: int) -> str:
    """The time of the day, with the date if it was not within the last day."""
    instant = wording.at(since)
    return f"{instant:%H:%M} UTC" if 0 <= now - since < 86_400_000 else f"{instant:%Y-%m-%d %H:%M} UTC"
