from __future__ import annotations

from tests.unit.monitors.conftest import Measure, Run
from twinwatch.monitors.system.cpu import STAT, Cpu


async def test_modes_are_shares_of_all_cores_time(measure: Measure) -> None:
    found = await measure(Cpu, "rhel-80-vmware")
    assert {key[1]: value for key, value in found.items() if key[0] == "system.cpu.utilization"} == {
        "user": 0.15,
        "nice": 0.005,
        "system": 0.075,
        "interrupt": 0.01,
        "iowait": 0.03,
        "steal": 0.03,
    }
    assert found["system.cpu.busy",] == 0.27


async def test_each_core_has_its_own_share(measure: Measure) -> None:
    found = await measure(Cpu, "ubuntu-2204-storage")
    assert found["system.cpu.busy",] == 0.4875
    cores = {key[1]: value for key, value in found.items() if key[0] == "system.cpu.core.busy"}
    assert len(cores) == 64
    assert cores["0"] == 0.0733  # 100 system and 10 softirq of 1500 ticks
    assert cores["16"] == 0.2867
    assert cores["63"] == 0.9067


async def test_the_first_run_has_no_shares(run: Run) -> None:
    assert await run(Cpu(), {STAT: "cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1 2 3 4 5 6 7 8 9 10\n"}, 0.0) == {}


async def test_guest_time_is_not_counted_twice(run: Run) -> None:
    cpu = Cpu()
    await run(cpu, {STAT: "cpu  0 0 0 0 0 0 0 0 0 0\n"}, 0.0)
    found = await run(cpu, {STAT: "cpu  50 0 0 50 0 0 0 0 50 0\n"}, 1.0)
    assert found["system.cpu.busy",] == 0.5


async def test_an_idle_counter_that_steps_back_is_borne(run: Run) -> None:
    cpu = Cpu()
    await run(cpu, {STAT: "cpu  100 0 100 1000 50 0 0 0 0 0\n"}, 0.0)
    found = await run(cpu, {STAT: "cpu  110 0 110 1080 48 0 0 0 0 0\n"}, 1.0)
    assert found["system.cpu.busy",] == 0.2
    assert found["system.cpu.utilization", "iowait"] == 0


async def test_a_core_taken_offline_and_back_starts_fresh(run: Run) -> None:
    cpu = Cpu()
    both = "cpu  200 0 0 200\ncpu0 100 0 0 100\ncpu1 100 0 0 100\n"
    one = "cpu  300 0 0 300\ncpu0 200 0 0 200\n"
    await run(cpu, {STAT: both}, 0.0)
    assert ("system.cpu.core.busy", "1") not in await run(cpu, {STAT: one}, 15.0)
    again = await run(cpu, {STAT: "cpu  500 0 0 500\ncpu0 300 0 0 300\ncpu1 5 0 0 5\n"}, 30.0)
    assert again["system.cpu.core.busy", "0"] == 0.5
    assert ("system.cpu.core.busy", "1") not in again


async def test_a_container_that_shows_only_zeros_has_no_shares(run: Run) -> None:
    cpu = Cpu()
    for at in (0.0, 15.0):
        assert await run(cpu, {STAT: "cpu  0 0 0 0 0 0 0 0 0 0\n"}, at) == {}
