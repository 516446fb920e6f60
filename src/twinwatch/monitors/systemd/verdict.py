"""From facts to a check. Pure.

The order is that of a person who looks: can it be started at all, has it failed, does it keep failing, is it on its
way, is it where it should be, and if so, how well is it.
"""

from __future__ import annotations

from dataclasses import dataclass

from twinwatch.monitors import Check
from twinwatch.monitors.systemd import wording
from twinwatch.monitors.systemd.facts import Service, Unit
from twinwatch.monitors.systemd.options import SystemdOptions
from twinwatch.monitors.systemd.past import Past
from twinwatch.protocol.checks import CheckState
from twinwatch.protocol.durations import spelled

NEAR, CLEAR = 0.9, 0.85
"""Share of a bound at which a unit is near to it, and at which it no longer is."""
WATCHDOG_LATE = 0.8
"""Share of the watchdog's time; a service is to answer at half of it, and at all of it systemd ends it."""


@dataclass(frozen=True, slots=True)
class Now:
    """When it is judged, and what has to be known of other units."""

    monotonic: float
    wall: float
    """Seconds since the epoch."""
    triggered: Unit | None = None
    """What a timer starts."""
    working_set: int | None = None
    """Memory of the unit that cannot be dropped, bytes."""


def judge(unit: Unit, options: SystemdOptions, past: Past, now: Now, *, expected: bool) -> Check:
    """The check of a unit. ``expected``: it was named, and so has to be active."""

    def said(state: CheckState, reason: str = "", message: str = "") -> Check:
        return Check(unit.name, state, message, reason)

    if unit.load not in {"loaded", ""}:
        words = wording.LOADS.get(unit.load, f"systemd's load state is {unit.load}").format(unit=unit.name)
        return said("down" if expected or unit.active == "failed" else "unknown", wording.slug(unit.load), words)
    if not unit.active:
        return said("unknown", "unreadable", "systemd did not tell its state")
    restarts = _restarts(unit, options, past, now)
    if unit.active == "failed":
        reason, words = _failure(unit)
        past.failure = words
        return said("down", reason, f"failed: {words}: {wording.look(unit.name)}")
    if restarts >= options.restarts:
        looping = past.since_restart(now.monotonic) < options.restart_window / options.restarts
        last = f", the last time {past.failure}" if past.failure else ""
        words = f"keeps restarting: {options.restarts} times or more within {spelled(options.restart_window)}{last}"
        return said("down" if looping else "degraded", "crash-loop", f"{words}: {wording.look(unit.name)}")
    if unit.sub == "auto-restart":
        return said("degraded", "restarting", f"is being restarted: {past.failure or _failure(unit)[1]}")
    if unit.active == "activating":
        return _starting(unit, options, now)
    if unit.active == "deactivating":
        return said("degraded", "deactivating", "is being stopped")
    if unit.timer is not None:
        late = _timer(unit, options, past, now)
        if late:
            return late
    if unit.active == "inactive":
        return _inactive(unit, expected=expected)
    if unit.active not in {"active", "reloading", "refreshing"}:
        return said("unknown", wording.slug(unit.active), f"systemd's state is {unit.active}, which is not known here")
    return _running(unit, options, past, now)


def _restarts(unit: Unit, options: SystemdOptions, past: Past, now: Now) -> int:
    service = unit.service
    if service is None:
        return 0
    if service.result not in {"success", ""}:
        past.failure = wording.cause(service.result, service)
        if service.result == "oom-kill":
            past.killed(now.monotonic)
    past.counted_kills(now.monotonic, service.oom_kills)
    if service.restarts is None:
        return 0
    return past.restarted(now.monotonic, service.restarts, options.restart_window)


def _failure(unit: Unit) -> tuple[str, str]:
    """Reason and words for a unit that failed."""
    service = unit.service
    result = service.result if service is not None else unit.result
    if service is not None and (result == "start-limit-hit" or _gave_up(unit, service)):
        last = "" if result == "start-limit-hit" else f", the last time {wording.cause(result, service)}"
        words = f"systemd gave up after {service.restarts or unit.limit_burst or 'too many'} restarts{last}"
        return "start-limit-hit", f"{words}; systemctl reset-failed {unit.name} lets it start again"
    return wording.slug(result), wording.cause(result, service)


