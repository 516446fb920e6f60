"""``/api/v1/alerts``: what has fired, what came of it, and what people do about it."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from twinwatch.hub.alert_history import Wanted, open_states
from twinwatch.hub.api.doors import Hub, PersonsRoute, SignedIn, device_of
from twinwatch.hub.lawful import LAST_INSTANT
from twinwatch.hub.views_alerts import (
    AcknowledgeByLink,
    AlertDetail,
    Alerts,
    Comment,
    Latency,
    LinkedAlert,
)
from twinwatch.protocol.rules import Severity

router = APIRouter(prefix="/api/v1", tags=["alerts"], route_class=PersonsRoute)

MOST = 200


@router.get("/alerts")
async def alerts(
    hub: Hub,
    person: SignedIn,
    state: Literal["all", "open", "firing", "acknowledged", "resolved"] = "all",
    severity: Annotated[list[Severity] | None, Query(max_length=3)] = None,
    server: UUID | None = None,
    rule: Annotated[str, Query(max_length=200, description="A rule's whole name.")] = "",
    since: Annotated[int | None, Query(ge=0, le=LAST_INSTANT, description="ms UTC, inclusive")] = None,
    to: Annotated[int | None, Query(ge=0, le=LAST_INSTANT, description="ms UTC, exclusive")] = None,
    text: Annotated[str, Query(max_length=200, description="Searched for in names, titles and messages.")] = "",
    before: Annotated[str, Query(max_length=80, description="`next` of the page before.")] = "",
    limit: Annotated[int, Query(ge=1, le=MOST)] = 50,
) -> Alerts:
    """Alerts of the person's organizations, newest first."""
    organizations = await hub.accounts.organizations(person)
    wanted = Wanted(
        organizations=tuple(one.id for one in organizations),
        states=open_states(state),
        severities=tuple(severity or ()),
        server=server,
        rule=rule,
        since=since,
        to=to,
        text=text,
        before=before,
        many=limit,
    )
    return await hub.alert_history.of(person, wanted)


@router.get("/alerts/latency")
async def latency(
    hub: Hub, person: SignedIn, organization_id: UUID, days: Annotated[int, Query(ge=1, le=90)] = 30
) -> Latency:
    """How long after it became true somebody was told."""
    return await hub.alert_history.latency(person, organization_id, days)


@router.get("/alerts/linked")
async def linked(
    request: Request, hub: Hub, key: Annotated[str, Query(max_length=32)], token: Annotated[str, Query(max_length=64)]
) -> LinkedAlert:
    """What the holder of a link in a message may see without signing in. Changes nothing."""
    hub.sign_ins.spend(f"link:{device_of(request).ip}")
    found = await hub.alert_history.linked(key, token)
    hub.sign_ins.forgive(f"link:{device_of(request).ip}")
    return found


@router.post("/alerts/linked")
async def acknowledge_linked(request: Request, wanted: AcknowledgeByLink, hub: Hub) -> LinkedAlert:
    """Acknowledges on the strength of a link; what merely opens links never does this."""
    hub.sign_ins.spend(f"link:{device_of(request).ip}")
    found = await hub.alert_history.acknowledge_by_link(wanted.key, wanted.token, wanted.name)
    hub.sign_ins.forgive(f"link:{device_of(request).ip}")
    return found


@router.get("/alerts/{alert_id}")
async def alert(alert_id: UUID, hub: Hub, person: SignedIn) -> AlertDetail:
    """One alert with its timeline, who was told through what, and the evidence."""
    return await hub.alert_history.one(person, alert_id)


@router.post("/alerts/{alert_id}/acknowledge", status_code=204)
async def acknowledge(alert_id: UUID, wanted: Comment, hub: Hub, person: SignedIn) -> Response:
    """Somebody sees to it: nobody further is told, nothing is repeated."""
    await hub.alert_history.acknowledge(person, alert_id, wanted.text)
    return Response(status_code=204)


@router.post("/alerts/{alert_id}/comment", status_code=204)
async def comment(alert_id: UUID, wanted: Comment, hub: Hub, person: SignedIn) -> Response:
    """Adds words to the timeline."""
    await hub.alert_history.comment(person, alert_id, wanted.text)
    return Response(status_code=204)


@router.post("/alerts/{alert_id}/resolve", status_code=204)
async def resolve(alert_id: UUID, wanted: Comment, hub: Hub, person: SignedIn) -> Response:
    """Ends it by hand. It fires anew only after it was well."""
    await hub.alert_history.resolve(person, alert_id, wanted.text)
    return Response(status_code=204)
