"""Which of the loaded units are watched. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from twinwatch.monitors import Check
from twinwatch.monitors.systemd.facts import Row
from twinwatch.monitors.systemd.names import is_among, template_of
from twinwatch.monitors.systemd.options import SystemdOptions

UNITS = 200
"""Most units that are watched: those named first, then those that failed, then the others by name."""
ENABLED = ("enabled", "enabled-runtime", "generated")
"""States of unit files that count as enabled; generated ones come from fstab and the like."""
LISTED = ("*.service", "*.timer", "*.socket", "*.mount", "*.automount", "*.swap", "*.path", "*.scope")
"""Units that can fail."""


class Selection:
    """The watched units. A unit that was seen failed stays watched for as long as it is loaded."""

    def __init__(self, options: SystemdOptions) -> None:
        self._options = options
        self._failed: set[str] = set()
        self.names: tuple[str, ...] = tuple(name for name in options.exact if not options.ignores(name))
        self.unmatched: tuple[str, ...] = ()
        """Patterns that name no loaded unit."""
        self.beyond = 0
        """Units that are not watched because there are too many."""

    def choose(self, rows: Sequence[Row], enabled: frozenset[str] | None) -> None:
        """Chooses among the loaded units. ``enabled``: the names of enabled unit files; None: not known."""
        options = self._options
        self._failed = {row.name for row in rows if row.active == "failed" or row.name in self._failed}
        chosen = list(options.exact)
        if options.services:
            chosen += [row.name for row in rows if is_among(row.name, options.patterns)]
        else:
            wanted = [row for row in rows if options.of_type(row.name) and self._belongs(row, enabled)]
            chosen += sorted((row.name for row in wanted), key=lambda name: (name not in self._failed, name))
        watched = [name for name in dict.fromkeys(chosen) if not options.ignores(name)]
        self.names, self.beyond = tuple(watched[:UNITS]), max(len(watched) - UNITS, 0)
        self.unmatched = tuple(
            pattern for pattern in options.patterns if not any(is_among(row.name, (pattern,)) for row in rows)
        )

    def may_concern(self, name: str, *, failed: bool) -> bool:
        """Whether a unit that is not watched might have to be: one that failed, or that a pattern names."""
        options = self._options
        if options.ignores(name):
            return False
        if options.services:
            return is_among(name, options.patterns)
        return failed and options.of_type(name)

    def checks(self) -> list[Check]:
        """What is to be said of the selection itself."""
        found = [Check(pattern, "unknown", "no loaded unit has such a name", "no-match") for pattern in self.unmatched]
        if self.beyond:
            words = f"{self.beyond} units beyond the first {UNITS} are not watched: name those that matter"
            found.append(Check("selection", "degraded", words, "too-many-units"))
        return found

    def _belongs(self, row: Row, enabled: frozenset[str] | None) -> bool:
        if row.name in self._failed:
            return True
        if row.load != "loaded":
            return False
        return enabled is None or row.name in enabled or template_of(row.name) in enabled
