from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from twinwatch.world.commands import CommandFailed, HostCommands

COMMANDS = HostCommands()


async def test_output_errors_and_code_come_back() -> None:
    ended = await COMMANDS.run(["/bin/sh", "-c", "echo out; echo err >&2; exit 3"], timeout_seconds=10)
    assert (ended.code, ended.output, ended.errors, ended.cut) == (3, "out\n", "err\n", False)


async def test_arguments_meet_no_shell() -> None:
    ended = await COMMANDS.run(["/bin/echo", "$HOME; `id` *"], timeout_seconds=10)
    assert ended.output == "$HOME; `id` *\n"


async def test_the_environment_is_small_and_standard_input_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWINWATCH_ENROLMENT_KEY", "twe_secret")
    ended = await COMMANDS.run(["/bin/sh", "-c", "env; cat"], environment={"A": "b"}, timeout_seconds=10)
    names = {line.partition("=")[0] for line in ended.output.splitlines()}
    assert {"PATH", "LANG", "A"} <= names
    assert names <= {"PATH", "LANG", "A", "PWD", "SHLVL", "_", "OLDPWD"}


async def test_content_is_read_from_standard_input_and_needs_not_be() -> None:
    ended = await COMMANDS.run(["/bin/cat"], timeout_seconds=10, content=b"s3cret\xff\n", output_bytes=100)
    assert ended.output == "s3cret\ufffd\n"
    large = b"x" * 3_000_000
    counted = await COMMANDS.run(["/usr/bin/wc", "-c"], timeout_seconds=10, content=large)
    assert counted.output.strip() == "3000000"
    assert (await COMMANDS.run(["/bin/true"], timeout_seconds=10, content=large)).code == 0


async def test_more_output_than_allowed_is_cut_and_the_writer_is_not_blocked() -> None:
    ended = await COMMANDS.run(["/usr/bin/head", "-c", "3000000", "/dev/zero"], timeout_seconds=10, output_bytes=1000)
    assert (ended.code, len(ended.output), ended.cut) == (0, 1000, True)


async def test_a_program_that_does_not_end_is_killed_with_its_children(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    script = f"sleep 1000 & echo $! >{pid}; wait"
    with pytest.raises(CommandFailed, match=r"not ended within 0\.5 s"):
        await COMMANDS.run(["/bin/sh", "-c", script], timeout_seconds=0.5)
    await gone(int(pid.read_text()))


async def test_a_program_that_ends_but_leaves_a_child_with_its_pipe_is_ended_too(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    with pytest.raises(CommandFailed, match="not ended"):
        await COMMANDS.run(["/bin/sh", "-c", f"sleep 1000 & echo $! >{pid}"], timeout_seconds=0.5)
    await gone(int(pid.read_text()))


async def test_cancelled_it_leaves_nothing(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    running = asyncio.create_task(
        COMMANDS.run(["/bin/sh", "-c", f"echo $$ >{pid}.new; mv {pid}.new {pid}; sleep 1000"], timeout_seconds=60)
    )
    async with asyncio.timeout(10):
        while not pid.exists():  # noqa: ASYNC110 - another process changes what is waited for
            await asyncio.sleep(0.01)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    await gone(int(pid.read_text()))


async def test_what_cannot_be_started_says_why(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="no such file"):
        await COMMANDS.run(["/nowhere/at/all"], timeout_seconds=5)
    (tmp_path / "plain").write_text("")
    with pytest.raises(CommandFailed, match="permission denied"):
        await COMMANDS.run([str(tmp_path / "plain")], timeout_seconds=5)
    with pytest.raises(CommandFailed, match="null"):
        await COMMANDS.run(["/bin/echo", "a\0b"], timeout_seconds=5)


async def gone(pid: int) -> None:
    """Waits until the process has ended; a zombie that its new parent has not fetched has."""
    async with asyncio.timeout(10):
        while not has_ended(pid):  # noqa: ASYNC110 - the kernel changes what is waited for
            await asyncio.sleep(0.01)


def has_ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True
