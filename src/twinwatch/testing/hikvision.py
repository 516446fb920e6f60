"""A Hikvision device, simulated: ISAPI as documented, digest authentication, the lock after wrong logins.

``Device`` is the device; ``DeviceHttp`` a door that leads to it in this process; ``served`` puts it on a real port.
``PERSONALITIES`` are firmwares that answer differently.
Source: monitors' notes on ISAPI; RFC 7616. What devices of other models answer may differ again.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Literal

from aiohttp import web

from twinwatch.testing.hikvision_pages import Camera, Disk, Pages
from twinwatch.world.http import Answer, Socket, Unreachable

USER, PASSWORD = "twinwatch", "right-Wort-1"
LOCK_SECONDS = 1800
ALERTS = "/ISAPI/Event/notification/alertStream"


@dataclass(frozen=True)
class Personality:
    """How a firmware answers."""

    name: str
    kind: str = "NVR"
    namespace: str = "http://www.hikvision.com/ver20/XMLSchema"
    tells: Literal["always", "after", "never"] = "always"
    """When ``userCheck`` says how many tries are left: to anybody, to who tried, never."""
    limit: int = 5
    algorithm: str = ""
    qop: str = "auth"
    nonce_uses: int = 1000
    says_stale: bool = True
    """Whether a nonce that was used up is told as stale."""
    json: bool = True
    lacks: tuple[str, ...] = ()
    user_check: bool = True
    """Whether there is a ``userCheck``."""
    refuses_with_200: bool = False
    """Whether ``userCheck`` answers a wrong login with status 200 and the refusal in its body."""


PERSONALITIES = {
    one.name: one
    for one in (
        Personality("nvr-new", algorithm="SHA-256"),
        Personality(
            "nvr-old",
            namespace="http://www.hikvision.com/ver10/XMLSchema",
            tells="after",
            nonce_uses=1,
            says_stale=False,
            json=False,
            qop="",
            lacks=("/ISAPI/Streaming/status",),
        ),
        Personality(
            "camera",
            kind="IPCamera",
            namespace="http://www.isapi.org/ver20/XMLSchema",
            limit=7,
            algorithm="MD5",
            nonce_uses=3,
            lacks=("/ISAPI/ContentMgmt/InputProxy/channels", "/ISAPI/System/workingstatus", "/ISAPI/Streaming/status"),
        ),
        Personality(
            "dvr",
            kind="DVR",
            namespace="urn:psialliance-org",
            tells="never",
            json=False,
            lacks=("/ISAPI/ContentMgmt/InputProxy/channels",),
        ),
        Personality("odd", refuses_with_200=True),
        Personality("ancient", namespace="urn:psialliance-org", tells="never", json=False, user_check=False),
    )
}


@dataclass
class Device:
    """One device. ``now`` gives ms UTC. What happens to it is changed by its fields."""

    personality: Personality
    now: Callable[[], int]
    password: str = PASSWORD
    cameras: list[Camera] = field(default_factory=lambda: [Camera("1", "Gate"), Camera("2", "Yard")])
    disks: list[Disk] = field(default_factory=lambda: [Disk("1")])
    serial: str = "DS-7608NI0120200101CCWR000000001WCVU"
    firmware: str = "V4.61.025"
    clock_ahead_seconds: float = 0.0
    denied: tuple[str, ...] = ()
    """Paths that the user may not see."""
    cut: str = ""
    """Requests with a login for paths that begin so are heard and judged, and their answers are lost."""
    slow_seconds: float = 0.0
    events: list[str] = field(default_factory=list)
    """What its alert stream says next: ``TYPE STATE CHANNEL``."""
    heartbeat_seconds: float = 0.05
    ends_streams: bool = False
    asked: list[str] = field(default_factory=list)
    wrong: list[int] = field(default_factory=list)
    """When somebody tried a wrong login, ms UTC, whoever it was."""
    failures: int = 0
    failed_at: int = 0
    locked_until: int = 0
    _nonces: dict[str, int] = field(default_factory=dict)

    @property
    def left(self) -> int:
        """Tries that are left."""
        self._forget()
        return self.personality.limit - self.failures

    @property
    def locked(self) -> bool:
        """Whether nobody may sign in."""
        return self.now() < self.locked_until

    def fail(self) -> None:
        """A wrong login."""
        self._forget()
        self.wrong.append(self.now())
        if self.locked:
            return
        self.failures, self.failed_at = self.failures + 1, self.now()
        if self.failures >= self.personality.limit:
            self.locked_until, self.failures = self.now() + LOCK_SECONDS * 1000, 0

    def answer(self, method: str, target: str, authorization: str) -> Answer:
        """The answer to a request."""
        self.asked.append(f"{method} {target}")
        path = target.partition("?")[0]
        if method != "GET":
            return Answer(405)
        if path.endswith("/userCheck") and not self.personality.user_check:
            return Answer(404)
        if not authorization:
            return self._unauthorized(path, told=self.personality.tells == "always")
        outcome = self._judge(method, target, authorization)
        if outcome != "right":
            if outcome == "wrong":
                self.fail()
            refused = self._unauthorized(path, told=self.personality.tells != "never", stale=outcome == "stale")
            if self.personality.refuses_with_200 and path.endswith("/userCheck") and outcome == "wrong":
                return Answer(200, refused.body, refused.headers)
            return refused
        self.failures = 0
        return self._page(target, path)

    def alert(self, kind: str, state: str, channel: str) -> bytes:
        """One part of the alert stream."""
        return self._pages().alert(kind, state, channel)

    def _page(self, target: str, path: str) -> Answer:
        personality = self.personality
        if path in self.denied:
            return Answer(403, self._pages().refusal("lowPrivilege"))
        if any(path.startswith(one) for one in personality.lacks):
            return Answer(403, self._pages().refusal("notSupport"))
        if path == ALERTS:
            return Answer(200)
        if path == "/ISAPI/Security/userCheck":
            return Answer(200, self._pages().user_check("200", None, False, 0))
        if "format=json" in target and not personality.json:
            return Answer(400, self._pages().refusal("badParameters"))
        page = self._pages().page(path)
        return Answer(404) if page is None else Answer(200, page)

    def _pages(self) -> Pages:
        personality = self.personality
        return Pages(
            personality.kind,
            personality.namespace,
            self.cameras,
            self.disks,
            self.serial,
            self.firmware,
            self.now() + round(self.clock_ahead_seconds * 1000),
            old=not personality.json,
        )

    def _unauthorized(self, path: str, *, told: bool, stale: bool = False) -> Answer:
        nonce = f"{len(self._nonces):08x}{self.personality.name}"
        self._nonces[nonce] = 0
        fields = ['Digest realm="IP Camera(C1234)"', f'nonce="{nonce}"']
        if self.personality.qop:
            fields.append(f'qop="{self.personality.qop}"')
        if self.personality.algorithm:
            fields.append(f"algorithm={self.personality.algorithm}")
        if stale and self.personality.says_stale:
            fields.append("stale=true")
        body = b""
        if path.endswith("/userCheck") and told:
            left = (self.locked_until - self.now()) // 1000 if self.locked else 0
            body = self._pages().user_check("401", self.left, self.locked, left)
        return Answer(401, body, {"www-authenticate": ", ".join(fields)})

    def _judge(self, method: str, target: str, authorization: str) -> Literal["right", "wrong", "stale", "locked"]:
        fields = {name: quoted or plain for name, quoted, plain in _FIELD.findall(authorization)}
        if self.locked:
            return "locked"
        name = {"": "md5", "MD5": "md5", "SHA-256": "sha256"}[self.personality.algorithm]

        def hashed(text: str) -> str:
            return hashlib.new(name, text.encode(), usedforsecurity=False).hexdigest()

        first = hashed(f"{USER}:{fields.get('realm')}:{self.password}")
        second = hashed(f"{method}:{target}")
        nonce = fields.get("nonce", "")
        middle = f"{nonce}:{fields['nc']}:{fields['cnonce']}:auth" if self.personality.qop else nonce
        right = fields.get("response") == hashed(f"{first}:{middle}:{second}") and fields.get("username") == USER
        if not right or nonce not in self._nonces:
            return "wrong"
        self._nonces[nonce] += 1
        return "right" if self._nonces[nonce] <= self.personality.nonce_uses else "stale"

    def _forget(self) -> None:
        if self.now() - self.failed_at >= LOCK_SECONDS * 1000:
            self.failures = 0


class DeviceHttp:
    """A door to devices in this process, by ``scheme://host:port``."""

    def __init__(self, devices: dict[str, Device]) -> None:
        self.devices = devices
        self.sent: list[str] = []
        """Every header that was sent."""

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: dict[str, str] | None = None,
        body: bytes | None = None,
        timeout_seconds: float,
    ) -> Answer:
        """See ``Http``."""
        base, path = _PLACE.fullmatch(url).groups()  # type: ignore[union-attr] # tests name lawful addresses
        device = self.devices.get(base)
        if device is None:
            raise Unreachable("connection refused")
        self.sent += (headers or {}).values()
        await asyncio.sleep(0)
        answer = device.answer(method, path, (headers or {}).get("Authorization", ""))
        if device.slow_seconds > timeout_seconds:
            raise Unreachable(f"no answer within {timeout_seconds:g} s")
        if device.cut and path.startswith(device.cut) and "Authorization" in (headers or {}):
            raise Unreachable("the connection was cut within the answer")
        return replace(answer)

    async def websocket(self, url: str, *, headers: dict[str, str] | None = None, timeout_seconds: float) -> Socket:
        """See ``Http``. There are none."""
        raise Unreachable("connection refused")


