"""From rows to what a channel is handed: alerts as subjects, the messages of one channel as one note. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any, cast
from uuid import UUID

import msgspec
from psycopg.rows import DictRow

from twinwatch.alerts.wording import figures_of, shown
from twinwatch.hub.alerting.links import Links
from twinwatch.hub.stores.log import milliseconds
from twinwatch.notify import Note, Occasion, Subject
from twinwatch.notify.grouping import note_about
from twinwatch.protocol.rules import Rule

EVIDENCE_LINES = 60


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
    before = [one for one in said if one["state"] == "delivered"]
    return note_about(
        note_id,
        subjects,
        now,
        teller="hub",
        first=not before,
        reference=next((one["reference"] for one in before if one["reference"]), ""),
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
    value, unit = row["value"], row["unit"]
    if row["definition"] is not None:
        return figures_of(msgspec.convert(row["definition"], Rule), value, unit)
    return [("Value", shown(value, unit))] if value is not None and isfinite(value) else []


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
