"""When the last backup ended, as the backup program or a file says. The server itself does not know.

Understood are the JSON of ``pgbackrest info --output=json``, ``wal-g backup-list --detail --json`` and
``barman -f json list-backups NAME``, and a time alone: ISO 8601, or seconds since 1970, in the last line.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, ClassVar

import msgspec

from twinwatch.monitors import Finding, Moment, Unreadable
from twinwatch.monitors.postgres.columns import Gathered, lasted, printable
from twinwatch.monitors.postgres.options import PostgresOptions
from twinwatch.monitors.postgres.part import SELDOM, Ask, Server
from twinwatch.protocol.metrics import Chart, Metric
from twinwatch.protocol.rules import Rule
from twinwatch.world.commands import CommandFailed
from twinwatch.world.host import Missing, Refused

COMMAND_SECONDS = 8.0
OUTPUT_BYTES = 1 << 20
ENDS = ("stop", "finish_time", "end_time_timestamp", "end_time", "time")
"""Where these programs say when a backup ended, the best word first."""
FAILED = ("FAILED", "EMPTY", "STARTED", "WAITING_FOR_WALS")
NESTED = 12


class Backup:
    """Age of the newest backup that did not fail.

    Source: a file, or the output of a program.
    """

    name: ClassVar[str] = "backup"
    pace: ClassVar[float] = SELDOM
    checks: ClassVar[tuple[str, ...]] = ("backup",)
    remedy: ClassVar[str] = ""
    needs_rights: ClassVar[bool] = False
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("postgresql.backup.age", "s", "Time since the last good backup ended.", good="low"),
        Metric("postgresql.backup.count", "{backup}", "Good backups that there are.", good="high"),
    )
    charts: ClassVar[tuple[Chart, ...]] = (Chart("PostgreSQL time since the last backup", ("postgresql.backup.age",)),)
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("no recent backup", check="backup", states=("down", "unknown"), hold="15m"),
    )

    def __init__(self, options: PostgresOptions) -> None:
        self._command = options.backup_command.strip()
        self._file = options.backup_file.strip()
        self._within = options.backup_within

    def fits(self, server: Server) -> bool:
        """Where somebody has said where to look."""
        return bool(self._command or self._file)

    async def read(self, ask: Ask, server: Server, moment: Moment) -> list[Finding]:
        """One run.

        Raises: Unreadable if there is no such file or program, it fails, or no backup is found in what it says.
        """
        said = await self._said(ask)
        now = moment.time / 1000
        ends = [end for end in ends_in(said) if 0 < end <= now + self._within]
        if not ends:
            raise Unreadable(f"{self._where}: names no backup that has ended")
        found = Gathered()
        age = max(now - max(ends), 0.0)
        found.reading("postgresql.backup.age", round(age))
        found.reading("postgresql.backup.count", len(ends))
        if age > self._within:
            words = (
                f"The last good backup ended {lasted(age)} ago; expected is one within {lasted(self._within)}. See the "
                "log of the backup program, and whether its schedule still runs"
            )
            found.check("backup", "down", words, "too-old")
        else:
            found.check("backup", "up")
        return found.findings

    @property
    def _where(self) -> str:
        return self._file or self._command.split()[0]

    async def _said(self, ask: Ask) -> str:
        if self._file:
            try:
                return ask.world.host.read_text(self._file)
            except Missing as err:
                raise Unreadable(f"{self._file}: is not there") from err
            except Refused as err:
                raise Unreadable(str(err)) from err
        try:
            ended = await ask.world.commands.run(
                shlex.split(self._command), timeout_seconds=COMMAND_SECONDS, output_bytes=OUTPUT_BYTES
            )
        except (CommandFailed, ValueError) as err:
            raise Unreadable(f"{self._where}: {err}") from err
        if ended.code != 0:
            lines = printable(ended.errors or ended.output).strip()
            raise Unreadable(f"{self._where} ended with {ended.code}: {lines[:200]}")
        return ended.output


def ends_in(said: str) -> list[float]:
    """When each good backup ended, in seconds since 1970."""
    text = said.strip()
    try:
        content = msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError):
        content = None
    if isinstance(content, dict | list):
        return list(_ends(content, NESTED))
    last = text.splitlines()[-1].strip() if text else ""
    end = _time(last)
    return [] if end is None else [end]


def _ends(content: Any, depth: int) -> Iterator[float]:
    """Of the outermost objects that have an end."""
    if isinstance(content, list):
        for one in content:
            if depth:
                yield from _ends(one, depth - 1)
        return
    if not isinstance(content, dict) or content.get("error") is True or content.get("status") in FAILED:
        return
    for word in ENDS:
        end = _time(content.get(word))
        if end is not None:
            yield end
            return
    for one in content.values():
        if depth:
            yield from _ends(one, depth - 1)


def _time(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value).replace(tzinfo=datetime.fromisoformat(value).tzinfo or UTC).timestamp()
        except (ValueError, OverflowError):
            pass
    try:
        seconds = float(value)
    except (ValueError, OverflowError):
        return None
    return seconds if 1e9 < seconds < 1e11 else None