def _gave_up(unit: Unit, service: Service) -> bool:
    """Whether the start limit ended it.

    systemd keeps the result of the last run then. What shows it: it is to be restarted, it was restarted as often as
    the limit allows, and its last run was shorter than the time that the limit is about.
    """
    if service.restart in {"no", ""} or not unit.limit_burst or not unit.limit_seconds or service.started is None:
        return False
    ran = (service.ended or service.started) - service.started
    return (service.restarts or 0) >= unit.limit_burst and ran < unit.limit_seconds


def _starting(unit: Unit, options: SystemdOptions, now: Now) -> Check:
    if unit.service is not None and unit.service.type == "oneshot" and unit.sub == "start":
        return Check(unit.name, "up", "is running")  # which for a oneshot is what starting means
    spent = now.monotonic - unit.entered if unit.entered is not None else 0.0
    if spent > options.activating_for:
        words = f"has been starting for more than {spelled(options.activating_for)} ({unit.sub})"
        return Check(unit.name, "down", f"{words}: {wording.look(unit.name)}", "activating-long")
    return Check(unit.name, "degraded", f"is starting ({unit.sub})", "activating")


def _inactive(unit: Unit, *, expected: bool) -> Check:
    service = unit.service
    if not expected or (service is not None and (service.type == "oneshot" or unit.triggered_by)):
        return Check(unit.name, "up", "is inactive")
    why = ": its start condition is not met" if not unit.condition else ""
    return Check(unit.name, "down", f"is inactive{why}: systemctl start {unit.name}", "inactive")


def _timer(unit: Unit, options: SystemdOptions, past: Past, now: Now) -> Check | None:
    timer = unit.timer
    if timer is None or unit.active != "active":
        return None
    triggered = now.triggered
    if triggered is not None:
        service = triggered.service
        result = service.result if service is not None else triggered.result
        if triggered.active == "failed" or result not in {"success", ""}:
            words = f"the last run of {triggered.name} failed: {wording.cause(result, service)}"
            return Check(unit.name, "down", f"{words}: {wording.look(triggered.name)}", "last-run-failed")
    slack = options.timer_slack + timer.accuracy
    if unit.sub == "waiting":
        if timer.last is not None and timer.next_real is not None and timer.next_real > timer.last:
            past.period = timer.next_real - timer.last
        late_real = timer.next_real is not None and now.wall > timer.next_real + slack
        late_monotonic = timer.next_monotonic is not None and now.monotonic > timer.next_monotonic + slack
        if late_real or late_monotonic:
            return Check(unit.name, "down", f"is overdue: it should have started {timer.unit}", "timer-overdue")
    elif unit.sub == "running":
        # It cannot fire while what it started still runs.
        period = timer.period or past.period
        if period is not None and timer.last is not None and now.wall > timer.last + period + slack:
            words = f"is overdue: {timer.unit} still runs though it should have been started again"
            return Check(unit.name, "down", f"{words}: {wording.look(timer.unit)}", "timer-overdue")
    elif unit.sub == "elapsed" and timer.last is None:
        return Check(unit.name, "degraded", "never started anything, and has no next time", "timer-elapsed")
    return None


def _running(unit: Unit, options: SystemdOptions, past: Past, now: Now) -> Check:
    service = unit.service
    if service is not None:
        if past.was_killed(now.monotonic, options.restart_window):
            words = f"a process of it was killed for lack of memory: {wording.look(unit.name)}"
            return Check(unit.name, "degraded", words, "oom-kill")
        if (
            service.watchdog is not None
            and service.watchdog_heard is not None
            and now.monotonic - service.watchdog_heard > WATCHDOG_LATE * service.watchdog
        ):
            return Check(unit.name, "degraded", "is late to answer systemd's watchdog", "watchdog-late")
        if _near("memory", now.working_set, service.memory_max, past):
            words = f"uses nearly all of its MemoryMax={wording.size(service.memory_max or 0)}"
            return Check(unit.name, "degraded", words, "memory-near-limit")
        if _near("tasks", service.tasks, service.tasks_max, past):
            words = f"has nearly all of its TasksMax={service.tasks_max}"
            return Check(unit.name, "degraded", words, "tasks-near-limit")
    # A package that was upgraded leaves this behind on many servers; it is told, but nothing is the matter.
    return Check(unit.name, "up", "its file changed: systemctl daemon-reload" if unit.stale else "")


def _near(bound: str, used: int | None, most: int | None, past: Past) -> bool:
    if used is None or not most:
        return False
    near = used / most >= (CLEAR if bound in past.tight else NEAR)
    (past.tight.add if near else past.tight.discard)(bound)
    return near
