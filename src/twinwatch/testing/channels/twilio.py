"""Twilio's Messages resource as its documentation has it: Basic authentication, a form, its errors by number.

Source: Twilio's API reference, version 2010-04-01, and its dictionary of errors.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from aiohttp import web

from twinwatch.notify.gsm import GSM_CHARACTERS, UCS2_CHARACTERS, spelled, units
from twinwatch.testing.channels.services import Got, Service, json_answer

NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")


@dataclass(frozen=True, slots=True)
class Text:
    """An SMS that was taken."""

    at_seconds: float
    to: str
    sender: str
    body: str
    sid: str

    @property
    def parts(self) -> int:
        """How many SMS it is billed as."""
        one, each = (GSM_CHARACTERS, 153) if spelled(self.body) == self.body else (UCS2_CHARACTERS, 67)
        return 1 if units(self.body) <= one else -(-units(self.body) // each)


class FakeTwilio(Service):
    """One account with one API key, a number and a messaging service."""

    account_sid = "AC" + "0" * 31 + "1"
    auth_token = "fakefakefakefakefakefakefakefake"  # noqa: S105
    api_key_sid = "SK" + "0" * 31 + "2"
    api_key_secret = "keykeykeykeykeykeykeykeykeykeyke"  # noqa: S105
    sender = "+15005550006"
    messaging_service_sid = "MG" + "0" * 31 + "3"

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.texts: list[Text] = []
        self.stopped: set[str] = set()
        """Numbers that have answered STOP."""
        self.countries = ("+1", "+41", "+44", "+49")
        """Those that may be sent to."""
        self.errors: list[tuple[int, int]] = []
        """HTTP status and error that the next messages are answered with."""

    def answer(self, got: Got) -> web.Response:
        """As Twilio would."""
        if got.path != f"/2010-04-01/Accounts/{self.account_sid}/Messages.json" or got.method != "POST":
            return self._error(404, 20404, "The requested resource was not found")
        pair = got.headers.get("authorization", "").removeprefix("Basic ")
        try:
            user, _, password = base64.b64decode(pair, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            user = password = ""
        known = {self.account_sid: self.auth_token, self.api_key_sid: self.api_key_secret}
        if not user or known.get(user) != password:
            return self._error(401, 20003, "Authenticate")
        if self.errors:
            status, code = self.errors.pop(0)
            return self._error(status, code, "as scripted")
        form = {name: values[0] for name, values in parse_qs(got.body.decode()).items()}
        return self._message(got, form)

    def _message(self, got: Got, form: dict[str, str]) -> web.Response:
        to, body = form.get("To", ""), form.get("Body", "")
        if not NUMBER.fullmatch(to):
            return self._error(400, 21211, f"The 'To' number {to} is not a valid phone number.")
        if not body:
            return self._error(400, 21602, "Message body is required.")
        if len(body) > 1_600:
            return self._error(400, 21617, "The concatenated message body exceeds the 1600 character limit.")
        service = form.get("MessagingServiceSid", "")
        if service and service != self.messaging_service_sid:
            return self._error(404, 21705, "The Messaging Service Sid is invalid.")
        if not service and form.get("From") != self.sender:
            return self._error(400, 21606, "The From phone number is not a valid, SMS-capable number of the account.")
        if not to.startswith(self.countries):
            return self._error(400, 21408, "Permission to send an SMS has not been enabled for the region.")
        if to in self.stopped:
            return self._error(400, 21610, "Attempt to send to unsubscribed recipient")
        sid = f"SM{len(self.texts) + 1:032x}"
        self.texts.append(Text(got.at_seconds, to, service or self.sender, body, sid))
        status = "accepted" if service else "queued"
        fields = {"sid": sid, "status": status, "error_code": None, "error_message": None, "to": to, "body": body}
        return json_answer(fields, 201)

    def _error(self, status: int, code: int, message: str) -> web.Response:
        more = f"https://www.twilio.com/docs/errors/{code}"
        return json_answer({"code": code, "message": message, "more_info": more, "status": status}, status)
