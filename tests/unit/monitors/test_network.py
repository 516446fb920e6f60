from __future__ import annotations

from tests.unit.monitors.conftest import Measure, Run
from twinwatch.monitors.system.network import NET_DEV, Network

HEAD = "Inter-|   Receive\n face |bytes\n"


async def test_a_busy_interface(measure: Measure) -> None:
    found = await measure(Network, "ubuntu-2204-storage")
    assert {key: value for key, value in found.items() if key[1] == "eno1"} == {
        ("system.network.io", "eno1", "receive"): 50_000_000,
        ("system.network.packet.count", "eno1", "receive"): 40_000,
        ("system.network.errors", "eno1", "receive"): 1,
        ("system.network.packet.dropped", "eno1", "receive"): 2,
        ("system.network.io", "eno1", "transmit"): 25_000_000,
        ("system.network.packet.count", "eno1", "transmit"): 30_000,
        ("system.network.errors", "eno1", "transmit"): 0,
        ("system.network.packet.dropped", "eno1", "transmit"): 0,
    }


async def test_only_what_leads_out_and_was_used(measure: Measure) -> None:
    found = await measure(Network, "ubuntu-2204-storage")
    assert {key[1] for key in found} == {
        *("eno1", "eno2", "ens1f0np0", "bond0", "bond0.100", "br0", "tailscale0", "wg0"),
    }
    assert {key[1] for key in await measure(Network, "raspberry-pi-4")} == {"wlan0"}


async def test_a_name_may_touch_its_number(run: Run) -> None:
    network = Network()
    for at, octets in ((0.0, 806747189), (15.0, 806747339)):
        found = await run(network, {NET_DEV: f"{HEAD}  eth0:{octets} 9 0 0 0 0 0 0 882421 9656 0 0 0 0 0 0\n"}, at)
    assert found["system.network.io", "eth0", "receive"] == 10


async def test_a_counter_of_32_bits_that_wraps_yields_nothing_once(run: Run) -> None:
    network = Network()
    await run(network, {NET_DEV: f"{HEAD}eth0: {2**32 - 1} 9 0 0 0 0 0 0 5 9 0 0 0 0 0 0\n"}, 0.0)
    assert await run(network, {NET_DEV: f"{HEAD}eth0: 100 9 0 0 0 0 0 0 5 9 0 0 0 0 0 0\n"}, 15.0) == {}
