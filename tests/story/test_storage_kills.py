"""The compactor, the hub's workers and PostgreSQL are killed with ``-9`` at random moments while samples come in; then
every sample that was acknowledged is there once, and no other.

``STORAGE_KILL_SECONDS=300`` makes it last for minutes.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from uuid import UUID

import aiohttp
import msgspec
import psycopg

from bench.rig.processes import descendants
from twinwatch.hub.compactor import ORDER, Order
from twinwatch.hub.db import Database, DatabaseAway
from twinwatch.hub.embedded import EmbeddedPostgres, die_with_parent
from twinwatch.hub.keys import new_key
from twinwatch.hub.migrations import migrate
from twinwatch.hub.shapes import Shapes
from twinwatch.hub.stores import Arrival, Window
from twinwatch.hub.stores.batches import pack_frames
from twinwatch.hub.stores.blocks import BlocksStore
from twinwatch.hub.stores.compaction import Compaction
from twinwatch.hub.stores.steps import HOUR
from twinwatch.protocol.codec import MSGPACK, ZSTD, pack
from twinwatch.protocol.samples import Batch, Frame, SeriesKey, shape_of
from twinwatch.protocol.version import AGENT_ROUTES
from twinwatch.testing.ports import free_port
from twinwatch.testing.postgres import SECRET, temporary_folder
from twinwatch.world.clock import SystemClock

REAL_TIME = True

SECONDS = float(os.environ.get("STORAGE_KILL_SECONDS", "25"))
PATIENCE_SECONDS = 90.0
SHAPE = shape_of("test", (SeriesKey("test.whole"), SeriesKey("test.broken"), SeriesKey("test.rare")))
PAST_HOURS = 40
SERVERS = 3

Kept = dict[tuple[int, int], float]
"""(column, time) to value."""


class Sender:
    """One server: makes batches, and remembers what was acknowledged."""

    def __init__(self, organization_id: UUID, server_id: UUID, key: str, seed: int) -> None:
        self.organization_id = organization_id
        self.id = server_id
        self.key = key
        self.kept: Kept = {}
        self.series: tuple[int, ...] = ()
        self._chance = random.Random(seed)
        self._sequence = 0
        self._used: set[int] = set()

    def frame(self, newest: int) -> Frame:
        """Three ticks up to a moment, or of the day before: some things come late."""
        late = 20 * HOUR if self._chance.random() < 0.05 else 0
        times = [time for time in range(newest - late - 2_000, newest - late + 1, 1_000) if time not in self._used]
        self._used.update(times)
        chance = self._chance
        columns: list[list[float | None]] = [
            [float(chance.randrange(1_000_000)) for _ in times],
            [chance.random() for _ in times],
            [1.0 if chance.random() < 0.1 else None for _ in times],
        ]
        return Frame(SHAPE.id, times, columns)

    def next_sequence(self) -> int:
        self._sequence += 1
        return self._sequence

    def acknowledged(self, frame: Frame) -> None:
        for number, column in enumerate(frame.columns):
            for moment, value in zip(frame.times, column, strict=True):
                if value is not None:
                    self.kept[number, moment] = value


class Scene:
    """The processes, and who is killed."""

    def __init__(self, folder: Path, log: Path) -> None:
        self.postgres = EmbeddedPostgres(folder)
        self.owner_url = self.postgres.start()
        self.folder = folder
        self.log = log
        self.port = free_port()
        self.url = ""
        self.hub: subprocess.Popen[bytes] | None = None
        self.compactor: subprocess.Popen[bytes] | None = None
        self.killed = {"compactor": 0, "worker": 0, "postgres": 0}

    def started(self) -> None:
        """Starts whatever does not run."""
        self.postgres.revive()
        if self.hub is None or self.hub.poll() is not None:
            arguments = ("--workers", "2", "--listen", f"127.0.0.1:{self.port}", "--data-dir", str(self.folder / "hub"))
            self.hub = self._start("twinwatch.cli", "hub", "run", *arguments)
        if self.compactor is None or self.compactor.poll() is not None:
            self.compactor = self._start("twinwatch.hub.compactor")

    def _start(self, module: str, *arguments: str) -> subprocess.Popen[bytes]:
        order = msgspec.json.encode(Order(self.url, 7, round_seconds=0.2)).decode()
        environment = {
            **os.environ,
            "TWINWATCH_DATABASE_URL": self.owner_url,
            "TWINWATCH_SECRET": SECRET.reveal(),
            ORDER: order,
        }
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-P", "-m", module, *arguments],
                env=environment,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGTERM),  # noqa: PLW1509
            )

    def kill(self, chance: random.Random) -> None:
        """Somebody, at once."""
        assert self.hub is not None
        who = chance.choice(["compactor", "compactor", "worker", "postgres"])
        with suppress(ProcessLookupError, IndexError, FileNotFoundError):
            if who == "compactor":
                assert self.compactor is not None
                self.compactor.kill()
                self.compactor.wait()
            elif who == "worker":
                workers = [one for one in descendants(self.hub.pid) if "twinwatch.hub.worker" in one.command()]
                os.kill(chance.choice(workers).pid, signal.SIGKILL)
            else:
                pid = (self.folder / "postgres" / "postmaster.pid").read_text().split()[0]
                os.kill(int(pid), signal.SIGKILL)
            self.killed[who] += 1

    def end(self) -> None:
        for one in (self.hub, self.compactor):
            if one is not None and one.poll() is None:
                one.terminate()
                one.wait(30)
        self.postgres.stop()


@asynccontextmanager
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    one = Scene(temporary_folder(), tmp_path / "log")
    try:
        one.url = await migrate(one.owner_url, SECRET)
        yield one
    finally:
        one.end()


async def senders(one: Scene) -> list[Sender]:
    """Servers that a hub knows."""
    found = []
    async with await psycopg.AsyncConnection.connect(one.owner_url, autocommit=True) as owner:
        cursor = await owner.execute("insert into public.organizations (name) values ('x') returning id")
        ((organization_id,),) = await cursor.fetchall()
        for number in range(2 * SERVERS):
            cursor = await owner.execute(
                "insert into public.servers (organization_id, install_id, name, agent_version)"
                " values (%s, gen_random_uuid(), 'x', '1') returning id",
                (organization_id,),
            )
            ((server_id,),) = await cursor.fetchall()
            key = new_key("tws")
            await owner.execute(
                "insert into public.server_keys (organization_id, server_id, prefix, hash) values (%s, %s, %s, %s)",
                (organization_id, server_id, key.prefix, key.digest),
            )
            found.append(Sender(organization_id, server_id, key.key, number))
    return found


async def push(one: Scene, sender: Sender, until: float) -> None:
    """As an agent does: the same batch again until it is acknowledged."""
    headers = {"authorization": f"Bearer {sender.key}", "content-type": MSGPACK, "content-encoding": ZSTD}
    target = f"http://127.0.0.1:{one.port}{AGENT_ROUTES}/samples"
    timeout = aiohttp.ClientTimeout(total=20)
    async with aiohttp.ClientSession(timeout=timeout) as client:
        while time.monotonic() < until:
            now = time.time_ns() // 1_000_000
            frame = sender.frame(now)
            if not frame.times:
                await asyncio.sleep(0.05)
                continue
            body = pack(Batch(sender.next_sequence(), now, [frame], [SHAPE]))
            while True:
                with suppress(aiohttp.ClientError, TimeoutError, OSError):
                    async with client.post(target, data=body, headers=headers) as answer:
                        if answer.status == 200:
                            break
                        assert answer.status in (429, 503), await answer.text()
                await asyncio.sleep(0.1)
            sender.acknowledged(frame)


async def write(store: BlocksStore, sender: Sender, until: float) -> None:
    """What came in during hours that are closed by now, so that there is something to compact."""
    received = time.time_ns() // 1_000_000 - PAST_HOURS * HOUR
    while time.monotonic() < until:
        received += 60_000
        if received > time.time_ns() // 1_000_000:
            return
        frame = sender.frame(received - 5_000)
        if not frame.times:
            continue
        samples = sum(value is not None for column in frame.columns for value in column)
        arrival = Arrival(
            sender.organization_id, sender.id, sender.next_sequence(), received, frame.times[0], frame.times[-1],
            samples, {SHAPE.id: sender.series}, pack_frames([frame]),
        )  # fmt: skip
        while True:
            try:
                await store.write([arrival])
                break
            except (DatabaseAway, psycopg.Error):
                await asyncio.sleep(0.1)
        sender.acknowledged(frame)


async def held(store: BlocksStore, sender: Sender) -> Kept:
    """Everything that is there."""
    times = [time for _, time in sender.kept]
    window = Window(min(times) - HOUR, max(times) + HOUR, 1 << 40)
    points = await store.read(sender.id, sender.series, window)
    return {
        (number, moment): value
        for number, row in enumerate(points.values.tolist())
        for moment, value in zip(points.times.tolist(), row, strict=True)
        if value == value  # noqa: PLR0124
    }


async def test_kills_of_compactor_workers_and_database_lose_and_double_no_sample(tmp_path: Path) -> None:
    chance = random.Random(6)
    async with scene(tmp_path) as one:
        everyone = await senders(one)
        database = Database(one.url)
        await database.open()
        store = BlocksStore(database)
        for sender in everyone:
            known = await Shapes(SystemClock(), database).series_of(
                sender.organization_id, sender.id, {SHAPE.id}, [SHAPE]
            )
            sender.series = known[SHAPE.id]
        one.started()
        until = time.monotonic() + SECONDS
        working = [asyncio.create_task(push(one, sender, until)) for sender in everyone[:SERVERS]]
        working += [asyncio.create_task(write(store, sender, until)) for sender in everyone[SERVERS:]]
        while time.monotonic() < until:
            await asyncio.sleep(chance.uniform(0.3, 2.5))
            one.kill(chance)
            await asyncio.sleep(chance.uniform(0.0, 0.5))
            await asyncio.to_thread(one.postgres.revive)
            one.started()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await asyncio.gather(*working)
            while True:
                with suppress(DatabaseAway, psycopg.Error):
                    if await Compaction(database).lag_seconds(time.time_ns() // 1_000_000) == 0:
                        break
                one.started()
                await asyncio.sleep(0.2)
        assert all(one.killed.values()), one.killed
        assert sum(len(sender.kept) for sender in everyone) > 1_000
        for sender in everyone:
            assert await held(store, sender) == sender.kept
        stats = await store.stats()
        assert stats.samples == sum(len(sender.kept) for sender in everyone), (
            "as many as were sent: none is there twice"
        )
        async with database.as_worker() as connection:
            cursor = await connection.execute("select count(*) as days from samples.days")
            assert (await cursor.fetchone() or {})["days"] > 0, "nothing was merged: the story proves little"
        await database.close()
