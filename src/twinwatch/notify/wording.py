"""How alerts are told to people, whatever the channel: states, titles, times, durations, the lines under a title. Pure.

Invariants: a line is one line, without control characters and without signs that turn the direction of what follows;
what is too long ends with "…"; a test and a drill are marked as such wherever they are named.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from twinwatch.notify import Note, Occasion, Subject
from twinwatch.protocol.rules import Severity

SEVERITIES: dict[Severity, str] = {"down": "Down", "critical": "Critical", "warning": "Warning"}
TITLE_CHARACTERS = 200
LINE_CHARACTERS = 500
MESSAGE_CHARACTERS = 2_000
EVIDENCE_CHARACTERS = 20_000
MOST_SUBJECTS = 100
"""So many alerts are named in one message; of the rest only how many."""
REHEARSALS: tuple[Occasion, ...] = ("test", "drill")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = 253_402_300_799_000
"""The end of the year 9999, ms UTC: no clock shows more."""
_URL = re.compile(r"https?://[!-~]{1,2000}")
_TURNS = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
"""Signs that change the direction of what follows, so that it reads otherwise than it is."""


def line(text: str, most: int = LINE_CHARACTERS) -> str:
    """The text as one line of at most so many characters."""
    return cut(" ".join(_plain(_bounded(text, most)).split()), most)


def lines(text: str, most: int = MESSAGE_CHARACTERS) -> str:
    """The text with its line breaks, of at most so many characters."""
    found = [_plain(one).rstrip() for one in _bounded(text, most).splitlines()]
    return cut("\n".join(found).strip("\n"), most)


def cut(text: str, most: int) -> str:
    """The text, or its beginning and "…"."""
    return text if len(text) <= most else text[: max(most - 1, 0)].rstrip() + "…"[: max(most, 0)]


def lasted(milliseconds: int) -> str:
    """A duration in the two greatest units that say something: ``45 s``, ``3 min 20 s``, ``2 h 5 min``, ``4 d 3 h``."""
    seconds = max(round(milliseconds / 1000), 0)
    parts: list[str] = []
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        count, seconds = divmod(seconds, size)
        if count or (unit == "s" and not parts):
            parts.append(f"{count} {unit}")
        elif parts:
            break
        if len(parts) == 2:
            break
    return " ".join(parts)


def moment(milliseconds: int) -> str:
    """An instant: ``2026-01-01 14:03:20 UTC+00:00``."""
    return f"{at(milliseconds):%Y-%m-%d %H:%M:%S} UTC+00:00"


def ago(milliseconds: int, now: int) -> str:
    """An instant and how long ago it was: ``2026-01-01 14:03:20 UTC+00:00 (3 min ago)``."""
    past = now - milliseconds
    return f"{moment(milliseconds)} ({'just now' if past < 1000 else f'{lasted(past)} ago'})"


def at(milliseconds: int) -> datetime:
    """An instant, within the years that a calendar has."""
    return _EPOCH + timedelta(milliseconds=min(max(milliseconds, 0), _LAST))


def occasion_of(note: Note, subject: Subject) -> Occasion:
    """Why this subject is told: of a test or a drill, that it is one, whatever the subject says."""
    return note.occasion if note.occasion in REHEARSALS else subject.occasion


def state(note: Note, subject: Subject) -> str:
    """How it stands, in a word or two: ``Critical``, ``Resolved``, ``Still down``."""
    severity = SEVERITIES[subject.severity]
    match occasion_of(note, subject):
        case "resolved":
            return "Resolved"
        case "acknowledged":
            return "Acknowledged"
        case "flapping":
            return "Flapping"
        case "test":
            return "Test"
        case "drill":
            return "Drill"
        case "worse":
            return f"Now {severity.lower()}"
        case "repeat" | "settled":
            return f"Still {severity.lower()}"
        case "escalation":
            return f"Escalated, {severity.lower()}"
        case _:
            return severity


def headline(subject: Subject, most: int = TITLE_CHARACTERS) -> str:
    """What it is about and what is wrong: ``web-1: nginx.service failed``."""
    server = line(subject.server, max(most // 3, 1))
    title = line(subject.title, max(most - len(server) - 2, 1))
    return f"{server}: {title}" if server else title


def title(note: Note, most: int = TITLE_CHARACTERS) -> str:
    """The whole note in one line: ``Critical: web-1: nginx.service failed (and 2 more)``."""
    first = note.subjects[0]
    head = f"{state(note, first)}: "
    tail = f" ({more(len(note.subjects) - 1)})" if len(note.subjects) > 1 else ""
    return head + headline(first, max(most - len(head) - len(tail), 3)) + tail


def more(count: int) -> str:
    """``and 37 more``."""
    return f"and {count} more"


def opening(note: Note) -> str:
    """A sentence that says why this is told; empty of a first message, which says so itself."""
    first = note.subjects[0]
    several = len(note.subjects) > 1
    match note.occasion:
        case "test":
            return "This is a test of this channel. Nothing is wrong."
        case "drill":
            return "This is a drill. Nothing is wrong, and nothing is to be done."
        case "resolved":
            by = f" {line(first.by, 100)} closed it by hand." if first.by and not several else ""
            return f"{'These are' if several else 'This is'} over.{by}"
        case "acknowledged":
            return f"{line(first.by, 100) or 'Somebody'} has taken {'these' if several else 'this'} on."
        case "worse":
            return "This has become worse."
        case "repeat":
            return "This is still open, and nobody has acknowledged it."
        case "escalation":
            return f"Nobody has acknowledged this for {lasted(note.now - first.since)}: you are next in line."
        case "flapping":
            return "This keeps coming and going. You hear of it again when it has come to rest."
        case "settled":
            return "This has stopped coming and going, and is not well."
        case _:
            return ""


def teller(note: Note) -> str:
    """A sentence that says who tells this, and from where it is seen."""
    first = note.subjects[0]
    server = line(first.server, 100) or "the server"
    if note.teller == "agent":
        elsewhere = note.sender and note.sender != first.server
        agent = f"the agent on {line(note.sender, 100) if elsewhere else server}"
        return f"Told by {agent}{'.' if elsewhere else ', on the server itself.'}"
    if first.severity == "down" and note.occasion not in ("resolved", *REHEARSALS):
        return f"Told by the hub, which watches from outside and has no sign of life from {server}."
    return "Told by the hub."


def rows(note: Note, subject: Subject) -> list[tuple[str, str]]:
    """Names and values worth a line each, those of the subject's own last."""
    found = [("Since", ago(subject.since, note.now))]
    if occasion_of(note, subject) not in REHEARSALS:
        found.insert(0, ("Severity", SEVERITIES[subject.severity]))
    if subject.resolved_at is not None:
        found.append(("Until", ago(subject.resolved_at, note.now)))
        found.append(("Lasted", lasted(subject.resolved_at - subject.since)))
    if subject.cause:
        found.append(("Cause", line(subject.cause)))
    if subject.by and occasion_of(note, subject) in ("resolved", "acknowledged"):
        found.append(("Closed by" if subject.resolved_at is not None else "Acknowledged by", line(subject.by, 100)))
    return [*found, *((line(name, 60), line(value)) for name, value in subject.facts if line(name))]


