"""What people ask for: servers, samples, keys; and how they are refused."""

from __future__ import annotations

import json
import re
from typing import Any
from uuid import uuid4

import pytest

from twinwatch.hub.main import application
from twinwatch.protocol.metrics import Catalogue, Headline, Metric, MonitorFacts
from twinwatch.protocol.samples import SeriesKey, shape_of
from twinwatch.testing.client import Reply
from twinwatch.testing.hub_stage import Cast, HubStage, Player

CATALOGUE = Catalogue(
    "1.0",
    (MonitorFacts("test", "Test", 15.0, (Metric("test.a", "1", "a", "low"),), headlines=(Headline("A", "test.a"),)),),
    {"os.type": "linux"},
)
EVERYBODY = ("owner", "admin", "member", "viewer", "stranger")


def player(cast: Cast, role: str) -> Player:
    found: Player = getattr(cast, role)
    return found


class TestServers:
    async def test_a_server_is_seen_by_its_organization_and_by_nobody_else(self, cast: Cast) -> None:
        target = f"/api/v1/servers/{cast.agent.server_id}"
        for role in EVERYBODY:
            reply = await player(cast, role).client.get(target)
            listed = (await player(cast, role).client.get("/api/v1/servers")).json()["servers"]
            if role == "stranger":
                assert (reply.status, reply.problem.slug) == (404, "not-found")
                assert str(cast.agent.server_id) not in [one["id"] for one in listed]
            else:
                assert listed == [reply.json()]

    async def test_a_server_tells_what_is_known_of_it(self, stage: HubStage, cast: Cast) -> None:
        target = f"/api/v1/servers/{cast.agent.server_id}"
        registered = stage.clock.now()
        assert (await cast.viewer.client.get(target)).json() == {
            "id": str(cast.agent.server_id),
            "organization_id": str(cast.organization_id),
            "name": "web-1",
            "state": "new",
            "registered_at": registered,
            "last_heartbeat_at": None,
            "last_sample_at": None,
            "agent_version": "1.0",
            "clock_skew_seconds": None,
            "host": {},
            "tags": [],
            "fast": False,
            "life": None,
            "headlines": [],
            "checks": {"up": 0, "degraded": 0, "down": 0, "unknown": 0},
            "delivery": None,
            "control": False,
        }
        await cast.agent.declare(CATALOGUE)
        missing = (await cast.viewer.client.get(target)).json()["headlines"]
        assert missing == [{"title": "A", "metric": "test.a", "unit": "1", "good": "low", "value": None, "labels": {}}]
        stage.clock.advance(15)
        await cast.agent.heartbeat()
        cast.agent.shape = shape_of("m", (SeriesKey("test.a", {"core": "0"}), SeriesKey("test.a", {"core": "1"})))
        await cast.agent.push((stage.clock.now(), (0.25, 0.75)))
        seen = (await cast.viewer.client.get(target)).json()
        assert seen["state"] == "up"
        assert seen["last_heartbeat_at"] == seen["last_sample_at"] == stage.clock.now()
        assert seen["clock_skew_seconds"] == 0.0
        assert seen["host"] == {"os.type": "linux"}
        (headline,) = seen["headlines"]
        assert (headline["value"], headline["labels"]) == (0.75, {"core": "1"}), "the highest of its series"

    @pytest.mark.parametrize(("silence", "state"), [(0, "up"), (90, "up"), (91, "late"), (120, "late"), (121, "down")])
    async def test_a_silence_becomes_a_state(self, stage: HubStage, cast: Cast, silence: int, state: str) -> None:
        await cast.agent.heartbeat()
        stage.clock.advance(silence)
        assert (await cast.viewer.client.get(f"/api/v1/servers/{cast.agent.server_id}")).json()["state"] == state

    async def test_servers_are_listed_by_name_with_the_hubs_time(self, stage: HubStage, cast: Cast) -> None:
        for name in ("alpha", "Beta", "web-2"):
            await stage.agent(cast.organization_id, name)
        found = (await cast.viewer.client.get("/api/v1/servers")).json()
        assert [one["name"] for one in found["servers"]] == ["alpha", "Beta", "web-1", "web-2"]
        assert found["hub_time"] == stage.clock.now()

    @pytest.mark.parametrize(
        ("role", "status"), [("owner", 200), ("admin", 200), ("member", 200), ("viewer", 403), ("stranger", 404)]
    )
    async def test_who_may_rename(self, stage: HubStage, cast: Cast, role: str, status: int) -> None:
        target = f"/api/v1/servers/{cast.agent.server_id}"
        reply = await player(cast, role).client.patch(target, {"name": " Kitchen "})
        assert reply.status == status
        name = (await cast.viewer.client.get(target)).json()["name"]
        assert name == ("Kitchen" if status == 200 else "web-1")
        audit = await stage.execute("select user_id, action, subject from public.audit_log")
        assert audit == ([(player(cast, role).user_id, "server.rename", "Kitchen")] if status == 200 else [])

    @pytest.mark.parametrize("name", ["", " ", "a\0b", "a\nb", "x" * 201, None, 5, "\ud800"])
    async def test_a_name_that_cannot_be_is_refused(self, cast: Cast, name: Any) -> None:
        reply = await cast.owner.client.patch(f"/api/v1/servers/{cast.agent.server_id}", {"name": name})
        assert reply.problem.status == 422

    @pytest.mark.parametrize(
        ("role", "status"), [("owner", 204), ("admin", 204), ("member", 403), ("viewer", 403), ("stranger", 404)]
    )
    async def test_who_may_delete(self, stage: HubStage, cast: Cast, role: str, status: int) -> None:
        await cast.agent.declare(CATALOGUE)
        await cast.agent.push((stage.clock.now(), (1.0, 2.0)))
        reply = await player(cast, role).client.delete(f"/api/v1/servers/{cast.agent.server_id}")
        assert reply.status == status
        for table in ("public.servers", "public.server_keys", "public.series", "public.shapes", "samples.sample_log"):
            column = "id" if table == "public.servers" else "server_id"
            left = await stage.execute(f"select 1 from {table} where {column} = %s", cast.agent.server_id)
            assert bool(left) == (status != 204), table

    async def test_a_server_that_is_not_there_is_not_found_by_any_route(self, cast: Cast) -> None:
        for server in (uuid4(), cast.other_agent.server_id):
            base = f"/api/v1/servers/{server}"
            replies = [
                await cast.owner.client.get(base),
                await cast.owner.client.patch(base, {"name": "x"}),
                await cast.owner.client.delete(base),
                await cast.owner.client.get(f"{base}/catalogue"),
                await cast.owner.client.get(f"{base}/latest"),
                await cast.owner.client.get(f"{base}/range?metric=test.a&since=0&to=1"),
                await cast.owner.client.get(f"/api/v1/live?server={server}"),
            ]
            assert [reply.problem.slug for reply in replies] == ["not-found"] * 7


