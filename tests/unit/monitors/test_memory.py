from __future__ import annotations

import pytest

from tests.unit.monitors.conftest import Measure, Run
from twinwatch.monitors import Unreadable
from twinwatch.monitors.system.memory import MEMINFO, Memory
from twinwatch.monitors.system.paging import VMSTAT, Paging

KIB = 1024


async def test_used_is_what_is_not_available(measure: Measure) -> None:
    found = await measure(Memory, "ubuntu-2204-storage")
    assert found["system.memory.linux.available",] == 190000000 * KIB
    assert found["system.memory.usage", "used"] == (263857432 - 190000000) * KIB
    assert found["system.memory.usage", "buffers"] == 2097152 * KIB
    assert found["system.memory.usage", "cached"] == (170000000 + 12000000 - 4000000) * KIB
    assert found["system.memory.utilization",] == 0.2799


@pytest.mark.parametrize(
    "machine", ["ubuntu-2204-storage", "rhel-80-vmware", "alpine-319-container", "raspberry-pi-4", "debian-12-vm"]
)
async def test_the_states_add_up_to_all_memory(measure: Measure, machine: str) -> None:
    found = await measure(Memory, machine)
    states = [value for key, value in found.items() if key[0] == "system.memory.usage"]
    assert min(states) >= 0
    assert sum(states) - found["system.memory.usage", "used"] == found["system.memory.linux.available",]


async def test_before_the_kernel_estimated_it_available_is_free_and_caches(measure: Measure) -> None:
    found = await measure(Memory, "alpine-319-container")
    assert found["system.memory.linux.available",] == (1048576 + 524288 - 4096) * KIB


async def test_memory_of_no_size_is_unreadable(run: Run) -> None:
    with pytest.raises(Unreadable, match="MemTotal is 0"):
        await run(Memory(), {MEMINFO: "MemTotal: 0 kB\nMemFree: 0 kB\nMemAvailable: 0 kB\n"}, 0.0)


async def test_no_more_is_available_than_there_is(run: Run) -> None:
    found = await run(Memory(), {MEMINFO: "MemTotal: 8 kB\nMemFree: 9 kB\nMemAvailable: 9 kB\nCached: 9 kB\n"}, 0.0)
    assert found["system.memory.utilization",] == 0
    assert min(found.values()) >= 0


async def test_the_huge_address_space_of_new_processors_is_no_memory(run: Run) -> None:
    text = "MemTotal: 8 kB\nMemFree: 4 kB\nMemAvailable: 6 kB\nVmallocTotal: 13743895347199 kB\n"
    assert (await run(Memory(), {MEMINFO: text}, 0.0))["system.memory.utilization",] == 0.25


async def test_swap_in_use(measure: Measure) -> None:
    assert await measure(Paging, "ubuntu-2204-storage") == {
        ("system.paging.usage", "used"): (8388604 - 7998200) * KIB,
        ("system.paging.usage", "free"): 7998200 * KIB,
        ("system.paging.utilization",): 0.0465,
        ("system.paging.operations", "in"): 10,
        ("system.paging.operations", "out"): 40,
        ("system.paging.faults", "major"): 3,
        ("system.paging.faults", "minor"): 30000,
    }


async def test_without_swap_space_only_faults_are_left(run: Run) -> None:
    paging = Paging()
    meminfo = "SwapTotal: 0 kB\nSwapFree: 0 kB\n"
    await run(paging, {MEMINFO: meminfo, VMSTAT: "pswpin 0\npswpout 0\npgfault 0\npgmajfault 0\n"}, 0.0)
    found = await run(paging, {MEMINFO: meminfo, VMSTAT: "pswpin 0\npswpout 0\npgfault 30\npgmajfault 3\n"}, 1.0)
    assert found == {("system.paging.faults", "major"): 3, ("system.paging.faults", "minor"): 27}
