"""The parts of the system monitor that watch limits, links, arrays, heat, the clock and the kernel's distress."""

from __future__ import annotations

import pytest

from tests.unit.monitors.conftest import CAPTURES, Measure, checks, values
from twinwatch.monitors import Moment
from twinwatch.monitors.forecast import FARTHEST_SECONDS, Forecast
from twinwatch.monitors.options import options_of
from twinwatch.monitors.system import System
from twinwatch.monitors.system.distress import REMEMBERED_SECONDS, Distress
from twinwatch.monitors.system.filesystem import Filesystem
from twinwatch.monitors.system.links import Links
from twinwatch.monitors.system.part import Part
from twinwatch.monitors.system.raid import Raid
from twinwatch.monitors.system.sensors import Sensors
from twinwatch.monitors.system.sockets import Sockets
from twinwatch.monitors.system.softnet import Softnet
from twinwatch.monitors.system.tasks import Tasks
from twinwatch.monitors.system.timekeeping import Clock
from twinwatch.monitors.system.updates import Updates
from twinwatch.monitors.system.wear import Wear
from twinwatch.testing.paper import PaperHost, paper_world

STORAGE = "ubuntu-2204-storage"


async def checked(part: Part, machine: str) -> dict[str, tuple[str, str]]:
    capture = CAPTURES[machine]
    for host, moment in zip(capture.hosts(), capture.moments(), strict=True):
        found = await part.read(host, moment)
    return checks(found)


async def test_tasks_and_the_limits_of_the_kernel(measure: Measure) -> None:
    found = await measure(Tasks, STORAGE)
    assert found["system.process.count", "running"] == 31
    assert found["system.process.count", "blocked"] == 2
    assert found["system.cpu.context_switches",] == 100_000
    assert found["system.thread.count",] == 4822
    assert found["system.thread.utilization",] == pytest.approx(4822 / 2_060_000, abs=1e-4)
    assert found["system.file_descriptor.count",] == 23456


async def test_zombies_are_counted_and_their_names_may_hold_anything() -> None:
    files = {
        "/proc/stat": "cpu 1 2 3 4\nprocs_running 1\n",
        "/proc/loadavg": "0 0 0 1/3 3\n",
        "/proc/1/stat": "1 (init) S 0 1\n",
        "/proc/2/stat": "2 (a) Z (b) Z) Z 1 2\n",
        "/proc/3/stat": "3 (Z) R 1 3\n",
    }
    found = values(await Tasks().read(PaperHost(files), Moment(0, 0.0)))
    assert found["system.process.count", "zombie"] == 1


async def test_sockets_that_were_turned_away(measure: Measure) -> None:
    found = await measure(Sockets, STORAGE)
    assert found["system.network.connection.count", "established"] == 420
    assert found["system.network.connection.count", "time_wait"] == 32
    assert found["system.network.tcp.retransmitted",] == 0.005
    assert found["system.network.tcp.refused", "overflow"] == 1
    assert found["system.network.tcp.refused", "drop"] == 2
    assert found["system.network.udp.buffer_errors", "receive"] == 2
    assert found["system.network.tcp.memory",] == 1201 * 4096


async def test_packets_the_kernel_could_not_take(measure: Measure) -> None:
    found = await measure(Softnet, STORAGE)
    assert found["system.network.softnet.dropped",] == 1
    assert found["system.network.softnet.squeezed",] == 2
    assert found["system.network.conntrack.utilization",] == 0.275


async def test_links(measure: Measure) -> None:
    found = await measure(Links, STORAGE)
    assert found["system.network.link.up", "eno1"] == 1
    assert found["system.network.link.up", "eno3"] == 0
    assert found["system.network.link.speed", "eno2"] == 10e9
    assert found["system.network.link.changes", "eno2"] == 0.2
    assert ("system.network.link.speed", "eno3") not in found


async def test_an_array_that_lacks_a_disk_is_down_until_it_is_being_rebuilt() -> None:
    assert await checked(Raid(), STORAGE) == {"raid:md0": ("up", ""), "raid:md1": ("degraded", "rebuilding")}
    first = CAPTURES[STORAGE].hosts()[0]
    assert checks(await Raid().read(first, Moment(0, 0.0)))["raid:md1"] == ("down", "disk-missing")


async def test_sensors_and_the_heat_the_hardware_calls_critical(measure: Measure) -> None:
    found = await measure(Sensors, STORAGE)
    assert found["hw.temperature", "nvme 0", "Composite"] == 42.9
    assert found["hw.fan.speed", "nct6775 3", "fan1"] == 1205
    assert found["hw.battery.charge", "ups0"] == 0.97
    assert ("hw.temperature", "nct6775 3", "temp2") not in found
    assert await checked(Sensors(), STORAGE) == {
        "temperature:nvme 0 Composite": ("up", ""),
        "temperature:nvme 1 Composite": ("down", "too-hot"),
    }
    assert (await measure(Sensors, "raspberry-pi-4"))["hw.temperature", "cpu-thermal 0", "temp"] == 48.3


async def test_a_clock_that_nobody_keeps_is_degraded_but_not_right_after_boot() -> None:
    assert await checked(Clock(), STORAGE) == {"clock": ("up", "")}
    assert await checked(Clock(), "raspberry-pi-4") == {"clock": ("degraded", "unsynchronized")}
    said = '{"synchronized": false, "offset_seconds": 0, "error_seconds": 16}'
    young = PaperHost({"/timekeeping.json": said, "/proc/uptime": "30.5 10.0\n"})
    assert checks(await Clock().read(young, Moment(0, 0.0))) == {"clock": ("unknown", "starting")}


