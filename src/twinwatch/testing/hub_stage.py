"""A hub on a stage: a real one on a real database, in this process, with a clock that is set by hand.

``HubStage`` starts and stops it, lets people sign in and agents speak, and has the cast of every tenancy test: an
owner, an admin, a member and a viewer of one organization, and a stranger who owns another.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Literal
from uuid import UUID, uuid4

import jwt
import msgspec
import psycopg
import uvicorn

from twinwatch.alerts.episodes import key_of
from twinwatch.hub.channels import Kinds
from twinwatch.hub.connections import SERVING
from twinwatch.hub.keys import new_key
from twinwatch.hub.main import Hub
from twinwatch.hub.migrations import migrate
from twinwatch.hub.policies import add_defaults
from twinwatch.hub.settings import Patience, Settings
from twinwatch.hub.stores.engines import Engine
from twinwatch.protocol import codec
from twinwatch.protocol.alerts import AlertAnswers, AlertEvent, AlertEvents, Told
from twinwatch.protocol.checks import Report
from twinwatch.protocol.configuration import Configuration
from twinwatch.protocol.heartbeat import Delivery, Heartbeat, HeartbeatAnswer
from twinwatch.protocol.hello import Register, Registered
from twinwatch.protocol.metrics import Catalogue
from twinwatch.protocol.rules import Severity
from twinwatch.protocol.samples import Batch, Frame, SeriesKey, Shape, shape_of
from twinwatch.protocol.version import AGENT_ROUTES
from twinwatch.testing.client import PATIENCE_SECONDS, Client, Reply
from twinwatch.testing.fakes import EPOCH, AsgiApp, Message
from twinwatch.testing.paper import PaperHttp
from twinwatch.testing.post_office import NoMail, PostOffice, schema_of, settings_of
from twinwatch.testing.postgres import SECRET
from twinwatch.world.doors import Outside
from twinwatch.world.net import Net
from twinwatch.world.secret import Secret

Role = Literal["owner", "admin", "member", "viewer"]
ROLES: tuple[Role, ...] = ("owner", "admin", "member", "viewer")


class HandClock:
    """Both clocks stand still until ``advance`` moves them; ``time`` may also be set."""

    def __init__(self, time: int = EPOCH) -> None:
        self.time = time
        self._seconds = 1_000.0

    def advance(self, seconds: float) -> None:
        """Lets time pass."""
        self.time += round(seconds * 1000)
        self._seconds += seconds

    def now(self) -> int:
        """Wall clock, ms UTC."""
        return self.time

    def monotonic(self) -> float:
        """Seconds that never jump back."""
        return self._seconds


@dataclass(frozen=True, slots=True)
class Player:
    """A person with a session: ``client`` asks in their name."""

    user_id: UUID
    email: str
    organization_id: UUID
    client: Client


@dataclass(slots=True)
class Voice:
    """An agent as the hub hears it. Sends msgpack in zstd unless told otherwise; every tick has the same shape."""

    client: Client
    clock: HandClock
    server_id: UUID
    sequence: int = 0
    event_number: int = 0
    shape: Shape = field(
        default_factory=lambda: shape_of("test", (SeriesKey("test.a"), SeriesKey("test.b", {"core": "0"})))
    )

    async def heartbeat(self, *, timestamp: int | None = None, delivery: Delivery | None = None) -> Reply:
        """A sign of life."""
        time = self.clock.now() if timestamp is None else timestamp
        return await self.say("heartbeat", Heartbeat(str(self.server_id), time, "1.0", delivery))

    async def beat(self, **fields: Any) -> HeartbeatAnswer:
        """A sign of life with these fields, and the answer."""
        beat = Heartbeat(str(self.server_id), self.clock.now(), "1.0")
        reply = await self.say("heartbeat", msgspec.structs.replace(beat, **fields))
        assert reply.status == 200, reply
        return msgspec.json.decode(reply.body, type=HeartbeatAnswer)

    async def push(self, *ticks: tuple[int, Sequence[float | None]], sequence: int | None = None) -> Reply:
        """Ticks (time, values) in one frame, under the next number."""
        return await self.send(self.batch(*ticks, sequence=sequence))

    def batch(self, *ticks: tuple[int, Sequence[float | None]], sequence: int | None = None) -> Batch:
        """The batch that ``push`` would send."""
        if sequence is None:
            self.sequence += 1
            sequence = self.sequence
        times = [time for time, _ in ticks]
        columns = [list(column) for column in zip(*(values for _, values in ticks), strict=True)]
        frame = Frame(self.shape.id, times, columns)
        return Batch(sequence, self.clock.now(), [frame], [self.shape])

    async def send(self, batch: Batch) -> Reply:
        """Any batch."""
        return await self.say("samples", batch)

    async def declare(self, catalogue: Catalogue) -> Reply:
        """A catalogue."""
        return await self.say("catalogue", catalogue)

    async def report(self, report: Report) -> Reply:
        """A report."""
        return await self.say("report", report)

    async def fire(
        self, rule: str, thing: str, *, severity: Severity = "critical", told: Sequence[Told] = (), **fields: Any
    ) -> Reply:
        """An alert of this rule on this thing, which begins now."""
        now = self.clock.now()
        key = key_of(str(self.server_id), rule, thing, now)
        event = AlertEvent(
            number=self._next_event(),
            key=key,
            kind="fired",
            at=now,
            rule=rule,
            thing=thing,
            episode=now,
            severity=severity,
            since=now,
            title=f"{thing} is bad",
            message=f"{thing} is bad: look at it",
            told=tuple(told),
        )
        return await self.say("alerts", AlertEvents((msgspec.structs.replace(event, **fields),)))

    async def events(self, *events: AlertEvent, **more: Any) -> AlertAnswers:
        """Any events, each under the next number; what the hub answers."""
        numbered = tuple(msgspec.structs.replace(event, number=self._next_event()) for event in events)
        reply = await self.say("alerts", AlertEvents(numbered, **more))
        assert reply.status == 200, reply
        return msgspec.json.decode(reply.body, type=AlertAnswers)

    def _next_event(self) -> int:
        self.event_number += 1
        return self.event_number

    async def configuration(self) -> Configuration:
        """What the hub wants it to watch."""
        reply = await self.client.get(f"{AGENT_ROUTES}/configuration")
        assert reply.status == 200, reply
        return msgspec.json.decode(reply.body, type=Configuration)

    async def say(self, route: str, message: object, *, accept: str = codec.JSON) -> Reply:
        """A message on one of the agent's routes."""
        return await say(self.client, route, message, accept=accept)


