"""What every monitor owes (``twinwatch.testing.contract``): every one that is found, on every capture, unasked."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path

from twinwatch.monitors.discover import discover
from twinwatch.monitors.system import System
from twinwatch.monitors.system.options import SystemOptions
from twinwatch.testing.captures import captures
from twinwatch.testing.cases import cases_in
from twinwatch.testing.contract import MonitorContract
from twinwatch.testing.paper import paper_world
from twinwatch.world.host import Host
from twinwatch.world.space import Space

FOUND = discover()
FOLDER = Path(__file__).parents[1] / "captures"
CASES = cases_in(FOLDER, FOUND.monitors)


class Impatient(Host):
    """Waits for file systems a twentieth of the time that it is given."""

    async def statvfs(self, paths: Sequence[str], *, timeout_seconds: float) -> dict[str, Space]:
        return await super().statvfs(paths, timeout_seconds=timeout_seconds / 20)


class TestMonitors(MonitorContract):
    cases = CASES


def test_no_monitor_is_found_flawed_or_without_a_case() -> None:
    assert FOUND.flaws == ()
    assert FOUND.monitors.keys() == {case.kind.name for case in CASES}
    assert len(CASES) == len(captures(FOLDER)), "a capture of a monitor that does not exist"


async def test_a_recorded_machine_reads_the_same_through_files() -> None:
    """The paper host of these tests is no other machine than the captured one."""
    machines = {case.name: case for case in CASES if case.kind is System}
    for capture in captures(FOLDER):
        if capture.name in machines:
            case = machines[capture.name]
            one, other = case.made(), case.made()
            for host, snapshot, moment in zip(capture.hosts(), case.snapshots(), case.moments(), strict=True):
                assert await one.read(paper_world(host), moment) == await other.read(snapshot.world(moment), moment)


async def test_file_systems_that_hang_are_asked_once_and_skipped_until_they_answer(tmp_path: Path) -> None:
    """The real door, its threads included, on a machine whose file systems never answer."""
    asked: list[str] = []
    let_go = threading.Event()

    def ask(path: str) -> Space:
        asked.append(path)
        let_go.wait()
        return Space(4096, 2, 1, 1, 2, 1)

    capture = next(one for one in captures(FOLDER) if one.name == "ubuntu-2204-storage")
    shutil.copytree(capture.folder / "first", tmp_path, dirs_exist_ok=True)
    (tmp_path / "statvfs.json").unlink()
    host, monitor = Impatient(tmp_path, ask_space=ask), System(SystemOptions())
    try:
        async with asyncio.timeout(System.deadline_seconds):
            for moment in capture.moments():
                assert await monitor.read(paper_world(host), moment)
        assert asked
        assert len(asked) == len(set(asked)), "asked again before it answered"
    finally:
        let_go.set()
    async with asyncio.timeout(System.deadline_seconds):
        while host.stuck_mounts:  # noqa: ASYNC110 - threads change what is waited for
            await asyncio.sleep(0.001)
    assert await monitor.read(paper_world(host), capture.moments()[1])
