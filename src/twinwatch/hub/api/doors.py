"""What every route shares: who is asking, from where, and how a refusal becomes a response."""

from __future__ import annotations

import ipaddress
import logging
import secrets
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any, cast
from uuid import UUID

import msgspec
from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, HTTPConnection
from starlette.types import Message, Receive

from twinwatch.hub.accounts import Accounts
from twinwatch.hub.agents import Agents
from twinwatch.hub.alert_history import AlertHistory
from twinwatch.hub.alerting.intake import Intake
from twinwatch.hub.auth import Auth, Device, Person
from twinwatch.hub.bundles import Bundles
from twinwatch.hub.channels import Channels
from twinwatch.hub.configurations import Configurations
from twinwatch.hub.controls import Controls
from twinwatch.hub.db import DatabaseAway
from twinwatch.hub.drills import Drills
from twinwatch.hub.fleet import Fleet
from twinwatch.hub.herald import Herald
from twinwatch.hub.history import History
from twinwatch.hub.ingest import Ingest
from twinwatch.hub.live import Event, Live
from twinwatch.hub.policies import Policies
from twinwatch.hub.probes import Probes
from twinwatch.hub.probing.witnesses import Witnesses
from twinwatch.hub.queries import Queries
from twinwatch.hub.refusals import Refused, unauthorized, unavailable
from twinwatch.hub.reports import Reports
from twinwatch.hub.rules import Rules
from twinwatch.hub.settings import Settings
from twinwatch.hub.shapes import Shapes
from twinwatch.hub.silences import Silences
from twinwatch.hub.throttle import Throttle
from twinwatch.hub.vitals import Vitals
from twinwatch.hub.watchdog import Watchdog
from twinwatch.protocol.control import BundleChanged
from twinwatch.protocol.problem import PROBLEM_TYPE
from twinwatch.world.clock import Clock

log = logging.getLogger(__name__)


BODY_BYTES = 64 * 1024
"""Longest body of a person's request."""


@dataclass(frozen=True, slots=True)
class Rooms:
    """All that the routes may call, put together in ``main``."""

    settings: Settings
    clock: Clock
    accounts: Accounts
    agents: Agents
    alert_events: Throttle
    alert_history: AlertHistory
    auth: Auth
    bundles: Bundles
    channels: Channels
    configurations: Configurations
    controls: Controls
    drills: Drills
    fleet: Fleet
    herald: Herald
    history: History
    ingest: Ingest
    intake: Intake
    live: Live
    policies: Policies
    probes: Probes
    queries: Queries
    reports: Reports
    rules: Rules
    shapes: Shapes
    sign_ins: Throttle
    silences: Silences
    trials: Throttle
    vitals: Vitals
    watchdog: Watchdog
    witnesses: Witnesses

    async def tell_bundles(self, organization_id: UUID) -> None:
        """Rules, silences, policies, channels or tags have changed: the organization's agents, and the
        people who look on, hear of it at once."""
        self.controls.say_to_all(organization_id, BundleChanged(await self.bundles.digest(organization_id)))
        self.live.publish(Event("bundle", organization_id, None, b"{}"))

    async def refresh_rules(self, organization_id: UUID, server_id: UUID) -> None:
        """A server's tags have changed, and with them which silences count for it."""
        await self.rules.refresh_one(organization_id, server_id)


async def _rooms(request: Request) -> Rooms:
    # async, though nothing is awaited: FastAPI would send a plain function to a thread, on every request.
    return rooms_of(request)


def rooms_of(request: HTTPConnection) -> Rooms:
    """The rooms behind this request's application."""
    return cast("Rooms", request.app.state.rooms)


