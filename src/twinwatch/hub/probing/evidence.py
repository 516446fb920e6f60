"""What is seen of a silent server from elsewhere: by its probes, by other agents, and in their Tailscale peer view."""

from __future__ import annotations

import asyncio
from uuid import UUID

from twinwatch.alerts.forensics import Outside
from twinwatch.hub.db import Database
from twinwatch.hub.probing.keeper import Keeper, Unusable
from twinwatch.hub.probing.kinds import Outcome, Question
from twinwatch.hub.probing.witnesses import SQL, Witnesses
from twinwatch.hub.stores.log import instant
from twinwatch.world.clock import Clock

FRESH_MILLISECONDS = 150_000
"""Older tries say nothing of this moment."""
HOST_NAME = "host.name"
LOST = Outcome("down", "timeout")
"""What is known of a server that is silent."""


class Evidence:
    """Gathers it; every part is bounded, and what nobody can tell is left out."""

    def __init__(self, clock: Clock, database: Database, keeper: Keeper, witnesses: Witnesses) -> None:
        self._clock = clock
        self._database = database
        self._keeper = keeper
        self._witnesses = witnesses

    async def of(self, organization_id: UUID, server_id: UUID) -> Outside:
        """What others see of the server now. Takes up to a witness' time.

        Raises: DatabaseAway.
        """
        asked = {"organization": organization_id, "server": server_id}
        async with self._database.as_worker() as connection:
            probes = await (await connection.execute(SQL["probes_of_server"], asked)).fetchall()
            server = await (await connection.execute(SQL["server"], asked)).fetchone()
        fresh = instant(self._clock.now() - FRESH_MILLISECONDS)
        lately = [row for row in probes if row["last_at"] is not None and row["last_at"] >= fresh]
        up = sum(row["state"] == "up" for row in lately)
        down = sum(row["reason"] != "" and row["state"] in ("down", "degraded") for row in lately)
        looks: list[Question] = []
        for row in probes:
            try:
                if question := self._keeper.opened(row).question(LOST):
                    looks.append(question)
                    break  # one is enough, and agents have other things to do
            except Unusable:
                continue
        name = "" if server is None else (server["host"] or {}).get(HOST_NAME) or server["name"]
        if name:
            looks.append(Question("peer", name))
        seen = await asyncio.gather(
            *(self._witnesses.ask(organization_id, question, besides=[server_id]) for question in looks)
        )
        reached = [one for question, one in zip(looks, seen, strict=True) if question.looking != "peer"]
        peers = [one for question, one in zip(looks, seen, strict=True) if question.looking == "peer"]
        told = [one for one in peers if one.up or one.down]
        return Outside(
            probes_up=up,
            probes_down=down,
            witnesses_up=sum(len(one.up) for one in reached),
            witnesses_down=sum(len(one.down) for one in reached),
            peers_online=any(one.up for one in told) if told else None,
        )
