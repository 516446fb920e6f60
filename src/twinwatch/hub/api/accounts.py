"""``/api/v1``: set-up, who is signed in, enrolment keys."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request, Response

from twinwatch import __version__
from twinwatch.hub.api.doors import Hub, PersonsRoute, SignedIn, device_of, public_url
from twinwatch.hub.install import install_steps, install_warning
from twinwatch.hub.views import EnrolmentKey, IssuedKey, Me, NewEnrolmentKey, Setup, Status, User

router = APIRouter(prefix="/api/v1", tags=["accounts"], route_class=PersonsRoute)


@router.get("/status")
async def status(hub: Hub) -> Status:
    """The hub's version, and whether it waits for its first owner. Anyone may ask."""
    return Status(version=__version__, needs_setup=await hub.accounts.needs_setup())


@router.post("/setup", status_code=201)
async def setup(request: Request, choice: Setup, hub: Hub) -> dict[str, str]:
    """Makes the first owner, with the one-time link's token."""
    hub.sign_ins.spend(f"setup:{device_of(request).ip}")
    await hub.accounts.setup(choice)
    return {}


@router.get("/me")
async def me(hub: Hub, person: SignedIn) -> Me:
    """The signed-in person and their organizations."""
    organizations = await hub.accounts.organizations(person)
    return Me(user=User(id=person.user_id, email=person.email), organizations=organizations)


@router.get("/enrolment-keys")
async def enrolment_keys(hub: Hub, person: SignedIn, organization_id: UUID) -> list[EnrolmentKey]:
    """Keys that still let servers join, newest first."""
    return await hub.accounts.enrolment_keys(person, organization_id)


@router.post("/enrolment-keys", status_code=201)
async def add_enrolment_key(request: Request, wanted: NewEnrolmentKey, hub: Hub, person: SignedIn) -> IssuedKey:
    """A new key, shown this once, with the commands that use it."""
    key_id, fresh = await hub.accounts.add_enrolment_key(person, wanted.organization_id, wanted.name)
    url = public_url(request)
    return IssuedKey(
        id=key_id,
        name=wanted.name.strip(),
        prefix=fresh.prefix,
        key=fresh.key,
        install=install_steps(url, fresh.key),
        warning=install_warning(url),
    )


@router.delete("/enrolment-keys/{key_id}", status_code=204)
async def delete_enrolment_key(key_id: UUID, hub: Hub, person: SignedIn) -> Response:
    """Revokes a key. Servers that joined with it stay."""
    await hub.accounts.delete_enrolment_key(person, key_id)
    return Response(status_code=204)
