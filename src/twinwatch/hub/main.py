"""The hub's composition root: every part is made and joined here, started and ended here."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import uvicorn
from fastapi import FastAPI

from twinwatch import __version__
from twinwatch.alerts.liveness import Span
from twinwatch.hub.accounts import Accounts
from twinwatch.hub.agents import Agents
from twinwatch.hub.alert_history import AlertHistory
from twinwatch.hub.alerting.engine import Engine
from twinwatch.hub.alerting.intake import Intake
from twinwatch.hub.alerting.links import Links
from twinwatch.hub.alerting.lookout import Lookout
from twinwatch.hub.alerting.outbox import Outbox
from twinwatch.hub.api import accounts as accounts_routes
from twinwatch.hub.api import agents as agent_routes
from twinwatch.hub.api import alerts as alert_routes
from twinwatch.hub.api import auth as auth_routes
from twinwatch.hub.api import channels as channel_routes
from twinwatch.hub.api import configurations as configuration_routes
from twinwatch.hub.api import pages, servers
from twinwatch.hub.api import policies as policy_routes
from twinwatch.hub.api import probes as probe_routes
from twinwatch.hub.api import queries as query_routes
from twinwatch.hub.api import vitals as vital_routes
from twinwatch.hub.api.direct import Direct
from twinwatch.hub.api.doors import Rooms, install_handlers
from twinwatch.hub.auth import Auth
from twinwatch.hub.bundles import Bundles
from twinwatch.hub.channels import Channels, Kinds
from twinwatch.hub.choosing import choose
from twinwatch.hub.compactor import child as compactor_child
from twinwatch.hub.configurations import Configurations
from twinwatch.hub.connections import SERVING, allow_connections
from twinwatch.hub.controls import Controls
from twinwatch.hub.db import Database, DatabaseAway
from twinwatch.hub.dead_man import DeadMan
from twinwatch.hub.drills import Drills
from twinwatch.hub.fleet import Fleet
from twinwatch.hub.herald import Herald
from twinwatch.hub.history import History
from twinwatch.hub.holdings import Holdings
from twinwatch.hub.ingest import Ingest
from twinwatch.hub.kinds import channel_kinds
from twinwatch.hub.live import Live
from twinwatch.hub.migrations import migrate
from twinwatch.hub.plans import Plans
from twinwatch.hub.policies import Policies
from twinwatch.hub.probes import Probes
from twinwatch.hub.probing.canaries import Canaries, canary_of
from twinwatch.hub.probing.evidence import Evidence
from twinwatch.hub.probing.keeper import Keeper
from twinwatch.hub.probing.ledger import Ledger
from twinwatch.hub.probing.pinger import Pinger
from twinwatch.hub.probing.witnesses import Witnesses
from twinwatch.hub.queries import Queries
from twinwatch.hub.relay import Relay
from twinwatch.hub.reports import Reports
from twinwatch.hub.rules import Rules
from twinwatch.hub.settings import Misconfigured, Settings
from twinwatch.hub.shapes import Shapes
from twinwatch.hub.silences import Silences
from twinwatch.hub.sockets import listen
from twinwatch.hub.stores import Arrival, Retention
from twinwatch.hub.stores.engines import Keeping
from twinwatch.hub.throttle import Throttle
from twinwatch.hub.vault import Vault
from twinwatch.hub.views import PROBLEMS
from twinwatch.hub.vitals import Vitals
from twinwatch.hub.watchdog import Watchdog
from twinwatch.world.clock import Clock, SystemClock
from twinwatch.world.doors import Outside, World
from twinwatch.world.guard import Guard
from twinwatch.world.host import Host
from twinwatch.world.http import AiohttpHttp, Http
from twinwatch.world.mail import SmtpMail
from twinwatch.world.net import HostNet, Net
from twinwatch.world.net.guarded import GuardedNet
from twinwatch.world.net.naming import Names

log = logging.getLogger(__name__)

TEND_SECONDS = 3600.0
CLOCKS_MILLISECONDS = 3 * 60_000
"""By so much the hub's clock and PostgreSQL's may differ before it is told."""
AFTER_FAILURE_SECONDS = 5.0
DRAIN_SECONDS = 5
CANCEL_SECONDS = 1.0
SIGN_IN_TRIES = 10
SIGN_IN_SECONDS = 30.0
TRIALS = 20
TRIAL_SECONDS = 15.0
EVENT_REQUESTS = 200
EVENT_SECONDS = 1.0
MESSAGE_CONNECTIONS = 64
PROBED_NAMES = 64
"""Most names that are looked up at a time: some of them belong to people who let them hang."""
OWN_CONNECTIONS = 4


class Hub:
    """A hub on one database: ``app`` answers requests between ``start`` and ``stop``.

    ``kinds`` are the kinds of channels, ``outside`` the doors that messages leave through, ``own`` the one to what the
    operator named, which no guard watches, ``net`` the one to what is probed, before which the guard stands.
    """

    def __init__(
        self,
        settings: Settings,
        url: str,
        clock: Clock,
        kinds: Kinds,
        outside: Outside,
        own: Http,
        net: Net | None = None,
        *,
        alone: bool = True,
    ) -> None:
        """``alone``: no other process serves this database, or what it does need not be heard of here."""
        self._settings = settings
        self._clock = clock
        self.database = Database(url)
        self._tasks: list[asyncio.Task[None]] = []
        self._clocks_differ = False
        self._keeping = Keeping(settings.engine, self.database)
        self._store = self._keeping.store
        self._history = History(clock, self.database)
        self._plans = Plans(self.database, settings.retention_days)
        self.live = Live()
        self._relay = Relay(self.database, "" if alone else url)
        self._shapes = Shapes(clock, self.database)
        vault = Vault(settings.secret)
        configurations = Configurations(clock, self.database, vault)
        self._controls = Controls(configurations.version, self._changed, self._seen, self._relay)
        fleet = Fleet(clock, self.database, self._store, settings.patience, self._controls.connected, self._blind_spans)
        reports = Reports(clock, self.database)
        links = Links(settings.secret, settings.public_url)
        hearing = [name for name, kind in kinds.kinds.items() if kind.hears_acknowledgements]
        self._engine = Engine(self.database, self._alerted, self._wake, hearing=hearing)
        history = AlertHistory(clock, self.database, self._engine, links, self._wake, self._alerted)
        self._herald = Herald(
            self.database, fleet, reports, self.live, history.seen_by_worker, self._store, self._relay
        )
        # New connections are of no use where what is slow is not asked by them.
        elsewhere = settings.engine.name == "victoriametrics"
        overdue = None if elsewhere else self.database.renew
        self._ingest = Ingest(clock, self._store, self._shapes, self._committed, overdue=overdue)
        channels = Channels(clock, self.database, vault, kinds, self._wake)
        self._outbox = Outbox(clock, self.database, channels, outside, links, self._alerted)
        self._lookout = Lookout(clock, self.database, self._engine)
        guard = outside.guard or Guard(private=settings.private_networks)
        host_net = net or HostNet(Names(threads=PROBED_NAMES))
        # Tries are measured by the machine's clock, whatever the time is said to be.
        world = World(SystemClock(), Host(), outside.http, net=GuardedNet(host_net, guard))
        unguarded = replace(world, http=own, net=host_net)
        self._canaries = Canaries([canary_of(text) for text in settings.canaries], unguarded)
        self._witnesses = Witnesses(clock, self.database, self._controls.holds, self._controls.say)
        keeper = Keeper(vault)
        ledger = Ledger(clock, self.database, self._engine, settings.patience)
        self._pinger = Pinger(clock, self.database, keeper, ledger, self._witnesses, self._canaries, world)
        self._watchdog = Watchdog(
            clock,
            self.database,
            settings.patience,
            self._engine,
            self._herald.changed,
            outside=Evidence(clock, self.database, keeper, self._witnesses).of,
            blind=lambda: self._canaries.fail,
        )
        looks = {"watchdog": lambda: self._watchdog.looked_at, "outbox": lambda: self._outbox.looked_at}
        self.dead_man = DeadMan(clock, self.database, own, settings.dead_man_url, looks)
        bundles = Bundles(clock, self.database, channels, links, f"{settings.public_url} {settings.agents_relay}")
        self.accounts = Accounts(clock, self.database, channels)
        holdings = Holdings(clock, self._store)
        self.vitals = Vitals(clock, self.database, holdings, settings.engine.name)
        rooms = Rooms(
            settings=settings,
            clock=clock,
            accounts=self.accounts,
            agents=Agents(clock, self.database, self._controls.revoke, bundles.digest_of),
            alert_events=Throttle(clock, burst=EVENT_REQUESTS, seconds=EVENT_SECONDS),
            alert_history=history,
            auth=Auth(clock, self.database, settings.secret, settings.public_url or "twinwatch"),
            bundles=bundles,
            channels=channels,
            configurations=configurations,
            controls=self._controls,
            drills=Drills(clock, self.database, self._controls.say, self._wake),
            fleet=fleet,
            herald=self._herald,
            history=self._history,
            ingest=self._ingest,
            intake=Intake(clock, self.database, self._engine),
            live=self.live,
            policies=Policies(clock, self.database, self._engine),
            probes=Probes(clock, self.database, keeper, ledger, world, guard, self._pinger.wake),
            queries=Queries(clock, self.database, self._store, self._plans, holdings),
            reports=reports,
            rules=Rules(clock, self.database, settings.patience),
            shapes=self._shapes,
            sign_ins=Throttle(clock, burst=SIGN_IN_TRIES, seconds=SIGN_IN_SECONDS),
            silences=Silences(clock, self.database, self._engine),
            trials=Throttle(clock, burst=TRIALS, seconds=TRIAL_SECONDS),
            vitals=self.vitals,
            watchdog=self._watchdog,
            witnesses=self._witnesses,
        )
        self.api = application(rooms)
        self.app = Direct(self.api, rooms)

    def _committed(self, news: Arrival) -> None:
        self._herald.committed(news)

    async def _changed(self, organization_id: UUID, server_id: UUID) -> None:
        await self._herald.changed(organization_id, server_id)

    async def _seen(self, server_id: UUID, is_open: bool) -> None:
        await self._watchdog.control(server_id, is_open=is_open)

    def _alerted(self, organization_id: UUID, alert_id: UUID) -> None:
        self._herald.alerted(organization_id, alert_id)

    def _wake(self) -> None:
        self._outbox.wake()

    def _blind_spans(self) -> Sequence[Span]:
        return self._watchdog.blind_spans

    async def start(self) -> None:
        """Connects, makes room for samples and starts the workers.

        Raises: Misconfigured if the database does not let the hub in.
        """
        try:
            await self.database.open()
            retention = await self._plans.retention()
        except (DatabaseAway, TimeoutError) as err:
            raise Misconfigured(f"database unreachable as the hub's own role: {err}") from err
        self._compare_clocks(retention)
        try:
            await self._keeping.tend(self._clock.now(), retention)
        except DatabaseAway as err:
            await self._keeping.close()
            await self.database.close()
            raise Misconfigured(f"samples cannot be kept: {err}") from err
        workers: dict[str, Callable[[], Awaitable[None]]] = {
            "ingest": self._ingest.run,
            "controls": self._controls.run,
            "herald": self._herald.run,
            "relay": self._relay.run,
            "lookout": self._lookout.run,
            "outbox": self._outbox.run,
            "pinger": self._pinger.run,
            "vitals": self.vitals.run,
            "watchdog": self._watchdog.run,
            "witnesses": self._witnesses.run,
            "tend": self._tend,
        }
        if self._canaries.there:
            workers["canaries"] = self._canaries.run
        if self._settings.dead_man_url:
            workers["dead man"] = self.dead_man.run
        self._tasks = [asyncio.create_task(_supervise(name, run), name=name) for name, run in workers.items()]

    async def stop(self) -> None:
        """Ends the workers, each after what it has in hand, and the connections."""
        self.live.close()
        await self._controls.close()
        await _ended(self._tasks)
        await self._outbox.drain()
        await self._keeping.close()
        await self.database.close()

    async def look(self) -> None:
        """What the workers do by themselves every second or so, once and now: for tests that set the clock."""
        await self._watchdog.look()
        await self._pinger.look()
        await self._lookout.look()
        await self._outbox.look()

    async def crash(self) -> None:
        """Ends at once, whatever is in hand: for tests of what the next hub finds."""
        self.live.close()
        self._outbox.abandon()
        await _ended(self._tasks)
        await self._keeping.close()
        await self.database.close()

    async def _tend(self) -> None:
        while True:
            await asyncio.sleep(TEND_SECONDS)
            await self.tend()

    async def tend(self) -> None:
        """What is done every hour: room for what comes, an end for what is past keeping."""
        now, retention = self._clock.now(), await self._plans.retention()
        self._compare_clocks(retention)
        await self._keeping.tend(now, retention)
        await self._shapes.tend(now, retention)
        await self._history.prune(retention.moment(now))

    def _compare_clocks(self, retention: Retention) -> None:
        """Tells when this machine's clock and PostgreSQL's begin to differ."""
        ahead = self._clock.now() - retention.latest
        differ = abs(ahead) > CLOCKS_MILLISECONDS
        if differ and not self._clocks_differ:
            log.warning(
                "this machine's clock is %d s %s PostgreSQL's: what is past keeping ends by the one that is behind; "
                "set both by NTP",
                abs(ahead) // 1000,
                "ahead of" if ahead > 0 else "behind",
            )
        self._clocks_differ = differ


async def _ended(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancels the tasks until they have ended. Once is not enough: ``asyncio.wait_for`` of Python 3.11, which psycopg
    waits with, forgets a cancellation that arrives together with what it waits for."""
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=CANCEL_SECONDS)


