"""What a host is, as opposed to how it fares: facts that stay for a boot, for the catalogue.

Names are OpenTelemetry's resource attributes where there is one. Invariant: a fact that cannot be had is left out,
and nothing is raised.
Source: proc(5), os-release(5), /sys/class/dmi (DMI names as systemd-detect-virt(1) reads them), device tree.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from twinwatch.monitors import Unreadable
from twinwatch.monitors.system.memory import meminfo
from twinwatch.protocol.limits import LABEL_VALUE_CHARACTERS
from twinwatch.world.host import Host, Missing, Refused

T = TypeVar("T")

ARCHITECTURES = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "armv6l": "arm32",
    "armv7l": "arm32",
    "armv8l": "arm32",
    "i386": "x86",
    "i586": "x86",
    "i686": "x86",
    "ppc64le": "ppc64",
}
HYPERVISORS = (
    ("qemu", "kvm"),
    ("kvm", "kvm"),
    ("vmware", "vmware"),
    ("innotek", "virtualbox"),
    ("virtualbox", "virtualbox"),
    ("xen", "xen"),
    ("virtual machine", "hyper-v"),
    ("amazon ec2", "amazon"),
    ("google", "google"),
    ("digitalocean", "kvm"),
    ("hetzner", "kvm"),
    ("openstack", "openstack"),
    ("parallels", "parallels"),
    ("bhyve", "bhyve"),
)
"""What the firmware calls itself, in the order in which it is looked for."""


def host_facts(host: Host) -> dict[str, str]:
    """Name, operating system, machine and boot of the host.

    Cost: a dozen reads, once per start of the agent.
    """
    facts = {"os.type": "linux"}
    for gather in (_system, _machine, _processor, _surroundings):
        facts |= gather(host)
    return {name: value[:LABEL_VALUE_CHARACTERS] for name, value in facts.items() if value}


def _system(host: Host) -> dict[str, str]:
    release = _or(host.os_release, dict[str, str]())
    return {
        "host.name": _or(host.hostname, ""),
        "host.boot.id": _or(host.boot_id, ""),
        "os.name": release.get("NAME", ""),
        "os.version": release.get("VERSION_ID", ""),
        "os.description": release.get("PRETTY_NAME", ""),
        "os.kernel.release": _or(host.kernel_release, ""),
    }


def _machine(host: Host) -> dict[str, str]:
    machine = host.kernel().machine
    cores = _or(host.cpu_count, 0)
    size = _or(lambda: meminfo(host), dict[str, int]()).get("MemTotal", 0)
    return {
        "host.arch": ARCHITECTURES.get(machine, machine),
        "host.cpu.count": str(cores or ""),
        "host.memory.bytes": str(size or ""),
    }


def _processor(host: Host) -> dict[str, str]:
    fields: dict[str, str] = {}
    for line in _text(host, "/proc/cpuinfo").splitlines():
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())
    model = fields.get("model name") or fields.get("cpu model") or fields.get("cpu") or fields.get("Processor", "")
    board = _text(host, "/proc/device-tree/model").strip("\0\n ") or fields.get("Model", "")
    return {"host.cpu.model.name": " ".join(model.split()), "device.model.name": board}


def _surroundings(host: Host) -> dict[str, str]:
    firmware = f"{_text(host, '/sys/class/dmi/id/sys_vendor')} {_text(host, '/sys/class/dmi/id/product_name')}".lower()
    hypervisor = next((name for word, name in HYPERVISORS if word in firmware), "")
    if not hypervisor:
        hypervisor = _text(host, "/sys/hypervisor/type").strip()
    if not hypervisor and " hypervisor" in _text(host, "/proc/cpuinfo"):
        hypervisor = "vm"
    if host.exists("/.dockerenv"):
        runtime = "docker"
    elif host.exists("/run/.containerenv"):
        runtime = "podman"
    else:
        runtime = _text(host, "/run/systemd/container").strip()
    return {"host.virtualization": hypervisor, "container.runtime": runtime}


def _text(host: Host, path: str) -> str:
    return _or(lambda: host.read_text(path), "")


def _or(ask: Callable[[], T], otherwise: T) -> T:
    try:
        return ask()
    except (Missing, Refused, Unreadable):
        return otherwise
