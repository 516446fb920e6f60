"""``/api/v1/probes``: who may do what, what is refused, and that nobody reads a credential back."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.service.pages import page, serving
from twinwatch.testing.hub_stage import Cast, HandClock, HubStage

HTTP = {"url": "https://shop.example/", "bearer_token": "hunter2", "headers": {"X-Key": "hunter3"}}


def new(cast: Cast, **fields: Any) -> dict[str, Any]:
    whole = {"organization_id": str(cast.organization_id), "name": "shop", "kind": "http", "settings": HTTP}
    return {**whole, "enabled": False, **fields}


async def add(cast: Cast, **fields: Any) -> dict[str, Any]:
    reply = await cast.member.client.post("/api/v1/probes", new(cast, **fields))
    assert reply.status == 201, reply
    found: dict[str, Any] = reply.json()
    return found


async def test_a_credential_is_never_read_back_and_stays_when_its_mask_is_written(stage: HubStage, cast: Cast) -> None:
    made = await add(cast)
    assert made["settings"] == {**HTTP, "bearer_token": "***", "headers": {"X-Key": "***"}}
    ((body,),) = await stage.execute("select body::text from public.probes where id = %s", made["id"])
    assert "hunter" not in body
    changed = new(cast, version=1, settings={**made["settings"], "keyword": "open"})
    del changed["organization_id"]
    reply = await cast.admin.client.put(f"/api/v1/probes/{made['id']}", changed)
    assert (reply.status, reply.json()["version"]) == (200, 2)
    ((kept,),) = await stage.execute("select secret from public.probes where id = %s", made["id"])
    assert kept is not None
    again = await cast.admin.client.put(f"/api/v1/probes/{made['id']}", changed)
    assert (again.status, again.json()["type"]) == (409, "urn:twinwatch:problem:version")


async def test_a_mask_is_no_credential_of_a_new_probe(cast: Cast) -> None:
    """As when somebody saves anew what another has deleted meanwhile."""
    hidden = (await add(cast))["settings"]
    tried = {"organization_id": str(cast.organization_id), "probe_id": None, "kind": "http", "settings": hidden}
    for reply in (
        await cast.member.client.post("/api/v1/probes", new(cast, name="again", settings=hidden)),
        await cast.member.client.post("/api/v1/probes/try", tried),
    ):
        assert (reply.status, "no secret is kept here" in reply.json()["detail"]) == (422, True), reply


async def test_a_credential_is_not_to_be_had_by_naming_another_host_beside_its_mask(
    stage: HubStage, cast: Cast
) -> None:
    made = await add(cast)
    elsewhere = {**made["settings"], "url": "https://thief.example/"}
    wanted = new(cast, version=1, settings=elsewhere)
    del wanted["organization_id"]
    tried = {"organization_id": str(cast.organization_id), "probe_id": made["id"], "kind": "http"}
    for reply in (
        await cast.member.client.put(f"/api/v1/probes/{made['id']}", wanted),
        await cast.member.client.post("/api/v1/probes/try", {**tried, "settings": elsewhere}),
    ):
        assert (reply.status, "enter the secrets again" in reply.json()["detail"]) == (422, True), reply
    wanted["settings"] = {**made["settings"], "url": "https://shop.example/health"}
    assert (await cast.member.client.put(f"/api/v1/probes/{made['id']}", wanted)).status == 200


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"kind": "smoke"}, "expected one of http, tcp, ping"),
        ({"settings": {"url": "ftp://shop.example"}}, "expected an address such as https://"),
        ({"settings": {"url": "https://shop.example", "ca_file": "/etc/passwd"}}, "unknown field"),
        ({"settings": {"url": "http://127.0.0.1/"}}, "127.0.0.1 is this machine itself"),
        ({"settings": {"url": "http://[::ffff:10.0.0.1]/"}}, "is a private address"),
        ({"settings": {"url": "https://shop.example", "timeout": "31s"}}, "at most 30s"),
        ({"interval_seconds": 10}, "at this interval at most 9 s"),
        ({"interval_seconds": 9}, "greater than or equal to 10"),
        ({"interval_seconds": 3601}, "less than or equal to 3600"),
        ({"name": "a\nb"}, "control characters"),
    ],
)
async def test_what_is_not_lawful_is_refused_with_the_reason(
    stage: HubStage, cast: Cast, fields: dict[str, Any], said: str
) -> None:
    reply = await cast.member.client.post("/api/v1/probes", new(cast, **fields))
    assert reply.status == 422
    assert said in reply.json()["detail"], reply.json()["detail"]


async def test_a_name_stands_once_and_a_plan_allows_so_many(stage: HubStage, cast: Cast) -> None:
    await add(cast)
    twice = await cast.member.client.post("/api/v1/probes", new(cast))
    assert (twice.status, "already" in twice.json()["detail"]) == (422, True)
    for number in range(19):
        await add(cast, name=f"shop {number}")
    reply = await cast.owner.client.post("/api/v1/probes", new(cast, name="one more"))
    assert (reply.status, reply.json()["limit"]) == (422, 20)
    listed = (await cast.viewer.client.get(f"/api/v1/probes?organization_id={cast.organization_id}&limit=15")).json()
    assert listed["allowance"]["probes"] == listed["allowance"]["used"] == 20
    rest = (
        await cast.viewer.client.get(f"/api/v1/probes?organization_id={cast.organization_id}&after={listed['next']}")
    ).json()
    names = [one["name"] for one in listed["probes"] + rest["probes"]]
    assert (len(names), names, rest["next"]) == (20, sorted(names), None)
    assert {kind["kind"] for kind in listed["kinds"]} == {"http", "tcp", "ping"}


async def test_each_role_may_do_what_its_name_says(stage: HubStage, cast: Cast) -> None:
    made = await add(cast)
    where = f"/api/v1/probes/{made['id']}"
    saving = {key: value for key, value in new(cast, version=1).items() if key != "organization_id"}
    trial = {"organization_id": str(cast.organization_id), "kind": "tcp", "settings": {"host": "127.0.0.1", "port": 1}}
    for player, reads, writes in ((cast.viewer, 200, 403), (cast.stranger, 404, 404)):
        assert (await player.client.get(where)).status == reads
        assert (await player.client.get(f"{where}/results")).status == reads
        assert (await player.client.put(where, saving)).status == writes
        assert (await player.client.post(f"{where}/pause", {"paused": True})).status == writes
        assert (await player.client.post(f"{where}/test", {})).status == writes
        assert (await player.client.request("DELETE", where)).status == writes
        assert (await player.client.post("/api/v1/probes", new(cast, name="mine"))).status == 403
        assert (await player.client.post("/api/v1/probes/try", trial)).status == 403
    listed = await cast.stranger.client.get(f"/api/v1/probes?organization_id={cast.organization_id}")
    assert listed.json()["probes"] == []
    theirs = {**trial, "organization_id": str(cast.other_id), "probe_id": made["id"]}
    assert (await cast.stranger.client.post("/api/v1/probes/try", theirs)).status == 404
    assert (await cast.member.client.request("DELETE", where)).status == 204


async def test_a_probe_cannot_stand_for_another_organizations_server(stage: HubStage, cast: Cast) -> None:
    for server in (cast.other_agent.server_id, uuid4()):
        reply = await cast.member.client.post("/api/v1/probes", new(cast, server_id=str(server)))
        assert reply.status == 404
    assert (await add(cast, server_id=str(cast.agent.server_id)))["server_id"] == str(cast.agent.server_id)


async def test_what_is_not_saved_can_be_tried_and_private_addresses_are_refused(stage: HubStage, cast: Cast) -> None:
    trial = {"organization_id": str(cast.organization_id), "kind": "tcp", "settings": {"host": "10.0.0.1", "port": 1}}
    reply = await cast.member.client.post("/api/v1/probes/try", trial)
    assert (reply.status, "10.0.0.1 is a private address" in reply.json()["detail"]) == (422, True)
    trial["settings"] = {"host": "localhost", "port": 1}
    outcome = (await cast.member.client.post("/api/v1/probes/try", trial)).json()
    assert (outcome["state"], outcome["reason"]) == ("unknown", "not-permitted")


async def test_a_test_says_what_came_and_is_no_part_of_the_history(
    database_url: str, tmp_path: Path, clock: HandClock
) -> None:
    stage = HubStage(database_url, tmp_path, clock=clock, private_networks=True)
    async with serving(page(b"open")) as port, stage:
        cast = await stage.cast()
        probe = await add(cast, settings={"url": f"http://127.0.0.1:{port}/", "keyword": "closed"})
        outcome = (await cast.member.client.post(f"/api/v1/probes/{probe['id']}/test", {})).json()
        assert (outcome["state"], outcome["reason"]) == ("down", "keyword-missing")
        assert set(outcome["phases"]) == {"resolve", "connect", "processing", "transfer"}
        seen = (await cast.viewer.client.get(f"/api/v1/probes/{probe['id']}")).json()
        assert (seen["state"], seen["last_at"], seen["recent"]) == ("unknown", None, [])