async def _supervise(name: str, run: Callable[[], Awaitable[None]]) -> None:
    """Runs a worker again after a failure: one that dies silently would be worse than one that fails loudly."""
    while True:
        try:
            await run()
        except Exception:
            log.exception("worker %s failed; it starts again in %g s", name, AFTER_FAILURE_SECONDS)
        await asyncio.sleep(AFTER_FAILURE_SECONDS)


def application(rooms: Rooms | None) -> FastAPI:
    """The routes. Without rooms only its OpenAPI document is of use."""
    app = FastAPI(
        title="Twinwatch hub",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
        redirect_slashes=False,
        responses=PROBLEMS,
    )
    app.state.rooms = rooms
    install_handlers(app)
    for module in (agent_routes, auth_routes, accounts_routes, servers, configuration_routes, alert_routes):
        app.include_router(module.router)
    for module in (channel_routes, policy_routes, probe_routes, query_routes, vital_routes, pages):
        app.include_router(module.router)
    app.include_router(policy_routes.long)
    # Not a mount, which would match every path: a wrong method on a known route could not be told from a page.
    app.router.default = pages.Pages(pages.dashboard_folder())
    made = app.openapi

    def openapi() -> dict[str, Any]:
        document = made()
        named = {f"Agent{name}": schema for name, schema in agent_routes.SCHEMAS.items()}
        document["components"]["schemas"].update(named)
        return document

    app.openapi = openapi  # type: ignore[method-assign]
    return app