class TestSamples:
    def target(self, cast: Cast, *metrics: str, since: object, to: object, points: object = None) -> str:
        query = "&".join([*(f"metric={metric}" for metric in metrics), f"since={since}", f"to={to}"])
        return f"/api/v1/servers/{cast.agent.server_id}/range?{query}" + ("" if points is None else f"&points={points}")

    async def test_a_range_is_columns_on_one_axis(self, stage: HubStage, cast: Cast) -> None:
        now = stage.clock.now()
        await cast.agent.push((now - 30_000, (1.0, None)), (now - 15_000, (None, 2.0)), (now, (3.0, 4.0)))
        found = (await cast.viewer.client.get(self.target(cast, "test.a", "test.b", since=now - 30_000, to=now))).json()
        ids = [one.pop("id") for one in found["series"]]
        assert len(set(ids)) == 2
        assert found == {
            "since": now - 30_000,
            "to": now,
            "step_seconds": None,
            "times": [now - 30_000, now - 15_000],
            "series": [
                {"metric": "test.a", "labels": {}, "values": [1.0, None]},
                {"metric": "test.b", "labels": {"core": "0"}, "values": [None, 2.0]},
            ],
        }

    async def test_a_long_range_is_coarsened_to_the_points_asked_for(self, stage: HubStage, cast: Cast) -> None:
        now = stage.clock.now() // 60_000 * 60_000
        await cast.agent.push(*((now - 1_000 * n, (float(n), None)) for n in range(600, 0, -1)))
        found = (
            await cast.viewer.client.get(self.target(cast, "test.a", since=now - 600_000, to=now, points=10))
        ).json()
        assert found["step_seconds"] == 60.0
        assert found["times"] == [now - 60_000 * n for n in range(10, 0, -1)]
        assert found["series"][0]["values"] == [60.0 * n - 29.5 for n in range(10, 0, -1)]

    async def test_an_unknown_metric_has_no_series(self, stage: HubStage, cast: Cast) -> None:
        now = stage.clock.now()
        await cast.agent.push((now, (1.0, 2.0)))
        for name in ("nothing", "", "%", "%25", "test.", "'", "%00", "%ED%A0%80", "x" * 5_000):
            reply = await cast.viewer.client.get(self.target(cast, name, since=now, to=now + 1))
            assert reply.status == 200, (name, reply)
            assert reply.json()["series"] == []

    @pytest.mark.parametrize(
        "change",
        [
            {"since": 2, "to": 1},
            {"since": 1, "to": 1},
            {"since": -1},
            {"since": "soon"},
            {"since": ""},
            {"to": 1 << 70},
            {"since": 0, "to": 401 * 24 * 3_600_000},
            {"points": 0},
            {"points": 2_001},
            {"points": -1},
            {"points": 1.5},
        ],
        ids=str,
    )
    async def test_a_window_that_cannot_be_is_refused(self, cast: Cast, change: dict[str, Any]) -> None:
        reply = await cast.viewer.client.get(self.target(cast, "test.a", **{"since": 1, "to": 1_000, **change}))
        assert (reply.status, reply.problem.slug) == (422, "invalid")

    @pytest.mark.parametrize("since", [0, 253_402_300_799_000, 1 << 48, (1 << 52) - 1_000])
    async def test_any_window_of_the_calendar_can_be_asked_for(self, cast: Cast, since: int) -> None:
        reply = await cast.viewer.client.get(self.target(cast, "test.a", since=since, to=since + 1_000))
        assert reply.status in (200, 422), reply
        await cast.agent.push((cast.agent.clock.now(), (1.0, 2.0)))
        reply = await cast.viewer.client.get(self.target(cast, "test.a", since=since, to=since + 1_000))
        assert reply.status in (200, 422), reply

    async def test_a_range_needs_a_metric_and_takes_fifty(self, cast: Cast) -> None:
        base = f"/api/v1/servers/{cast.agent.server_id}/range?since=0&to=1"
        assert (await cast.viewer.client.get(base)).status == 422
        many = "&".join(f"metric=m{n}" for n in range(51))
        assert (await cast.viewer.client.get(f"{base}&{many}")).status == 422
        assert (await cast.viewer.client.get(f"{base}&{many.removesuffix('&metric=m50')}")).status == 200

    async def test_more_series_than_anyone_reads_are_refused_by_name(self, stage: HubStage, cast: Cast) -> None:
        now = stage.clock.now()
        cast.agent.shape = shape_of("m", tuple(SeriesKey("wide", {"n": str(n)}) for n in range(501)))
        await cast.agent.push((now, (1.0,) * 501))
        problem = (await cast.viewer.client.get(self.target(cast, "wide", since=now, to=now + 1))).problem
        assert (problem.slug, problem.limit) == ("limit", 500)

    async def test_the_latest_sample_of_each_series(self, stage: HubStage, cast: Cast) -> None:
        target = f"/api/v1/servers/{cast.agent.server_id}/latest"
        assert (await cast.viewer.client.get(target)).json() == {"hub_time": stage.clock.now(), "series": []}
        now = stage.clock.now()
        await cast.agent.push((now - 1, (1.0, 2.0)), (now, (3.0, None)))
        series = (await cast.viewer.client.get(target)).json()["series"]
        assert [(one["metric"], one["labels"], one["time"], one["value"]) for one in series] == [
            ("test.a", {}, now, 3.0),
            ("test.b", {"core": "0"}, now - 1, 2.0),
        ]


