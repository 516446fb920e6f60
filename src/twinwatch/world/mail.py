"""The door to mail: one message to one SMTP server, and what became of it. ``aiosmtplib`` is imported when it is first
used.

Invariants: one connection per message; TLS is verified; a password is sent over TLS only; every wait is bounded; no
password and no text of the message is ever in a reason.
Source: RFC 5321 (replies: 4yz passing, 5yz permanent), RFC 3207 (STARTTLS), RFC 8314 (TLS from the start).
"""

from __future__ import annotations

from dataclasses import dataclass
from email.message import EmailMessage
from typing import Literal, Protocol

from twinwatch.world.secret import Secret

Security = Literal["tls", "starttls", "none"]


class MailAway(Exception):
    """No connection, no answer in time, or a passing refusal. The message says which."""


class MailRefused(Exception):
    """The server will not take it: sender, recipient, sign-in or size. The message says which and why."""


@dataclass(frozen=True, slots=True)
class Relay:
    """An SMTP server and how to speak to it. ``security`` empty: TLS from the start on port 465, else STARTTLS."""

    host: str
    port: int = 587
    security: Security | Literal[""] = ""
    username: str = ""
    password: Secret | None = None


class Mail(Protocol):
    """Sends mail."""

    async def send(
        self, message: EmailMessage, *, relay: Relay, sender: str, recipients: list[str], timeout_seconds: float
    ) -> str:
        """Hand the message over; the result is what the server answered, such as its queue id.

        Raises: MailAway; MailRefused.
        """
        ...
