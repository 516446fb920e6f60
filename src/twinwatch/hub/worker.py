"""Several hubs on one machine: ``twinwatch hub run --workers N`` starts so many processes that share the address, and a
compactor, and starts each again when it dies.

Each is a hub like one on a machine of its own: what they know of one another goes through the database (``relay``).
The kernel spreads connections over them (``SO_REUSEPORT``).
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from pathlib import Path

import msgspec

from twinwatch.hub.child import Child
from twinwatch.hub.compactor import child as compactor_child
from twinwatch.hub.migrations import migrate
from twinwatch.hub.settings import Misconfigured, Settings, settings_from
from twinwatch.hub.sockets import listen

log = logging.getLogger(__name__)

ORDER = "WORKER_ORDER"
MISCONFIGURED = 2


class Order(msgspec.Struct, frozen=True):
    """What ``settings_from`` is to be given; the rest stands in the environment, as it does for a single hub."""

    database_url: str
    data_dir: str
    listen: str
    public_url: str


async def run(settings: Settings, workers: int) -> int:
    """Serves with so many processes until SIGTERM or SIGINT; the exit code.

    Raises: Misconfigured as a single hub does.
    """
    listen(settings.host, settings.port).close()
    url = await migrate(settings.owner_url, settings.secret)
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    order = Order(settings.owner_url, str(settings.data_dir), f"{host}:{settings.port}", settings.public_url)
    environment = {**os.environ, ORDER: msgspec.json.encode(order).decode()}
    command = [sys.executable, "-P", "-m", "twinwatch.hub.worker"]
    children = [
        Child(f"hub worker {number + 1}", command, environment, log.warning, pointless=(MISCONFIGURED,))
        for number in range(workers)
    ]
    children.append(compactor_child(url, settings.retention_days))
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    log.info("%d hub workers on http://%s:%d", workers, settings.host, settings.port)
    try:
        for one in children:
            await one.start()
        keeping = {asyncio.create_task(one.keep()) for one in children}
        asked = asyncio.create_task(stop.wait())
        done, _ = await asyncio.wait({asked, *keeping}, return_when=asyncio.FIRST_COMPLETED)
        for task in (asked, *keeping):
            task.cancel()
        return max((task.result() for task in done & keeping), default=0)
    finally:
        await asyncio.gather(*(one.stop() for one in children))


def main() -> int:
    """One of them, told by the environment what it is to serve."""
    import uvloop  # noqa: PLC0415

    from twinwatch.hub.main import run as serve  # noqa: PLC0415

    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO,
        format="%(asctime)s %(levelname)-7s %(message)s",
        datefmt="%Y-%m-%d %H:%M:%S",
    )
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    order = msgspec.json.decode(os.environ.pop(ORDER), type=Order)
    try:
        settings = settings_from(
            database_url=order.database_url,
            data_dir=Path(order.data_dir),
            listen=order.listen,
            public_url=order.public_url,
        )
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(settings, shared=True))
    except Misconfigured as err:
        log.error("%s", err)
        return MISCONFIGURED
    return 0


if __name__ == "__main__":
    sys.exit(main())
