"""``/api/v1/agent``: what agents call. The hot path: bytes in, msgspec, bytes out, nothing in between."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from fastapi import APIRouter, Request, WebSocket
from fastapi.responses import Response

from twinwatch.hub.agents import Speaker
from twinwatch.hub.api.doors import Hub, bearer, device_of, refuse, refuse_away, rooms_of
from twinwatch.hub.db import DatabaseAway
from twinwatch.hub.refusals import Refused
from twinwatch.protocol import codec, limits
from twinwatch.protocol.alerts import AlertAnswers, AlertEvents
from twinwatch.protocol.bundle import SealedBundle
from twinwatch.protocol.checks import Report
from twinwatch.protocol.configuration import Configuration
from twinwatch.protocol.control import (
    BundleChanged,
    ConfigurationChanged,
    DrillAsked,
    DrillResult,
    WitnessAnswer,
    WitnessAsked,
)
from twinwatch.protocol.heartbeat import Heartbeat, HeartbeatAnswer
from twinwatch.protocol.hello import Register, Registered
from twinwatch.protocol.life import Goodbye
from twinwatch.protocol.metrics import Catalogue
from twinwatch.protocol.samples import Batch, BatchAccepted
from twinwatch.protocol.version import AGENT_ROUTES

T = TypeVar("T")

router = APIRouter(prefix=AGENT_ROUTES, tags=["agent"])

_, SCHEMAS = msgspec.json.schema_components(
    [
        *(Register, Registered, Heartbeat, HeartbeatAnswer, Batch, BatchAccepted, Catalogue),
        *(Report, Configuration, ConfigurationChanged, BundleChanged, WitnessAsked, DrillAsked),
        *(AlertEvents, AlertAnswers, SealedBundle, Goodbye, DrillResult, WitnessAnswer),
    ],
    ref_template="#/components/schemas/Agent{name}",
)
"""The wire's structs for the OpenAPI document; ``main`` adds them under the names that the routes refer to."""


def _documented(request: type | None, answer: type | None, status: int) -> dict[str, Any]:
    """The OpenAPI of a route that reads msgspec rather than pydantic."""

    def content(kind: type) -> dict[str, Any]:
        schema = {"schema": {"$ref": f"#/components/schemas/Agent{kind.__name__}"}}
        return {codec.JSON: schema, codec.MSGPACK: schema}

    response: dict[str, Any] = {"description": "Done"}
    if answer is not None:
        response["content"] = content(answer)
    documented: dict[str, Any] = {"responses": {str(status): response}}
    if request is not None:
        documented["requestBody"] = {"required": True, "content": content(request)}
    return documented


@router.post("/register", status_code=201, openapi_extra=_documented(Register, Registered, 201))
async def register(request: Request, hub: Hub) -> Response:
    """Exchanges an enrolment key for a server and its own key."""
    key = bearer(request)
    hello = await _read(request, Register)
    speaker, registered = await hub.agents.register(key, hello)
    await hub.herald.changed(speaker.organization_id, speaker.server_id)
    return _answer(request, registered, 201)


@router.post("/heartbeat", openapi_extra=_documented(Heartbeat, HeartbeatAnswer, 200))
async def heartbeat(request: Request, hub: Hub) -> Response:
    """Notes a sign of life."""
    speaker = await _speaker(request, hub)
    beat = await _read(request, Heartbeat)
    answer = await hub.agents.heartbeat(speaker, beat, device_of(request).ip)
    await hub.herald.changed(speaker.organization_id, speaker.server_id)
    return _answer(request, answer)


@router.post("/samples", openapi_extra=_documented(Batch, BatchAccepted, 200))
async def samples(request: Request, hub: Hub) -> Response:
    """Takes in a batch, exactly once; the answer comes after the commit."""
    speaker = await _speaker(request, hub)
    batch = await _read(request, Batch)
    arrival = await hub.ingest.check(speaker.organization_id, speaker.server_id, batch)
    return _answer(request, await hub.ingest.take(arrival))


@router.post("/catalogue", status_code=204, openapi_extra=_documented(Catalogue, None, 204))
async def catalogue(request: Request, hub: Hub) -> Response:
    """Keeps what the agent declares."""
    speaker = await _speaker(request, hub)
    await hub.agents.declare(speaker, await _read(request, Catalogue))
    await hub.herald.changed(speaker.organization_id, speaker.server_id)
    return Response(status_code=204)


