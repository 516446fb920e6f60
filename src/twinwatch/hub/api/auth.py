"""``/auth/v1``: the routes of Supabase Auth that ``@supabase/auth-js`` calls for sign-in."""

from __future__ import annotations

import json
import re
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from twinwatch.hub.api.doors import Hub, SignedIn, device_of, supabase_error
from twinwatch.hub.auth import Scope
from twinwatch.hub.refusals import Refused

router = APIRouter(prefix="/auth/v1", tags=["auth"])

BODY_BYTES = 10_000
UNSTORABLE = re.compile("[\0\ud800-\udfff]")
"""What JSON can say and PostgreSQL cannot hold: a zero, and half of a surrogate pair."""


@router.post("/token")
async def token(request: Request, hub: Hub, grant_type: str) -> Response:
    """Access and refresh token for a password or for a refresh token."""
    try:
        body = await _body(request)
        if grant_type == "password":
            return JSONResponse(await _sign_in(request, hub, _text(body, "email"), _text(body, "password")))
        if grant_type == "refresh_token":
            return JSONResponse(await hub.auth.refresh(_text(body, "refresh_token")))
        raise Refused(400, "validation_failed", "Unknown grant", "grant_type: expected password or refresh_token")
    except Refused as refused:
        return supabase_error(refused)


async def _sign_in(request: Request, hub: Hub, email: str, password: str) -> dict[str, Any]:
    device = device_of(request)
    names = (f"email:{email.lower()}", f"ip:{device.ip}")
    for name in names:
        hub.sign_ins.spend(name)
    session = await hub.auth.sign_in(email, password, device)
    for name in names:
        hub.sign_ins.forgive(name)
    return session


@router.get("/user")
async def user(hub: Hub, person: SignedIn) -> Response:
    """The signed-in user, as long as the session lasts."""
    try:
        return JSONResponse(await hub.auth.user(person))
    except Refused as refused:
        return supabase_error(refused)


@router.post("/logout", status_code=204)
async def logout(hub: Hub, person: SignedIn, scope: Scope = "global") -> Response:
    """Ends this session, all sessions, or all others."""
    await hub.auth.sign_out(person, scope)
    return Response(status_code=204)


async def _body(request: Request) -> dict[str, Any]:
    raw = b""
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > BODY_BYTES:
            raise Refused(413, "validation_failed", "Too large", f"body: at most {BODY_BYTES} bytes", limit=BODY_BYTES)
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        raise Refused(400, "bad_json", "Not JSON", "body: expected a JSON object") from None
    if not isinstance(body, dict):
        raise Refused(400, "bad_json", "Not JSON", "body: expected a JSON object")
    return body


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value or len(value) > 1_000 or UNSTORABLE.search(value):
        raise Refused(400, "validation_failed", "Missing value", f"{name}: expected a text")
    return value
