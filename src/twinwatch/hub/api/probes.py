"""``/api/v1/probes``: what the hub checks from outside, and what it has seen."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from twinwatch.hub.api.doors import Hub, PersonsRoute, SignedIn
from twinwatch.hub.lawful import LAST_INSTANT
from twinwatch.hub.probes import Sought
from twinwatch.hub.probing.history import DAY
from twinwatch.hub.views_probes import (
    NewProbe,
    PauseProbe,
    Probe,
    ProbeHistory,
    ProbeOutcome,
    Probes,
    ProbeState,
    SaveProbe,
    TryProbe,
)

router = APIRouter(prefix="/api/v1", tags=["probes"], route_class=PersonsRoute)


@router.get("/probes")
async def probes(
    hub: Hub,
    person: SignedIn,
    organization_id: UUID,
    state: ProbeState | None = None,
    text: Annotated[str, Query(max_length=200, description="Searched for in names.")] = "",
    after: Annotated[UUID | None, Query(description="`next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 200,
) -> Probes:
    """The organization's probes by name, how they stand, their uptime, and what kinds there are."""
    return await hub.probes.of(person, Sought(organization_id, state, text, after, limit))


@router.post("/probes", status_code=201)
async def add(wanted: NewProbe, hub: Hub, person: SignedIn) -> Probe:
    """A new probe. It is tried at once."""
    return await hub.probes.one(person, await hub.probes.add(person, wanted.organization_id, wanted))


@router.post("/probes/try")
async def trial(wanted: TryProbe, hub: Hub, person: SignedIn) -> ProbeOutcome:
    """Tries once what is not saved, and says what that came to."""
    hub.trials.spend(str(person.user_id))
    return await hub.probes.trial(person, wanted.organization_id, wanted.probe_id, wanted.kind, wanted.settings)


@router.get("/probes/{probe_id}")
async def one(probe_id: UUID, hub: Hub, person: SignedIn) -> Probe:
    """One probe."""
    return await hub.probes.one(person, probe_id)


@router.put("/probes/{probe_id}")
async def change(probe_id: UUID, wanted: SaveProbe, hub: Hub, person: SignedIn) -> Probe:
    """Changes a probe; 409 `version` if it was changed meanwhile. A secret that is written back as `***` stays."""
    await hub.probes.change(person, probe_id, wanted)
    return await hub.probes.one(person, probe_id)


@router.delete("/probes/{probe_id}", status_code=204)
async def delete(probe_id: UUID, hub: Hub, person: SignedIn) -> Response:
    """Removes a probe and its history. Its alerts end."""
    await hub.probes.delete(person, probe_id)
    return Response(status_code=204)


@router.post("/probes/{probe_id}/pause")
async def pause(probe_id: UUID, wanted: PauseProbe, hub: Hub, person: SignedIn) -> Probe:
    """Lets a probe rest, which ends its alerts, or goes on."""
    await hub.probes.pause(person, probe_id, paused=wanted.paused)
    return await hub.probes.one(person, probe_id)


@router.post("/probes/{probe_id}/test")
async def test(probe_id: UUID, hub: Hub, person: SignedIn) -> ProbeOutcome:
    """Tries a saved probe now, apart from its history."""
    hub.trials.spend(str(person.user_id))
    return await hub.probes.test(person, probe_id)


@router.get("/probes/{probe_id}/results")
async def results(
    probe_id: UUID,
    hub: Hub,
    person: SignedIn,
    since: Annotated[int | None, Query(ge=0, le=LAST_INSTANT, description="ms UTC, inclusive; a day ago")] = None,
    to: Annotated[int | None, Query(ge=0, le=LAST_INSTANT, description="ms UTC, exclusive; now")] = None,
    points: Annotated[int, Query(ge=1, le=1000)] = 300,
) -> ProbeHistory:
    """Uptime and times for charts, and when it changed: 90 days are kept."""
    until = hub.clock.now() + 1 if to is None else to
    return await hub.probes.history(person, probe_id, until - DAY if since is None else since, until, points)
