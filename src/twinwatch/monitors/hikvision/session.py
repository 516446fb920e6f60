"""Signed in at one device: the guard before every credential, then one request after the other.

Invariants: no credential leaves before ``lockout`` has said that it may and has written that down; the first 401 ends
the run; one request at a time, GET only; a password is in no message.
Source: ISAPI of the vendor; RFC 7616.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from urllib.parse import urlsplit

import msgspec

from twinwatch.monitors import Check, Unreadable
from twinwatch.monitors.hikvision import lockout
from twinwatch.monitors.hikvision.lockout import Held, Ledger, Told
from twinwatch.monitors.hikvision.markup import Element, NoMarkup, element_of, printable
from twinwatch.monitors.hikvision.options import HikvisionOptions
from twinwatch.protocol.limits import MESSAGE_CHARACTERS
from twinwatch.world.digest import Digest, challenge_of
from twinwatch.world.doors import World
from twinwatch.world.http import Answer, Unreachable
from twinwatch.world.shelf import ShelfBroken
from twinwatch.world.tail import Tail

USER_CHECK = "/ISAPI/Security/userCheck"
DEVICE_INFO = "/ISAPI/System/deviceInfo"
"""Where firmwares are signed in at that have no ``userCheck``: they tell nothing of tries."""
LACKING = (400, 404, 405, 501)
DENIED_SECONDS = 24 * 3600
ANSWER_BYTES = 2 << 20

CONNECTION = "connection"
LOGIN = "login"


class Stopped(Exception):
    """The device does not take the credential any more: nothing further is asked in this run."""


class Away(Exception):
    """No answer, or none that is whole. The message says why."""


class Unsupported(Exception):
    """This device has no such thing."""


class NoRight(Exception):
    """The user may not see this."""


class Session:
    """Of one device. ``open`` at the beginning of each run, then ``get``."""

    def __init__(self, options: HikvisionOptions) -> None:
        self._options = options
        self._place = urlsplit(options.base).netloc
        self._door = USER_CHECK
        self._digest: Digest | None = None
        self._proven = False
        """Whether the device took this credential since the agent began, and has not refused it since."""
        self._ledger = Ledger()
        self._known: tuple[str, str] = ("", "")
        self._denied: dict[str, int] = {}
        self.duration_seconds: float | None = None
        """How long the device took to answer first, in this run."""
        self.time_of_answer = 0

    @property
    def key(self) -> str:
        """What the device is known by on the shelf."""
        return blake2b(self._place.lower().encode(), digest_size=8).hexdigest()

    async def open(self, world: World, now: int) -> list[Check]:
        """Sign in. The checks ``connection`` and ``login``; the latter is up if ``get`` may be called.

        Raises: Unreadable if it cannot be kept in mind what was tried: then nothing is.
        """
        self._digest, self.duration_seconds = None, None
        if not self._proven:
            self._take(lockout.ledger_of, await self._kept(world))
        if reason := self._held(now, Told()):
            return [
                Check(CONNECTION, "unknown", "not asked, see the check login", "not-asked"),
                self._said(reason, now),
            ]
        began = world.clock.monotonic()
        try:
            answer = await self._ask(world, self._door)
            if answer.status in LACKING and self._door == USER_CHECK:
                self._door = DEVICE_INFO
                answer = await self._ask(world, self._door)
        except Away as err:
            return [
                Check(CONNECTION, "down", self._text(f"{self._place}: {err}"), "unreachable"),
                Check(LOGIN, "unknown", "not judged: the device does not answer", "unreachable"),
            ]
        self.duration_seconds = max(world.clock.monotonic() - began, 0.0)
        connection = Check(CONNECTION, "up")
        if answer.status != 401:
            return [connection, self._without(answer)]
        challenge = challenge_of(answer.headers.get("www-authenticate", ""))
        if challenge is None:
            message = (
                "The device offers no digest authentication, and a password is not sent otherwise: set Web "
                "Authentication to digest under Configuration, System, Security"
            )
            return [connection, Check(LOGIN, "down", message, "no-digest")]
        told = told_of(answer.body)
        if reason := await self._begin(world, now, told):
            return [connection, self._said(reason, now)]
        self._digest = Digest(challenge, self._options.username, self._options.password)
        return [connection, await self._sign_in(world, now)]

    async def get(self, world: World, path: str, now: int) -> bytes:
        """The body of the answer to a request for this path.

        Raises: Stopped; Away; Unsupported; NoRight.
        """
        if self._denied.get(path, 0) > now:
            raise NoRight
        fresh = self._digest is not None and self._ledger.nonce_once
        if fresh:
            first = await self._ask(world, path)
            challenge = challenge_of(first.headers.get("www-authenticate", ""))
            if first.status != 401 or challenge is None:
                return _body_of(first)
            self._digest = Digest(challenge, self._options.username, self._options.password)
        answer = await self._ask(world, path, self._digest)
        challenge = challenge_of(answer.headers.get("www-authenticate", ""))
        if answer.status == 401 and challenge is not None and challenge.stale and not fresh:
            self._digest = Digest(challenge, self._options.username, self._options.password)
            answer = await self._ask(world, path, self._digest)
        if answer.status == 401:
            await self._doubted(world, path, now, fresh=fresh or self._digest is None)
            raise Stopped
        return _body_of(answer)

    async def tail(self, world: World, path: str, now: int) -> Tail:
        """An answer that does not end.

        Raises: Stopped, also while the device has not taken the credential; Away; Unsupported; NoRight.
        """
        if not self._proven:
            raise Stopped
        first = await self._ask(world, path)
        challenge = challenge_of(first.headers.get("www-authenticate", ""))
        headers: dict[str, str] = {}
        if first.status == 401 and challenge is not None:
            digest = Digest(challenge, self._options.username, self._options.password)
            headers["Authorization"] = digest.answer("GET", path)
        try:
            opened = await world.tails.open(
                self._options.base + path,
                headers=headers,
                verify=self._options.verify,
                timeout_seconds=self._options.request_timeout,
            )
        except Unreachable as err:
            raise Away(printable(str(err))) from err
        if not isinstance(opened, Answer):
            return opened
        if opened.status == 401:
            await self._doubted(world, path, now, fresh=True)
            raise Stopped
        _body_of(opened)
        raise Away("the device ended its answer at once")

    async def _sign_in(self, world: World, now: int) -> Check:
        try:
            answer = await self._ask(world, self._door, self._digest)
        except Away as err:
            # Whether the device has judged it, nobody knows: it stays written down as a try.
            return Check(LOGIN, "unknown", self._text(f"not judged: {err}"), "no-answer")
        told = told_of(answer.body)
        if answer.status == 401 or told_refusal(answer.body) or (answer.status == 403 and told.locked):
            self._proven, self._digest = False, None
            await self._change(world, lambda ledger: lockout.refused(ledger, self._fingerprint(ledger), now, told))
            return self._said(self._held(now, Told()) or Held("refused"), now, told)
        if answer.status >= 500:
            self._digest = None
            if not self._proven:
                await self._change(world, lambda ledger: lockout.unjudged(ledger, now))
            return Check(LOGIN, "unknown", f"not judged: the device answers {answer.status}", "no-answer")
        if not self._proven or self._ledger.tries:
            await self._change(world, lambda ledger: lockout.succeeded(ledger, self._fingerprint(ledger)))
        self._proven = True
        return Check(LOGIN, "up")

    async def _begin(self, world: World, now: int, told: Told) -> Held | None:
        """Write down that a try is about to be made, unless it must not be made."""
        if self._proven:
            return self._held(now, told)
        found: list[Held | None] = []

        def begin(ledger: Ledger) -> None:
            credential = self._fingerprint(ledger)
            reason = lockout.held(ledger, credential, now, told)
            found.append(reason)
            if reason is None:
                lockout.begun(ledger, credential, now)
            elif told.locked:
                lockout.lock_seen(ledger, now, told)

        await self._change(world, begin)
        return found[0]

    async def _doubted(self, world: World, path: str, now: int, *, fresh: bool) -> None:
        """A 401 after the device had taken the credential: an old nonce, a path that is denied, or a new password."""
        self._proven, self._digest = False, None
        if fresh:
            self._denied[path] = now + DENIED_SECONDS * 1000

        def doubt(ledger: Ledger) -> None:
            lockout.begun(ledger, "", now)
            ledger.nonce_once = True

        await self._change(world, doubt)

    def _held(self, now: int, told: Told) -> Held | None:
        return lockout.held(self._ledger, self._fingerprint(self._ledger), now, told)

    async def _kept(self, world: World) -> bytes:
        try:
            return await world.shelf.read(f"hikvision-{self.key}")
        except ShelfBroken as err:
            raise Unreadable(_unkept(str(err))) from err

    async def _change(self, world: World, how: Callable[[Ledger], None]) -> None:
        def changed(content: bytes) -> bytes:
            # A file that somebody has removed meanwhile makes nobody forget.
            ledger = lockout.ledger_of(content) if content or not self._ledger.salt else self._ledger
            how(ledger)
            self._ledger = ledger
            return lockout.content_of(ledger)

        try:
            await world.shelf.change(f"hikvision-{self.key}", changed)
        except (ShelfBroken, ValueError) as err:
            raise Unreadable(_unkept(str(err))) from err

    def _take(self, made: Callable[[bytes], Ledger], content: bytes) -> None:
        try:
            self._ledger = made(content)
        except ValueError as err:
            raise Unreadable(_unkept(str(err))) from err

    def _fingerprint(self, ledger: Ledger) -> str:
        salt, known = self._known
        if salt != ledger.salt or not known:
            options = self._options
            known = lockout.fingerprint(ledger, options.username, options.password.reveal(), options.retry)
            self._known = ledger.salt, known
        return known

    async def _ask(self, world: World, path: str, digest: Digest | None = None) -> Answer:
        http = world.http if self._options.verify else world.unverified_http
        headers = {"Authorization": digest.answer("GET", path)} if digest is not None else {}
        try:
            answer = await http.request(
                "GET", self._options.base + path, headers=headers, timeout_seconds=self._options.request_timeout
            )
        except Unreachable as err:
            raise Away(printable(str(err))) from err
        self.time_of_answer = world.clock.now()
        if len(answer.body) > ANSWER_BYTES:
            raise Away(f"an answer of more than {ANSWER_BYTES} bytes")
        return answer

    def _without(self, answer: Answer) -> Check:
        """What an answer means that asks for no credential."""
        if answer.status == 200 and not told_refusal(answer.body):
            return Check(LOGIN, "up", "the device asks for no password: anybody may see it", "open")
        message = f"{self._place} answers {answer.status} where a Hikvision device asks for a password"
        return Check(LOGIN, "down", self._text(message), "not-a-device")

    def _said(self, reason: Held, now: int, told: Told | None = None) -> Check:
        """The check ``login`` for what holds a try back."""
        wait = f"; next try in {max(reason.until - now, 0) / 60_000:.0f} min" if reason.until else ""
        left = f" The device says that {told.left} tries are left." if told and told.left is not None else ""
        who = f"user {self._options.username}"
        match reason.reason:
            case "refused":
                message = (
                    f"The device refuses {who}: not tried again until user, password or retry change in the "
                    f"configuration.{left}"
                )
                return Check(LOGIN, "down", self._text(message), "refused")
            case "locked":
                message = f"The device has locked logins after wrong ones, of whoever{wait}"
                return Check(LOGIN, "down", self._text(message), "locked")
            case "few-tries-left":
                message = (
                    f"Not tried: only {reason.left} wrong logins are left before the device locks. Somebody signs in "
                    "wrongly; sign in rightly once at its web page, which sets the count back"
                )
                return Check(LOGIN, "down", self._text(message), "few-tries-left")
            case "tries-spent":
                message = f"Not tried: several logins of late have failed or had no answer{wait}"
                return Check(LOGIN, "unknown", self._text(message), "tries-spent")
            case _:
                return Check(LOGIN, "unknown", "not tried: another login is under way, or was just cut", "being-tried")

    def _text(self, message: str) -> str:
        return printable(message)[:MESSAGE_CHARACTERS]


def told_of(body: bytes) -> Told:
    """What an answer of ``userCheck`` says of tries, XML or JSON; nothing where it says nothing."""
    fields = _fields_of(body)
    left = fields.get("retryLoginTime")
    unlock = fields.get("unlockTime")
    return Told(
        int(left) if left is not None and left.isdecimal() and len(left) < 6 else None,
        fields.get("lockStatus", "").lower() in ("lock", "locked"),
        int(unlock) if unlock is not None and unlock.isdecimal() and len(unlock) < 10 else None,
    )


def told_refusal(body: bytes) -> bool:
    """Whether ``userCheck`` says in its body that the login was refused, whatever the status of the answer."""
    return _fields_of(body).get("statusValue") == "401"


def _fields_of(body: bytes) -> dict[str, str]:
    if body.lstrip()[:1] == b"{":
        try:
            found = msgspec.json.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return {}
        inner = found.get("userCheck", found) if isinstance(found, dict) else {}
        return {str(name): str(value) for name, value in inner.items()} if isinstance(inner, dict) else {}
    try:
        root = element_of(body)
    except NoMarkup:
        return {}
    return {one.name: one.text.strip() for one in root.children} if root.name == "userCheck" else {}


def _body_of(answer: Answer) -> bytes:
    if answer.status == 200:
        return answer.body
    sub = _sub_status(answer.body)
    if answer.status == 403 and sub in ("lowprivilege", "nopermission", "notpermission", "userlowprivilege"):
        raise NoRight
    if answer.status in (400, 403, 404, 405, 501):
        raise Unsupported
    raise Away(f"the device answers {answer.status}")


def _sub_status(body: bytes) -> str:
    try:
        root: Element = element_of(body)
    except NoMarkup:
        return ""
    return root.said("subStatusCode").lower()


def _unkept(reason: str) -> str:
    return f"no login is tried, since what was tried cannot be kept in mind: {reason}"[:MESSAGE_CHARACTERS]
