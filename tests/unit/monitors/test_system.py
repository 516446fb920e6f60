from __future__ import annotations

from tests.unit.monitors.conftest import CAPTURES, Measure, Run, checks, values
from twinwatch.monitors.system import System
from twinwatch.monitors.system.facts import host_facts
from twinwatch.monitors.system.load import Load
from twinwatch.monitors.system.options import SystemOptions
from twinwatch.monitors.system.pressure import Pressure
from twinwatch.monitors.system.uptime import Uptime
from twinwatch.testing.paper import PaperHost, paper_world


async def test_load_and_uptime(measure: Measure) -> None:
    assert await measure(Load, "ubuntu-2204-storage") == {
        ("system.cpu.load_average.1m",): 38.45,
        ("system.cpu.load_average.5m",): 37.01,
        ("system.cpu.load_average.15m",): 35.18,
    }
    assert await measure(Uptime, "raspberry-pi-4") == {("system.uptime",): 240532}


async def test_pressure_is_the_share_of_the_interval_and_the_kernels_average(measure: Measure) -> None:
    assert await measure(Pressure, "ubuntu-2204-storage") == {
        ("system.pressure.stalled", "cpu", "some"): 0.12,
        ("system.pressure.avg10", "cpu", "some"): 0.1221,
        ("system.pressure.stalled", "memory", "some"): 0.006,
        ("system.pressure.avg10", "memory", "some"): 0.0061,
        ("system.pressure.stalled", "memory", "full"): 0.002,
        ("system.pressure.avg10", "memory", "full"): 0.0025,
        ("system.pressure.stalled", "io", "some"): 0.42,
        ("system.pressure.avg10", "io", "some"): 0.425,
        ("system.pressure.stalled", "io", "full"): 0.3,
        ("system.pressure.avg10", "io", "full"): 0.31,
    }


async def test_one_pressure_file_that_fails_leaves_the_others(run: Run) -> None:
    line = "avg10=1.00 avg60=0.00 avg300=0.00 total=5\n"
    found = await run(Pressure(), {"/proc/pressure/cpu": "some " + line, "/proc/pressure/io": "?"}, 0.0)
    assert found == {("system.pressure.avg10", "cpu", "some"): 0.01}


async def test_a_part_fails_alone_and_says_why() -> None:
    capture = CAPTURES["ubuntu-2204-storage"]
    host = PaperHost.of(capture.folder / "first").but("/proc/meminfo", "nonsense\n").but("/proc/uptime", None)
    monitor = System(SystemOptions())
    readings = await monitor.read(paper_world(host), capture.moments()[0])
    assert checks(readings)["part:memory"] == ("unknown", "unreadable")
    assert monitor.left_out == {
        "memory": "/proc/meminfo: expected a line 'MemTotal'",
        "uptime": "/proc/uptime is not there",
    }
    assert {name for name, *_ in values(readings)} >= {"system.cpu.load_average.1m", "system.filesystem.usage"}


async def test_a_part_that_failed_once_goes_on_from_its_last_good_run() -> None:
    capture = CAPTURES["rhel-80-vmware"]
    first, second = (PaperHost.of(capture.folder / snapshot) for snapshot in ("first", "second"))
    monitor, start, end = System(SystemOptions()), *capture.moments()
    await monitor.read(paper_world(first), start)
    await monitor.read(paper_world(first.but("/proc/stat", "nonsense\n")), start)
    found = await monitor.read(paper_world(second), end)
    busy = values(found)["system.cpu.busy",]
    assert busy == 0.27


def test_facts_of_a_server() -> None:
    assert host_facts(CAPTURES["ubuntu-2204-storage"].hosts()[0]) == {
        "host.name": "storage-1",
        "host.arch": "amd64",
        "host.boot.id": "00000000-0000-4000-8000-000000000001",
        "host.cpu.count": "64",
        "host.cpu.model.name": "AMD EPYC 7543 32-Core Processor",
        "host.memory.bytes": str(263857432 * 1024),
        "os.type": "linux",
        "os.name": "Ubuntu",
        "os.version": "22.04",
        "os.description": "Ubuntu 22.04.3 LTS",
        "os.kernel.release": "5.15.0-91-generic",
    }


def test_facts_of_a_virtual_machine_a_container_and_a_board() -> None:
    facts = {name: host_facts(capture.hosts()[0]) for name, capture in CAPTURES.items()}
    assert facts["rhel-80-vmware"]["host.virtualization"] == "vmware"
    assert facts["rhel-80-vmware"]["host.cpu.model.name"] == "Intel(R) Xeon(R) Gold 6248 CPU @ 2.50GHz"
    assert facts["alpine-319-container"]["container.runtime"] == "docker"
    assert facts["raspberry-pi-4"]["device.model.name"] == "Raspberry Pi 4 Model B Rev 1.1"
    assert facts["raspberry-pi-4"]["host.arch"] == "arm64"
    assert "host.virtualization" not in facts["ubuntu-2204-storage"]


def test_facts_that_cannot_be_had_are_left_out() -> None:
    assert host_facts(PaperHost({})) == {"os.type": "linux", "host.arch": "amd64"}
