"""``/metrics``: the hub's own figures, for the operator's Prometheus, who names the token that the operator chose."""

from __future__ import annotations

import secrets
from typing import Annotated

from fastapi import APIRouter, Header, Response
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException

from twinwatch.hub.api.doors import Hub
from twinwatch.hub.refusals import unauthorized

router = APIRouter(include_in_schema=False)


@router.get("/metrics")
async def metrics(hub: Hub, authorization: Annotated[str, Header()] = "") -> Response:
    """The page; there is none where no token was chosen."""
    token = hub.settings.metrics_token
    if token is None:
        raise HTTPException(404, "There is no such route.")
    if not secrets.compare_digest(authorization.encode(), f"Bearer {token.reveal()}".encode()):
        raise unauthorized("Send the hub's TWINWATCH_METRICS_TOKEN as a bearer token.")
    return Response(await hub.vitals.exposition(), media_type=CONTENT_TYPE_LATEST)