@asynccontextmanager
async def served(device: Device) -> AsyncIterator[str]:
    """The device on a port of loopback; its address."""

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        answer = device.answer(request.method, request.raw_path, request.headers.get("Authorization", ""))
        await asyncio.sleep(device.slow_seconds)
        headers = {"WWW-Authenticate": answer.headers["www-authenticate"]} if answer.headers else {}
        if request.path == ALERTS and answer.status == 200:
            return await _told(device, request)
        if device.cut and request.raw_path.startswith(device.cut) and "Authorization" in request.headers:
            response = web.StreamResponse(status=answer.status, headers={**headers, "Content-Length": "100000"})
            await response.prepare(request)
            await response.write(answer.body[: len(answer.body) // 2])
            assert request.transport is not None
            request.transport.close()
            return response
        return web.Response(status=answer.status, body=answer.body, headers=headers)

    async def _told(device: Device, request: web.BaseRequest) -> web.StreamResponse:
        """The alert stream, with a heartbeat."""
        response = web.StreamResponse(headers={"Content-Type": "multipart/mixed; boundary=boundary"})
        await response.prepare(request)
        while not device.ends_streams:
            said = device.events.pop(0) if device.events else "videoloss inactive 0"
            kind, state, channel = said.split()
            body = device.alert(kind, state, channel)
            head = f"--boundary\r\nContent-Type: application/xml; charset=UTF-8\r\nContent-Length: {len(body)}\r\n\r\n"
            try:
                await response.write(head.encode() + body + b"\r\n")
            except ConnectionError:
                break
            await asyncio.sleep(device.heartbeat_seconds)
        return response

    runner = web.ServerRunner(web.Server(handle), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


_FIELD = re.compile(r'(\w+)=(?:"([^"]*)"|([^\s,]+))')
_PLACE = re.compile(r"(https?://[^/]+)(/.*)")
