"""What is said to people: why a service ended, and what to do about it.

Source: systemd.exec(5), "Process Exit Codes"; systemd.service(5), ``Result``; signal(7).
"""

from __future__ import annotations

import signal

from twinwatch.monitors.systemd.facts import Service

EXITED, KILLED, DUMPED = 1, 2, 3

STATUSES = {
    126: "not executable",
    127: "command not found",
    200: "the working directory is not there",
    203: "the program is not there or not executable",
    206: "standard input could not be opened",
    209: "standard output could not be opened",
    210: "the root directory could not be used",
    214: "the scheduling could not be set",
    216: "the group is not known",
    217: "the user is not known",
    218: "capabilities could not be set",
    226: "the namespace could not be set up",
    228: "the filter of system calls could not be set",
    233: "the runtime directory could not be made",
    238: "the state directory could not be made",
    239: "the cache directory could not be made",
    240: "the logs directory could not be made",
}

RESULTS = {
    "exit-code": "its program failed",
    "signal": "its program was killed",
    "core-dump": "its program crashed and left a core dump",
    "watchdog": "it did not answer systemd's watchdog in time",
    "timeout": "it did not start or stop in time",
    "start-limit-hit": "it was started too often",
    "oom-kill": "the kernel killed it for lack of memory",
    "resources": "systemd could not get what it needs to start it",
    "protocol": "it did not keep to the protocol of its type",
    "exec-condition": "its start condition was not met",
    "trigger-limit-hit": "it was triggered too often",
    "service-start-limit-hit": "its service was started too often",
    "unmounted": "it was not mounted",
}

LOADS = {
    "not-found": "there is no such unit: is the name right, is it installed?",
    "masked": "it is masked and cannot start: systemctl unmask {unit}",
    "bad-setting": "its file has a setting that systemd cannot read: systemd-analyze verify {unit}",
    "error": "systemd cannot read its file: systemctl status {unit}",
    "merged": "it was merged into another unit: name that one",
    "stub": "it has no file",
}


def signal_name(number: int) -> str:
    """``SIGKILL`` of 9."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def ending(service: Service) -> str:
    """How the main process ended: ``exit status 1``; empty if that is not known."""
    if service.code == EXITED and service.status:
        meaning = STATUSES.get(service.status)
        return f"exit status {service.status}{f', {meaning}' if meaning else ''}"
    if service.code in {KILLED, DUMPED}:
        return signal_name(service.status)
    return ""


def cause(result: str, service: Service | None) -> str:
    """Why it failed, in a clause."""
    said = RESULTS.get(result) or (f"its result is {result}" if result else "systemd does not say why")
    end = ending(service) if service is not None and result in {"exit-code", "signal", "core-dump", "watchdog"} else ""
    return f"{said} ({end})" if end else said


def look(unit: str) -> str:
    """What to do first."""
    return f"journalctl -u {unit} -n 20"


def slug(result: str) -> str:
    """A result as a reason: only letters, digits and dashes."""
    found = "".join(sign for sign in result.lower() if sign.isascii() and (sign.isalnum() or sign == "-"))
    return found or "failed"


def size(count: int) -> str:
    """``512 MiB``."""
    value, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{value:.3g} {unit}" if value < 1000 else f"{value:.0f} {unit}"