async def test_an_oom_kill_degrades_its_check_for_half_an_hour() -> None:
    def host(kills: int) -> PaperHost:
        return PaperHost({"/proc/vmstat": f"oom_kill {kills}\n", "/proc/meminfo": "HardwareCorrupted: 0 kB\n"})

    part = Distress()
    assert checks(await part.read(host(3), Moment(0, 0.0)))["oom"] == ("up", "")
    found = await part.read(host(4), Moment(0, 10.0))
    assert checks(found)["oom"] == ("degraded", "oom-kill")
    assert values(found)["system.memory.oom_kills",] == 0.1
    assert checks(await part.read(host(4), Moment(0, 9.0 + REMEMBERED_SECONDS)))["oom"] == ("degraded", "oom-kill")
    assert checks(await part.read(host(4), Moment(0, 11.0 + REMEMBERED_SECONDS)))["oom"] == ("up", "")


async def test_memory_that_failed_is_told() -> None:
    host = PaperHost({"/proc/vmstat": "a 1\n", "/proc/meminfo": "HardwareCorrupted: 4 kB\n"})
    found = await Distress().read(host, Moment(0, 0.0))
    assert checks(found) == {"memory-hardware": ("degraded", "corrupted")}
    assert values(found) == {("system.memory.corrupted",): 4096}


async def test_flash_memory_that_is_used_up_is_told_before_it_fails(measure: Measure) -> None:
    machine = "raspberry-pi-4"
    assert await measure(Wear, machine) == {("system.disk.wear", "mmcblk1"): 1.0, ("system.disk.wear", "mmcblk2"): 0.1}
    assert await checked(Wear(), machine) == {"wear:mmcblk1": ("degraded", "wearing-out"), "wear:mmcblk2": ("up", "")}
    files = {"/sys/block/mmcblk0/device/life_time": "0x0b 0x0b\n", "/sys/block/mmcblk0/device/pre_eol_info": "0x03\n"}
    assert checks(await Wear().read(PaperHost(files), Moment(0, 0.0))) == {"wear:mmcblk0": ("down", "worn-out")}


async def test_updates_that_wait_for_a_reboot_or_a_person(measure: Measure) -> None:
    assert await measure(Updates, STORAGE) == {
        ("system.updates.pending", "all"): 12,
        ("system.updates.pending", "security"): 5,
    }
    assert await checked(Updates(), STORAGE) == {"reboot": ("degraded", "reboot-required")}
    assert checks(await Updates().read(PaperHost({"/run/utmp": ""}), Moment(0, 0.0))) == {"reboot": ("up", "")}


async def test_a_disk_that_fills_up_and_one_that_locked_itself() -> None:
    machine = "debian-12-filling"
    capture, part = CAPTURES[machine], Filesystem()
    for host, moment in zip(capture.hosts(), capture.moments(), strict=True):
        found = await part.read(host, moment)
    told = {name[-1]: value for name, value in values(found).items() if name[0] == "system.filesystem.full_in"}
    assert told == {"space": 8100, "inodes": 1_799_000}
    assert checks(found) == {"filesystem:/": ("up", ""), "filesystem:/var": ("down", "read-only")}


def test_a_forecast_needs_ten_minutes_and_looks_no_further_than_it_can() -> None:
    forecast = Forecast()
    assert [forecast.seconds_to_full("a", 1000 - second, float(second)) for second in range(0, 600, 15)] == [None] * 40
    assert forecast.seconds_to_full("a", 400, 600.0) == 400
    assert forecast.seconds_to_full("a", 2000, 660.0) is None
    slow = Forecast()
    slow.seconds_to_full("b", 1e12, 0.0)
    assert slow.seconds_to_full("b", 1e12 - 1, 900.0) is None
    assert FARTHEST_SECONDS == 30 * 24 * 3600


async def test_only_the_groups_that_are_asked_for() -> None:
    capture = CAPTURES[STORAGE]
    monitor = System(options_of(System, {"metrics": ["cpu", "ram", "disk", "network"]}))  # as the specification has it
    for host, moment in zip(capture.hosts(), capture.moments(), strict=True):
        found = await monitor.read(paper_world(host), moment)
    names = {name for name, *_ in values(found)}
    assert {"system.cpu.busy", "system.memory.usage", "system.disk.io", "system.network.io", "system.uptime"} <= names
    assert not {name for name in names if name.startswith(("system.pressure", "hw.", "system.clock"))}


async def test_what_is_to_be_left_out_is() -> None:
    capture = CAPTURES[STORAGE]
    left_out = {"ignore_mounts": ["/var*"], "ignore_devices": ["sd*", "md1"], "ignore_interfaces": ["eno?"]}
    monitor, whole = System(options_of(System, left_out)), System(options_of(System, {}))
    for host, moment in zip(capture.hosts(), capture.moments(), strict=True):
        found = await monitor.read(paper_world(host), moment)
        everything = await whole.read(paper_world(host), moment)
    words = {word for labels in values(found) for word in labels[1:]}
    gone = {word for labels in values(everything) for word in labels[1:]} - words
    assert {"sda", "eno1", "eno2"} <= gone
    assert not {word for word in words if word.startswith(("sd", "eno"))}
    assert "bond0" in words
    assert set(checks(everything)) - set(checks(found)) >= {"raid:md1"}
