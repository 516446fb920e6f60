"""``/api/v1/servers`` and ``/api/v1/live``: what people see of their servers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID

import msgspec
from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse

from twinwatch.hub.api.doors import Hub, PersonsRoute, Rooms, SignedIn
from twinwatch.hub.auth import Person
from twinwatch.hub.views import Catalogue, Checks, Latest, Rename, Server, Servers
from twinwatch.hub.views_alerts import ServerSettings

router = APIRouter(prefix="/api/v1", tags=["servers"], route_class=PersonsRoute)

SILENCE_SECONDS = 15.0


@router.get("/servers")
async def servers(hub: Hub, person: SignedIn) -> Servers:
    """All servers of the person's organizations, by name."""
    found = await hub.fleet.servers(person)
    return Servers(hub_time=hub.clock.now(), servers=found)


@router.get("/servers/{server_id}")
async def server(server_id: UUID, hub: Hub, person: SignedIn) -> Server:
    """One server."""
    return await hub.fleet.one(person, server_id)


@router.patch("/servers/{server_id}")
async def rename(server_id: UUID, wanted: Rename, hub: Hub, person: SignedIn) -> Server:
    """Gives a server another name."""
    renamed = await hub.fleet.rename(person, server_id, wanted.name)
    await hub.herald.changed(renamed.organization_id, server_id)
    return renamed


@router.put("/servers/{server_id}/settings")
async def set_server(server_id: UUID, wanted: ServerSettings, hub: Hub, person: SignedIn) -> Server:
    """Sets tags, which rules, policies and silences can name it by, and whether it is watched fast."""
    organization_id = await hub.fleet.set(person, server_id, wanted)
    await hub.refresh_rules(organization_id, server_id)
    await hub.tell_bundles(organization_id)
    await hub.herald.changed(organization_id, server_id)
    return await hub.fleet.one(person, server_id)


@router.delete("/servers/{server_id}", status_code=204)
async def delete(server_id: UUID, hub: Hub, person: SignedIn) -> Response:
    """Removes a server with its keys and samples. Its agent can no longer speak."""
    organization_id = await hub.fleet.delete(person, server_id)
    hub.agents.forget(server_id)
    hub.shapes.forget(server_id)
    hub.herald.gone(organization_id, server_id)
    return Response(status_code=204)


@router.get("/servers/{server_id}/catalogue")
async def catalogue(server_id: UUID, hub: Hub, person: SignedIn) -> Catalogue:
    """What the server's agent declares: monitors, metrics, charts, host facts."""
    return await hub.fleet.catalogue(person, server_id)


@router.get("/servers/{server_id}/checks")
async def checks(server_id: UUID, hub: Hub, person: SignedIn) -> Checks:
    """How the server's checks and monitors stand."""
    return await hub.reports.checks(person, server_id)


@router.get("/servers/{server_id}/latest")
async def latest(server_id: UUID, hub: Hub, person: SignedIn) -> Latest:
    """The newest sample of every series."""
    return await hub.fleet.latest(person, server_id)


@router.get("/live", response_class=StreamingResponse)
async def live(hub: Hub, person: SignedIn, server: UUID | None = None) -> StreamingResponse:
    """Server-sent events: `hello`; then as they happen `server`, `gone`, `alert`; `bundle` when rules, policies,
    silences, channels or tags are others now; `samples` and `checks` of ``server``.
    """
    if server is not None:
        await hub.fleet.one(person, server)
    organizations = await hub.accounts.organizations(person)
    mine = frozenset(one.id for one in organizations)
    # Proxies must not hold events back.
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(_events(hub, person, mine, server), 200, headers, "text/event-stream")


async def _events(hub: Rooms, person: Person, mine: frozenset[UUID], server: UUID | None) -> AsyncIterator[bytes]:
    with hub.live.watch(mine, server) as stream:
        yield b"event: hello\ndata: " + msgspec.json.encode({"hub_time": hub.clock.now()}) + b"\n\n"
        async for event in stream.events(SILENCE_SECONDS):
            if hub.clock.now() >= person.until:
                return  # who may see what is judged again, when the client returns with a fresh token
            if event is None:
                yield b": still here\n\n"
            else:
                yield b"event: " + event.kind.encode() + b"\ndata: " + event.body + b"\n\n"
