"""The process monitor and what it parses."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.monitors.conftest import checks, values
from twinwatch.monitors import Absent, Finding, Moment, Unreadable
from twinwatch.monitors.options import options_of
from twinwatch.monitors.process import ProcessMonitor
from twinwatch.monitors.processes import (
    KERNEL_THREAD,
    command_of,
    limit_of,
    pid_of,
    process_of,
    program_of,
    units_of,
)
from twinwatch.testing.paper import PaperHost, paper_world


def stat(pid: int, comm: str, *, state: str = "S", flags: int = 0, ticks: int = 0, started: int = 500) -> str:
    return f"{pid} ({comm}) {state} 1 1 1 0 -1 {flags} 0 0 0 0 {ticks} 0 0 0 20 0 2 0 {started} 9999 10 0 0 0\n"


def host(*processes: str, **files: str) -> PaperHost:
    found = {f"/proc/{text.split(' ')[0]}/stat": text for text in (stat(1, "init"), *processes)}
    found |= {"/proc/uptime": "100.00 1.0\n", "/proc/stat": "cpu 1\ncpu0 1\n"}
    return PaperHost(found | {name.replace("__", "/"): text for name, text in files.items()})


async def looked(monitor: ProcessMonitor, machine: PaperHost, seconds: float = 0.0) -> list[Finding]:
    return await monitor.read(paper_world(machine), Moment(0, seconds))


def watching(*entries: dict[str, object]) -> ProcessMonitor:
    return ProcessMonitor(options_of(ProcessMonitor, {"processes": entries}))


async def once(entry: dict[str, object], machine: PaperHost) -> tuple[str, str]:
    (found,) = checks(await looked(watching(entry), machine)).values()
    return found


async def test_counts_are_held_against_bounds() -> None:
    two = host(stat(10, "web"), stat(11, "web"), stat(12, "other"))
    assert await once({"name": "web"}, two) == ("up", "")
    assert await once({"name": "web", "min": 2, "max": 2}, two) == ("up", "")
    assert await once({"name": "web", "min": 3}, two) == ("degraded", "too-few")
    assert await once({"name": "web", "max": 1}, two) == ("degraded", "too-many")
    assert await once({"name": "db"}, two) == ("down", "not-running")
    assert await once({"name": "db", "min": 0, "max": 1}, two) == ("up", "")


async def test_kernel_threads_and_zombies_do_not_run() -> None:
    machine = host(stat(10, "kworker/0:1", flags=KERNEL_THREAD), stat(11, "web", state="Z"))
    assert await once({"name": "kworker*"}, machine) == ("down", "not-running")
    assert await once({"name": "web"}, machine) == ("down", "not-running")


async def test_a_process_that_may_not_be_seen_is_not_down() -> None:
    machine = host(stat(10, "web"))
    machine.refused.add("/proc/10/stat")
    assert await once({"name": "web"}, machine) == ("unknown", "unreadable")
    hidden = machine.but("/proc/1/stat", None)
    assert await once({"name": "db"}, hidden) == ("unknown", "unreadable")
    assert await once({"name": "db", "min": 0}, hidden) == ("unknown", "unreadable")


async def test_pid_files() -> None:
    machine = host(stat(10, "web"), __run__web="10\n", __run__old="99\n", __run__odd="ten\n")
    assert await once({"pidfile": "/run/web"}, machine) == ("up", "")
    assert await once({"pidfile": "/run/web", "name": "db"}, machine) == ("down", "not-running")
    assert await once({"pidfile": "/run/old"}, machine) == ("down", "stale-pidfile")
    assert await once({"pidfile": "/run/odd"}, machine) == ("unknown", "unreadable")
    assert await once({"pidfile": "/run/none"}, machine) == ("down", "no-pidfile")
    machine.refused.add("/run/web")
    assert await once({"pidfile": "/run/web"}, machine) == ("unknown", "unreadable")


async def test_units_and_commands() -> None:
    machine = host(stat(10, "python3"), stat(11, "python3"))
    for pid, script, unit in ((10, "app.py", "app@1.service"), (11, "other.py", "other.service")):
        machine.files[f"/proc/{pid}/cmdline"] = f"/usr/bin/python3\0/srv/{script}\0--port\0{pid}\0"
        machine.files[f"/proc/{pid}/cgroup"] = f"0::/system.slice/{unit}/inner\n"
    monitor = watching(
        {"command": "app.py --port 10"}, {"command": "*/srv/other.py*"}, {"command": "app.py --port 11"},
        {"unit": "other", "label": "unit"}, {"unit": "app@1.service"}, {"unit": "app"},
    )  # fmt: skip
    found = checks(await looked(monitor, machine))
    assert [state for state, _ in found.values()] == ["up", "up", "down", "up", "up", "down"]


async def test_a_name_longer_than_the_kernel_keeps() -> None:
    machine = host(stat(10, "very-long-progr"), stat(11, "very-long-progr"))
    machine.files["/proc/10/cmdline"] = "/opt/very-long-program-one\0-x\0"
    machine.files["/proc/11/cmdline"] = "very-long-program-two\0"
    assert await once({"name": "very-long-program-one", "max": 1}, machine) == ("up", "")
    assert await once({"name": "very-long-program-three"}, machine) == ("down", "not-running")


async def test_a_number_that_was_used_again_is_another_process() -> None:
    monitor = watching({"name": "web"})
    await looked(monitor, host(stat(10, "web", ticks=9000)), 0.0)
    found = values(await looked(monitor, host(stat(10, "web", ticks=9100)), 10.0))
    assert found["process.cpu.utilization", "web"] == 0.1
    assert found["process.restarts", "web"] == 0
    assert found["process.uptime", "web"] == 95
    found = values(await looked(monitor, host(stat(10, "web", ticks=9500, started=5000)), 20.0))
    assert ("process.cpu.utilization", "web") not in found
    assert found["process.restarts", "web"] == 1
    await looked(monitor, host(), 30.0)
    found = values(await looked(monitor, host(stat(77, "web", started=6000)), 40.0))
    assert found["process.restarts", "web"] == 2


async def test_open_files_that_may_not_be_counted_are_left_out() -> None:
    limits = "Limit  Soft Limit\nMax open files            8    1024    files \n"
    machine = host(stat(10, "web"), stat(11, "web"))
    for pid in (10, 11):
        machine.files |= {f"/proc/{pid}/limits": limits, f"/proc/{pid}/fd/0": "", f"/proc/{pid}/fd/{pid}": ""}
    found = values(await looked(watching({"name": "web"}), machine))
    assert found["process.open_file_descriptors", "web"] == 4
    assert found["process.open_file_descriptor.utilization", "web"] == 0.25
    machine.refused.add("/proc/11/fd")
    found = values(await looked(watching({"name": "web"}), machine))
    assert ("process.open_file_descriptors", "web") not in found
    assert found["process.count", "web"] == 2


async def test_no_processes_at_all() -> None:
    with pytest.raises(Absent):
        await looked(watching({"name": "web"}), PaperHost({}))
    refused = host(stat(10, "web"))
    refused.refused |= {"/proc/1/stat", "/proc/10/stat"}
    with pytest.raises(Unreadable):
        await looked(watching({"name": "web"}), refused)


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ({}, "at least one of name"),
        ({"label": "x"}, "at least one of name"),
        ({"pidfile": "run/x"}, "begins with /"),
        ({"name": "x", "min": 3, "max": 2}, "less than min"),
        ({"name": "x", "colour": 1}, "colour"),
    ],
)
def test_options_that_mean_nothing_are_refused(entry: dict[str, object], why: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=why):
        options_of(ProcessMonitor, {"processes": [entry]})


def test_two_entries_need_two_labels() -> None:
    with pytest.raises(msgspec.ValidationError, match="there twice"):
        options_of(ProcessMonitor, {"processes": [{"name": "x"}, {"unit": "x"}]})


@given(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=15),
    st.integers(1, 1 << 22), st.integers(0, 1 << 40), st.integers(0, 1 << 40),
)  # fmt: skip
def test_any_name_is_read_back(comm: str, pid: int, ticks: int, started: int) -> None:
    """Parentheses, blanks, newlines: the kernel escapes none in stat."""
    found = process_of(stat(pid, comm, ticks=ticks, started=started))
    assert found is not None
    assert (found.pid, found.comm, found.ticks, found.started, found.state) == (pid, comm, ticks, started, "S")


NEAR = st.lists(
    st.sampled_from(["1", " ", "(", ")", "S", "\n", "\0", ":", "0::/a.service", "Max open files ", "-", "9" * 25])
)


@given(st.one_of(st.text(), NEAR.map("".join)))
def test_no_text_harms_a_parser(text: str) -> None:
    process = process_of(text)
    assert process is None or (process.pid > 0 and process.ticks >= 0)
    assert (limit_of(text) or 1) > 0
    assert (pid_of(text) or 1) > 0
    assert all("." in unit and "/" not in unit for unit in units_of(text))
    assert "\0" not in program_of(text)
    assert len(command_of(text)) <= 4096


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0/\n"), min_size=1), max_size=5))
def test_units_are_the_parts_of_the_path(parts: list[str]) -> None:
    path = "/" + "/".join(parts)
    expected = {part for part in parts if "." in part}
    assert units_of(f"0::{path}\n") == expected
    assert units_of(f"3:cpu,cpuacct:/x.slice\n1:name=systemd:{path}\n") == expected
    assert units_of(f"4:memory:{path}\n") == frozenset()


@given(st.integers(0, 40).map(lambda count: stat(5, "a b) (c")[:count]))
def test_a_line_that_was_cut_is_no_process(text: str) -> None:
    assert process_of(text) is None
