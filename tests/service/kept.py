"""What a hub has kept of the samples that it was sent."""

from __future__ import annotations

from typing import Any

from twinwatch.testing.hub_stage import Cast, HubStage


async def logged(stage: HubStage) -> list[tuple[Any, ...]]:
    return await stage.execute("select server_id, sequence from samples.sample_log order by server_id, sequence")


async def values_of(
    stage: HubStage, cast: Cast, metric: str = "test.a", *, span_seconds: float = 600
) -> dict[int, Any]:
    """What people read of the cast's server: time → value."""
    now = stage.clock.now()
    since, to = now - round(span_seconds * 1000), now + 600_000
    target = f"/api/v1/servers/{cast.agent.server_id}/range?metric={metric}&since={since}&to={to}&points=2000"
    found = (await cast.viewer.client.get(target)).json()
    if not found["series"]:
        return {}
    return dict(zip(found["times"], found["series"][0]["values"], strict=True))
