"""``/api/v1/channels`` and ``/api/v1/drills``: where notifications go, and whether they arrive."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Response

from twinwatch.hub.api.doors import Hub, PersonsRoute, SignedIn
from twinwatch.hub.views_alerts import Channel, Channels, Drill, DrillBegun, NewChannel, SaveChannel, TestOutcome

router = APIRouter(prefix="/api/v1", tags=["channels"], route_class=PersonsRoute)


@router.get("/channels")
async def channels(hub: Hub, person: SignedIn, organization_id: UUID) -> Channels:
    """The organization's channels, how they were last tried, and what kinds there are. Secret values read `***`."""
    return Channels(channels=await hub.channels.of(person, organization_id), kinds=hub.channels.offered())


@router.post("/channels", status_code=201)
async def add(wanted: NewChannel, hub: Hub, person: SignedIn) -> Channel:
    """A new channel."""
    channel_id = await hub.channels.add(person, wanted.organization_id, wanted)
    await hub.tell_bundles(wanted.organization_id)
    return await hub.channels.one(person, channel_id)


@router.put("/channels/{channel_id}")
async def change(channel_id: UUID, wanted: SaveChannel, hub: Hub, person: SignedIn) -> Channel:
    """Changes a channel; 409 `version` if it was changed meanwhile. A secret that is written back as `***` stays."""
    await hub.channels.change(person, channel_id, wanted)
    changed = await hub.channels.one(person, channel_id)
    await hub.tell_bundles(changed.organization_id)
    return changed


@router.delete("/channels/{channel_id}", status_code=204)
async def delete(channel_id: UUID, hub: Hub, person: SignedIn) -> Response:
    """Removes a channel. What waits for it is dropped."""
    await hub.tell_bundles(await hub.channels.delete(person, channel_id))
    return Response(status_code=204)


@router.post("/channels/{channel_id}/test")
async def test(channel_id: UUID, hub: Hub, person: SignedIn) -> TestOutcome:
    """Sends a marked test the way of every notification, and says what became of it."""
    hub.trials.spend(str(person.user_id))
    return await hub.channels.test(person, channel_id)


@router.post("/drills", status_code=202)
async def drill(wanted: Drill, hub: Hub, person: SignedIn) -> DrillBegun:
    """Sends a marked test down every path: from the hub, and from each agent that is connected."""
    hub.trials.spend(str(person.user_id))
    return DrillBegun(paths=await hub.drills.begin(person, wanted.organization_id, wanted.servers))
