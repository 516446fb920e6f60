"""A whole agent that watches a real PostgreSQL: it goes down, the rule fires, people are told, and it comes back."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.service.agent_process import Hub, agent, serving, until
from tests.service.postgres_watch import binaries_of
from twinwatch.protocol.bundle import Bundle, DirectChannel
from twinwatch.protocol.policies import Policy, Step
from twinwatch.testing.postgres import Cluster, TcpPostgres

RULE = "postgres: down"


class Ear:
    """Hears what is posted to a webhook."""

    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []
        self.url = ""

    async def __call__(self, request: web.BaseRequest) -> web.Response:
        self.heard.append(await request.json())
        return web.Response(status=204)

    def occasions(self, title: str) -> list[str]:
        """On what occasions it heard of this."""
        return [one["occasion"] for one in self.heard if any(title in alert["title"] for alert in one["alerts"])]


@asynccontextmanager
async def listening() -> AsyncIterator[Ear]:
    ear = Ear()
    runner = web.ServerRunner(web.Server(ear))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    ear.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    try:
        yield ear
    finally:
        await runner.cleanup()


def check(hub: Hub, name: str) -> str:
    """The state of a check as the hub has heard of it last."""
    reports = hub.fake.server.reports if hub.fake.servers else []
    return next((one.state for one in reports[-1].checks if one.name == name), "") if reports else ""


async def test_a_server_that_goes_down_is_reported_judged_and_told_and_so_is_its_return(
    tmp_path: Path, cluster: Cluster
) -> None:
    with TcpPostgres(binaries_of("18", cluster), {"autovacuum": "on"}) as server:
        async with serving() as hub, listening() as ear:
            secret = tmp_path / "conninfo"
            secret.write_text(server.url.replace("postgres@", "postgres:Geh3im@", 1))
            secret.chmod(0o600)
            file = tmp_path / "agent.yaml"
            file.write_text(f"monitors:\n  - type: postgres\n    name: shop-db\n    connection_file: {secret}\n")
            process = await agent(tmp_path / "state", hub.url, "twe_test", "--config", str(file))
            await until(lambda: check(hub, "shop-db:connection") == "up")
            hub.fake.give(
                Bundle(
                    organization="Acme",
                    channels=(DirectChannel("c-hook", "webhook", "hook", {"url": ear.url}),),
                    policies=(Policy("p1", "Critical", ("critical",), steps=(Step(0, ("c-hook",)),)),),
                )
            )
            await until(lambda: hub.fake.server.heartbeats[-1].bundle)
            server.stop(signal.SIGQUIT)
            await until(lambda: check(hub, "shop-db:connection") == "down")
            assert check(hub, "shop-db:locks") == "unknown"
            await until(lambda: ear.occasions("down") == ["firing"])
            (fired,) = (event for event in hub.fake.server.events if event.kind == "fired" and event.rule == RULE)
            assert (fired.thing, fired.severity) == ("shop-db:connection", "critical")
            assert "refused" in fired.message
            server.start()
            await until(lambda: check(hub, "shop-db:connection") == "up")
            await until(lambda: ear.occasions("down") == ["firing", "resolved"])
            process.send(signal.SIGTERM)
            code, log = await process.ended()
    assert code == 0
    for said in (log, repr(ear.heard), repr(hub.fake.server.reports), repr(hub.fake.server.events)):
        assert "Geh3im" not in said
