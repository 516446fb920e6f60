"""``twinwatch up``: database, hub and this machine's agent with one command, each a process of its own.

Invariants: what it started it ends, in the order agent, hub, database, so that each can still hand over to the next;
killed outright, the kernel ends its children for it. An agent that cannot go on leaves hub and database running.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO
from urllib.parse import urlsplit

from twinwatch import __version__
from twinwatch.hub.bootstrap import Bootstrap, bootstrap
from twinwatch.hub.child import Child
from twinwatch.hub.db import Database
from twinwatch.hub.embedded import EmbeddedPostgres
from twinwatch.hub.migrations import migrate
from twinwatch.hub.settings import Misconfigured, Settings, settings_from
from twinwatch.hub.sockets import listen
from twinwatch.world.clock import SystemClock

READY_SECONDS = 30.0
DATABASE_LOOK_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Wish:
    """What the command line asks for. ``database_url`` empty: the embedded PostgreSQL."""

    data_dir: Path
    listen: str
    database_url: str = ""
    public_url: str = ""
    agent: bool = True


POINTLESS = (2, 4)
"""Exit codes of an agent that would end the same way again: a wrong setting, a refused enrolment. A hub that has once
been up has no wrong settings: if it ends so later, its database is away, and that passes."""


async def up(wish: Wish, out: TextIO = sys.stdout) -> int:
    """Brings everything up and keeps it up until SIGINT, SIGTERM or SIGHUP; returns the exit code.

    Raises: Misconfigured with one line that says what to do.
    """
    began = time.monotonic()
    settings = settings_from(
        database_url=wish.database_url,
        data_dir=wish.data_dir,
        listen=wish.listen,
        public_url=wish.public_url,
    )
    listen(settings.host, settings.port).close()  # before anything starts: a taken port is the commonest failure
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # nohup lets a terminal close under us
        loop.add_signal_handler(signal.SIGHUP, stop.set)

    def say(line: str) -> None:
        with contextlib.suppress(OSError):  # nobody reads any more; that ends nothing
            print(line, file=out, flush=True)

    postgres = None
    owner_url = settings.owner_url
    if not owner_url:
        _forget_other_databases()
        postgres = EmbeddedPostgres(wish.data_dir)
        owner_url = postgres.start()
    children: list[Child] = []
    try:
        first = await _prepare(owner_url, settings)
        hub_url = _reachable(settings)
        children.append(Child("hub", _self("hub", "run"), _hub_environment(wish, owner_url), say))
        await children[0].start()
        if not await _ready(hub_url, children[0], stop):
            if not stop.is_set() and children[0].exit_code is None:
                say(f"the hub does not answer on {hub_url} within {READY_SECONDS:g} s: see its log above")
            return 0 if stop.is_set() else (children[0].exit_code or 1)
        if wish.agent:
            state = wish.data_dir / "agents" / str(first.organization_id)
            environment = _agent_environment(hub_url, state, first)
            children.append(Child("agent", _self("agent", "run"), environment, say, pointless=POINTLESS, vital=False))
            await children[1].start()
        _greet(say, wish, settings, hub_url, first, time.monotonic() - began)
        return await _watch(children, postgres, stop, say)
    finally:
        for child in reversed(children):
            await child.stop()
        if postgres is not None:
            postgres.stop()
        if children:
            say("stopped")


async def _prepare(owner_url: str, settings: Settings) -> Bootstrap:
    database = Database(await migrate(owner_url, settings.secret))
    await database.open()
    try:
        return await bootstrap(SystemClock(), database)
    finally:
        await database.close()


async def _ready(hub_url: str, hub: Child, stop: asyncio.Event) -> bool:
    """Whether the hub answers within its time, and neither it nor the person's patience ended before."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and not stop.is_set() and hub.exit_code is None:
        with contextlib.suppress(OSError, ValueError, TimeoutError):
            async with asyncio.timeout(2):
                if await _answers(hub_url):
                    return True
        await asyncio.sleep(0.05)
    return False


