"""What anyone may send, before the hub knows who they are."""

from __future__ import annotations

import pytest

from twinwatch.hub.api.doors import BODY_BYTES
from twinwatch.testing.hub_stage import HubStage


@pytest.mark.parametrize("target", ["/api/v1/setup", "/api/v1/enrolment-keys"])
async def test_a_body_is_not_kept_beyond_its_bound(stage: HubStage, target: str) -> None:
    fits = await stage.client().post(target, {"password": "x" * (BODY_BYTES - 100)})
    assert fits.status in (401, 422)
    reply = await stage.client().post(target, {"password": "x" * BODY_BYTES})
    problem = reply.problem
    assert (reply.status, problem.slug, problem.limit) == (413, "too-large", BODY_BYTES)
