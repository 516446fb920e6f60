"""What an ASP.NET Core application says of its health: plain text, or JSON in the ways that are in use. Pure.

Invariants: whatever is said, the outcome is a verdict or ``NoHealth``; a check's name is printable and short; what
looks like a credential in a description is not repeated.
Source: https://learn.microsoft.com/aspnet/core/host-and-deploy/health-checks (plain, and its sample of a JSON writer);
Xabaril/AspNetCore.Diagnostics.HealthChecks, ``UIHealthReport``; a list of ``{name, status}`` as others write it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from twinwatch.protocol.checks import CheckState

ENTRIES = 200
NAME_CHARACTERS = 100
SAID_CHARACTERS = 200
STATES: dict[str, CheckState] = {"healthy": "up", "degraded": "degraded", "unhealthy": "down"}
NUMBERS: dict[int, CheckState] = {0: "down", 1: "degraded", 2: "up"}
"""``HealthStatus`` where it is written as a number."""
_SECRET = re.compile(
    r"(?i)((?:password|pwd|secret|token|accountkey|sharedaccesskey|api[-_]?key|user id|uid)[\"']?\s*[=:]\s*)[^;,\s]+"
)
_CREDENTIALS = re.compile(r"(//)[^/\s@]+@")


class NoHealth(Exception):
    """It says nothing of health that is understood."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One of its checks."""

    name: str
    state: CheckState
    said: str = ""


@dataclass(frozen=True, slots=True)
class Health:
    """The verdict on the whole and on each entry."""

    state: CheckState
    entries: tuple[Entry, ...] = ()


def health_of(body: bytes) -> Health:
    """What the body says.

    Raises: NoHealth.
    """
    text = body.decode("utf-8", "replace").strip().strip("\ufeff")
    plain = STATES.get(text.strip('"').lower())
    if plain is not None:
        return Health(plain)
    try:
        content = msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as err:
        raise NoHealth("neither Healthy, Degraded or Unhealthy nor JSON") from err
    if not isinstance(content, dict):
        raise NoHealth("JSON without a status")
    fields = {str(name).lower(): value for name, value in content.items()}
    state = _state(fields.get("status"))
    if state is None:
        raise NoHealth("JSON without a status of Healthy, Degraded or Unhealthy")
    entries = {one.name: one for one in _entries(fields)}
    return Health(state, tuple(entries.values())[:ENTRIES])


def _entries(fields: dict[str, Any]) -> Iterator[Entry]:
    for key in ("entries", "results", "checks", "healthchecks"):
        found = fields.get(key)
        if isinstance(found, dict):
            for name, value in list(found.items())[:ENTRIES]:
                yield from _entry(str(name), value)
            return
        if isinstance(found, list):
            for value in found[:ENTRIES]:
                if isinstance(value, dict):
                    named = {str(one).lower(): text for one, text in value.items()}
                    name = named.get("name") or named.get("component") or named.get("key")
                    if isinstance(name, str):
                        yield from _entry(name, value)
            return


def _entry(name: str, value: Any) -> Iterator[Entry]:
    name = printable(name)[:NAME_CHARACTERS]
    if not name:
        return
    if not isinstance(value, dict):
        state = _state(value)
        if state is not None:
            yield Entry(name, state)
        return
    fields = {str(one).lower(): text for one, text in value.items()}
    state = _state(fields.get("status"))
    said = next(
        (text for key in ("description", "exception", "error") if isinstance(text := fields.get(key), str) and text), ""
    )
    yield Entry(name, state or "unknown", veiled(said.strip().split("\n", 1)[0])[:SAID_CHARACTERS])


def _state(status: Any) -> CheckState | None:
    if isinstance(status, str):
        return STATES.get(status.strip().lower())
    return NUMBERS.get(status) if isinstance(status, int) and not isinstance(status, bool) else None


def veiled(text: str) -> str:
    """The text, printable, without what looks like a credential."""
    return _CREDENTIALS.sub(r"\1***@", _SECRET.sub(r"\1***", printable(text)))


def printable(text: str) -> str:
    """The text on one line, with a blank for whatever does not print."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