async def _answers(hub_url: str) -> bool:
    """Whether the hub tells its status. Asked by hand: an HTTP library would stay in memory for this alone."""
    address = urlsplit(hub_url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        writer.write(f"GET /api/v1/status HTTP/1.1\r\nHost: {address.netloc}\r\nConnection: close\r\n\r\n".encode())
        return (await reader.readline()).split()[1:2] == [b"200"]
    finally:
        writer.close()


async def _watch(
    children: list[Child], postgres: EmbeddedPostgres | None, stop: asyncio.Event, say: Callable[[str], None]
) -> int:
    keeping = {asyncio.create_task(child.keep()) for child in children}
    if postgres is not None:
        keeping.add(asyncio.create_task(_keep_database(postgres, say)))
    asked = asyncio.create_task(stop.wait())
    try:
        done, _ = await asyncio.wait({asked, *keeping}, return_when=asyncio.FIRST_COMPLETED)
        return max((task.result() for task in done & keeping), default=0)
    finally:
        for task in (asked, *keeping):
            task.cancel()
        await asyncio.gather(asked, *keeping, return_exceptions=True)


async def _keep_database(postgres: EmbeddedPostgres, say: Callable[[str], None]) -> int:
    while True:
        await asyncio.sleep(DATABASE_LOOK_SECONDS)
        try:
            if postgres.revive():
                say("database ended unexpectedly; it was started again")
        except Misconfigured as err:
            say(f"database ended unexpectedly and does not start again: {err}")
            return 1


def _forget_other_databases() -> None:
    """libpq lets its variables (``PGPORT``, ``PGSERVICE`` …) speak in every connection: they mean another server."""
    for name in [name for name in os.environ if name.startswith("PG")]:
        del os.environ[name]


def _self(*arguments: str) -> list[str]:
    """This program again. ``-P``: a folder named twinwatch in the working directory is not what is meant."""
    return [sys.executable, "-P", "-m", "twinwatch.cli", *arguments]


def _hub_environment(wish: Wish, owner_url: str) -> dict[str, str]:
    return {
        **os.environ,
        "TWINWATCH_DATABASE_URL": owner_url,
        "TWINWATCH_DATA_DIR": str(wish.data_dir),
        "TWINWATCH_LISTEN": wish.listen,
        "TWINWATCH_PUBLIC_URL": wish.public_url,
    }


def _agent_environment(hub_url: str, state: Path, first: Bootstrap) -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if name not in NOT_THE_AGENTS}
    return {
        **environment,
        "TWINWATCH_CONFIG": environment.get("TWINWATCH_CONFIG", ""),  # the machine's file is its own agent's
        "TWINWATCH_HUB": hub_url,
        "TWINWATCH_STATE_DIR": str(state),
        "TWINWATCH_ENROLMENT_KEY": first.enrolment_key,
        "TWINWATCH_ALLOW_PLAIN_HTTP": "1",  # whichever of this machine's addresses it is, the way stays within it
    }


NOT_THE_AGENTS = ("TWINWATCH_DATABASE_URL", "TWINWATCH_SECRET", "TWINWATCH_ENROLMENT_KEY_FILE")


def _reachable(settings: Settings) -> str:
    """The hub's address from this machine, also when it listens on every address."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"


def _greet(
    say: Callable[[str], None], wish: Wish, settings: Settings, hub_url: str, first: Bootstrap, seconds: float
) -> None:
    address = settings.public_url or hub_url
    database = "your PostgreSQL" if wish.database_url else f"embedded PostgreSQL in {wish.data_dir}"
    say(f"\nTwinwatch {__version__} is up after {seconds:.1f} s\n")
    say(f"  dashboard  {address}")
    say(f"  database   {database}")
    if wish.agent:
        say("  agent      watches this machine")
    if first.setup_token:
        say("\nOpen this link once, to choose your e-mail and password:\n")
        say(f"  {address}/setup/?token={first.setup_token}")
    say("\nCtrl-C stops everything; nothing is lost.\n")
