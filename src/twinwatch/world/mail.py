"""The door to mail: one message to one SMTP server, and what became of it. ``aiosmtplib`` is imported when it is first
used.

Invariants: one connection per message; TLS is verified; a password is sent over TLS only, or within this machine; every
wait is bounded; no password and no text of the message is ever in a reason; where there is a guard, the connection
goes to an address that it has judged.
Source: RFC 5321 (replies: 4yz passing, 5yz permanent), RFC 3207 (STARTTLS), RFC 4954 (AUTH), RFC 8314 (TLS from the
start).
"""

from __future__ import annotations

import asyncio
import base64
import copy
import os
import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from twinwatch.world.addresses import is_loopback
from twinwatch.world.guard import Guard, NotAllowed
from twinwatch.world.net.naming import Names
from twinwatch.world.net.steps import NetFailed
from twinwatch.world.secret import Secret, hidden

if TYPE_CHECKING:
    import aiosmtplib

Security = Literal["tls", "starttls", "none"]

TLS_PORT = 465
SAID_CHARACTERS = 300
PARTING_SECONDS = 1.0
_BYTES = SMTP.clone(cte_type="7bit")
"""Whatever the server can do: no byte above 127, no line that is too long."""


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

    @property
    def agreed(self) -> Security:
        """The security that is meant."""
        return self.security or ("tls" if self.port == TLS_PORT else "starttls")


@dataclass(frozen=True, slots=True)
class Taken:
    """A message that the server has taken. ``said`` is its answer, such as a queue id."""

    said: str = ""
    refused: dict[str, str] = field(default_factory=dict)
    """The recipients that it did not take it for, and why."""


class Mail(Protocol):
    """Sends mail."""

    async def send(
        self,
        message: EmailMessage,
        *,
        relay: Relay | None,
        sender: str,
        recipients: Sequence[str],
        timeout_seconds: float,
    ) -> Taken:
        """Hand the message over, for all recipients that the server admits: one at least.

        ``relay`` None is the door's own, ``sender`` empty the door's own. A message without ``From`` gets the sender.

        Raises: MailAway; MailRefused.
        """
        ...


class SmtpMail:
    """The real door. ``relay`` and ``sender`` are the operator's own, for who brings none; the guard does not judge
    that relay, only those that messages bring. ``ca_file``: certificates (PEM) to trust besides the system's."""

    def __init__(
        self,
        *,
        relay: Relay | None = None,
        sender: str = "",
        ca_file: Path | None = None,
        guard: Guard | None = None,
        names: Names | None = None,
    ) -> None:
        self._relay = relay
        self._sender = sender
        self._ca_file = ca_file
        self._guard = guard
        self._names = names or Names()

    async def send(
        self,
        message: EmailMessage,
        *,
        relay: Relay | None,
        sender: str,
        recipients: Sequence[str],
        timeout_seconds: float,
    ) -> Taken:
        """As ``Mail`` says."""
        guard = self._guard if relay is not None else None
        relay = relay or self._relay
        sender = sender or self._sender or (relay.username if relay and "@" in relay.username else "")
        if relay is None or not relay.host:
            raise MailRefused("no mail server is set: neither for this channel nor for all")
        if not sender:
            raise MailRefused("no sender is set: neither for this channel nor for all")
        if "From" not in message:
            message = copy.copy(message)
            message["From"] = sender
        exchange = _Exchange(relay, self._ca_file)
        try:
            async with asyncio.timeout(timeout_seconds):
                connection = await self._connected(relay, guard, exchange)
                return await exchange.run(connection, sender, recipients, message.as_bytes(policy=_BYTES))
        except TimeoutError as err:
            raise MailAway(f"{relay.host}: no answer within {timeout_seconds:g} s, {exchange.step}") from err

    async def _connected(self, relay: Relay, guard: Guard | None, exchange: _Exchange) -> socket.socket:
        exchange.step = "looking up its name"
        try:
            if guard is not None:
                addresses = await guard.resolve(relay.host, timeout_seconds=60)
            else:
                addresses = await self._names.resolve(relay.host, "any", 60)
        except NotAllowed as err:
            raise MailRefused(str(err)) from err
        except NetFailed as err:
            raise MailAway(str(err)) from err
        exchange.step = "connecting"
        failed: OSError | None = None
        for address in addresses:
            try:
                return await _connection(address, relay.port)
            except OSError as err:
                failed = err
        raise MailAway(f"{relay.host}:{relay.port}: {_system_reason(failed)}") from failed


