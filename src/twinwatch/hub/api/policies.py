"""``/api/v1``: what becomes an alert, who is told of it, and when nobody is: rules, policies, silences."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Response

from twinwatch.hub.api.doors import Hub, PersonsRoute, SignedIn
from twinwatch.hub.views_alerts import NewRule, NewSilence, Policies, Rules, SavePolicies, SaveRule, Silence

router = APIRouter(prefix="/api/v1", tags=["policies"], route_class=PersonsRoute)


class _LongRoute(PersonsRoute):
    body_bytes = 256 * 1024


long = APIRouter(prefix="/api/v1", tags=["policies"], route_class=_LongRoute)


@router.get("/policies")
async def policies(hub: Hub, person: SignedIn, organization_id: UUID) -> Policies:
    """The organization's policies in their order: the first that admits an alert has it."""
    return await hub.policies.read(person, organization_id)


@long.put("/policies")
async def save_policies(wanted: SavePolicies, hub: Hub, person: SignedIn, organization_id: UUID) -> Policies:
    """Replaces them; 409 `version` if they were changed since that was read. Open alerts are looked at anew.

    Without a version they take the place of whatever there is, as a script that declares them wants it.
    """
    await hub.policies.save(person, organization_id, wanted)
    await hub.tell_bundles(organization_id)
    return await hub.policies.read(person, organization_id)


@router.get("/rules")
async def rules(hub: Hub, person: SignedIn, organization_id: UUID) -> Rules:
    """The organization's rules, and those that monitors and the hub bring along."""
    return await hub.rules.read(person, organization_id)


@router.post("/rules", status_code=201)
async def add_rule(wanted: NewRule, hub: Hub, person: SignedIn) -> Rules:
    """A new rule. One of the name of another that is farther away takes its place."""
    await hub.rules.add(person, wanted.organization_id, wanted)
    await hub.tell_bundles(wanted.organization_id)
    return await hub.rules.read(person, wanted.organization_id)


@router.put("/rules/{rule_id}", status_code=204)
async def change_rule(rule_id: UUID, wanted: SaveRule, hub: Hub, person: SignedIn) -> Response:
    """Changes a rule; 409 `version` if it was changed meanwhile."""
    organization_id = await hub.rules.change(person, rule_id, wanted)
    await hub.tell_bundles(organization_id)
    return Response(status_code=204)


@router.delete("/rules/{rule_id}", status_code=204)
async def delete_rule(rule_id: UUID, hub: Hub, person: SignedIn) -> Response:
    """Removes a rule. What it fired ends."""
    await hub.tell_bundles(await hub.rules.delete(person, rule_id))
    return Response(status_code=204)


@router.get("/silences")
async def silences(hub: Hub, person: SignedIn, organization_id: UUID) -> list[Silence]:
    """Silences that hold, are to come, or ended within a month; newest first."""
    return await hub.silences.of(person, organization_id)


@router.post("/silences", status_code=201)
async def add_silence(wanted: NewSilence, hub: Hub, person: SignedIn) -> list[Silence]:
    """A new silence, for what is open already too. The agents keep to it while the hub is away."""
    await hub.silences.add(person, wanted)
    await hub.tell_bundles(wanted.organization_id)
    return await hub.silences.of(person, wanted.organization_id)


@router.delete("/silences/{silence_id}", status_code=204)
async def end_silence(silence_id: UUID, hub: Hub, person: SignedIn) -> Response:
    """Ends a silence now: what is still open is told."""
    await hub.tell_bundles(await hub.silences.end(person, silence_id))
    return Response(status_code=204)
