"""The line to the hub: one method per agent route, typed both ways, and two ways to fail.

``Unreachable`` is no answer, or one that no hub gives (a proxy's page); ``Refused`` is a hub, or something before it,
that says no.
"""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import TypeVar

import msgspec

from twinwatch.protocol.alerts import AlertAnswers, AlertEvents
from twinwatch.protocol.bundle import SealedBundle
from twinwatch.protocol.checks import Report
from twinwatch.protocol.codec import MSGPACK, ZSTD, Undecodable, decode, pack
from twinwatch.protocol.configuration import Configuration
from twinwatch.protocol.control import DrillResult, WitnessAnswer
from twinwatch.protocol.heartbeat import Heartbeat, HeartbeatAnswer
from twinwatch.protocol.hello import Register, Registered
from twinwatch.protocol.life import Goodbye
from twinwatch.protocol.metrics import Catalogue
from twinwatch.protocol.problem import Problem
from twinwatch.protocol.samples import Batch, BatchAccepted
from twinwatch.protocol.version import AGENT_ROUTES
from twinwatch.world.http import Answer, Http, Socket, Unreachable
from twinwatch.world.secret import Secret

HEARTBEAT_TIMEOUT_SECONDS = 8.0
ALERTS_TIMEOUT_SECONDS = 8.0
TIMEOUT_SECONDS = 30.0
LONGEST_RETRY_AFTER_SECONDS = 900.0

T = TypeVar("T")


class Refused(Exception):
    """An answer other than 2xx. ``problem.slug`` is empty if no hub wrote it."""

    def __init__(self, status: int, problem: Problem, retry_after_seconds: float | None) -> None:
        self.status = status
        self.problem = problem
        self.retry_after_seconds = retry_after_seconds
        super().__init__(f"{status}: {problem.detail or problem.title}")

    @property
    def slug(self) -> str:
        """What the problem is, as programs compare it; empty if a stranger answered."""
        return self.problem.slug


class Line:
    """Requests to one hub at its address, without a slash at its end."""

    def __init__(self, http: Http, hub: str) -> None:
        self._http = http
        self._hub = hub

    async def register(self, key: Secret, message: Register) -> Registered:
        """Exchange the enrolment key for a server's own."""
        return await self._ask("register", key, message, Registered, TIMEOUT_SECONDS)

    async def heartbeat(self, key: Secret, message: Heartbeat) -> HeartbeatAnswer:
        """Give the sign of life."""
        return await self._ask("heartbeat", key, message, HeartbeatAnswer, HEARTBEAT_TIMEOUT_SECONDS)

    async def samples(self, key: Secret, body: bytes) -> BatchAccepted:
        """Bring a batch that ``packed`` has encoded."""
        return self._read(await self._post("samples", key, body, TIMEOUT_SECONDS), BatchAccepted)

    async def catalogue(self, key: Secret, message: Catalogue) -> None:
        """Bring the catalogue."""
        await self._post("catalogue", key, pack(message), TIMEOUT_SECONDS)

    async def report(self, key: Secret, message: Report) -> None:
        """Bring the report."""
        await self._post("report", key, pack(message), TIMEOUT_SECONDS)

    async def witness(self, key: Secret, message: WitnessAnswer) -> None:
        """Bring what was seen when the hub asked."""
        await self._post("witness", key, pack(message), HEARTBEAT_TIMEOUT_SECONDS)

    async def drill(self, key: Secret, message: DrillResult) -> None:
        """Bring what came of a drill."""
        await self._post("drill", key, pack(message), TIMEOUT_SECONDS)

    async def goodbye(self, key: Secret, message: Goodbye, *, timeout_seconds: float) -> None:
        """Say that the agent is about to end."""
        await self._post("goodbye", key, pack(message), timeout_seconds)

    async def configuration(self, key: Secret) -> Configuration:
        """Fetch the configuration."""
        headers = {"Authorization": f"Bearer {key.reveal()}", "Accept": MSGPACK}
        answer = await self._http.request(
            "GET", f"{self._hub}{AGENT_ROUTES}/configuration", headers=headers, timeout_seconds=TIMEOUT_SECONDS
        )
        return self._read(_lawful(answer), Configuration)

    async def bundle(self, key: Secret) -> SealedBundle:
        """Fetch the bundle."""
        headers = {"Authorization": f"Bearer {key.reveal()}", "Accept": MSGPACK}
        answer = await self._http.request(
            "GET", f"{self._hub}{AGENT_ROUTES}/bundle", headers=headers, timeout_seconds=TIMEOUT_SECONDS
        )
        return self._read(_lawful(answer), SealedBundle)

    async def alerts(self, key: Secret, message: AlertEvents) -> AlertAnswers:
        """Bring alert events, and hear what becomes of them."""
        return await self._ask("alerts", key, message, AlertAnswers, ALERTS_TIMEOUT_SECONDS)

    async def control(self, key: Secret) -> Socket:
        """Open the control connection.

        Raises: NotOpened; Unreachable.
        """
        headers = {"Authorization": f"Bearer {key.reveal()}"}
        url = f"{self._hub}{AGENT_ROUTES}/control"
        return await self._http.websocket(url, headers=headers, timeout_seconds=TIMEOUT_SECONDS)

    async def _ask(self, route: str, key: Secret, message: object, kind: type[T], timeout_seconds: float) -> T:
        return self._read(await self._post(route, key, pack(message), timeout_seconds), kind)

    async def _post(self, route: str, key: Secret, body: bytes, timeout_seconds: float) -> Answer:
        answer = await self._http.request(
            "POST",
            f"{self._hub}{AGENT_ROUTES}/{route}",
            headers={
                "Authorization": f"Bearer {key.reveal()}",
                "Content-Type": MSGPACK,
                "Content-Encoding": ZSTD,
                "Accept": MSGPACK,
            },
            body=body,
            timeout_seconds=timeout_seconds,
        )
        return _lawful(answer)

    def _read(self, answer: Answer, kind: type[T]) -> T:
        content_type = answer.headers.get("content-type", "")
        try:
            return decode(answer.body, kind, content_type, answer.headers.get("content-encoding", ""))
        except Undecodable as err:
            raise Unreachable(
                f"{self._hub} answers, but not as a twinwatch hub does ({content_type or 'no content type'})"
            ) from err


def packed(batch: Batch) -> bytes:
    """The batch as it travels."""
    return pack(batch)


def _lawful(answer: Answer) -> Answer:
    if 200 <= answer.status < 300:
        return answer
    raise Refused(answer.status, _problem(answer), retry_after(answer.headers))


def _problem(answer: Answer) -> Problem:
    try:
        return msgspec.json.decode(answer.body, type=Problem)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return Problem(type="", title="", status=answer.status, detail="the answer names no reason")


def retry_after(headers: dict[str, str]) -> float | None:
    """Seconds, from a number of them or from an HTTP date (RFC 9110, section 10.2.3) against the answer's own date."""
    text = headers.get("retry-after", "").strip()
    try:
        if text.isdigit():
            seconds = float(text)
        else:
            seconds = (parsedate_to_datetime(text) - parsedate_to_datetime(headers.get("date", ""))).total_seconds()
    except (TypeError, ValueError):
        return None
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER_SECONDS)