class TestKeys:
    async def test_a_key_is_shown_once_with_the_commands_that_use_it(self, stage: HubStage, cast: Cast) -> None:
        wanted = {"organization_id": str(cast.organization_id), "name": " laptops "}
        reply = await cast.owner.client.post("/api/v1/enrolment-keys", wanted)
        assert reply.status == 201
        issued = reply.json()
        assert issued["key"].startswith("twe_")
        assert issued["key"].startswith(issued["prefix"])
        assert issued["name"] == "laptops"
        commands = " ".join(step["command"] for step in issued["install"])
        assert issued["key"] in commands
        assert "http://hub.example/install/twinwatch-" in commands
        assert "TLS" in issued["warning"]
        listed = await cast.owner.client.get(f"/api/v1/enrolment-keys?organization_id={cast.organization_id}")
        assert issued["key"] not in listed.body.decode()
        assert issued["id"] in [one["id"] for one in listed.json()]
        ((action, subject),) = await stage.execute("select action, subject from public.audit_log")
        assert (action, subject) == ("enrolment_key.add", "laptops")

    @pytest.mark.parametrize(
        ("role", "status"), [("owner", 201), ("admin", 201), ("member", 403), ("viewer", 403), ("stranger", 403)]
    )
    async def test_who_may_make_one(self, cast: Cast, role: str, status: int) -> None:
        wanted = {"organization_id": str(cast.organization_id), "name": "x"}
        assert (await player(cast, role).client.post("/api/v1/enrolment-keys", wanted)).status == status

    @pytest.mark.parametrize(
        ("role", "sees", "status"),
        [("owner", 1, 204), ("admin", 1, 204), ("member", 0, 404), ("viewer", 0, 404), ("stranger", 0, 404)],
    )
    async def test_who_may_see_and_revoke_one(
        self, stage: HubStage, cast: Cast, role: str, sees: int, status: int
    ) -> None:
        wanted = {"organization_id": str(cast.organization_id), "name": "x"}
        issued = (await cast.owner.client.post("/api/v1/enrolment-keys", wanted)).json()
        client = player(cast, role).client
        listed = (await client.get(f"/api/v1/enrolment-keys?organization_id={cast.organization_id}")).json()
        assert len([one for one in listed if one["id"] == issued["id"]]) == sees
        assert (await client.delete(f"/api/v1/enrolment-keys/{issued['id']}")).status == status
        left = await stage.execute("select 1 from public.enrolment_keys where id = %s", issued["id"])
        assert bool(left) == (status != 204)

    @pytest.mark.parametrize("name", ["", "  ", "x" * 101, "a\tb", None])
    async def test_a_key_needs_a_lawful_name(self, cast: Cast, name: Any) -> None:
        wanted = {"organization_id": str(cast.organization_id), "name": name}
        assert (await cast.owner.client.post("/api/v1/enrolment-keys", wanted)).problem.status == 422

    async def test_an_organization_that_is_not_there_has_no_keys(self, cast: Cast) -> None:
        wanted = {"organization_id": str(uuid4()), "name": "x"}
        assert (await cast.owner.client.post("/api/v1/enrolment-keys", wanted)).problem.slug == "forbidden"