def brief(note: Note, subject: Subject, most: int = LINE_CHARACTERS) -> str:
    """One of several in one line: ``Critical: web-1: nginx.service failed, since 3 min``."""
    if subject.resolved_at is not None:
        tail = f", after {lasted(subject.resolved_at - subject.since)}"
    else:
        tail = f", since {lasted(note.now - subject.since)}"
    head = f"{state(note, subject)}: "
    return head + headline(subject, max(most - len(head) - len(tail), 3)) + tail


def text(note: Note, *, evidence_lines: int = 0) -> str:
    """The whole note as plain text: the first subject in full, the others a line each."""
    first = note.subjects[0]
    parts = [opening(note), lines(first.message), "\n".join(f"{name}: {value}" for name, value in rows(note, first))]
    parts.append(links(note, first))
    if len(note.subjects) > 1:
        parts.append("\n".join(["Also:", *(f"- {brief(note, one)}" for one in others(note)), *rest(note)]))
    if first.evidence and evidence_lines:
        parts.append("\n".join(("At that moment:", *evidence(first.evidence, evidence_lines))))
    return "\n\n".join(part for part in (*parts, teller(note)) if part)


def others(note: Note, most: int = MOST_SUBJECTS) -> Sequence[Subject]:
    """The subjects after the first that are named, so that at most so many are in all."""
    return note.subjects[1:most]


def rest(note: Note, most: int = MOST_SUBJECTS) -> list[str]:
    """A line with how many are not named; none if all are."""
    return [more(len(note.subjects) - most)] if len(note.subjects) > most else []


def links(note: Note, subject: Subject) -> str:
    """Where to go from here, a line each."""
    found = [
        ("Acknowledge", acknowledge_url(note, subject)),
        ("Details", url(subject.url)),
        ("All alerts", url(note.link)),
    ]
    return "\n".join(f"{name}: {place}" for name, place in found if place)


def acknowledge_url(note: Note, subject: Subject) -> str:
    """Where it is acknowledged; empty where it need not be any more."""
    over = subject.resolved_at is not None or occasion_of(note, subject) in ("resolved", "acknowledged")
    return "" if over else url(subject.acknowledge_url)


def url(text: str) -> str:
    """The address if it is one of the web; empty if it is anything else, such as ``javascript:``."""
    return text if _URL.fullmatch(text) else ""


def evidence(given: Sequence[str], most: int, characters: int = EVIDENCE_CHARACTERS) -> list[str]:
    """Lines of what was true at that moment, each bounded and all together; the last says if there were more."""
    kept: list[str] = []
    for one in given[:most]:
        shown = cut(_plain(_bounded(one, LINE_CHARACTERS)).rstrip(), LINE_CHARACTERS)
        characters -= len(shown) + 1
        if characters < 0:
            break
        kept.append(shown)
    return [*kept, f"({len(given) - len(kept)} more lines)"] if len(given) > len(kept) else kept


def _bounded(text: str, most: int) -> str:
    """So much of it that nobody works on a megabyte for the sake of a line."""
    return text if len(text) <= 8 * most else text[: 8 * most] + "…"


def _plain(text: str) -> str:
    """Without control characters, lone surrogates and turns of direction."""
    turned = _TURNS.sub("", text)
    return "".join(sign if sign.isprintable() or not _controls(sign) else " " for sign in turned)


def _controls(sign: str) -> bool:
    return ord(sign) < 0x20 or 0x7F <= ord(sign) < 0xA0 or 0xD800 <= ord(sign) < 0xE000 or sign in "\u2028\u2029"
