from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from twinwatch.world.host import Host, Missing, Refused
from twinwatch.world.space import Space, Surveyor

SPACE = Space(4096, 100, 50, 40, 10, 5)


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    (tmp_path / "proc/sys/kernel/random").mkdir(parents=True)
    (tmp_path / "proc/sys/kernel/hostname").write_text("web-1\n")
    (tmp_path / "proc/stat").write_text("cpu  1 2 3\ncpu0 1 2 3\ncpu1 1 2 3\nctxt 5\n")
    return tmp_path


def test_it_reads_below_its_root(machine: Path) -> None:
    host = Host(machine)
    assert host.hostname() == "web-1"
    assert host.cpu_count() == 2
    assert host.list("/proc") == ["stat", "sys"]
    assert host.exists("/proc/stat")
    assert not host.exists("/proc/cpuinfo")


def test_what_is_not_there_is_missing(machine: Path) -> None:
    host = Host(machine)
    with pytest.raises(Missing, match="/proc/uptime"):
        host.read_text("/proc/uptime")
    with pytest.raises(Missing):
        host.read_text("/proc/stat/deeper")
    with pytest.raises(Missing):
        host.list("/sys/block")


def test_a_folder_is_no_text(machine: Path) -> None:
    with pytest.raises(Refused, match="Is a directory"):
        Host(machine).read_text("/proc")


def test_a_read_is_bounded(machine: Path) -> None:
    (machine / "big").write_bytes(b"x" * 200_000)
    host = Host(machine)
    assert len(host.read_text("/big")) == 200_000
    with pytest.raises(Refused, match="larger than 100000 bytes"):
        host.read_text("/big", 100_000)
    with pytest.raises(Refused, match="larger than 10 bytes"):
        host.read_text("/big", 10)


def test_bytes_that_are_no_text_do_no_harm(machine: Path) -> None:
    (machine / "noise").write_bytes(b"a\xff\xfeb")
    assert Host(machine).read_text("/noise") == "a\ufffd\ufffdb"


def test_a_pipe_does_not_hold_the_agent(machine: Path) -> None:
    os.mkfifo(machine / "pipe")
    assert Host(machine).read_text("/pipe") == ""


def test_os_release_loses_its_quotes(machine: Path) -> None:
    (machine / "usr/lib").mkdir(parents=True)
    (machine / "usr/lib/os-release").write_text("# comment\nNAME=\"Some Linux\"\nID=some\nVERSION_ID='9'\n")
    assert Host(machine).os_release() == {"NAME": "Some Linux", "ID": "some", "VERSION_ID": "9"}


async def test_a_capture_answers_from_its_record(machine: Path) -> None:
    (machine / "statvfs.json").write_text(
        '{"/": {"block_bytes": 4096, "blocks": 100, "blocks_free": 50, "blocks_available": 40, "files": 10, '
        '"files_free": 5}}'
    )
    (machine / "kernel.json").write_text('{"machine": "riscv64", "page_bytes": 4096, "ticks_per_second": 100}')
    host = Host(machine)
    assert await host.statvfs(["/", "/gone"], timeout_seconds=1.0) == {"/": SPACE}
    assert host.kernel().machine == "riscv64"


async def test_below_another_root_mounts_keep_their_names(machine: Path) -> None:
    asked: list[str] = []

    def ask(path: str) -> Space:
        asked.append(path)
        return SPACE

    assert await Host(machine, ask_space=ask).statvfs(["/", "/srv"], timeout_seconds=5.0) == {"/": SPACE, "/srv": SPACE}
    assert asked == [f"{machine}/", f"{machine}/srv"]


async def test_the_real_kernel_answers() -> None:
    host = Host()
    found = await host.statvfs(["/", "/no/such/folder"], timeout_seconds=5.0)
    assert list(found) == ["/"]
    assert found["/"].blocks >= found["/"].blocks_free >= found["/"].blocks_available
    assert host.kernel().page_bytes > 0


class Mounts:
    """File systems of which some hang until they are let go."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.let_go = threading.Event()

    def ask(self, path: str) -> Space:
        self.asked.append(path)
        if path.startswith("/dead"):
            self.let_go.wait()
        if path.startswith("/error"):
            raise PermissionError(path)
        return SPACE


@pytest.fixture
async def mounts() -> AsyncIterator[Mounts]:
    mounts = Mounts()
    yield mounts
    mounts.let_go.set()


async def until(claim: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not claim():  # noqa: ASYNC110 - threads change what is waited for
            await asyncio.sleep(0.001)


async def test_a_mount_that_hangs_costs_the_others_nothing(mounts: Mounts) -> None:
    surveyor = Surveyor(mounts.ask)
    paths = ["/", "/error", "/dead/a", "/srv", "/dead/b", "/var"]
    assert await surveyor.survey(paths, timeout_seconds=0.8) == {"/": SPACE, "/srv": SPACE, "/var": SPACE}
    assert surveyor.stuck == {"/dead/a", "/dead/b"}


async def test_a_mount_that_hangs_is_left_alone_until_it_answers(mounts: Mounts) -> None:
    surveyor = Surveyor(mounts.ask)
    await surveyor.survey(["/dead/a", "/"], timeout_seconds=0.4)
    for _ in range(3):
        assert await surveyor.survey(["/dead/a", "/"], timeout_seconds=10.0) == {"/": SPACE}
    assert mounts.asked.count("/dead/a") == 1
    mounts.let_go.set()
    await until(lambda: not surveyor.stuck)
    assert await surveyor.survey(["/dead/a", "/"], timeout_seconds=10.0) == {"/dead/a": SPACE, "/": SPACE}


async def test_a_run_that_is_cut_off_leaves_its_thread_behind(mounts: Mounts) -> None:
    surveyor = Surveyor(mounts.ask)
    task = asyncio.create_task(surveyor.survey(["/dead/a"], timeout_seconds=1000.0))
    await until(lambda: mounts.asked == ["/dead/a"])
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert surveyor.stuck == {"/dead/a"}
    assert await surveyor.survey(["/"], timeout_seconds=10.0) == {"/": SPACE}


async def test_many_dead_mounts_do_not_pass_the_deadline(mounts: Mounts) -> None:
    surveyor = Surveyor(mounts.ask)
    loop = asyncio.get_running_loop()
    start = loop.time()
    await surveyor.survey([f"/dead/{number}" for number in range(50)], timeout_seconds=0.4)
    assert loop.time() - start < 2
    assert 0 < len(surveyor.stuck) <= 5


async def test_one_thread_serves_run_after_run(mounts: Mounts) -> None:
    surveyor = Surveyor(mounts.ask)
    await surveyor.survey(["/"], timeout_seconds=10.0)
    threads = threading.active_count()
    for _ in range(20):
        await surveyor.survey(["/", "/srv"], timeout_seconds=10.0)
    assert threading.active_count() == threads
