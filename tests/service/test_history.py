"""Uptime of servers and checks out of what was written down when it changed."""

from __future__ import annotations

from typing import Any

from twinwatch.hub.history import HISTORY_MILLISECONDS, History
from twinwatch.hub.stores import DAY_MILLISECONDS
from twinwatch.protocol.checks import CheckStanding, CheckState, Report
from twinwatch.testing.hub_stage import Cast, HubStage

CHECK = "http:shop"


def report(stage: HubStage, *states: CheckState) -> Report:
    checks = tuple(
        CheckStanding(name=f"{CHECK}-{n}", monitor="http", state=state, since=stage.clock.now())
        for n, state in enumerate(states)
    )
    return Report(checks=checks, monitors=())


async def uptime(stage: HubStage, cast: Cast, since: int) -> Any:
    target = f"/api/v1/servers/{cast.agent.server_id}/uptime?since={since}&to={stage.clock.now()}"
    reply = await cast.viewer.client.get(target)
    assert reply.status == 200, reply
    return reply.json()


async def test_a_checks_uptime_is_what_its_changes_tell(stage: HubStage, cast: Cast) -> None:
    begin = stage.clock.now()
    for states, seconds in ((("up", "up"), 100), (("down", "up"), 50), (("up",), 50)):
        await cast.agent.report(report(stage, *states))
        await cast.agent.report(report(stage, *states))
        stage.clock.advance(seconds)
    first, second = (await uptime(stage, cast, begin))["checks"]
    assert (first["name"], first["seconds"]) == (f"{CHECK}-0", {"up": 150.0, "down": 50.0})
    assert (first["ratio"], first["downs"]) == (0.75, 1)
    assert (second["seconds"], second["ratio"]) == ({"up": 150.0, "gone": 50.0}, 1.0)


async def test_a_servers_silence_counts_from_its_last_heartbeat(stage: HubStage, cast: Cast) -> None:
    begin = stage.clock.now()
    await cast.agent.heartbeat()
    await stage.hub.look()
    for seconds in (300, 300):
        for _ in range(seconds // 5):
            stage.clock.advance(5)
            await stage.hub.look()
        await cast.agent.heartbeat()
        await stage.hub.look()
    found = (await uptime(stage, cast, begin))["server"]
    assert set(found["seconds"]) <= {"up", "late", "down"}
    assert sum(found["seconds"].values()) == 600
    assert found["downs"] == 2
    assert 0 < found["ratio"] < 1


async def test_a_check_is_unknown_while_its_server_is_silent(stage: HubStage, cast: Cast) -> None:
    begin = stage.clock.now()
    await cast.agent.report(report(stage, "up"))
    for second in range(0, 1_200, 5):
        if second <= 60:
            await cast.agent.heartbeat()
        await stage.hub.look()
        stage.clock.advance(5)
    found = await uptime(stage, cast, begin)
    assert set(found["server"]["seconds"]) == {"up", "late", "down"}
    assert found["server"]["seconds"]["up"] == 60.0
    (check,) = found["checks"]
    assert (check["seconds"], check["ratio"]) == ({"up": 60.0, "unknown": 1_140.0}, 1.0)


async def test_a_check_that_comes_back_by_a_clock_that_is_behind_is_gone_no_more(stage: HubStage, cast: Cast) -> None:
    begin = stage.clock.now()
    behind = begin - 600_000
    for state in ("up", None, "down", "up", None, "up"):
        checks = [] if state is None else [CheckStanding(CHECK, "http", state, since=behind)]
        await cast.agent.report(Report(checks=tuple(checks), monitors=()))
    stage.clock.advance(100)
    (check,) = (await uptime(stage, cast, begin + 1_000))["checks"]
    assert check["seconds"] == {"up": 99.0}
    found = await stage.execute("select state from public.check_changes order by changed_at")
    assert [state for (state,) in found] == ["up", "gone", "down", "up", "gone", "up"]


async def test_what_is_older_than_ninety_days_goes_but_for_what_still_holds(stage: HubStage, cast: Cast) -> None:
    begin = stage.clock.now()
    for state in ("up", "down", "up"):
        await cast.agent.report(report(stage, state))
        stage.clock.advance(3_600)
    stage.clock.advance((HISTORY_MILLISECONDS + DAY_MILLISECONDS) / 1000)
    await History(stage.clock, stage.hub.database).prune(stage.clock.now())
    kept = await stage.execute("select state, extract(epoch from changed_at) * 1000 from public.check_changes")
    assert kept == [("up", begin + 2 * 3_600_000)]
