"""systemd as a whole: its state, the units that have failed, how many there are in which state.

Source: the properties ``SystemState`` (systemd 212 and later), ``NFailedUnits``, ``NJobs`` of its manager object.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from twinwatch.monitors import Check, Finding, Reading
from twinwatch.monitors.systemd.facts import Row, number, text
from twinwatch.monitors.systemd.options import SystemdOptions
from twinwatch.protocol.metrics import Chart, Headline, Metric

NAME = "manager"
PROPERTIES = ("SystemState", "NFailedUnits", "NJobs")
STATES = ("active", "activating", "deactivating", "failed", "inactive", "reloading")
STATE = "systemd.unit.state"
NAMED = 5
"""Failed units that the message names."""

METRICS = (
    Metric("systemd.units.failed", "{unit}", "Units of the server that have failed.", "low"),
    Metric("systemd.units", "{unit}", "Loaded units that can fail, by state."),
    Metric("systemd.jobs", "{job}", "Jobs that systemd has to do.", "low"),
)
CHARTS = (
    Chart("Failed units", ("systemd.units.failed",)),
    Chart("Units", ("systemd.units",), by=(STATE,), style="stack"),
    Chart("Jobs of systemd", ("systemd.jobs",)),
)
HEADLINES = (Headline("Failed units", "systemd.units.failed"),)


def readings(said: dict[str, Any], rows: Sequence[Row] | None) -> list[Finding]:
    """What is counted. ``rows`` is None in a run that lists nothing."""
    found: list[Finding] = []
    failed, jobs = number(said, "NFailedUnits"), number(said, "NJobs")
    if failed is not None:
        found.append(Reading("systemd.units.failed", failed))
    if jobs is not None:
        found.append(Reading("systemd.jobs", jobs))
    if rows:
        counts = Counter(row.active for row in rows)
        found += [Reading("systemd.units", counts[state], {STATE: state}) for state in STATES]
    return found


def judge(said: dict[str, Any], rows: Sequence[Row], options: SystemdOptions) -> Check:
    """The check of systemd itself. Units that are left out make it no worse."""
    state = text(said, "SystemState")
    failed = [row.name for row in rows if row.active == "failed" and not options.ignores(row.name)]
    if state == "maintenance":
        return Check(NAME, "down", "the server is in rescue or emergency mode: systemctl default", "maintenance")
    if state == "stopping":
        return Check(NAME, "degraded", "the server is shutting down", "stopping")
    if state not in {"running", "degraded", "starting", "initializing"}:
        words = f"systemd's state is {state}" if state else "systemd did not tell its state"
        return Check(NAME, "unknown", words, "unreadable")
    if failed:
        more = f" and {len(failed) - NAMED} more" if len(failed) > NAMED else ""
        words = f"failed: {', '.join(failed[:NAMED])}{more}: systemctl --failed"
        return Check(NAME, "degraded", words, "failed-units")
    if state in {"starting", "initializing"}:
        return Check(NAME, "up", "the server is starting")
    return Check(NAME, "up")
