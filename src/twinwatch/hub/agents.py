"""The hub's side of an agent's life: enrolment, keys, heartbeats and catalogues.

Invariants: an enrolment key registers servers of its organization and nothing else; a server key speaks for one
server; registering again with the same ``install_id`` names the same server and makes its older key worthless.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from typing import NamedTuple
from uuid import UUID

import msgspec
import psycopg

from twinwatch.alerts.liveness import FAST_HEARTBEAT_SECONDS
from twinwatch.hub.db import Database
from twinwatch.hub.keys import digest_of, new_key
from twinwatch.hub.lawful import check_catalogue, check_heartbeat, check_text
from twinwatch.hub.refusals import DELETED, forbidden, invalid, unauthorized
from twinwatch.hub.statements import Statements
from twinwatch.hub.stores.log import instant
from twinwatch.protocol.heartbeat import Delivery, Heartbeat, HeartbeatAnswer
from twinwatch.protocol.hello import Register, Registered
from twinwatch.protocol.metrics import Catalogue
from twinwatch.world.clock import Clock

SQL = Statements("agents")

KEY_SECONDS = 60.0
"""How long a key's answer is believed; a deleted server may speak that much longer through another hub process."""
STRANGER_SECONDS = 10.0
REMEMBERED_KEYS = 50_000


class Speaker(NamedTuple):
    """Whose key was shown."""

    organization_id: UUID
    server_id: UUID


