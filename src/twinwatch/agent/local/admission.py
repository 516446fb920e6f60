"""Who may ask: anybody on this machine by loopback, others with the token.

On loopback there is no token, so that any page in a browser of this machine could try: a request must be addressed to
a loopback name (a foreign name that was made to resolve to 127.0.0.1 is not), and one that changes something, or that a
page makes by itself, must not come from a foreign page. No CORS header is ever sent, so that none reads an answer.
Elsewhere the token is asked of everybody: ``Authorization: Bearer``, or a cookie that the sign-in page sets, which is
made of the token and is not it. Comparisons take constant time.
"""

from __future__ import annotations

import asyncio
import hmac
from enum import Enum
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from twinwatch.agent.local import web
from twinwatch.agent.local.refusals import Refused
from twinwatch.world.addresses import is_loopback
from twinwatch.world.secret import Secret

COOKIE = "twinwatch_local"
COOKIE_SECONDS = 12 * 3600
REFUSAL_SECONDS = 0.5
"""What a wrong token waits for its answer; one at a time, so that guesses are two a second whoever makes them."""


class Reach(Enum):
    """From where a listener can be reached."""

    SOCKET = "socket"
    LOOPBACK = "loopback"
    NETWORK = "network"


class Admission:
    """The rules of one listener."""

    def __init__(self, reach: Reach, token: Secret | None) -> None:
        self.reach = reach
        self._token = token
        self._guessing = asyncio.Lock()

    def check_origin(self, request: web.BaseRequest) -> None:
        """Refuse what a foreign page may have sent.

        Raises: Refused.
        """
        if self.reach is Reach.SOCKET:
            return
        host = request.headers.get("Host", "")
        if self.reach is Reach.LOOPBACK and not _is_local(host):
            detail = f"Host {host[:200]!r}: expected the address that the agent listens on, such as 127.0.0.1:3000"
            raise Refused(403, "foreign-host", "Not addressed to this agent", detail)
        site = request.headers.get("Sec-Fetch-Site", "none")
        if request.method in ("GET", "HEAD"):
            if site == "cross-site" and request.headers.get("Sec-Fetch-Mode") != "navigate":
                # It could not read the answer, but have the agent work for it. A link to the page is no harm.
                raise Refused(403, "foreign-origin", "Sent by a foreign page", "only the agent's own page may do this")
            return
        origin = request.headers.get("Origin")
        if (origin is not None and _netloc(origin) != host.lower()) or site not in ("none", "same-origin"):
            detail = f"Origin {(origin or site)[:200]!r}: only programs and the agent's own page may do this"
            raise Refused(403, "foreign-origin", "Sent by a foreign page", detail)

    async def check_token(self, request: web.BaseRequest) -> None:
        """Refuse who is not known, late.

        Raises: Refused.
        """
        if self.is_known(request):
            return
        given = "Authorization" in request.headers or COOKIE in request.headers.get("Cookie", "")
        if given:
            await self._delay()
        detail = "expected the header 'Authorization: Bearer <local.token>'; that one is wrong"
        if not given:
            detail = "this address is asked with the header 'Authorization: Bearer <local.token>'"
        raise Refused(401, "unauthorized", "Token needed", detail, headers={"WWW-Authenticate": "Bearer"})

    def is_known(self, request: web.BaseRequest) -> bool:
        """Whether the request needs no token or has it."""
        if self.reach is not Reach.NETWORK:
            return True
        if self._token is None:
            return False
        scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and _same(bearer.strip(), self._token.reveal()):
            return True
        try:
            cookie = SimpleCookie(request.headers.get("Cookie", "")).get(COOKIE)
        except CookieError:
            return False
        return cookie is not None and _same(cookie.value, self.cookie())

    async def sign_in(self, token: str) -> str:
        """The ``Set-Cookie`` of one who gave the token.

        Raises: Refused, late, if it is wrong.
        """
        if self._token is None or not _same(token.strip(), self._token.reveal()):
            await self._delay()
            raise Refused(401, "unauthorized", "Token needed", "that is not the local.token of this agent")
        return f"{COOKIE}={self.cookie()}; Path=/; Max-Age={COOKIE_SECONDS}; HttpOnly; SameSite=Strict"

    def cookie(self) -> str:
        """What stands for the token in a browser; it changes with it."""
        key = self._token.reveal().encode() if self._token is not None else b""
        return hmac.new(key, b"twinwatch local page", "sha256").hexdigest()

    async def _delay(self) -> None:
        async with self._guessing:
            await asyncio.sleep(REFUSAL_SECONDS)


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())


def _is_local(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        return False
    return name is not None and is_loopback(name)


def _netloc(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""
