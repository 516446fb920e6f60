"""From rows to what a channel is handed: alerts as subjects, the messages of one channel as one note. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any, cast
from uuid import UUID

from psycopg.rows import DictRow

from twinwatch.alerts.group import arranged
from twinwatch.hub.alerting.links import Links
from twinwatch.hub.stores.log import milliseconds
from twinwatch.notify import Note, Occasion, Subject

SUBJECTS = 100
"""Most alerts of one message."""
EVIDENCE_LINES = 60
URGENCY: Sequence[Occasion] = (
    *("worse", "firing", "escalation", "flapping", "repeat", "settled", "resolved", "acknowledged", "drill", "test"),
)


def subject_of(row: DictRow, occasion: Occasion, links: Links, *, instead: Mapping[str, str] | None = None) -> Subject:
    """An alert as people are told of it. ``instead``: of which channel this one is told instead, and why."""
    resolved = row["resolved_at"] is not None
    facts = [*_figures(row), *((name, text) for name, text in row["labels"].items())]
    if row["verdict"]:
        facts += [_fact(line) for line in row["verdict"].splitlines()]
    if instead:
        facts.append(("Told here instead", f"{instead['channel']} did not take it: {instead['reason']}"))
    owner: UUID = row["server_id"] or row["organization_id"]
    return Subject(
        key=row["key"],
        server=row["subject"],
        title=row["title"],
        message=row["message"],
        severity=row["severity"],
        since=milliseconds(row["true_at"]),
        occasion=occasion,
        resolved_at=milliseconds(row["resolved_at"]) if resolved else None,
        cause=row["cause"],
        by=row["resolved_by"] if resolved else row["acknowledged_by"],
        facts=tuple(facts),
        evidence=() if resolved else _lines(row["evidence"]),
        url=links.to_alert(row["id"]),
        acknowledge_url="" if resolved else links.to_acknowledge(owner, row["key"]),
    )


def note_of(
    note_id: str, subjects: Sequence[Subject], said: Sequence[DictRow], now: int, *, organization: str, links: Links
) -> Note:
    """One message about these alerts. ``said`` is what was said on the channel about them before."""
    ordered = arranged(subjects)
    occasions = {one.occasion for one in ordered}
    before = [one for one in said if one["state"] == "delivered"]
    alone = len(ordered) == 1
    return Note(
        id=note_id,
        occasion=next(one for one in URGENCY if one in occasions),
        subjects=tuple(ordered[:SUBJECTS]),
        now=now,
        teller="hub",
        thread=ordered[0].key,
        first=not (alone and before),
        reference=next((one["reference"] for one in before if one["reference"]), "") if alone else "",
        organization=organization,
        link=links.to_alerts(),
    )


def trial_of(row: DictRow, now: int, *, organization: str, links: Links) -> Note:
    """The message of a test or a drill, which are marked as such."""
    body = row["body"]
    occasion = cast("Occasion", row["occasion"])
    subject = Subject(
        key=body["key"],
        server=body["server"],
        title=body["title"],
        message=body["message"],
        severity="warning",
        since=now,
        occasion=occasion,
    )
    return Note(
        str(row["id"]), occasion, (subject,), now, "hub", subject.key, organization=organization, link=links.to_alerts()
    )


def _figures(row: DictRow) -> list[tuple[str, str]]:
    found = []
    value, definition = row["value"], row["definition"] or {}
    if value is not None and isfinite(value):
        found.append(("Value", shown(value, row["unit"])))
    for name, words in (("above", "Alerts above"), ("below", "Alerts below")):
        if definition.get(name) is not None:
            found.append((words, shown(definition[name], row["unit"])))
    if definition.get("hold"):
        found.append(("For at least", definition["hold"]))
    return found


def shown(value: float, unit: str) -> str:
    """A figure for people: ``93 %``, ``1.2 GB``, ``2 h 5 min``."""
    match unit:
        case "1":
            return f"{value * 100:.3g} %"
        case "s":
            return _span(value)
        case "By" | "By/s":
            size, prefix = value, ""
            for prefix in ("", "k", "M", "G", "T", "P"):
                if abs(size) < 1000 or prefix == "P":
                    break
                size /= 1000
            return f"{size:.3g} {prefix}B{'/s' if unit == 'By/s' else ''}"
        case _:
            words = unit.strip("{}").replace("{", "").replace("}", "")
            return f"{value:.4g} {words}".rstrip()


def _span(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:.3g} ms"
    left, parts = round(seconds), []
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        count, left = divmod(left, size)
        parts += [f"{count} {unit}"] if count else []
    return " ".join(parts[:2])


def _fact(line: str) -> tuple[str, str]:
    name, separator, text = line.partition(": ")
    return (name[:1].upper() + name[1:], text) if separator else ("Likely", line)


def _lines(evidence: Any) -> tuple[str, ...]:
    if not evidence:
        return ()
    lines: list[str] = []
    for title, some in evidence.get("parts", {}).items():
        lines += [f"{title}:", *(f"  {line}" for line in some)]
    return tuple(lines[:EVIDENCE_LINES])
