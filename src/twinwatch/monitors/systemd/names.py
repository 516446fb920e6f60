"""Names of units, and the D-Bus paths that they become.

Source: systemd.unit(5); systemd's D-Bus API, "Unit objects": ``/org/freedesktop/systemd1/unit/`` and the name, in which
every byte but ASCII letters and digits (a leading digit included) is ``_`` and two hex digits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase

UNITS = "/org/freedesktop/systemd1/unit"
SUFFIXES = (
    "service", "timer", "socket", "mount", "automount", "swap", "path", "target", "slice", "scope", "device",
)  # fmt: skip
NAME_CHARACTERS = 255

_LAWFUL = re.compile(r"[A-Za-z0-9:_.\\@-]+")
_ESCAPED = re.compile(r"_([0-9a-f]{2})")


def is_lawful(name: str) -> bool:
    """Whether systemd could have a unit of this name."""
    return len(name) <= NAME_CHARACTERS and _LAWFUL.fullmatch(name) is not None and suffix_of(name) != ""


def suffix_of(name: str) -> str:
    """``service`` of ``nginx.service``; empty if that is no type of unit."""
    stem, _, suffix = name.rpartition(".")
    return suffix if stem and suffix in SUFFIXES else ""


def full(name: str) -> str:
    """The name with its suffix: ``nginx`` is ``nginx.service``, as for systemctl."""
    return name if suffix_of(name) else f"{name}.service"


def is_pattern(name: str) -> bool:
    """Whether it stands for several units."""
    return any(sign in name for sign in "*?[")


def is_among(name: str, patterns: Iterable[str]) -> bool:
    """Whether a pattern names this unit; ``foo-*`` names ``foo-1.service`` too."""
    return any(fnmatchcase(name, pattern) or fnmatchcase(name, full(pattern)) for pattern in patterns)


def template_of(name: str) -> str:
    """``getty@.service`` of ``getty@tty1.service``; empty if it is no instance."""
    stem, at, rest = name.partition("@")
    suffix = suffix_of(name)
    return f"{stem}@.{suffix}" if at and suffix and rest != f".{suffix}" else ""


def path_of(name: str) -> str:
    """The unit's object on the bus."""
    escaped = "".join(
        chr(byte) if (48 <= byte <= 57 and place) or 65 <= byte <= 90 or 97 <= byte <= 122 else f"_{byte:02x}"
        for place, byte in enumerate(name.encode())
    )
    return f"{UNITS}/{escaped or '_'}"


def name_of(path: str) -> str:
    """The unit whose object this is; empty if it is no unit's."""
    if not path.startswith(UNITS + "/"):
        return ""
    raw = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), path[len(UNITS) + 1 :])
    try:
        return raw.encode("latin-1").decode()
    except (UnicodeEncodeError, UnicodeDecodeError):
        return ""
