"""Is what an agent says of its alerts within the law? Sizes, texts and times."""

from __future__ import annotations

from itertools import pairwise
from math import isfinite

import msgspec

from twinwatch.alerts.conditions import NAME_CHARACTERS, problems_of
from twinwatch.alerts.episodes import THING_CHARACTERS
from twinwatch.hub.lawful import LAST_INSTANT, check_json, check_labels, check_text
from twinwatch.hub.refusals import invalid, over_limit
from twinwatch.protocol import limits
from twinwatch.protocol.alerts import EVENTS, EVIDENCE_BYTES, OPEN_ALERTS, AlertEvent, AlertEvents

TITLE_CHARACTERS = 300
MESSAGE_CHARACTERS = 2_000
CHANNELS = 100
KEY_CHARACTERS = 32


def check_events(message: AlertEvents) -> None:
    """Everything in a request.

    Raises: Refused 422 ``invalid`` or ``limit``.
    """
    if len(message.events) > EVENTS:
        raise over_limit(f"{len(message.events)} events; at most {EVENTS} in a request", EVENTS)
    for keys in (message.ask, message.open or ()):
        if len(keys) > OPEN_ALERTS:
            raise over_limit(f"{len(keys)} alerts; at most {OPEN_ALERTS} are open at a time", OPEN_ALERTS)
        for key in keys:
            check_text("key", key, KEY_CHARACTERS)
    numbers = [event.number for event in message.events]
    if any(later <= earlier for earlier, later in pairwise(numbers)):
        raise invalid("events: numbers must ascend strictly")
    for event in message.events:
        _check_event(event)


def _check_event(event: AlertEvent) -> None:
    what = f"event {event.number}"
    check_text(f"{what}, key", event.key, KEY_CHARACTERS)
    check_text(f"{what}, rule", event.rule, NAME_CHARACTERS)
    check_text(f"{what}, thing", event.thing, THING_CHARACTERS)
    check_text(f"{what}, title", event.title, TITLE_CHARACTERS, empty=True)
    check_text(f"{what}, message", event.message, MESSAGE_CHARACTERS, empty=True)
    check_text(f"{what}, unit", event.unit, 64, empty=True)
    check_text(f"{what}, why", event.why, 40, empty=True)
    check_labels(what, event.labels)
    if not 0 < event.episode < 1 << 62 or not 0 <= event.fence < 1 << 62:
        raise invalid(f"{what}: episode and fence must be from 1 to 2^62")
    if event.severity == "down":
        raise invalid(f"{what}: severity down is for servers that are silent")
    times = [event.at, event.since, *(told.at for told in event.told)]
    if event.evidence is not None:
        times.append(event.evidence.at)
    if max(times) > LAST_INSTANT:
        raise invalid(f"{what}: a time beyond the year 9999")
    if event.value is not None and not isfinite(event.value):
        raise invalid(f"{what}: {event.value} is no value")
    if len(event.told) > CHANNELS:
        raise over_limit(f"{what}: {len(event.told)} channels", CHANNELS)
    for told in event.told:
        check_text(f"{what}, channel", told.channel, 200)
        check_text(f"{what}, reason", told.reason, limits.MESSAGE_CHARACTERS, empty=True)
        check_text(f"{what}, reference", told.reference, 500, empty=True)
    if event.definition is not None:
        check_json(f"{what}, definition", msgspec.to_builtins(event.definition))
        if problems := problems_of(event.definition):
            raise invalid(f"{what}, definition: {problems[0]}")
    if event.evidence is not None:
        check_json(f"{what}, evidence", msgspec.to_builtins(event.evidence))
        size = len(msgspec.json.encode(event.evidence))
        if size > EVIDENCE_BYTES:
            raise over_limit(f"{what}: {size} bytes of evidence; at most {EVIDENCE_BYTES}", EVIDENCE_BYTES)
