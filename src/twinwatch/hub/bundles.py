"""What each agent is given to judge and to tell people by itself, made when it asks for it.

What agents hold is compared by a digest of the organization's bundle version, which the database raises whenever rules,
silences, policies, channels, tags or the set of servers change, and of what the operator has set.
"""

from __future__ import annotations

from hashlib import blake2b
from uuid import UUID

import msgspec

from twinwatch.hub.agents import Speaker
from twinwatch.hub.alerting.addressees import Addressee, expanded, policy_of, silence_of
from twinwatch.hub.alerting.engine import ALERTS
from twinwatch.hub.alerting.links import Links
from twinwatch.hub.channels import Channels
from twinwatch.hub.db import Connection, Database
from twinwatch.hub.refusals import DELETED, unauthorized
from twinwatch.hub.rules import SQL as RULES
from twinwatch.hub.rules import effective
from twinwatch.hub.statements import Statements
from twinwatch.hub.stores.log import instant
from twinwatch.protocol.bundle import Bundle, DirectChannel, SealedBundle, sealed
from twinwatch.protocol.policies import Policy, Step
from twinwatch.world.clock import Clock

SQL = Statements("bundles")

RECENT_MILLISECONDS = 24 * 3600 * 1000
RANKS = 1_000


class Bundles:
    """Makes them. ``operator`` is what of the hub's settings goes into every one, so that agents hear of a change."""

    def __init__(self, clock: Clock, database: Database, channels: Channels, links: Links, operator: str) -> None:
        self._clock = clock
        self._database = database
        self._channels = channels
        self._links = links
        self._salt = blake2b(operator.encode(), digest_size=8).hexdigest()

    def digest_of(self, version: int) -> str:
        """What a bundle of this version of the organization is called."""
        return blake2b(f"{version}:{self._salt}".encode(), digest_size=8).hexdigest()

    async def digest(self, organization_id: UUID) -> str:
        """What the bundles of the organization's agents should be called now."""
        async with self._database.as_worker() as connection:
            row = await (await connection.execute(SQL["version"], {"organization": organization_id})).fetchone()
        return self.digest_of(row["bundle_version"]) if row else ""

    async def of_agent(self, speaker: Speaker) -> SealedBundle:
        """The server's bundle, signed for it.

        Raises: Refused 401 if the server is gone.
        """
        now = self._clock.now()
        async with self._database.as_worker() as connection:
            asked = {"server": speaker.server_id, "recent": instant(now - RECENT_MILLISECONDS)}
            server = await (await connection.execute(SQL["server"], asked)).fetchone()
            if server is None:
                raise unauthorized(DELETED)
            organization = {"organization": speaker.organization_id, "now": instant(now), "server": None}
            rules = await (await connection.execute(RULES["for_servers"], organization)).fetchall()
            silences = await (await connection.execute(ALERTS["silences"], organization)).fetchall()
            policies, channels = await self._policies(connection, speaker.organization_id)
        mine = [rule for rule in effective(rules, server["id"], server["tags"]) if not rule.probe and not rule.silent]
        watchers = next((policy for policy in policies if not policy.severities or "down" in policy.severities), None)
        bundle = Bundle(
            server_uuid=str(server["id"]),
            organization=server["organization"],
            issued_at=now,
            rules=tuple(mine),
            silences=tuple(silence_of(row) for row in silences),
            policies=tuple(policies),
            channels=tuple(channels),
            tags=tuple(server["tags"]),
            rank=min(server["rank"], RANKS),
            hub_watch=watchers.steps[0].channels if watchers and watchers.steps else (),
            link=self._links.address,
            link_key=self._links.key_of(server["id"]),
            digest=self.digest_of(server["bundle_version"]),
        )
        return sealed(bundle, bytes(server["hash"]))

    async def _policies(
        self, connection: Connection, organization_id: UUID
    ) -> tuple[list[Policy], list[DirectChannel]]:
        """The policies with their first step, and of that the channels that agents may speak on; and those channels."""
        where = {"organization": organization_id}
        rows = await (await connection.execute(ALERTS["channels"], where)).fetchall()
        direct = {channel.id: channel for channel in await self._channels.direct(connection, organization_id)}
        found = []
        for row in await (await connection.execute(ALERTS["policies"], where)).fetchall():
            policy = policy_of(row)
            named = policy.steps[0].channels if policy.steps else ()
            channels = tuple(str(one.id) for one in expanded(named, rows) if _speaks(one, direct))
            found.append(msgspec.structs.replace(policy, steps=(Step(0, channels),), repeat_seconds=0))
        return found, list(direct.values())


def _speaks(one: Addressee, direct: dict[str, DirectChannel]) -> bool:
    return str(one.id) in direct
