"""Both watchers on one stage: a whole hub, whole agents and the channels of an organization, in virtual time.

A story reads as what happens, and then as what people heard::

    incident = await Incident.begin(stage, tmp_path, servers=1)
    web = incident.servers[0]
    web.kill()
    await asyncio.sleep(200)
    assert incident.heard() == [Heard(95, "ops", "hub", "firing", "web-1", …), …]

A server whose network is cut reaches neither the hub nor a channel. All agents and the hub share one post office.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self
from uuid import UUID

from twinwatch.notify import Note, Outcome, Retry
from twinwatch.testing.fakes import AsgiHttp, VirtualClock
from twinwatch.testing.gauge import Gauge
from twinwatch.testing.hub_stage import HubStage, Player
from twinwatch.testing.paper import PaperHost
from twinwatch.testing.paper_bus import PaperBus
from twinwatch.testing.paper_net import PaperNet
from twinwatch.testing.story import StagedAgent, until
from twinwatch.world.http import Unreachable

BOOT = "/proc/sys/kernel/random/boot_id"
JOBS = "bus /org/freedesktop/systemd1 ListJobs"
SYSTEMD = "/run/systemd/system/is-there"
CHANNELS = (("ops", "email"), ("chat", "slack"), ("phone", "sms"))
"""Name and kind; each reaches whom it is named after."""


class Heard(NamedTuple):
    """One alert in one message that arrived."""

    seconds: float
    """Since the mark."""
    to: str
    teller: str
    """``agent`` or ``hub``."""
    occasion: str
    server: str
    title: str


class StagedServer:
    """A server: its agent, its network and what the agent watches."""

    def __init__(self, name: str, agent: StagedAgent, gauge: Gauge, host: PaperHost, bus: PaperBus, ip: str) -> None:
        self.name = name
        self.agent = agent
        self.gauge = gauge
        self.id = UUID(int=0)
        self.ip = ip
        """Where the hub hears it from."""
        self.running = False
        self._host = host
        self._bus = bus
        self._boots = 1

    @property
    def http(self) -> AsgiHttp:
        """Its network."""
        return self.agent.http

    @property
    def cut_off(self) -> bool:
        """Whether its network is cut."""
        return self.http.is_cut

    async def start(self) -> None:
        """Starts the agent."""
        await self.agent.start()
        self.running = True

    async def kill(self) -> None:
        """Ends the agent without a last word; the server runs on."""
        self.running = False
        await self.agent.kill()

    async def lose_power(self) -> None:
        """Ends everything without a last word."""
        self._boots += 1
        self._host.files[BOOT] = f"boot-{self._boots}"
        await self.kill()

    async def reboot(self) -> None:
        """Goes down as it was told to; ``start`` is when it is back."""
        self._bus.sources[JOBS] = '[[[1, "reboot.target", "start", "waiting", "/", "/"]]]'
        self.running = False
        await self.agent.stop()
        self._bus.sources[JOBS] = "[[]]"
        self._boots += 1
        self._host.files[BOOT] = f"boot-{self._boots}"

    async def stop(self) -> None:
        """Ends the agent alone, as it was told to."""
        self.running = False
        await self.agent.stop()


class Incident:
    """An organization on a stage. ``mark`` sets the moment from which seconds count."""

    def __init__(self, stage: HubStage, organization_id: UUID, owner: Player) -> None:
        self.stage = stage
        self.organization_id = organization_id
        self.owner = owner
        self.office = stage.post_office
        self.office.fails = self._fails
        self.failure: Callable[[str, str, Note], Outcome | None] = lambda kind, to, note: None
        """What becomes of a message; None lets it arrive."""
        self.only_the_hub_is_away = False
        """Whether a server whose network is cut reaches the channels all the same."""
        self.servers: list[StagedServer] = []
        self._marked = stage.clock.now()
        self._from = 0

    @classmethod
    async def begin(cls, stage: HubStage, folder: Path, *, servers: int = 1) -> Self:
        """So many servers run and are known to the hub, each in a network of its own, and agents hold their bundles."""
        organization = await stage.organization("Acme", plan="pro")
        owner = await stage.person(organization, "owner")
        await _lasting_session(stage, owner)
        for name, kind in CHANNELS:
            wanted = {"organization_id": str(organization), "name": name, "kind": kind, "settings": {"to": name}}
            reply = await owner.client.post("/api/v1/channels", wanted)
            assert reply.status == 201, reply
        await stage.default_policies(organization)
        incident = cls(stage, organization, owner)
        key = await stage.enrolment_key(organization)
        for number in range(1, servers + 1):
            incident.servers.append(incident._server(folder, number, key))
        for server in incident.servers:
            await server.start()
        await incident._settled()
        incident.mark()
        return incident

    def mark(self) -> None:
        """Seconds count from now, and what was heard before is forgotten."""
        self._marked = self.stage.clock.now()
        self._from = len(self.office.said)

    def heard(self, *occasions: str, to: str = "", server: str = "") -> list[Heard]:
        """What people have heard since the mark, in order."""
        found = [
            Heard(
                (one.at - self._marked) / 1000,
                one.to,
                one.note.teller,
                subject.occasion,
                subject.server,
                subject.title,
            )
            for one in self.office.said[self._from :]
            for subject in one.note.subjects
        ]
        return [
            one
            for one in found
            if one.occasion in (occasions or (one.occasion,)) and one.to in (to or one.to)
            if one.server == (server or one.server)
        ]

    async def alerts(self) -> list[dict[str, Any]]:
        """The alerts that people see, newest first, those that are over included."""
        found: list[dict[str, Any]] = (await self.owner.client.get("/api/v1/alerts")).json()["alerts"]
        return found

    async def alert(self, alert_id: str) -> dict[str, Any]:
        """One alert with its timeline."""
        found: dict[str, Any] = (await self.owner.client.get(f"/api/v1/alerts/{alert_id}")).json()
        return found

    async def end(self) -> None:
        """Stops every agent that runs."""
        for server in self.servers:
            if server.running:
                await server.stop()

    def _server(self, folder: Path, number: int, key: str) -> StagedServer:
        name = f"web-{number}"
        state = folder / name
        state.mkdir(parents=True)
        gauge, ip = Gauge(), f"203.0.{number}.7"
        host = PaperHost({BOOT: "boot-1", SYSTEMD: ""})
        bus = PaperBus({JOBS: "[[]]"})
        agent = StagedAgent(
            state,
            self._app,
            VirtualClock(self.stage.clock.now()),
            enrolment_key=key,
            monitors=[gauge],
            host=host,
            bus=bus,
            net=PaperNet({}),
            post_office=self.office,
            ip=ip,
            server_name=name,
        )
        return StagedServer(name, agent, gauge, host, bus, ip)

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        if not self.stage.runs:
            raise Unreachable("connection refused")
        await self.stage.app(scope, receive, send)  # whichever hub runs by then

    async def _settled(self) -> None:
        """Registered, with the newest bundle in every hand."""
        missing = {server.name for server in self.servers}

        async def look() -> bool:
            listed = (await self.owner.client.get("/api/v1/servers")).json()["servers"]
            for row in listed:
                for server in self.servers:
                    if server.name == row["name"]:
                        server.id = UUID(row["id"])
                        missing.discard(row["name"])
            return not missing

        async with asyncio.timeout(300):
            while not await look():  # noqa: ASYNC110 - a database is asked
                await asyncio.sleep(1)
        held = [server.agent.alerting for server in self.servers]
        await until(lambda: all(one.held() for one in held), 300)
        await asyncio.sleep(120)  # the set of servers is part of every bundle

    def _fails(self, kind: str, to: str, note: Note) -> Outcome | None:
        cut_off = any(one.name == note.sender and one.cut_off for one in self.servers)
        if note.teller == "agent" and cut_off and not self.only_the_hub_is_away:
            return Retry("network is unreachable")
        return self.failure(kind, to, note)


async def _lasting_session(stage: HubStage, player: Player) -> None:
    ((session,),) = await stage.execute("select id from auth.sessions where user_id = %s", player.user_id)
    days = stage.clock.now() // 1000 + 30 * 86_400
    player.client.token = stage.token(player.user_id, player.email, session, exp=days)


def titles(heard: Sequence[Heard]) -> list[str]:
    """What they were about."""
    return [one.title for one in heard]
