"""``/api/v1/servers/{id}/configuration``: what people want a server's agent to watch."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter

from twinwatch.hub.api.doors import Hub, PersonsRoute, SignedIn
from twinwatch.hub.views import Configuration, SaveConfiguration
from twinwatch.protocol.limits import CONFIGURATION_BYTES


class _LongRoute(PersonsRoute):
    # As pretty as anyone writes it: the configuration's own bound is on what it says.
    body_bytes = 2 * CONFIGURATION_BYTES


router = APIRouter(prefix="/api/v1", tags=["configurations"], route_class=_LongRoute)


@router.get("/servers/{server_id}/configuration")
async def configuration(server_id: UUID, hub: Hub, person: SignedIn) -> Configuration:
    """What the agent shall watch, how it took it, and what it could run. Secret values read `***`."""
    return await hub.configurations.read(person, server_id)


@router.put("/servers/{server_id}/configuration")
async def save(server_id: UUID, wanted: SaveConfiguration, hub: Hub, person: SignedIn) -> Configuration:
    """Saves the next version on top of the one that was read; 409 `version` if another was saved meanwhile.

    A secret value that is written back as `***` stays as it is. The agent is told at once.
    """
    version = await hub.configurations.save(person, server_id, wanted)
    hub.controls.tell(server_id, version)
    return await hub.configurations.read(person, server_id)
