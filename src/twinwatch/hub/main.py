"""The hub's composition root: every part is made and joined here, started and ended here."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
from collections.abc import Awaitable, Callable, Iterator
from typing import Any
from uuid import UUID

import uvicorn
from fastapi import FastAPI

from twinwatch import __version__
from twinwatch.hub.accounts import Accounts
from twinwatch.hub.agents import Agents
from twinwatch.hub.api import accounts as accounts_routes
from twinwatch.hub.api import agents as agent_routes
from twinwatch.hub.api import auth as auth_routes
from twinwatch.hub.api import configurations as configuration_routes
from twinwatch.hub.api import pages, servers
from twinwatch.hub.api.doors import Rooms, install_handlers
from twinwatch.hub.auth import Auth
from twinwatch.hub.configurations import Configurations
from twinwatch.hub.connections import SERVING, allow_connections
from twinwatch.hub.controls import Controls
from twinwatch.hub.db import Database, DatabaseAway
from twinwatch.hub.fleet import Fleet
from twinwatch.hub.herald import Herald
from twinwatch.hub.ingest import Committed, Ingest
from twinwatch.hub.live import Live
from twinwatch.hub.migrations import migrate
from twinwatch.hub.reports import Reports
from twinwatch.hub.settings import Misconfigured, Settings
from twinwatch.hub.shapes import Shapes
from twinwatch.hub.sockets import listen
from twinwatch.hub.stores import SampleStore
from twinwatch.hub.stores.log import LogStore
from twinwatch.hub.throttle import Throttle
from twinwatch.hub.vault import Vault
from twinwatch.hub.views import PROBLEMS
from twinwatch.hub.watchdog import Watchdog
from twinwatch.world.clock import Clock, SystemClock

log = logging.getLogger(__name__)

TEND_SECONDS = 3600.0
AFTER_FAILURE_SECONDS = 5.0
DRAIN_SECONDS = 5
SIGN_IN_TRIES = 10
SIGN_IN_SECONDS = 30.0


class Hub:
    """A hub on one database: ``app`` answers requests between ``start`` and ``stop``."""

    def __init__(self, settings: Settings, url: str, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._database = Database(url)
        self._tasks: list[asyncio.Task[None]] = []
        self._store: SampleStore = LogStore(self._database)
        self.live = Live()
        shapes = Shapes(self._database)
        configurations = Configurations(clock, self._database, Vault(settings.secret))
        self._controls = Controls(configurations.version, self._changed)
        fleet = Fleet(clock, self._database, self._store, settings.patience, self._controls.connected)
        reports = Reports(clock, self._database)
        self._herald = Herald(self._database, fleet, reports, self.live)
        self._ingest = Ingest(clock, self._store, shapes, self._committed)
        self._watchdog = Watchdog(clock, self._database, settings.patience, self._herald.changed)
        self.accounts = Accounts(clock, self._database)
        rooms = Rooms(
            settings=settings,
            clock=clock,
            accounts=self.accounts,
            agents=Agents(clock, self._database, self._controls.revoke),
            auth=Auth(clock, self._database, settings.secret, settings.public_url or "twinwatch"),
            configurations=configurations,
            controls=self._controls,
            fleet=fleet,
            herald=self._herald,
            ingest=self._ingest,
            live=self.live,
            reports=reports,
            shapes=shapes,
            sign_ins=Throttle(clock, burst=SIGN_IN_TRIES, seconds=SIGN_IN_SECONDS),
        )
        self.app = application(rooms)

    def _committed(self, news: Committed) -> None:
        self._herald.committed(news)

    async def _changed(self, server_id: UUID) -> None:
        await self._herald.changed(server_id)

    async def start(self) -> None:
        """Connects, makes room for samples and starts the workers.

        Raises: Misconfigured if the database does not let the hub in.
        """
        try:
            await self._database.open()
            await self._store.tend(self._clock.now(), self._settings.retention_days)
        except (DatabaseAway, TimeoutError) as err:
            raise Misconfigured(f"database unreachable as the hub's own role: {err}") from err
        workers: dict[str, Callable[[], Awaitable[None]]] = {
            "ingest": self._ingest.run,
            "herald": self._herald.run,
            "watchdog": self._watchdog.run,
            "tend": self._tend,
        }
        self._tasks = [asyncio.create_task(_supervise(name, run), name=name) for name, run in workers.items()]

    async def stop(self) -> None:
        """Ends the workers, each after what it has in hand, and the connections."""
        self.live.close()
        await self._controls.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._database.close()

    async def _tend(self) -> None:
        while True:
            await asyncio.sleep(TEND_SECONDS)
            await self._store.tend(self._clock.now(), self._settings.retention_days)


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
    for module in (agent_routes, auth_routes, accounts_routes, servers, configuration_routes, pages):
        app.include_router(module.router)
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


async def run(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT.

    Raises: Misconfigured if the address is taken, or the database is not as it must be.
    """
    listening = listen(settings.host, settings.port)
    allow_connections()
    hub = Hub(settings, await migrate(settings.owner_url, settings.secret), SystemClock())
    await hub.start()
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
    # What lives until the end need not be looked through again and again: a look took 50 ms, within some push.
    gc.collect()
    gc.freeze()
    gc.set_threshold(10000, 20, 20)
    log.info("hub %s listens on http://%s:%d", __version__, settings.host, settings.port)
    try:
        await server.serve(sockets=[listening])
    finally:
        await hub.stop()
        log.info("hub stopped")


class _Server(uvicorn.Server):
    """uvicorn, less its own signal handlers, which would raise the signal again after a clean end."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