class Agents:
    """Registration, identification, signs of life."""

    def __init__(
        self,
        clock: Clock,
        database: Database,
        forgotten: Callable[[UUID], None],
        bundle_digest: Callable[[int], str] = str,
    ) -> None:
        """``forgotten`` hears of each server whose keys have changed or gone; ``bundle_digest`` says what a bundle of a
        version of the organization is called."""
        self._clock = clock
        self._database = database
        self._forgotten = forgotten
        self._bundle_digest = bundle_digest
        self._speakers: OrderedDict[bytes, tuple[float, Speaker | None]] = OrderedDict()

    async def register(self, key: str, hello: Register) -> tuple[Speaker, Registered]:
        """The server of this installation, and what its agent is told: a new key for it.

        Raises: Refused 401 for a key that does not enrol; Refused 422 for an unlawful name or id.
        """
        check_text("server_name", hello.server_name, 200)
        check_text("agent_version", hello.agent_version, 64)
        install_id = _uuid("install_id", hello.install_id)
        now = instant(self._clock.now())
        fresh = new_key("tws")
        async with self._database.as_worker() as connection:
            cursor = await connection.execute(SQL["enrolment_of_key"], {"hash": digest_of(key), "now": now})
            enrolment = await cursor.fetchone()
            if enrolment is None:
                raise unauthorized(
                    "This enrolment key is unknown, expired or revoked: make a new one under Add a server."
                )
            await connection.execute(SQL["enrolment_used"], {"id": enrolment["id"], "now": now})
            organization = enrolment["organization_id"]
            cursor = await connection.execute(
                SQL["register"],
                {
                    "organization": organization,
                    "install": install_id,
                    "name": hello.server_name,
                    "version": hello.agent_version,
                    "now": now,
                },
            )
            server = await cursor.fetchone()
            assert server is not None  # noqa: S101
            who = {"organization": organization, "server": server["id"]}
            await connection.execute(SQL["drop_server_keys"], who)
            await connection.execute(SQL["add_server_key"], {**who, "prefix": fresh.prefix, "hash": fresh.digest})
        self.forget(server["id"])
        registered = Registered(str(server["id"]), fresh.key, server["sequence_mark"])
        return Speaker(organization, server["id"]), registered

    async def speaker(self, key: str) -> Speaker:
        """Who speaks with this server key.

        Raises: Refused 401 if nobody does.
        """
        digest = digest_of(key)
        now = self._clock.monotonic()
        remembered = self._speakers.get(digest)
        if remembered is None or remembered[0] < now:
            async with self._database.as_worker() as connection:
                row = await (await connection.execute(SQL["speaker_of_key"], {"hash": digest})).fetchone()
            found = None if row is None else Speaker(row["organization_id"], row["server_id"])
            remembered = (now + (KEY_SECONDS if found else STRANGER_SECONDS), found)
            self._speakers[digest] = remembered
            self._speakers.move_to_end(digest)
            while len(self._speakers) > REMEMBERED_KEYS:
                self._speakers.popitem(last=False)
        if remembered[1] is None:
            raise unauthorized("This server key is unknown: the server was deleted, or registered anew elsewhere.")
        return remembered[1]

    def forget(self, server_id: UUID) -> None:
        """The server's keys have changed or gone."""
        for digest in [one for one, (_, who) in self._speakers.items() if who and who.server_id == server_id]:
            del self._speakers[digest]
        self._forgotten(server_id)

    async def heartbeat(self, speaker: Speaker, beat: Heartbeat, ip: str | None = None) -> HeartbeatAnswer:
        """Notes the sign of life, whatever the agent's clock says, and from where it came.

        Raises: Refused 403 if the key is another server's; Refused 401 if the server is gone; Refused 422 beyond a
        bound.
        """
        if _uuid("server_uuid", beat.server_uuid) != speaker.server_id:
            raise forbidden("server_uuid is not the server that this key speaks for.")
        check_heartbeat(beat)
        now = self._clock.now()
        seen = {
            "organization": speaker.organization_id,
            "server": speaker.server_id,
            "now": instant(now),
            "skew": (beat.timestamp - now) / 1000,
            "version": beat.agent_version,
            "delivery": None if beat.delivery is None else _delivery(beat.delivery, now),
            "life": None if beat.life is None else msgspec.json.encode(beat.life).decode(),
            "network": network_of(ip),
        }
        async with self._database.as_worker() as connection:
            cursor = await connection.execute(SQL["heartbeat"], seen)
        row = await cursor.fetchone()
        if row is None:
            self.forget(speaker.server_id)
            raise unauthorized(DELETED)
        return HeartbeatAnswer(
            received_at=now,
            catalogue=row["fingerprint"] or "",
            report=row["digest"] or "",
            configuration=row["version"] or 0,
            bundle=self._bundle_digest(row["bundle_version"]),
            reconcile=row["open_digest"] != beat.alerts,
            interval_seconds=FAST_HEARTBEAT_SECONDS if row["fast"] else 0.0,
        )

    async def declare(self, speaker: Speaker, catalogue: Catalogue) -> None:
        """Keeps what the agent declares, in place of what it declared before.

        Raises: Refused 422 beyond a bound; Refused 401 if the server is gone.
        """
        check_catalogue(catalogue)
        kept = {
            "organization": speaker.organization_id,
            "server": speaker.server_id,
            "fingerprint": catalogue.digest or catalogue.fingerprint(),
            "body": msgspec.json.encode(msgspec.structs.replace(catalogue, digest="", kinds=())).decode(),
            "kinds": msgspec.json.encode(catalogue.kinds).decode(),
            "now": instant(self._clock.now()),
        }
        try:
            async with self._database.as_worker() as connection:
                await connection.execute(SQL["store_catalogue"], kept)
        except psycopg.errors.ForeignKeyViolation:
            self.forget(speaker.server_id)
            raise unauthorized(DELETED) from None


def network_of(ip: str | None) -> str:
    """The network that an address is in: its /24, or /48; empty where it is not known or says nothing."""
    try:
        address = ip_address(ip or "")
    except ValueError:
        return ""
    if address.is_loopback:
        return ""
    return str(ip_network(f"{address}/{24 if address.version == 4 else 48}", strict=False))


def _delivery(delivery: Delivery, now: int) -> str:
    return msgspec.json.encode({**msgspec.structs.asdict(delivery), "at": now}).decode()


def _uuid(name: str, text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise invalid(f"{name}: {text[:50]!r} is not a uuid") from None
