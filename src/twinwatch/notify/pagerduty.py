"""PagerDuty: an event for each alert, with its key as ``dedup_key``, so that twice the same event is one incident and
its end closes it.

A test or a drill opens an incident of the lowest severity and closes it at once: nobody has to.
Source: PagerDuty's Events API v2 (202 accepted, 400 for good, 429 and 5yz to be tried again; ``summary`` of 1,024
characters, ``dedup_key`` of 255, an event of 512 KB).
"""

from __future__ import annotations

import asyncio
import re
from hashlib import blake2b
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

from twinwatch.notify import Delivered, Note, Occasion, Outcome, Retry, SecretText, Settings, Subject, wording
from twinwatch.notify.posting import fields_of, judged, post, said
from twinwatch.notify.settings import check_url, secrets_of
from twinwatch.protocol.rules import Severity
from twinwatch.world.doors import Outside
from twinwatch.world.http import Answer
from twinwatch.world.secret import hidden

SUMMARY_CHARACTERS = 1_024
KEY_CHARACTERS = 255
EVIDENCE_LINES = 100
REQUEST_SECONDS = 10.0
TOGETHER = 8
"""So many events are under way at a time, once the first was taken."""
SEVERITIES: dict[Severity, str] = {"down": "critical", "critical": "critical", "warning": "warning"}
_ACTIONS: dict[Occasion, str] = {"resolved": "resolve", "acknowledged": "acknowledge"}
_KEY = re.compile(r"[0-9A-Za-z]{32}")


class PagerDutySettings(Settings, frozen=True, kw_only=True):
    """The service that events go to."""

    routing_key: Annotated[
        SecretText,
        Meta(title="Integration key", description="32 characters, of an Events API v2 integration of the service."),
    ]
    events_url: Annotated[
        str,
        Meta(title="Events API", description="For accounts in the EU: https://events.eu.pagerduty.com/v2/enqueue."),
    ] = "https://events.pagerduty.com/v2/enqueue"

    def __post_init__(self) -> None:
        if not _KEY.fullmatch(self.routing_key.reveal()):
            raise ValueError("routing_key: expected 32 letters and digits")
        check_url("events_url", self.events_url)


class PagerDuty:
    """An incident for each alert, acknowledged and resolved with it."""

    name: ClassVar[str] = "pagerduty"
    title: ClassVar[str] = "PagerDuty"
    Settings: ClassVar[type[Settings]] = PagerDutySettings
    gap_seconds: ClassVar[float] = 1.0
    deadline_seconds: ClassVar[float] = 60.0
    extra: ClassVar[str] = ""
    hears_acknowledgements: ClassVar[bool] = True

    def __init__(self, settings: PagerDutySettings) -> None:
        self._settings = settings

    def render(self, note: Note) -> list[dict[str, Any]]:
        """The events, in order, without the integration key."""
        if note.occasion in wording.REHEARSALS:
            opened = _event(note, note.subjects[0])
            return [opened, {"event_action": "resolve", "dedup_key": opened["dedup_key"]}]
        return [_event(note, subject) for subject in note.subjects]

    async def send(self, note: Note, outside: Outside) -> Outcome:
        """As ``Channel`` says. Events that were taken before one that was not are sent again with it: they bear the
        same key, and PagerDuty makes one incident of them."""
        first, *others = self.render(note)
        outcome = await self._sent(first, note, outside)
        try:
            async with asyncio.timeout(self.deadline_seconds - REQUEST_SECONDS - 1):
                while others and isinstance(outcome, Delivered):
                    now, others = others[:TOGETHER], others[TOGETHER:]
                    outcomes = await asyncio.gather(*(self._sent(event, note, outside) for event in now))
                    outcome = next((one for one in outcomes if not isinstance(one, Delivered)), outcome)
        except TimeoutError:
            return Retry(f"{len(others)} of {len(note.subjects)} events were not sent in time")
        return Delivered(str(first["dedup_key"])) if isinstance(outcome, Delivered) else outcome

    async def _sent(self, event: dict[str, Any], note: Note, outside: Outside) -> Outcome:
        settings, secrets = self._settings, secrets_of(self._settings)
        answer = await post(
            outside,
            settings.events_url,
            headers={"Content-Type": "application/json"},
            body=msgspec.json.encode({"routing_key": settings.routing_key.reveal(), **event}),
            timeout_seconds=REQUEST_SECONDS,
            secrets=secrets,
        )
        if not isinstance(answer, Answer):
            return answer
        fields = fields_of(answer)
        errors = fields.get("errors")
        reasons = [str(one) for one in (errors if isinstance(errors, list) else [])[:5]]
        told = "; ".join(reasons) or str(fields.get("message") or said(answer))
        return judged(answer, now=note.now, told=wording.line(hidden(told, *secrets), 200))

    def reaches(self) -> str:
        """The service is known by its secret key only."""
        return "the service of its integration key"


def _event(note: Note, subject: Subject) -> dict[str, Any]:
    occasion = wording.occasion_of(note, subject)
    action = _ACTIONS.get(occasion, "trigger")
    rehearsal = occasion in wording.REHEARSALS
    event: dict[str, Any] = {"event_action": action, "dedup_key": _key(note, subject)}
    if action != "trigger":
        return event
    mark = f"[{occasion.upper()}] " if rehearsal else ""
    links = [("Details", wording.url(subject.url)), ("All alerts", wording.url(note.link))]
    acknowledge = [("Acknowledge", wording.acknowledge_url(note, subject))]
    return event | {
        "client": "Twinwatch",
        **({"client_url": wording.url(note.link)} if wording.url(note.link) else {}),
        "links": [{"href": href, "text": text} for text, href in (*acknowledge, *links) if href],
        "payload": {
            "summary": mark + wording.headline(subject, SUMMARY_CHARACTERS - len(mark)),
            "source": wording.line(subject.server) or "unknown",
            "severity": "info" if rehearsal else SEVERITIES[subject.severity],
            "timestamp": wording.at(subject.since).isoformat(timespec="milliseconds"),
            "custom_details": _details(note, subject),
        },
    }


def _details(note: Note, subject: Subject) -> dict[str, Any]:
    details: dict[str, Any] = {
        "message": wording.lines(subject.message),
        "told": f"{wording.opening(note)} {wording.teller(note)}".strip(),
    }
    if subject.evidence:
        details["evidence"] = wording.evidence(subject.evidence, EVIDENCE_LINES)
    for name, value in wording.rows(note, subject):
        details.setdefault(name, value)
    return details


def _key(note: Note, subject: Subject) -> str:
    """The episode's key; of a test or a drill one of its own, so that it can close no incident but its own."""
    key = f"{note.occasion}:{note.id}:{subject.key}" if note.occasion in wording.REHEARSALS else subject.key
    if len(key) <= KEY_CHARACTERS and key.isprintable():
        return key
    return blake2b(key.encode("utf-8", "replace"), digest_size=16).hexdigest()