def bearer(request: HTTPConnection) -> str:
    """The key or token that the request shows.

    Raises: Refused 401 if it shows none.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise unauthorized("Send the key or token as `Authorization: Bearer …`.")
    return token.strip()


async def _person(request: Request) -> Person:
    return rooms_of(request).auth.person(bearer(request))


Hub = Annotated[Rooms, Depends(_rooms)]
SignedIn = Annotated[Person, Depends(_person)]


def device_of(request: Request) -> Device:
    """Where a request comes from, as far as the hub can see; a proxy may tell it anything, or nothing."""
    host = request.client.host if request.client else ""
    try:
        ip = str(ipaddress.ip_address(host.partition("%")[0]))
    except ValueError:
        ip = None
    return Device(request.headers.get("user-agent", ""), ip)


def public_url(request: Request) -> str:
    """Where the hub is reached, without a slash at the end."""
    return rooms_of(request).settings.public_url or str(request.base_url).rstrip("/")


def request_id_of(request: HTTPConnection) -> str:
    """The id that log lines and problem responses of this request share."""
    state = request.scope.setdefault("state", {})
    return cast("str", state.setdefault("request_id", secrets.token_hex(8)))


def refuse(request: HTTPConnection, refused: Refused) -> Response:
    """The problem response of a refusal."""
    headers = {"x-request-id": request_id_of(request)}
    if refused.retry_after_seconds is not None:
        headers["retry-after"] = str(refused.retry_after_seconds)
    if refused.status == 401:
        headers["www-authenticate"] = "Bearer"
    body = msgspec.json.encode(refused.problem(request_id_of(request)))
    return Response(body, refused.status, headers, PROBLEM_TYPE)


def refuse_away(request: HTTPConnection, err: DatabaseAway) -> Response:
    """The problem response while the database is away."""
    log.warning("request %s: database away (%s)", request_id_of(request), err)
    return refuse(request, unavailable("The hub's database does not answer; try again."))


class TooLong(HTTPException):
    """A body beyond its bound. FastAPI lets no other exception out of the reading of a body."""

    def __init__(self, limit: int) -> None:
        super().__init__(413, f"The body is larger than {limit} bytes.")
        self.limit = limit


class PersonsRoute(APIRoute):
    """A route whose body is bounded: FastAPI would read any into memory before it asks who sends it."""

    body_bytes = BODY_BYTES

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route's own handler, on a body that breaks off at ``body_bytes``."""
        answer = super().get_route_handler()

        async def bounded(request: Request) -> Response:
            return await answer(Request(request.scope, _counted(request.receive, self.body_bytes)))

        return bounded


def _counted(receive: Receive, most: int) -> Receive:
    size = 0

    async def receive_some() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > most:
            raise TooLong(most)
        return message

    return receive_some


def install_handlers(app: FastAPI) -> None:
    """Every way in which a request can fail ends in one shape."""

    async def on_refused(request: Request, err: Exception) -> Response:
        return refuse(request, cast("Refused", err))

    async def on_away(request: Request, err: Exception) -> Response:
        return refuse_away(request, cast("DatabaseAway", err))

    async def on_invalid(request: Request, err: Exception) -> Response:
        # The values themselves are left out: one may be a password.
        wrong = cast("RequestValidationError", err).errors()
        detail = "; ".join(f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in wrong)
        detail = detail.encode(errors="replace").decode()  # a key may be half a character, which no JSON can say
        return refuse(request, Refused(422, "invalid", "Invalid value", detail))

    async def on_http(request: Request, err: Exception) -> Response:
        known = cast("HTTPException", err)
        slug = {404: "not-found", 405: "method-not-allowed", 413: "too-large"}.get(known.status_code, "refused")
        limit = known.limit if isinstance(known, TooLong) else None
        response = refuse(request, Refused(known.status_code, slug, str(known.detail), str(known.detail), limit=limit))
        response.headers.update(known.headers or {})
        return response

    async def on_left(_: Request, __: Exception) -> Response:
        return Response(status_code=400)  # read by nobody: the client hung up within its request

    async def on_bug(request: Request, err: Exception) -> Response:
        log.error("request %s failed: %s %s", request_id_of(request), request.method, request.url.path, exc_info=err)
        detail = "The hub failed at this request; its log has the reason under this request id."
        return refuse(request, Refused(500, "internal", "Internal error", detail))

    app.add_exception_handler(Refused, on_refused)
    app.add_exception_handler(DatabaseAway, on_away)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(ClientDisconnect, on_left)
    app.add_exception_handler(Exception, on_bug)


def supabase_error(refused: Refused) -> JSONResponse:
    """A refusal in the words of Supabase Auth, which its clients expect on its routes."""
    content = {"code": refused.status, "error_code": refused.slug, "msg": refused.detail}
    headers = {} if refused.retry_after_seconds is None else {"retry-after": str(refused.retry_after_seconds)}
    return JSONResponse(content, refused.status, headers)
