"""Reports of checks and monitors, and figures of delivery: kept in step, counted, and told to those who watch."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from twinwatch.hub.lawful import LAST_INSTANT, PROBLEMS
from twinwatch.protocol import limits
from twinwatch.protocol.checks import CheckStanding, CheckState, ConfigurationStanding, MonitorStanding, Report
from twinwatch.protocol.heartbeat import Delivery, Heartbeat, HeartbeatAnswer
from twinwatch.testing.fakes import EPOCH
from twinwatch.testing.hub_stage import Cast, HubStage, Player, Voice

MONITOR = MonitorStanding("systemd", "systemd", "default", "ok", interval_seconds=30.0, since=EPOCH)
DELIVERY = Delivery(collected=10, delivered=6, pending=3, dropped=1, buffer_bytes=4096, oldest_pending=EPOCH)


def check(
    name: str, state: CheckState = "up", reason: str = "", since: int = EPOCH, message: str = ""
) -> CheckStanding:
    return CheckStanding(f"systemd:{name}", "systemd", state, message, reason, since)


def report_of(*checks: CheckStanding) -> Report:
    return Report((MONITOR,), checks)


async def checks_of(player: Player, voice: Voice) -> Any:
    reply = await player.client.get(f"/api/v1/servers/{voice.server_id}/checks")
    assert reply.status == 200, reply
    return reply.json()


async def server_of(player: Player, voice: Voice) -> Any:
    return (await player.client.get(f"/api/v1/servers/{voice.server_id}")).json()


class TestReport:
    async def test_before_the_first_there_is_nothing(self, stage: HubStage, cast: Cast) -> None:
        assert await checks_of(cast.viewer, cast.agent) == {
            "server_id": str(cast.agent.server_id),
            "hub_time": stage.clock.now(),
            "reported_at": None,
            "checks": [],
            "monitors": [],
        }
        assert "report" not in (await cast.agent.heartbeat()).json()

    async def test_it_is_seen_by_members_and_counted(self, stage: HubStage, cast: Cast) -> None:
        report = report_of(
            check("a"),
            check("b", "down", "start-limit-hit", EPOCH - 5, "gave up after 5 starts"),
            check("c", "unknown"),
        )
        assert (await cast.agent.report(report)).status == 204
        seen = await checks_of(cast.viewer, cast.agent)
        assert seen["reported_at"] == stage.clock.now()
        assert seen["checks"][1] == {
            "name": "systemd:b",
            "monitor": "systemd",
            "state": "down",
            "reason": "start-limit-hit",
            "message": "gave up after 5 starts",
            "since": EPOCH - 5,
        }
        assert [one["name"] for one in seen["checks"]] == ["systemd:a", "systemd:b", "systemd:c"]
        assert seen["monitors"] == [
            {
                "name": "systemd",
                "type": "systemd",
                "origin": "default",
                "state": "ok",
                "reason": "",
                "interval_seconds": 30.0,
                "since": EPOCH,
            }
        ]
        counts = {"up": 1, "degraded": 0, "down": 1, "unknown": 1}
        assert (await server_of(cast.viewer, cast.agent))["checks"] == counts
        (listed,) = (await cast.viewer.client.get("/api/v1/servers")).json()["servers"]
        assert listed["checks"] == counts

    async def test_the_heartbeat_names_its_digest(self, cast: Cast) -> None:
        await cast.agent.report(report_of(check("a")))
        assert (await cast.agent.heartbeat()).json()["report"] == report_of(check("a")).fingerprint()
        await cast.agent.report(msgspec.structs.replace(report_of(), digest="of-a-newer-agent"))
        assert (await cast.agent.heartbeat()).json()["report"] == "of-a-newer-agent"

    async def test_each_is_the_whole_truth(self, cast: Cast) -> None:
        await cast.agent.report(report_of(check("a"), check("b"), check("c")))
        await cast.agent.report(report_of(check("b", "down", "failed"), check("d")))
        seen = await checks_of(cast.owner, cast.agent)
        assert [(one["name"], one["state"]) for one in seen["checks"]] == [("systemd:b", "down"), ("systemd:d", "up")]
        await cast.agent.report(Report())
        seen = await checks_of(cast.owner, cast.agent)
        assert (seen["checks"], seen["monitors"]) == ([], [])
        assert (await server_of(cast.owner, cast.agent))["checks"]["up"] == 0

    async def test_what_stayed_as_it_was_is_not_written_again(self, stage: HubStage, cast: Cast) -> None:
        await cast.agent.report(report_of(check("a"), check("b")))
        before = dict(await stage.execute("select name, xmin::text from public.checks"))
        await cast.agent.report(report_of(check("a"), check("b", "down", "failed")))
        after = dict(await stage.execute("select name, xmin::text from public.checks"))
        assert before["systemd:a"] == after["systemd:a"]
        assert before["systemd:b"] != after["systemd:b"]

    async def test_servers_with_checks_of_the_same_name_do_not_meet(self, cast: Cast) -> None:
        await cast.agent.report(report_of(check("a", "down", "failed")))
        await cast.other_agent.report(report_of(check("a")))
        await cast.other_agent.report(report_of())
        assert [one["state"] for one in (await checks_of(cast.owner, cast.agent))["checks"]] == ["down"]

    async def test_strangers_see_nothing_and_a_deleted_server_is_refused(self, stage: HubStage, cast: Cast) -> None:
        target = f"/api/v1/servers/{cast.agent.server_id}/checks"
        await cast.agent.report(report_of(check("a")))
        assert (await cast.stranger.client.get(target)).problem.slug == "not-found"
        assert (await stage.client().get(target)).problem.slug == "unauthorized"
        await stage.execute("delete from public.servers where id = %s", cast.agent.server_id)
        assert (await cast.agent.report(report_of(check("a")))).problem.slug == "unauthorized"
        assert (await cast.owner.client.get(target)).problem.slug == "not-found"

    async def test_as_many_checks_as_there_may_be(self, cast: Cast) -> None:
        many = [check(str(number)) for number in range(limits.CHECKS_PER_SERVER)]
        assert (await cast.agent.report(report_of(*many))).status == 204
        assert (await server_of(cast.owner, cast.agent))["checks"]["up"] == limits.CHECKS_PER_SERVER
        problem = (await cast.agent.report(report_of(*many, check("more")))).problem
        assert (problem.slug, problem.limit) == ("limit", limits.CHECKS_PER_SERVER)

    @pytest.mark.parametrize(
        "report",
        [
            report_of(check("a"), check("a")),
            Report((MONITOR, MONITOR)),
            Report(tuple(msgspec.structs.replace(MONITOR, name=str(n)) for n in range(limits.MONITORS_PER_SERVER + 1))),
            Report((msgspec.structs.replace(MONITOR, interval_seconds=float("nan")),)),
            Report((msgspec.structs.replace(MONITOR, interval_seconds=float("inf")),)),
            Report((msgspec.structs.replace(MONITOR, reason="x" * 501),)),
            Report((msgspec.structs.replace(MONITOR, type=""),)),
            report_of(CheckStanding("", "systemd", "up")),
            report_of(CheckStanding("x" * 257, "systemd", "up")),
            report_of(CheckStanding("a", "", "up")),
            report_of(CheckStanding("a", "systemd", "up", "x" * 501)),
            report_of(CheckStanding("a", "systemd", "up", "a\0b")),
            report_of(CheckStanding("a", "systemd", "up", "", "\x1b[31m")),
            report_of(check("a", since=LAST_INSTANT + 1)),
            Report(configuration=ConfigurationStanding(-1)),
            Report(configuration=ConfigurationStanding(0, 1 << 60)),
            Report(configuration=ConfigurationStanding(problems=("x",) * (PROBLEMS + 1))),
            Report(configuration=ConfigurationStanding(problems=("x" * 501,))),
            Report(digest="x" * 65),
        ],
    )
    async def test_what_is_not_lawful_is_refused_whole(self, cast: Cast, report: Report) -> None:
        await cast.agent.report(report_of(check("before")))
        reply = await cast.agent.report(report)
        assert reply.status == 422
        assert reply.problem.slug in ("invalid", "limit")
        assert [one["name"] for one in (await checks_of(cast.owner, cast.agent))["checks"]] == ["systemd:before"]

    async def test_a_state_that_nobody_knows_is_not_understood(self, cast: Cast) -> None:
        body = {"checks": [{"name": "a", "monitor": "m", "state": "purple"}]}
        assert (await cast.agent.say("report", body)).problem.slug == "undecodable"

    async def test_no_reading_mixes_two_reports(self, cast: Cast) -> None:
        ones = [report_of(check("a")), Report((msgspec.structs.replace(MONITOR, name="other"),), (check("b"),))]
        pairs = [(["systemd"], ["systemd:a"]), (["other"], ["systemd:b"])]

        async def alternate() -> None:
            for turn in range(60):
                assert (await cast.agent.report(ones[turn % 2])).status == 204

        await cast.agent.report(ones[1])
        reporting = asyncio.create_task(alternate())
        seen = []
        while not reporting.done():
            now = await checks_of(cast.viewer, cast.agent)
            seen.append(([one["name"] for one in now["monitors"]], [one["name"] for one in now["checks"]]))
        await reporting
        assert all(one in pairs for one in seen)
        assert all(pair in seen for pair in pairs)

    async def test_reports_in_json_are_taken_too(self, cast: Cast) -> None:
        reply = await cast.agent.client.post("/api/v1/agent/report", msgspec.json.encode(report_of(check("a"))))
        assert reply.status == 204


class TestDelivery:
    async def test_it_comes_with_the_heartbeat(self, stage: HubStage, cast: Cast) -> None:
        assert (await cast.agent.heartbeat(delivery=DELIVERY)).status == 200
        expected = {
            "collected": 10,
            "delivered": 6,
            "pending": 3,
            "dropped": 1,
            "buffer_bytes": 4096,
            "oldest_pending": EPOCH,
            "at": stage.clock.now(),
        }
        assert (await server_of(cast.viewer, cast.agent))["delivery"] == expected
        (listed,) = (await cast.viewer.client.get("/api/v1/servers")).json()["servers"]
        assert listed["delivery"] == expected

    async def test_an_older_agent_does_not_say_and_is_heard_all_the_same(self, stage: HubStage, cast: Cast) -> None:
        old = {"server_uuid": str(cast.agent.server_id), "timestamp": stage.clock.now(), "agent_version": "0.1"}
        reply = await cast.agent.say("heartbeat", old)
        answer = msgspec.json.decode(reply.body, type=HeartbeatAnswer)
        assert msgspec.structs.replace(answer, bundle="") == HeartbeatAnswer(stage.clock.now())
        view = await server_of(cast.viewer, cast.agent)
        assert (view["delivery"], view["state"]) == (None, "up")

    async def test_a_heartbeat_that_says_nothing_leaves_the_figures_and_their_time(
        self, stage: HubStage, cast: Cast
    ) -> None:
        await cast.agent.heartbeat(delivery=DELIVERY)
        said = stage.clock.now()
        stage.clock.advance(60)
        await cast.agent.heartbeat()
        assert (await server_of(cast.viewer, cast.agent))["delivery"]["at"] == said

    async def test_figures_beyond_all_bounds_are_not_understood(self, cast: Cast) -> None:
        for wrong in ({"collected": -1}, {"pending": 1 << 60}, {"oldest_pending": -1}, {"dropped": 0.5}):
            beat = msgspec.to_builtins(Heartbeat(str(cast.agent.server_id), EPOCH, "1.0", DELIVERY))
            beat["delivery"].update(wrong)
            assert (await cast.agent.say("heartbeat", beat)).problem.slug == "undecodable"


class TestLive:
    async def test_checks_are_told_to_who_watches_the_server(self, stage: HubStage, cast: Cast) -> None:
        async with (
            cast.viewer.client.stream(f"/api/v1/live?server={cast.agent.server_id}") as watching,
            cast.viewer.client.stream("/api/v1/live") as listening,
            cast.stranger.client.stream("/api/v1/live") as stranger,
        ):
            for stream in (watching, listening, stranger):
                await stream.next("hello")
            await cast.agent.report(report_of(check("a", "down", "failed")))
            _, told = await watching.next("checks")
            assert told == await checks_of(cast.viewer, cast.agent)
            _, server = await listening.next("server")
            assert server["checks"] == {"up": 0, "degraded": 0, "down": 1, "unknown": 0}
            await cast.other_agent.heartbeat()
            _, server = await stranger.next("server")
            assert server["id"] == str(cast.other_agent.server_id), "the first that concerns them"
            assert "checks" not in [kind for stream in (listening, stranger) for kind, _ in stream.events]

    async def test_a_report_that_says_nothing_new_is_not_told(self, cast: Cast) -> None:
        await cast.agent.report(report_of(check("a")))
        async with cast.viewer.client.stream(f"/api/v1/live?server={cast.agent.server_id}") as watching:
            await watching.next("hello")
            await cast.agent.report(report_of(check("a")))
            await cast.agent.report(report_of(check("b")))
            _, told = await watching.next("checks")
            assert [one["name"] for one in told["checks"]] == ["systemd:b"]
