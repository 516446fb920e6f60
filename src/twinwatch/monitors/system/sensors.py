"""Temperatures, fans and batteries."""

from __future__ import annotations

from typing import ClassVar

from twinwatch.monitors import Check, Finding, Moment, Reading, Unreadable
from twinwatch.monitors.digits import ratio
from twinwatch.monitors.system import procfs
from twinwatch.protocol.metrics import Chart, Headline, Metric
from twinwatch.world.host import Host, Missing, Refused

HWMON = "/sys/class/hwmon"
THERMAL = "/sys/class/thermal"
POWER = "/sys/class/power_supply"
SENSORS = 128
COLDEST, HOTTEST = -100_000, 250_000
"""Milli-degrees that are believed: an unconnected input reads as nonsense beyond."""
MARGIN = 1_000
"""Milli-degrees below the critical temperature from which on it counts as reached: readings come in steps."""


class Sensors:
    """What the hardware says of its heat.

    Source: /sys/class/hwmon/*/{temp,fan}*_input, _label, temp*_crit (kernel: hwmon/sysfs-interface); where there is
    none, /sys/class/thermal/thermal_zone*/{type,temp}; /sys/class/power_supply/*/capacity.
    Cost: two or three reads per sensor.
    Rights: none.
    """

    name: ClassVar[str] = "sensors"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("hw.temperature", "Cel", "Temperature of the sensor.", good="low"),
        Metric("hw.fan.speed", "rpm", "Turns of the fan per minute."),
        Metric("hw.battery.charge", "1", "Charge of the battery.", good="high"),
    )
    charts: ClassVar[tuple[Chart, ...]] = (
        Chart("Temperatures", ("hw.temperature",), by=("hw.name", "hw.sensor")),
        Chart("Fans", ("hw.fan.speed",), by=("hw.name", "hw.sensor")),
        Chart("Batteries", ("hw.battery.charge",), by=("hw.name",), top=1.0),
    )
    headlines: ClassVar[tuple[Headline, ...]] = ()

    async def read(self, host: Host, moment: Moment) -> list[Finding]:
        """One run. A sensor that cannot be read is left out."""
        chips = _names(host, HWMON)
        found = [one for chip in chips for one in _chip(host, f"{HWMON}/{chip}", chip)]
        if not found:
            found = [
                one for zone in _names(host, THERMAL) if zone.startswith("thermal_zone") for one in _zone(host, zone)
            ]
        for supply in _names(host, POWER):
            charge = _number(host, f"{POWER}/{supply}/capacity")
            if charge is not None and _label(supply):
                found.append(Reading("hw.battery.charge", ratio(charge / 100), {"hw.name": supply}))
        if not found:
            raise Missing(HWMON)
        return _distinct(found[:SENSORS])


def _chip(host: Host, folder: str, chip: str) -> list[Finding]:
    name = _label(_word(host, f"{folder}/name")) or chip
    found: list[Finding] = []
    for file in _names(host, folder):
        sensor = file.removesuffix("_input")
        if sensor == file or not sensor.startswith(("temp", "fan")):
            continue
        value = _number(host, f"{folder}/{file}")
        if value is None:
            continue
        # Several chips of one kind (NVMe disks) have the same name: the kernel's number tells them apart.
        labels = {"hw.name": f"{name} {chip.removeprefix('hwmon')}", "hw.sensor": _sensor_name(host, folder, sensor)}
        if sensor.startswith("fan"):
            found.append(Reading("hw.fan.speed", value, labels))
        elif COLDEST <= value <= HOTTEST:
            found.append(Reading("hw.temperature", round(value / 1000, 1), labels))
            critical = _number(host, f"{folder}/{sensor}_crit")
            if critical is not None and 0 < critical <= HOTTEST:
                found.append(_check(labels, value, critical))
    return found


def _check(labels: dict[str, str], value: int, critical: int) -> Check:
    name = f"temperature:{labels['hw.name']} {labels['hw.sensor']}"
    if value < critical - MARGIN:
        return Check(name, "up")
    message = (
        f"{value / 1000:.0f} °C, the hardware's critical temperature is {critical / 1000:.0f} °C: look at the cooling"
    )
    return Check(name, "down", message, "too-hot")


def _zone(host: Host, zone: str) -> list[Finding]:
    value = _number(host, f"{THERMAL}/{zone}/temp")
    if value is None or not COLDEST <= value <= HOTTEST:
        return []
    kind = _label(_word(host, f"{THERMAL}/{zone}/type")) or "thermal"
    labels = {"hw.name": f"{kind} {zone.removeprefix('thermal_zone')}", "hw.sensor": "temp"}
    return [Reading("hw.temperature", round(value / 1000, 1), labels)]


def _sensor_name(host: Host, folder: str, sensor: str) -> str:
    return _label(_word(host, f"{folder}/{sensor}_label")) or _label(sensor) or "sensor"


def _distinct(found: list[Finding]) -> list[Finding]:
    """Without those whose name and labels were there before: two inputs may bear the same label."""
    seen: set[tuple[str, ...]] = set()
    kept: list[Finding] = []
    for one in found:
        key = (one.name,) if isinstance(one, Check) else (one.metric, *one.labels.values())
        if key not in seen:
            seen.add(key)
            kept.append(one)
    return kept


def _names(host: Host, folder: str) -> list[str]:
    try:
        return host.list(folder)
    except (Missing, Refused):
        return []


def _label(word: str) -> str:
    """The word as a label or the part of one; empty if it cannot be."""
    return word if word and len(word) <= procfs.NAME_CHARACTERS and word.isprintable() else ""


def _word(host: Host, path: str) -> str:
    try:
        return host.read_text(path).strip()
    except (Missing, Refused):
        return ""


def _number(host: Host, path: str) -> int | None:
    """An integer, negative ones too: it may be cold."""
    word = _word(host, path)
    try:
        number = procfs.counters(path, (word.removeprefix("-"),))[0]
    except Unreadable:
        return None
    if number >= procfs.LARGEST_EXACT:
        return None
    return -number if word.startswith("-") else number
