"""``twinwatch hub copy-samples``: what ``copying`` does, with a bar that shows how far it is."""

from __future__ import annotations

import time
from hashlib import blake2b
from typing import TextIO

from twinwatch.hub.choosing import choose
from twinwatch.hub.copying import Copying, Ledger, Progress
from twinwatch.hub.db import Database, DatabaseAway
from twinwatch.hub.migrations import migrate
from twinwatch.hub.plans import Plans
from twinwatch.hub.settings import Misconfigured, Settings, named_engine
from twinwatch.hub.stores.engines import Keeping
from twinwatch.world.clock import SystemClock

BAR = 30
SHOWN_DIFFERING = 10
LINE_SECONDS = 10.0
"""How often it says how far it is where nobody sees a bar move."""


class Bar:
    """A line on a terminal that is written over and over; elsewhere a line now and then."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._began = self._said = time.monotonic()

    def show(self, progress: Progress) -> None:
        """How far it is."""
        now = time.monotonic()
        is_over = progress.days == progress.of_days
        if self._out.isatty():
            self._out.write(f"\r\x1b[K{line_of(progress, now - self._began)}" + ("\n" if is_over else ""))
        elif is_over or now - self._said >= LINE_SECONDS:
            self._said = now
            self._out.write(f"{line_of(progress, now - self._began)}\n")
        self._out.flush()


def line_of(progress: Progress, seconds: float) -> str:
    """The bar, the part that is done, samples and their pace."""
    part = progress.days / progress.of_days if progress.of_days else 1.0
    filled = int(part * BAR)
    pace = progress.samples / seconds if seconds else 0.0
    return (
        f"[{'#' * filled}{'.' * (BAR - filled)}] {part:4.0%}  {progress.days:,} of {progress.of_days:,} server days, "
        f"{progress.samples:,} samples, {pace:,.0f}/s"
    )


async def copy_samples(settings: Settings, source: str, target: str, out: TextIO) -> int:
    """Copies from one engine to the other; the exit code: 0 all is there and verified, 1 not all.

    Raises: Misconfigured for engines that are none, or one; for a file of progress that cannot be written.
    """
    engines = named_engine(source, "--from"), named_engine(target, "--to")
    for engine, name in zip(engines, ("--from", "--to"), strict=True):
        if engine.name == "automatic":
            raise Misconfigured(f"{name}: which engine? expected blocks, timescale or victoriametrics:URL")
    if engines[0] == engines[1]:
        raise Misconfigured("--from and --to are the same")
    way = blake2b(f"{[(one.name, one.addresses) for one in engines]}".encode(), digest_size=6).hexdigest()
    path = settings.data_dir / f"copied-samples-{way}.jsonl"
    try:
        ledger = Ledger(path)
    except OSError as err:
        raise Misconfigured(f"{path}: {err.strerror}; choose a folder you may write to with --data-dir") from err
    database = Database(await migrate(settings.owner_url, settings.secret), most=4)
    for engine in engines:
        await choose(settings.owner_url, engine)
    keeping = [Keeping(engine, database) for engine in engines]
    try:
        await database.open()
        copying = Copying(
            SystemClock(),
            database,
            Plans(database, settings.retention_days),
            keeping[0].store,
            keeping[1].store,
            ledger,
            Bar(out).show,
            is_exact=engines[1].name != "victoriametrics",
        )
        done = await copying.run()
    except (DatabaseAway, TimeoutError) as err:
        out.write(f"\nended early: {err}. What is copied is copied: call it again to go on.\n")
        return 1
    finally:
        for one in keeping:
            await one.close()
        await database.close()
    return _told(done, out)


def _told(done: Progress, out: TextIO) -> int:
    if not done.differing:
        out.write(f"{done.samples:,} samples copied, given back and the same by count and checksum.\n")
        return 0
    out.write(f"of {len(done.differing)} server days --to gives back something else than --from:\n")
    for server, day in sorted(done.differing)[:SHOWN_DIFFERING]:
        out.write(f"  server {server}, {time.strftime('%Y-%m-%d', time.gmtime(day * 86400))}\n")
    return 1