class TestProblems:
    async def test_every_refusal_has_one_shape_and_a_request_id(self, stage: HubStage, cast: Cast) -> None:
        client = cast.owner.client
        replies: dict[str, Reply] = {
            "401": await stage.client().get("/api/v1/servers"),
            "404": await client.get(f"/api/v1/servers/{uuid4()}"),
            "404 of a route": await client.get("/api/v1/nothing"),
            "404 of a deep route": await client.get("/api/v1/servers/x/y/z"),
            "404 of auth": await client.get("/auth/v1/nothing"),
            "404 of a version": await client.get("/api/v9/me"),
            "405": await client.delete("/api/v1/me"),
            "404 with a slash": await client.get("/api/v1/me/"),
            "405 of a reader": await client.get("/api/v1/agent/samples"),
            "405 of auth": await client.get("/auth/v1/token"),
            "422 of a path": await client.get("/api/v1/servers/not-a-uuid"),
            "422 of a body": await client.post("/api/v1/enrolment-keys", b"{"),
            "422 of a query": await client.get("/api/v1/enrolment-keys"),
        }
        for name, reply in replies.items():
            assert reply.status == int(name[:3]), (name, reply)
            assert reply.problem.detail
            assert reply.problem.type.startswith("urn:twinwatch:problem:")
        assert replies["405"].headers["allow"] == "GET"
        ids = [reply.problem.request_id for reply in replies.values()]
        assert len(set(ids)) == len(ids)

    async def test_a_bug_is_a_problem_too_and_tells_nothing_of_itself(
        self, stage: HubStage, cast: Cast, caplog: pytest.LogCaptureFixture
    ) -> None:
        @stage.hub.api.get("/api/v1/broken")
        async def broken() -> None:
            raise RuntimeError("a secret of the house")

        stage.hub.api.router.routes.insert(0, stage.hub.api.router.routes.pop())
        reply = await cast.owner.client.request("GET", "/api/v1/broken", swallow=True)
        assert (reply.status, reply.problem.slug) == (500, "internal")
        assert b"secret" not in reply.body
        assert reply.problem.request_id in caplog.text
        assert "a secret of the house" in caplog.text


