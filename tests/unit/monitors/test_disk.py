from __future__ import annotations

import pytest

from tests.unit.monitors.conftest import Measure, Run
from twinwatch.monitors.system.disk import DISKSTATS, Disk


def devices(found: dict[tuple[str, ...], float]) -> set[str]:
    return {key[1] for key in found}


async def test_a_disk_at_work(measure: Measure) -> None:
    found = await measure(Disk, "ubuntu-2204-storage")
    assert {key: value for key, value in found.items() if key[1] == "sda"} == {
        ("system.disk.io", "sda", "read"): 13_110_000,  # 100/s of 128 KiB, to four digits
        ("system.disk.operations", "sda", "read"): 100,
        ("system.disk.await", "sda", "read"): 0.008,
        ("system.disk.io", "sda", "write"): 20_970_000,
        ("system.disk.operations", "sda", "write"): 20,
        ("system.disk.await", "sda", "write"): 0.03,
        ("system.disk.utilization", "sda"): 0.95,
    }


async def test_whole_devices_and_named_volumes_but_no_partitions(measure: Measure) -> None:
    assert devices(await measure(Disk, "ubuntu-2204-storage")) == {
        *(f"sd{letter}" for letter in "abcdefghijkl"),
        *("nvme0n1", "nvme1n1", "md0", "md1", "vg0-root", "vg0-swap", "vg0-var", "vg1-data"),
    }


async def test_fourteen_columns_are_enough(measure: Measure) -> None:
    found = await measure(Disk, "rhel-80-vmware")
    assert devices(found) == {"sda", "rhel-root", "rhel-swap"}
    assert found["system.disk.io", "sda", "read"] == 8192
    assert found["system.disk.utilization", "sda"] == 0.01


async def test_without_sys_partitions_are_known_by_their_names(measure: Measure) -> None:
    assert devices(await measure(Disk, "alpine-319-container")) == {"vda", "nvme0n1"}


async def test_an_sd_card(measure: Measure) -> None:
    found = await measure(Disk, "raspberry-pi-4")
    assert devices(found) == {"mmcblk0"}
    assert found["system.disk.await", "mmcblk0", "write"] == 0.025


async def test_a_volume_that_counts_no_time_has_no_wait(measure: Measure) -> None:
    found = await measure(Disk, "ubuntu-2204-storage")
    assert {key[0] for key in found if key[1] == "md1"} == {"system.disk.io", "system.disk.operations"}


def line(name: str, *columns: int) -> str:
    return f"8 0 {name} {' '.join(map(str, columns))}\n"


async def test_a_disk_swapped_for_another_yields_nothing_once(run: Run) -> None:
    disk = Disk()
    await run(disk, {DISKSTATS: line("sda", 500, 0, 4000, 10, 500, 0, 4000, 10, 0, 20, 20)}, 0.0)
    assert await run(disk, {DISKSTATS: line("sda", 9, 0, 72, 1, 900, 0, 7200, 9, 0, 8, 9)}, 15.0) == {}
    found = await run(disk, {DISKSTATS: line("sda", 24, 0, 192, 1, 900, 0, 7200, 9, 0, 8, 9)}, 30.0)
    assert found["system.disk.operations", "sda", "read"] == 1


@pytest.mark.parametrize("name", ["loop0", "ram1", "zram0", "sr0", "fd0"])
async def test_what_is_no_disk_is_left_out(run: Run, name: str) -> None:
    disk = Disk()
    await run(disk, {DISKSTATS: line(name, *range(1, 12))}, 0.0)
    assert await run(disk, {DISKSTATS: line(name, *range(2, 13))}, 15.0) == {}


async def test_a_controllers_disk_has_a_slash_in_its_name(run: Run) -> None:
    disk = Disk()
    files = {"/sys/block/cciss!c0d0/size": "1\n"}
    for at, reads in ((0.0, 1), (1.0, 3)):
        text = line("cciss/c0d0", reads, *range(1, 11)) + line("cciss/c0d0p1", reads, *range(1, 11))
        found = await run(disk, {**files, DISKSTATS: text}, at)
    assert devices(found) == {"cciss/c0d0"}
    assert found["system.disk.operations", "cciss/c0d0", "read"] == 2


async def test_a_volume_made_anew_has_its_new_name(run: Run) -> None:
    disk = Disk()
    sda = line("sda", *range(1, 12))

    def host(volume: str, reads: int) -> dict[str, str]:
        text = sda + line("dm-0", reads, *range(1, 11))
        return {"/sys/block/sda/size": "1\n", "/sys/block/dm-0/dm/name": f"{volume}\n", DISKSTATS: text}

    await run(disk, host("vg0-old", 1), 0.0)
    assert devices(await run(disk, host("vg0-old", 2), 15.0)) == {"sda", "vg0-old"}
    await run(disk, {"/sys/block/sda/size": "1\n", DISKSTATS: sda}, 30.0)
    await run(disk, host("vg0-new", 1), 45.0)
    assert devices(await run(disk, host("vg0-new", 2), 60.0)) == {"sda", "vg0-new"}
