"""A hub with people, channels of paper and an agent, for tests of who is told what."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from twinwatch.alerts.episodes import key_of
from twinwatch.protocol.alerts import AlertAnswer, AlertAnswers, AlertEvent
from twinwatch.testing.client import PATIENCE_SECONDS
from twinwatch.testing.hub_stage import Cast, HubStage, Voice

GAP = 10.0
"""Seconds between two messages of a channel of paper."""


class Desk:
    """A cast with channels: ``ops`` by email, ``chat`` by Slack, ``phone`` by SMS; default policies of a new
    organization."""

    def __init__(self, stage: HubStage, cast: Cast, channels: dict[str, str]) -> None:
        self.stage = stage
        self.cast = cast
        self.channels = channels
        self.office = stage.post_office

    @property
    def agent(self) -> Voice:
        return self.cast.agent

    async def passes(self, seconds: float, *, alive: bool = True) -> None:
        """Time passes at once, and the workers see it; the agent is still alive, or has not been heard."""
        self.stage.clock.advance(seconds)
        if alive:
            await self.agent.heartbeat()
        await self.quiet()

    async def falls_silent(self) -> None:
        """Time passes in which the agent is not heard, and the workers watch all the while."""
        for _ in range(30):
            await self.passes(5, alive=False)

    async def quiet(self) -> None:
        """Waits until nothing is due, nothing is being sent and every look was taken."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                await self.stage.hub.look()
                now = self.stage.clock.now() / 1000
                ((due,),) = await self.stage.execute(
                    "select (select count(*) from public.channels where ready_at <= to_timestamp(%s)"
                    " and coalesce(held_until <= to_timestamp(%s), true))"
                    " + (select count(*) from public.notifications where state = 'sending' and teller = 'hub')"
                    " + (select count(*) from public.alerts where look_at <= to_timestamp(%s))",
                    now,
                    now,
                    now,
                )
                if not due:
                    return
                await asyncio.sleep(0.01)

    async def alert(self, place: int = 0) -> dict[str, Any]:
        alerts = (await self.cast.viewer.client.get("/api/v1/alerts")).json()["alerts"]
        found: dict[str, Any] = alerts[place]
        return found

    async def detail(self, place: int = 0) -> dict[str, Any]:
        found = await self.alert(place)
        detail: dict[str, Any] = (await self.cast.viewer.client.get(f"/api/v1/alerts/{found['id']}")).json()
        return detail

    async def policies(self, *policies: dict[str, Any]) -> None:
        target = f"/api/v1/policies?organization_id={self.cast.organization_id}"
        reply = await self.cast.owner.client.put(target, {"policies": list(policies)})
        assert reply.status == 200, reply

    def told(self, to: str) -> list[tuple[str, str]]:
        """Occasion and title of each alert that one has heard of, in order."""
        return [(occasion, subject.title) for occasion, subject in self.office.subjects(to)]


async def set_up(stage: HubStage) -> Desk:
    """People whose sessions last, channels, the policies of a new organization, and an agent that is alive."""
    cast = await stage.cast()
    channels = {}
    for name, kind in (("ops", "email"), ("chat", "slack"), ("phone", "sms")):
        body = {"organization_id": str(cast.organization_id), "name": name, "kind": kind, "settings": {"to": name}}
        reply = await cast.owner.client.post("/api/v1/channels", body)
        assert reply.status == 201, reply
        channels[name] = reply.json()["id"]
    await stage.default_policies(cast.organization_id)
    for player in (cast.owner, cast.member, cast.viewer, cast.stranger):
        ((session,),) = await stage.execute("select id from auth.sessions where user_id = %s", player.user_id)
        days = stage.clock.now() // 1000 + 30 * 86_400
        player.client.token = stage.token(player.user_id, player.email, session, exp=days)
    await cast.agent.heartbeat()
    return Desk(stage, cast, channels)


def event(agent: Voice, kind: str, of: AlertEvent, **fields: Any) -> AlertEvent:
    """Another event about the same episode."""
    return msgspec.structs.replace(of, kind=kind, at=agent.clock.now(), **fields)


def fired(agent: Voice, thing: str = "systemd:nginx.service", **fields: Any) -> AlertEvent:
    now = agent.clock.now()
    rule = fields.pop("rule", "systemd: unit failed")
    whole = {
        "number": 1,
        "key": key_of(str(agent.server_id), rule, thing, now),
        "kind": "fired",
        "at": now,
        "rule": rule,
        "thing": thing,
        "episode": now,
        "severity": "critical",
        "since": now,
        "title": f"{thing} failed",
        "message": f"{thing} failed: exit code 1",
        **fields,
    }
    return msgspec.convert(whole, AlertEvent)


def answer(found: AlertAnswers) -> AlertAnswer:
    (one,) = found.answers
    return one
