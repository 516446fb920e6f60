"""A real SMTP server (``aiosmtpd``) on a port of this machine, in the running loop: keeps what it got, and refuses,
hangs or cuts where it is told to."""

from __future__ import annotations

import asyncio
import email
import email.policy
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from email.message import EmailMessage
from types import TracebackType
from typing import Any, Literal, NoReturn, cast

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from twinwatch.world.mail import Relay, Security
from twinwatch.world.secret import Secret

Place = Literal["connect", "EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "content", "QUIT"]
"""Where a fault happens: before the greeting, at a command, or once the whole message is there."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A message that was taken. ``at_seconds`` is the loop's clock."""

    at_seconds: float
    sender: str
    recipients: tuple[str, ...]
    message: EmailMessage
    content: bytes
    username: str
    over_tls: bool

    @property
    def subject(self) -> str:
        """Its subject."""
        return str(self.message["Subject"])

    def part(self, kind: Literal["plain", "html"]) -> str:
        """The text of this kind."""
        body = self.message.get_body((kind,))
        return str(body.get_content()) if body is not None else ""


@dataclass
class Fault:
    """What happens instead: an answer, a hang or a cut; ``times`` times, to commands that contain ``about``."""

    place: Place
    reply: str = ""
    hangs: bool = False
    about: str = ""
    times: int = 1 << 30


@dataclass
class MailBox:
    """The server, from ``async with``. ``users``: who must sign in, and with what; empty: nobody has to."""

    security: Security = "none"
    tls: ssl.SSLContext | None = None
    users: dict[str, str] = field(default_factory=dict)
    most_bytes: int = 1 << 20
    host: str = "127.0.0.1"
    letters: list[Letter] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    """Every command that was heard, with its argument."""
    connections: int = 0
    port: int = 0

    def __post_init__(self) -> None:
        self._faults: list[Fault] = []
        self._sessions: set[_Session] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> MailBox:
        loop = asyncio.get_running_loop()
        implicit = self.tls if self.security == "tls" else None
        self._server = await loop.create_server(lambda: _Session(self), self.host, self.port, ssl=implicit)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
        for session in list(self._sessions):
            await session.end()

    def relay(self, username: str = "", password: str = "", *, host: str = "") -> Relay:
        """How to speak to it."""
        secret = Secret(password) if password else None
        return Relay(host or self.host, self.port, self.security, username, secret)

    def refuse(self, place: Place, reply: str, *, about: str = "", times: int = 1 << 30) -> None:
        """Answer like this: ``550 no such user``."""
        self._faults.append(Fault(place, reply, about=about, times=times))

    def hang(self, place: Place, *, times: int = 1 << 30) -> None:
        """Answer nothing."""
        self._faults.append(Fault(place, hangs=True, times=times))

    def cut(self, place: Place, *, times: int = 1 << 30) -> None:
        """Reset the connection."""
        self._faults.append(Fault(place, times=times))

    def heal(self) -> None:
        """No faults from now on."""
        self._faults.clear()

    async def wait(self, enough: Callable[[list[Letter]], bool], *, timeout_seconds: float = 30.0) -> list[Letter]:
        """The letters, once they satisfy this."""
        async with asyncio.timeout(timeout_seconds):
            while not enough(self.letters):  # noqa: ASYNC110 - the other end changes what is waited for
                await asyncio.sleep(0.01)
        return self.letters

    def fault_at(self, place: Place, argument: str) -> Fault | None:
        """The fault that is to happen now; it is used up by that."""
        for fault in self._faults:
            if fault.place == place and fault.times > 0 and fault.about in argument:
                fault.times -= 1
                return fault
        return None

    def joined(self, session: _Session) -> None:
        """A connection was made."""
        self._sessions.add(session)
        self.connections += 1

    def left(self, session: _Session) -> None:
        """It was lost."""
        self._sessions.discard(session)

    # ---- what aiosmtpd calls ----

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str | None:  # noqa: N802
        """Keep the message."""
        fault = self.fault_at("content", "")
        if fault is not None:
            return fault.reply or await cast("_Session", server).fails(fault)
        content = cast("bytes", envelope.content)
        message = email.message_from_bytes(content, policy=email.policy.default)
        login = getattr(session.auth_data, "login", b"") if session.authenticated else b""
        self.letters.append(
            Letter(
                asyncio.get_running_loop().time(),
                str(envelope.mail_from),
                tuple(str(one) for one in envelope.rcpt_tos),
                message,
                content,
                login.decode(),
                bool(session.ssl) or self.security == "tls",
            )
        )
        return f"250 2.0.0 Ok: queued as {len(self.letters)}"

    def authenticate(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        """Whether this is one of the users."""
        said = cast("LoginPassword", data)
        right = self.users.get(said.login.decode()) == said.password.decode()
        return AuthResult(success=right, handled=False, auth_data=said)


class _Session(SMTP):
    """One connection."""

    def __init__(self, box: MailBox) -> None:
        self._box = box
        super().__init__(
            box,
            data_size_limit=box.most_bytes,
            hostname="mailbox.test",
            tls_context=box.tls if box.security == "starttls" else None,
            auth_required=False,
            auth_require_tls=False,
            authenticator=box.authenticate,
            loop=asyncio.get_running_loop(),
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._box.joined(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._box.left(self)
        super().connection_lost(error)

    async def end(self) -> None:
        """Hang up, and wait for the task."""
        transport = cast("Any", self.transport)
        if transport is not None:
            transport.abort()
        if self._handler_coroutine is not None:
            self._handler_coroutine.cancel()
            await asyncio.wait({self._handler_coroutine}, timeout=5)

    async def meets(self, place: Place, argument: str) -> bool:
        """Whether a fault happens here, which then has happened."""
        fault = self._box.fault_at(place, argument)
        if fault is None:
            return False
        if fault.reply:
            await self.push(fault.reply)
        else:
            await self.fails(fault)
        return True

    async def fails(self, fault: Fault) -> NoReturn:
        """Hang, or cut and be ended for it."""
        if not fault.hangs:
            cast("Any", self.transport).abort()
        await asyncio.Event().wait()
        raise AssertionError

    async def _command(self, place: Place, argument: str | None, method: Callable[[Any], Any]) -> None:
        self._box.commands.append(f"{place} {argument or ''}".strip())
        if place in ("MAIL", "DATA") and self._box.users and not (self.session and self.session.authenticated):
            await self.push("530 5.7.0 Authentication required")
        elif not await self.meets(place, argument or ""):
            await method(argument)

    async def _handle_client(self) -> None:
        if not await self.meets("connect", ""):
            await super()._handle_client()

    async def smtp_EHLO(self, hostname: str) -> None:  # noqa: N802
        await self._command("EHLO", hostname, super().smtp_EHLO)

    async def smtp_STARTTLS(self, arg: str) -> None:  # noqa: N802
        await self._command("STARTTLS", arg, super().smtp_STARTTLS)

    async def smtp_AUTH(self, arg: str) -> None:  # noqa: N802
        await self._command("AUTH", arg, super().smtp_AUTH)

    async def smtp_MAIL(self, arg: str | None) -> None:  # noqa: N802
        await self._command("MAIL", arg, super().smtp_MAIL)

    async def smtp_RCPT(self, arg: str | None) -> None:  # noqa: N802
        await self._command("RCPT", arg, super().smtp_RCPT)

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802
        await self._command("DATA", arg, super().smtp_DATA)

    async def smtp_QUIT(self, arg: str) -> None:  # noqa: N802
        await self._command("QUIT", arg, super().smtp_QUIT)


def subjects(letters: Iterable[Letter]) -> list[str]:
    """The subjects, in order."""
    return [letter.subject for letter in letters]
