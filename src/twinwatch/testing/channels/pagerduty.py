"""PagerDuty's Events API v2 as its documentation has it: events by key, and the incidents that they come to.

Source: PagerDuty's OpenAPI document of the Events API v2 and its page on the PD-CEF.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec
from aiohttp import web

from twinwatch.testing.channels.services import Got, Service, json_answer

MOST_BYTES = 512_000


@dataclass
class Incident:
    """What has one key. ``log`` are the events about it, in order."""

    key: str
    state: Literal["triggered", "acknowledged", "resolved"]
    log: list[dict[str, Any]] = field(default_factory=list)

    @property
    def summary(self) -> str:
        """Its title."""
        return str(self.log[0]["payload"]["summary"])


class FakePagerDuty(Service):
    """One service. ``incidents``: by key, those that are over too; one that fires again is another."""

    routing_key = "e93facc04764012d7bfb002500d5d1a6"

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.incidents: list[Incident] = []

    @property
    def events_url(self) -> str:
        """Where events go."""
        return f"{self.url}/v2/enqueue"

    def open(self) -> list[Incident]:
        """Those that are not over."""
        return [one for one in self.incidents if one.state != "resolved"]

    def answer(self, got: Got) -> web.Response:
        """As PagerDuty would."""
        if got.path != "/v2/enqueue" or got.method != "POST":
            return web.Response(status=404)
        event = got.json()
        flaw = event_flaw(event)
        if flaw is None and event["routing_key"] != self.routing_key:
            flaw = "'routing_key' is not known"
        if flaw is not None:
            invalid = {"status": "invalid event", "message": "Event object is invalid", "errors": [flaw]}
            return json_answer(invalid, 400)
        key = str(event.get("dedup_key") or f"generated-{len(self.incidents)}")
        self._take(key, event)
        return json_answer({"status": "success", "message": "Event processed", "dedup_key": key}, 202)

    def _take(self, key: str, event: dict[str, Any]) -> None:
        incident = next((one for one in self.open() if one.key == key), None)
        if event["event_action"] == "trigger":
            if incident is None:
                incident = Incident(key, "triggered")
                self.incidents.append(incident)
        elif incident is None:
            return  # as documented: it is taken, and changes nothing
        else:
            incident.state = "acknowledged" if event["event_action"] == "acknowledge" else "resolved"
        incident.log.append(event)


def event_flaw(event: Any) -> str | None:
    """Why PagerDuty would not take this event, or None."""
    if not isinstance(event, dict):
        return "JSON parse error"
    if len(msgspec.json.encode(event)) > MOST_BYTES:
        return "the event is too large"
    if len(str(event.get("routing_key", ""))) != 32:
        return "Length of 'routing_key' is incorrect (should be 32 characters)"
    if event.get("event_action") not in ("trigger", "acknowledge", "resolve"):
        return "'event_action' is missing or invalid"
    key = event.get("dedup_key", "")
    if not isinstance(key, str) or len(key) > 255 or (not key and event["event_action"] != "trigger"):
        return "'dedup_key' is missing or too long"
    if event["event_action"] != "trigger":
        return None
    payload = event.get("payload")
    if not isinstance(payload, dict):
        return "'payload' is missing"
    for name, most in (("summary", 1_024), ("source", 1_024)):
        if not isinstance(payload.get(name), str) or not 0 < len(payload[name]) <= most:
            return f"'payload.{name}' is missing, blank or too long"
    if payload.get("severity") not in ("critical", "error", "warning", "info"):
        return "'payload.severity' is invalid"
    if not all(isinstance(link, dict) and link.get("href") for link in event.get("links", [])):
        return "'links' is invalid"
    return None