class TestDocument:
    async def test_the_openapi_document_is_whole(self, stage: HubStage) -> None:
        document = (await stage.client().get("/api/v1/openapi.json")).json()
        assert document["openapi"].startswith("3.")
        named = set(document["components"]["schemas"])
        refs = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)))
        assert refs <= named
        routes = {(method, path) for path, methods in document["paths"].items() for method in methods}
        assert routes == {
            ("get", "/api/v1/status"),
            ("post", "/api/v1/setup"),
            ("get", "/api/v1/me"),
            ("get", "/api/v1/storage"),
            ("get", "/api/v1/servers"),
            ("get", "/api/v1/servers/{server_id}/checks"),
            ("get", "/api/v1/servers/{server_id}/configuration"),
            ("put", "/api/v1/servers/{server_id}/configuration"),
            ("get", "/api/v1/agent/configuration"),
            ("post", "/api/v1/agent/report"),
            ("get", "/api/v1/servers/{server_id}"),
            ("patch", "/api/v1/servers/{server_id}"),
            ("delete", "/api/v1/servers/{server_id}"),
            ("get", "/api/v1/servers/{server_id}/catalogue"),
            ("get", "/api/v1/servers/{server_id}/latest"),
            ("get", "/api/v1/servers/{server_id}/range"),
            ("get", "/api/v1/servers/{server_id}/series"),
            ("get", "/api/v1/servers/{server_id}/export"),
            ("get", "/api/v1/servers/{server_id}/uptime"),
            ("get", "/api/v1/range"),
            ("get", "/api/v1/live"),
            ("get", "/api/v1/enrolment-keys"),
            ("post", "/api/v1/enrolment-keys"),
            ("delete", "/api/v1/enrolment-keys/{key_id}"),
            ("put", "/api/v1/servers/{server_id}/settings"),
            ("get", "/api/v1/alerts"),
            ("get", "/api/v1/alerts/latency"),
            ("get", "/api/v1/alerts/linked"),
            ("post", "/api/v1/alerts/linked"),
            ("get", "/api/v1/alerts/{alert_id}"),
            ("post", "/api/v1/alerts/{alert_id}/acknowledge"),
            ("post", "/api/v1/alerts/{alert_id}/comment"),
            ("post", "/api/v1/alerts/{alert_id}/resolve"),
            ("get", "/api/v1/channels"),
            ("post", "/api/v1/channels"),
            ("put", "/api/v1/channels/{channel_id}"),
            ("delete", "/api/v1/channels/{channel_id}"),
            ("post", "/api/v1/channels/{channel_id}/test"),
            ("post", "/api/v1/drills"),
            ("get", "/api/v1/policies"),
            ("put", "/api/v1/policies"),
            ("get", "/api/v1/probes"),
            ("post", "/api/v1/probes"),
            ("post", "/api/v1/probes/try"),
            ("get", "/api/v1/probes/{probe_id}"),
            ("put", "/api/v1/probes/{probe_id}"),
            ("delete", "/api/v1/probes/{probe_id}"),
            ("post", "/api/v1/probes/{probe_id}/pause"),
            ("post", "/api/v1/probes/{probe_id}/test"),
            ("get", "/api/v1/probes/{probe_id}/results"),
            ("get", "/api/v1/rules"),
            ("post", "/api/v1/rules"),
            ("put", "/api/v1/rules/{rule_id}"),
            ("delete", "/api/v1/rules/{rule_id}"),
            ("get", "/api/v1/silences"),
            ("post", "/api/v1/silences"),
            ("delete", "/api/v1/silences/{silence_id}"),
            ("post", "/api/v1/agent/alerts"),
            ("get", "/api/v1/agent/bundle"),
            ("post", "/api/v1/agent/goodbye"),
            ("post", "/api/v1/agent/drill"),
            ("post", "/api/v1/agent/witness"),
            ("post", "/api/v1/agent/register"),
            ("post", "/api/v1/agent/heartbeat"),
            ("post", "/api/v1/agent/samples"),
            ("post", "/api/v1/agent/catalogue"),
            ("post", "/auth/v1/token"),
            ("get", "/auth/v1/user"),
            ("post", "/auth/v1/logout"),
        }
        operations = [one for methods in document["paths"].values() for one in methods.values()]
        assert len({one["operationId"] for one in operations}) == len(operations)
        for one in operations:
            assert one["summary"]
            assert one["description"]
            assert "default" in one["responses"]
            assert any(status.startswith("2") for status in one["responses"])

    async def test_every_answer_has_the_fields_that_the_document_names(self, stage: HubStage, cast: Cast) -> None:
        await cast.agent.declare(CATALOGUE)
        await cast.agent.push((stage.clock.now(), (1.0, 2.0)))
        document = application(None).openapi()
        schemas = document["components"]["schemas"]
        base = f"/api/v1/servers/{cast.agent.server_id}"
        now = stage.clock.now()
        asked = {
            "Status": "/api/v1/status",
            "Me": "/api/v1/me",
            "Servers": "/api/v1/servers",
            "Server": base,
            "Catalogue": f"{base}/catalogue",
            "Latest": f"{base}/latest",
            "Range": f"{base}/range?metric=test.a&since={now}&to={now + 1}",
        }
        for name, target in asked.items():
            body = (await cast.owner.client.get(target)).json()
            assert body.keys() == schemas[name]["properties"].keys(), name


async def test_the_status_is_for_everyone_and_says_nothing_more(stage: HubStage) -> None:
    assert (await stage.client().get("/api/v1/status")).json().keys() == {"version", "needs_setup"}