@router.post("/report", status_code=204, openapi_extra=_documented(Report, None, 204))
async def report(request: Request, hub: Hub) -> Response:
    """Keeps how the agent's monitors, checks and configuration stand."""
    speaker = await _speaker(request, hub)
    if await hub.reports.take(speaker, await _read(request, Report)):
        await hub.herald.reported(speaker.organization_id, speaker.server_id)
    return Response(status_code=204)


@router.get("/configuration", openapi_extra=_documented(None, Configuration, 200))
async def configuration(request: Request, hub: Hub) -> Response:
    """What the agent shall watch, secret values included; version 0 if nothing was saved."""
    speaker = await _speaker(request, hub)
    response = _answer(request, await hub.configurations.of_agent(speaker))
    response.headers["cache-control"] = "no-store"
    return response


@router.post("/alerts", openapi_extra=_documented(AlertEvents, AlertAnswers, 200))
async def alerts(request: Request, hub: Hub) -> Response:
    """Takes in alert events, each once, and says what the hub makes of each episode."""
    speaker = await _speaker(request, hub)
    hub.alert_events.spend(str(speaker.server_id))
    return _answer(request, await hub.intake.take(speaker, await _read(request, AlertEvents)))


@router.get("/bundle", openapi_extra=_documented(None, SealedBundle, 200))
async def bundle(request: Request, hub: Hub) -> Response:
    """What the agent needs to judge and to tell people by itself, credentials included, signed for it."""
    speaker = await _speaker(request, hub)
    response = _answer(request, await hub.bundles.of_agent(speaker))
    response.headers["cache-control"] = "no-store"
    return response


@router.post("/goodbye", status_code=204, openapi_extra=_documented(Goodbye, None, 204))
async def goodbye(request: Request, hub: Hub) -> Response:
    """Notes that the agent, or its server, ends as planned."""
    speaker = await _speaker(request, hub)
    said = await _read(request, Goodbye)
    await hub.watchdog.left(speaker.server_id, said.leaving, said.back_within_seconds)
    return Response(status_code=204)


@router.post("/drill", status_code=204, openapi_extra=_documented(DrillResult, None, 204))
async def drill(request: Request, hub: Hub) -> Response:
    """Notes what came of a drill on the agent's channels."""
    speaker = await _speaker(request, hub)
    await hub.drills.take(speaker, await _read(request, DrillResult))
    return Response(status_code=204)


@router.post("/witness", status_code=204, openapi_extra=_documented(WitnessAnswer, None, 204))
async def witness(request: Request, hub: Hub) -> Response:
    """Notes what the agent saw of something that it was asked to look at, by its control connection."""
    speaker = await _speaker(request, hub)
    hub.alert_events.spend(str(speaker.server_id))
    await hub.witnesses.take(speaker, await _read(request, WitnessAnswer))
    return Response(status_code=204)


@router.websocket("/control")
async def control(socket: WebSocket) -> None:
    """The control connection: `ConfigurationChanged` as JSON once it opens, if there is one, and at each change."""
    hub = rooms_of(socket)
    try:
        key = bearer(socket)
        speaker = await hub.agents.speaker(key)
    except Refused as refused:
        await socket.send_denial_response(refuse(socket, refused))
        return
    except DatabaseAway as err:
        await socket.send_denial_response(refuse_away(socket, err))
        return
    await hub.controls.hold(speaker.organization_id, speaker.server_id, socket, lambda: hub.agents.speaker(key))


async def _speaker(request: Request, hub: Hub) -> Speaker:
    return await hub.agents.speaker(bearer(request))


async def _read(request: Request, kind: type[T]) -> T:
    """The message in the body, within the bounds on its size."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limits.BODY_BYTES:
            raise _too_large(f"the body is larger than {limits.BODY_BYTES} bytes", limits.BODY_BYTES)
        chunks.append(chunk)
    headers = request.headers
    try:
        return codec.decode(
            b"".join(chunks), kind, headers.get("content-type", codec.JSON), headers.get("content-encoding", "")
        )
    except codec.TooLarge as err:
        raise _too_large(str(err), limits.DECODED_BYTES) from err
    except codec.Undecodable as err:
        raise Refused(400, "undecodable", "Not understood", str(err)) from err


def _too_large(detail: str, limit: int) -> Refused:
    return Refused(413, "too-large", "Too large", detail, limit=limit)


def _answer(request: Request, message: object, status: int = 200) -> Response:
    if codec.MSGPACK in request.headers.get("accept", ""):
        return Response(msgspec.msgpack.encode(message), status, media_type=codec.MSGPACK)
    return Response(msgspec.json.encode(message), status, media_type=codec.JSON)