async def say(client: Client, route: str, message: object, *, accept: str = codec.JSON) -> Reply:
    """A struct as the agent sends it: msgpack in zstd."""
    headers = {"content-type": codec.MSGPACK, "content-encoding": codec.ZSTD, "accept": accept}
    return await client.request("POST", f"{AGENT_ROUTES}/{route}", codec.pack(message), headers=headers)


class HubStage:
    """A hub, its clock, and ways to put people and agents before it. Use ``async with``.

    ``owner_url`` is whom it migrates as; ``superuser_url``, if that is somebody else, is how the stage is set; ``net``
    is what lies behind the guard.
    """

    def __init__(
        self,
        owner_url: str,
        data_dir: Path,
        *,
        superuser_url: str = "",
        clock: HandClock | None = None,
        patience: Patience | None = None,
        public_url: str = "",
        private_networks: bool = False,
        canaries: tuple[str, ...] = (),
        net: Net | None = None,
        dead_man_url: str = "",
        metrics_token: Secret | None = None,
        engine: Engine | None = None,
        alone: bool = True,
    ) -> None:
        self._alone = alone
        self._net = net
        self.owner_url = owner_url
        self._superuser_url = superuser_url or owner_url
        self.clock = clock or HandClock()
        self.settings = Settings(
            owner_url=owner_url,
            data_dir=data_dir,
            secret=SECRET,
            patience=patience or Patience(),
            public_url=public_url,
            private_networks=private_networks,
            canaries=canaries,
            dead_man_url=dead_man_url,
            metrics_token=metrics_token,
            engine=engine or Engine(),
        )
        self.post_office = PostOffice(self.clock)
        """What the hub's channels have said."""
        self.own = PaperHttp({})
        """Where the hub's own sign of life goes."""
        self._numbers = count(1)
        self._hub: Hub | None = None
        self._owner: psycopg.AsyncConnection | None = None
        self.serving_url = ""

    async def __aenter__(self) -> HubStage:
        self.serving_url = await migrate(self.owner_url, SECRET)
        self._owner = await psycopg.AsyncConnection.connect(self._superuser_url, autocommit=True)
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
        if self._owner is not None:
            await self._owner.close()

    async def start(self) -> None:
        """Starts the hub, or a new one on the same database if it was stopped."""
        kinds = Kinds(self.post_office.kinds(), settings_of, schema_of)
        outside = Outside(PaperHttp({}), NoMail())
        hub = Hub(self.settings, self.serving_url, self.clock, kinds, outside, self.own, self._net, alone=self._alone)
        await hub.start()
        self._hub = hub

    async def stop(self) -> None:
        """Stops the hub, if it runs."""
        hub, self._hub = self._hub, None
        if hub is not None:
            await hub.stop()

    async def crash(self) -> None:
        """Ends the hub as ``kill -9`` does: what it has in hand is not finished. (A real one needs a process.)"""
        hub, self._hub = self._hub, None
        if hub is not None:
            await hub.crash()

    @property
    def hub(self) -> Hub:
        """The running hub."""
        assert self._hub is not None
        return self._hub

    @property
    def runs(self) -> bool:
        """Whether there is a hub to ask."""
        return self._hub is not None

    @property
    def app(self) -> AsgiApp:
        """Its application."""
        app: AsgiApp = self.hub.app
        return app

    def client(self, token: str = "", *, ip: str = "203.0.113.7") -> Client:
        """Somebody who asks."""
        return Client(self._call, token, ip=ip)

    async def _call(self, scope: Message, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)  # whichever hub is running by then

    @asynccontextmanager
    async def served(self) -> AsyncIterator[str]:
        """The hub on a real port of 127.0.0.1, for clients that are not in this process: its address."""
        listening = socket.socket()
        listening.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            self._call, log_config=None, lifespan="off", access_log=False, interface="asgi3", **SERVING
        )
        server = _QuietServer(config)
        serving = asyncio.ensure_future(server.serve(sockets=[listening]))
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not server.started:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            await serving
            listening.close()

    async def execute(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """A statement as the superuser; its rows, if it has any."""
        if self._owner is not None and not self._owner.broken:
            return await _executed(self._owner, statement, values)
        # Not entered, or the connection was killed: one of its own, which nobody has to remember to close.
        async with await psycopg.AsyncConnection.connect(self._superuser_url, autocommit=True) as connection:
            return await _executed(connection, statement, values)

    async def organization(self, name: str = "Acme", plan: str = "free") -> UUID:
        """A new organization."""
        statement = "insert into public.organizations (name, plan) values (%s, %s) returning id"
        ((organization_id,),) = await self.execute(statement, name, plan)
        assert isinstance(organization_id, UUID)
        return organization_id

    async def person(self, organization_id: UUID, role: Role, email: str = "") -> Player:
        """A new person with this role and an open session."""
        email = email or f"{role}-{next(self._numbers)}@example.com"
        adding = "insert into auth.users (email, encrypted_password) values (%s, '*') returning id"
        ((user_id,),) = await self.execute(adding, email)
        await self.execute(
            "insert into public.members (organization_id, user_id, role) values (%s, %s, %s)",
            organization_id,
            user_id,
            role,
        )
        ((session_id,),) = await self.execute("insert into auth.sessions (user_id) values (%s) returning id", user_id)
        return Player(user_id, email, organization_id, self.client(self.token(user_id, email, session_id)))

    def token(self, user_id: UUID, email: str, session_id: UUID, **claims: object) -> str:
        """An access token of this hub. ``claims`` change or add some."""
        now = self.clock.now() // 1000
        lawful = {
            "iss": "twinwatch",
            "sub": str(user_id),
            "aud": "authenticated",
            "role": "authenticated",
            "email": email,
            "session_id": str(session_id),
            "iat": now,
            "exp": now + 3600,
        }
        return jwt.encode({**lawful, **claims}, SECRET.reveal(), algorithm="HS256")

    async def default_policies(self, organization_id: UUID) -> None:
        """The policies that an organization begins with."""
        async with self.hub.database.as_worker() as connection:
            await add_defaults(connection, organization_id, self.clock.now())

    async def enrolment_key(self, organization_id: UUID) -> str:
        """A key with which servers may join."""
        fresh = new_key("twe")
        await self.execute(
            "insert into public.enrolment_keys (organization_id, name, prefix, hash) values (%s, 'test', %s, %s)",
            organization_id,
            fresh.prefix,
            fresh.digest,
        )
        return fresh.key

    async def agent(
        self, organization_id: UUID, name: str = "web-1", *, install_id: UUID | None = None, ip: str = "203.0.113.7"
    ) -> Voice:
        """A registered agent."""
        enrolling = self.client(await self.enrolment_key(organization_id))
        reply = await say(enrolling, "register", Register(str(install_id or uuid4()), name, "1.0"))
        assert reply.status == 201, reply
        registered = msgspec.json.decode(reply.body, type=Registered)
        speaking = self.client(registered.server_key, ip=ip)
        return Voice(speaking, self.clock, UUID(registered.server_uuid), registered.sequence_mark)

    async def cast(self) -> Cast:
        """Everybody of a tenancy test, with a server in either organization."""
        mine = await self.organization("Mine")
        other = await self.organization("Other")
        people = {role: await self.person(mine, role) for role in ROLES}
        return Cast(
            organization_id=mine,
            other_id=other,
            owner=people["owner"],
            admin=people["admin"],
            member=people["member"],
            viewer=people["viewer"],
            stranger=await self.person(other, "owner"),
            agent=await self.agent(mine, "web-1"),
            other_agent=await self.agent(other, "elsewhere"),
        )


class _QuietServer(uvicorn.Server):
    """uvicorn that leaves the signals to the test runner."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@dataclass(frozen=True, slots=True)
class Cast:
    """Who plays in a tenancy test. ``stranger`` owns the other organization; ``agent`` is a server of the first."""

    organization_id: UUID
    other_id: UUID
    owner: Player
    admin: Player
    member: Player
    viewer: Player
    stranger: Player
    agent: Voice
    other_agent: Voice


async def _executed(
    connection: psycopg.AsyncConnection, statement: str, values: tuple[object, ...]
) -> list[tuple[Any, ...]]:
    cursor = await connection.execute(statement.encode(), values or None)
    return [] if cursor.description is None else await cursor.fetchall()
