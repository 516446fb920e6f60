"""The sections ``witness`` and ``hub_watch`` of the file."""

from __future__ import annotations

from twinwatch.agent.configuration.sections import Section
from twinwatch.agent.configuration.settings import seconds_between
from twinwatch.agent.watching.settings import (
    AFTER_SECONDS,
    FORBIDDEN,
    INTERNET,
    MOST_TARGETS,
    HubWatchSettings,
    WitnessSettings,
    network_of,
    place_of,
)

NAME_CHARACTERS = 253


def witness_of(top: Section, name: str) -> WitnessSettings | None:
    """What the section says; None if it is not there."""
    if top.any(name) is None:
        return None
    if isinstance(top.any(name), bool):
        return WitnessSettings(enabled=bool(top.flag(name)))
    section = top.section(name)
    enabled = section.flag("enabled")
    forbid = tuple(_forbidden(section, one) for one in section.items("forbid"))
    if len(forbid) > FORBIDDEN:
        section.wrong("forbid", f"{len(forbid)} entries; expected at most {FORBIDDEN}")
    section.done()
    return WitnessSettings(enabled=enabled is not False, forbid=tuple(one for one in forbid if one))


def hub_watch_of(top: Section, name: str) -> HubWatchSettings | None:
    """What the section says; None if it is not there."""
    if top.any(name) is None:
        return None
    if isinstance(top.any(name), bool):
        return HubWatchSettings(enabled=bool(top.flag(name)))
    section = top.section(name)
    enabled = section.flag("enabled")
    after = section.judged(lambda text: seconds_between(text, "30s", "1h"), "after")
    internet = tuple(_target(section, one) for one in section.items("internet")) if "internet" in section else INTERNET
    if len(internet) > MOST_TARGETS:
        section.wrong("internet", f"{len(internet)} targets; expected at most {MOST_TARGETS}")
    section.done()
    return HubWatchSettings(
        enabled=enabled is not False,
        after_seconds=AFTER_SECONDS if after is None else after,
        internet=tuple(one for one in internet if one),
    )


def _target(section: Section, one: object) -> str:
    try:
        place_of(str(one))
    except ValueError as err:
        section.wrong("internet", str(err))
        return ""
    return str(one)


def _forbidden(section: Section, one: object) -> str:
    text = one.strip().lower().rstrip(".") if isinstance(one, str) else ""
    lawful = text.isprintable() and 0 < len(text) <= NAME_CHARACTERS and not any(letter in text for letter in " ,@")
    if not lawful or ("/" in text and network_of(text) is None):
        section.wrong("forbid", f"{str(one)[:80]!r}: expected addresses, networks such as 10.0.0.0/8, or host names")
        return ""
    return text
