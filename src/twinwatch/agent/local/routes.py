"""Which request is answered by what; every refusal is a problem, every failure stays one request's."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qs

import msgspec

from twinwatch.agent.drilling import TooOften
from twinwatch.agent.local import web
from twinwatch.agent.local.admission import Admission, Reach
from twinwatch.agent.local.bodies import body_of
from twinwatch.agent.local.connections import HEADERS, problem_response
from twinwatch.agent.local.exposing import CONTENT_TYPE, exposed
from twinwatch.agent.local.history import POINTS, PageReader, grid, lines_of, newest
from twinwatch.agent.local.pages import FILES, page
from twinwatch.agent.local.pushes import Pushes
from twinwatch.agent.local.refusals import Refused, invalid
from twinwatch.protocol.metrics import Catalogue
from twinwatch.world.clock import Clock

DAY_MILLISECONDS = 86_400_000
METRICS_ASKED = 200
SHOWN_POINTS = 300
FORM_BYTES = 4096
READING = 2
"""Windows of the buffer that are gathered at one time; each takes megabytes, and others wait."""
_NEWEST_MILLISECONDS = 5 * 60_000

Answer = Callable[[web.BaseRequest], Awaitable[web.Response]]

_log = logging.getLogger(__name__)


class Routes:
    """The answers. ``status`` gives a struct, or an awaitable of one; ``read`` reads the buffer; ``drill`` holds one,
    for who may use the socket."""

    def __init__(
        self,
        *,
        status: Callable[[], object],
        catalogue: Callable[[], Catalogue],
        read: PageReader,
        pushes: Pushes,
        clock: Clock,
        drill: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        self._status = status
        self._drill = drill
        self._catalogue = catalogue
        self._read = read
        self._clock = clock
        self._group = pushes.group
        self._reading = asyncio.Semaphore(READING)
        self._table: dict[str, dict[str, Answer]] = {
            "/": {"GET": self._home},
            "/api/v1/status": {"GET": self._status_now},
            "/api/v1/catalogue": {"GET": self._catalogue_now},
            "/api/v1/series": {"GET": self._series},
            "/metrics": {"GET": self._exposed},
            "/api/v1/metrics": {"POST": pushes.push},
            "/api/v1/metrics/prometheus": {"POST": pushes.text, "PUT": pushes.text},
            "/v1/metrics": {"POST": pushes.otlp},
        }

    async def answer(self, request: web.BaseRequest, admission: Admission, *, only: str = "") -> web.StreamResponse:
        """Answer one request; ``only`` names the one path that this listener serves. Raises nothing of its own."""
        try:
            return await self._answer(request, admission, only)
        except Refused as err:
            return problem_response(err)
        except Exception:  # noqa: BLE001 - the supervisor of one request
            _log.exception("local server: %s %s failed", request.method, request.path)
            detail = "The agent could not answer; its log says why."
            return problem_response(Refused(500, "failed", "Failed", detail))

    async def _answer(self, request: web.BaseRequest, admission: Admission, only: str) -> web.Response:
        path = request.path
        admission.check_origin(request)
        if only and path != only:
            raise _unknown(path, f"this address serves {only} alone")
        name = path.removeprefix("/assets/")
        if name != path and name in FILES and not name.endswith(".html"):
            _allow(request, {"GET"})
            return page(request, name)
        if path == "/session" and admission.reach is Reach.NETWORK:
            _allow(request, {"POST"})
            return await self._sign_in(request, admission)
        if path == "/" and not admission.is_known(request):
            _allow(request, {"GET"})
            return page(request, "sign-in.html", 401)
        await admission.check_token(request)
        if path == "/api/v1/drill" and admission.reach is Reach.SOCKET and self._drill is not None:
            _allow(request, {"POST"})
            return await self._drilled(self._drill)
        if path.startswith("/metrics/"):
            _allow(request, {"PUT", "POST", "DELETE"})
            return await self._group(request)
        answers = self._table.get(path)
        if not answers:
            raise _unknown(path, "see docs/custom-metrics.md and docs/local-dashboard.md")
        _allow(request, set(answers))
        return await answers["GET" if request.method == "HEAD" else request.method](request)

    @staticmethod
    async def _home(request: web.BaseRequest) -> web.Response:
        return page(request, "index.html")

    @staticmethod
    async def _sign_in(request: web.BaseRequest, admission: Admission) -> web.Response:
        if request.headers.get("Content-Encoding"):
            raise Refused(415, "media-type", "Encoding not supported", "expected a form as it is")
        try:
            # From anybody: bounded by what a form may be, as all that wait for their turn are held in memory.
            form = parse_qs((await body_of(request, FORM_BYTES)).decode(), max_num_fields=4)
        except ValueError as err:
            raise invalid("expected a form with the field token") from err
        try:
            cookie = await admission.sign_in(form.get("token", [""])[0])
        except Refused:
            return web.Response(status=303, headers={**HEADERS, "Location": "/#wrong"})
        return web.Response(status=303, headers={**HEADERS, "Location": "/", "Set-Cookie": cookie})

    async def _status_now(self, _request: web.BaseRequest) -> web.Response:
        status = self._status()
        return _json(await status if inspect.isawaitable(status) else status)

    @staticmethod
    async def _drilled(drill: Callable[[], Awaitable[object]]) -> web.Response:
        try:
            return _json(await drill())
        except TooOften as err:
            raise Refused(429, "too-often", "Too often", str(err)) from err

    async def _catalogue_now(self, _request: web.BaseRequest) -> web.Response:
        return _json(self._catalogue())

    async def _series(self, request: web.BaseRequest) -> web.Response:
        query = request.rel_url.query
        metrics = set(query.getall("metric", []))
        if not 0 < len(metrics) <= METRICS_ASKED:
            raise invalid(f"{len(metrics)} metrics asked for: expected 1 to {METRICS_ASKED}, as ?metric=…&metric=…")
        until = _number(request, "until", self._clock.now())
        since = _number(request, "since", until - DAY_MILLISECONDS)
        intervals = [
            one.interval_seconds for one in self._catalogue().monitors if metrics & {m.name for m in one.metrics}
        ]
        least = max(_number(request, "step", 0), round(1000 * max(intervals, default=15.0)))
        asked = _number(request, "points", SHOWN_POINTS)
        first, step, points = grid(since, until, points=min(max(asked, 2), POINTS), least=least)
        async with self._reading:
            return _json(await lines_of(self._read, metrics, first=first, step=step, points=points))

    async def _exposed(self, _request: web.BaseRequest) -> web.Response:
        now = self._clock.now()
        async with self._reading:
            found = await newest(self._read, now - _NEWEST_MILLISECONDS, now + 1)
            body = exposed(found.values(), self._catalogue())
        return web.Response(body=body, headers={**HEADERS, "Content-Type": CONTENT_TYPE})


def _json(content: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(content), headers={**HEADERS, "Content-Type": "application/json"})


def _number(request: web.BaseRequest, name: str, default: int) -> int:
    text = request.rel_url.query.get(name, "")
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise invalid(f"{name}={text[:40]!r}: expected a whole number, such as milliseconds since 1970")
    return int(text)


def _allow(request: web.BaseRequest, methods: set[str]) -> None:
    if request.method in methods or (request.method == "HEAD" and "GET" in methods):
        return
    allowed = ", ".join(sorted(methods))
    detail = f"{request.method} {request.path[:200]}: expected {allowed}"
    raise Refused(405, "method", "Method not allowed", detail, headers={"Allow": allowed})


def _unknown(path: str, hint: str) -> Refused:
    return Refused(404, "unknown-path", "Nothing here", f"{path[:200]}: {hint}")