class _Exchange:
    """One conversation. ``step`` is what is being waited for."""

    def __init__(self, relay: Relay, ca_file: Path | None) -> None:
        self.step = ""
        self._relay = relay
        self._ca_file = ca_file

    async def run(self, connection: socket.socket, sender: str, recipients: Sequence[str], content: bytes) -> Taken:
        import aiosmtplib  # noqa: PLC0415 - half a megabyte, for who sends mail

        smtp = self._client(connection)
        try:
            try:
                await self._greet(smtp)
                self.step = "handing the message over"
                refused, said = await smtp.sendmail(sender, list(recipients), content)
                with suppress(aiosmtplib.SMTPException, OSError, TimeoutError):
                    async with asyncio.timeout(PARTING_SECONDS):
                        await smtp.quit()
            finally:
                smtp.close()
        except aiosmtplib.SMTPException as err:
            raise self._told(err) from err
        except (OSError, ValueError) as err:
            raise MailAway(f"{self._relay.host}, {self.step}: {_reason(err)}") from err
        finally:
            # Its transport closes it then, at once; a farewell of TLS could take as long as the other side likes.
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        return Taken(self._said(said), {to: self._said(f"{code} {why}") for to, (code, why) in refused.items()})

    def _client(self, connection: socket.socket) -> aiosmtplib.SMTP:
        import aiosmtplib  # noqa: PLC0415

        relay = self._relay
        try:
            local = str(connection.getsockname()[0]).partition("%")[0]
            peer = str(connection.getpeername()[0]).partition("%")[0]
            if relay.username and relay.agreed == "none" and not is_loopback(peer):
                raise MailRefused(f"{relay.host}: a password is not sent without TLS; set security to starttls or tls")
            context = self._context() if relay.agreed != "none" else None
        except OSError as err:
            connection.close()
            raise MailAway(f"{relay.host}:{relay.port}: {_system_reason(err)}") from err
        except MailRefused:
            connection.close()
            raise
        return aiosmtplib.SMTP(
            hostname=relay.host,
            sock=connection,
            use_tls=relay.agreed == "tls",
            start_tls=False,
            tls_context=context,
            # RFC 5321, 4.1.4: an address literal where there is no name; asking for a name could hang.
            local_hostname=f"[IPv6:{local}]" if ip_address(local).version == 6 else f"[{local}]",
            timeout=None,
        )

    async def _greet(self, smtp: aiosmtplib.SMTP) -> None:
        self.step = "waiting for its greeting"
        await smtp.connect()
        await smtp.ehlo()
        if self._relay.agreed == "starttls":
            self.step = "agreeing on TLS"
            if not smtp.supports_extension("starttls"):
                raise MailRefused(f"{self._relay.host} does not offer STARTTLS on port {self._relay.port}")
            await smtp.starttls(server_hostname=self._relay.host)
            await smtp.ehlo()
        if self._relay.username:
            self.step = "signing in"
            await self._sign_in(smtp)

    async def _sign_in(self, smtp: aiosmtplib.SMTP) -> None:
        relay = self._relay
        password = relay.password.reveal() if relay.password else ""
        ways = {"plain": smtp.auth_plain, "login": smtp.auth_login, "cram-md5": smtp.auth_crammd5}
        # One way, not all in a row: servers lock out who fails three times.
        for name, way in ways.items():
            if name in smtp.server_auth_methods:
                await way(relay.username, password)
                return
        raise MailRefused(f"{relay.host} offers no way to sign in that is known here; leave the user name empty")

    def _context(self) -> ssl.SSLContext:
        # Made anew for each message: kept, its authorities would hold 2 MB.
        context = ssl.create_default_context()
        if self._ca_file is not None:
            try:
                context.load_verify_locations(cafile=str(self._ca_file))
            except OSError as err:  # ssl.SSLError is one
                raise MailRefused(f"{self._ca_file}: expected certificates in PEM ({_reason(err)})") from err
        return context

    def _told(self, err: aiosmtplib.SMTPException) -> MailAway | MailRefused:
        """What the server or the network said, as one of the two."""
        import aiosmtplib  # noqa: PLC0415

        relay = self._relay
        if isinstance(err, aiosmtplib.SMTPRecipientsRefused):
            first = err.recipients[0]
            kind = MailRefused if all(_is_permanent(one.code) for one in err.recipients) else MailAway
            others = f" (and {len(err.recipients) - 1} more)" if len(err.recipients) > 1 else ""
            return kind(f"{relay.host} refused {first.recipient}{others}: {first.code} {self._said(first.message)}")
        if isinstance(err, aiosmtplib.SMTPResponseException):
            kind = MailRefused if _is_permanent(err.code) else MailAway
            if isinstance(err, aiosmtplib.SMTPAuthenticationError):
                return kind(
                    f"{relay.host} refused the sign-in of {relay.username}: {err.code} {self._said(err.message)}"
                )
            return kind(f"{relay.host}, {self.step}: {err.code} {self._said(err.message)}")
        cause = err.__cause__ if isinstance(err.__cause__, OSError) else None
        return MailAway(f"{relay.host}, {self.step}: {_reason(cause) if cause else self._said(err.message).lower()}")

    def _said(self, text: str) -> str:
        relay = self._relay
        if relay.password:
            pair = f"\0{relay.username}\0{relay.password.reveal()}".encode()
            text = hidden(text, relay.password, Secret(base64.b64encode(pair).decode()))
        line = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
        return line if len(line) <= SAID_CHARACTERS else line[: SAID_CHARACTERS - 1] + "…"


async def _connection(address: str, port: int) -> socket.socket:
    connection = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(connection, (address, port))
    except BaseException:
        connection.close()
        raise
    return connection


def _is_permanent(code: int) -> bool:
    return 500 <= code < 600


def _reason(err: Exception) -> str:
    match err:
        case ssl.SSLCertVerificationError():
            return f"TLS: {err.verify_message}"
        case ssl.SSLError():
            return f"TLS: {(err.reason or str(err)).replace('_', ' ').lower()}"
        case OSError():
            return _system_reason(err)
        case _:
            return f"{type(err).__name__}: {err}"[:200]


def _system_reason(err: OSError | None) -> str:
    if err is None:
        return "it has no address"
    return (os.strerror(err.errno) if err.errno and err.errno > 0 else str(err) or type(err).__name__).lower()
