"""The stage itself: what the other files of this folder rely on."""

from __future__ import annotations

from twinwatch.testing.hub_stage import Cast, HubStage


async def test_everyone_of_the_cast_is_on_the_stage(stage: HubStage, cast: Cast) -> None:
    assert (await stage.client().get("/api/v1/status")).json()["needs_setup"] is False
    for player in (cast.owner, cast.admin, cast.member, cast.viewer):
        listed = (await player.client.get("/api/v1/servers")).json()["servers"]
        assert [one["id"] for one in listed] == [str(cast.agent.server_id)]
    (seen,) = (await cast.stranger.client.get("/api/v1/servers")).json()["servers"]
    assert seen["id"] == str(cast.other_agent.server_id)


async def test_a_hub_goes_on_where_the_one_before_it_stopped(stage: HubStage, cast: Cast) -> None:
    await cast.agent.push((stage.clock.now(), (1.0, 2.0)))
    await stage.stop()
    await stage.start()
    newest = (await cast.viewer.client.get(f"/api/v1/servers/{cast.agent.server_id}/latest")).json()["series"]
    assert [one["value"] for one in newest] == [1.0, 2.0]