def make_routes(app: FastAPI) -> None:
    """FastAPI makes a router's routes when a request is first held against them: the first chart waited 30 ms."""
    nowhere = {"type": "http", "method": "GET", "path": "/", "root_path": "", "headers": []}
    for route in app.routes:
        route.matches(nowhere)


async def run(settings: Settings, *, shared: bool = False) -> None:
    """Serves until SIGTERM or SIGINT. ``shared``: as one of several, whose parent sees to the rest (``worker``).

    Raises: Misconfigured if the address is taken, or the database is not as it must be.
    """
    listening = listen(settings.host, settings.port, shared=shared)
    allow_connections()
    url = await migrate(settings.owner_url, settings.secret)
    settings = replace(settings, engine=await choose(settings.owner_url, settings.engine))
    guard = Guard(private=settings.private_networks)
    http = AiohttpHttp(connections=MESSAGE_CONNECTIONS, guard=guard)
    mail = SmtpMail(relay=settings.relay, sender=settings.mail_from, guard=guard)
    own = AiohttpHttp(connections=OWN_CONNECTIONS)
    hub = Hub(settings, url, SystemClock(), channel_kinds(settings), Outside(http, mail, guard=guard), own, alone=False)
    await hub.start()
    compactor = None if shared else compactor_child(url, settings.retention_days)
    keeping = None
    if compactor is not None:
        await compactor.start()
        keeping = asyncio.create_task(compactor.keep(), name="compactor")
    config = uvicorn.Config(
        hub.app,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=DRAIN_SECONDS,
        timeout_keep_alive=75,
        **SERVING,
    )
    server = _Server(config)
    loop = asyncio.get_running_loop()

    def end() -> None:
        # Open streams would hold the shutdown up until their clients leave.
        hub.live.close()
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    make_routes(hub.api)
    # What lives until the end need not be looked through again and again: a look took 50 ms, within some push.
    gc.collect()
    gc.freeze()
    gc.set_threshold(10000, 20, 20)
    log.info("hub %s listens on http://%s:%d", __version__, settings.host, settings.port)
    try:
        await server.serve(sockets=[listening])
    finally:
        if compactor is not None and keeping is not None:
            keeping.cancel()
            await compactor.stop()
        await hub.stop()
        await http.close()
        await own.close()
        log.info("hub stopped")


class _Server(uvicorn.Server):
    """uvicorn, less its own signal handlers, which would raise the signal again after a clean end."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
