"""Which units are watched, and when they count as unwell."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from twinwatch.monitors import Options
from twinwatch.monitors.options import lasting
from twinwatch.monitors.systemd.names import full, is_among, is_lawful, is_pattern, suffix_of
from twinwatch.protocol.durations import Duration

Kind = Literal["service", "timer", "socket", "mount", "automount", "swap", "path"]

Names = Annotated[tuple[Annotated[str, Meta(min_length=1, max_length=255)], ...], Meta(max_length=200)]


class SystemdOptions(Options, frozen=True, kw_only=True):
    """Without names, every loaded unit of the types that is enabled or has failed is watched."""

    services: Annotated[
        Names,
        Meta(
            title="Units",
            description="Units that have to be active: nginx (a service), backup.timer, app@*. "
            "None named means all that are enabled, of which an inactive one is well and a failed one is not.",
            examples=[["nginx", "myapp.service"]],
        ),
    ] = ()
    ignore: Annotated[Names, Meta(title="Units to leave out", description="Names with * and ?, such as snap-*.")] = ()
    types: Annotated[
        tuple[Kind, ...], Meta(title="Types", description="Types of units that are watched where none is named.")
    ] = ("service", "timer", "socket", "mount")
    restarts: Annotated[
        int, Meta(ge=1, le=1000, title="Restarts", description="So many restarts within the window are a crash loop.")
    ] = 3
    restart_window: Annotated[
        Duration, Meta(title="Window", description="Time within which restarts and kills for lack of memory count.")
    ] = lasting("10m")
    activating_for: Annotated[
        Duration, Meta(title="Starting for", description="A unit that starts for longer is down.")
    ] = lasting("5m")
    timer_slack: Annotated[
        Duration, Meta(title="Slack of timers", description="How late a timer may be beyond its own accuracy.")
    ] = lasting("5m")

    def __post_init__(self) -> None:
        for name in self.services:
            if not is_pattern(name) and not is_lawful(full(name)):
                raise ValueError(f"{name!r} is no name of a unit: expected one such as nginx or myapp.service")
        if not (self.restart_window > 0 and self.activating_for > 0):
            raise ValueError("restart_window and activating_for have to be longer than 0s")

    @property
    def exact(self) -> tuple[str, ...]:
        """The named units."""
        return tuple(dict.fromkeys(full(name) for name in self.services if not is_pattern(name)))

    @property
    def patterns(self) -> tuple[str, ...]:
        """The patterns among the names."""
        return tuple(dict.fromkeys(full(name) for name in self.services if is_pattern(name)))

    def ignores(self, name: str) -> bool:
        """Whether it is left out."""
        return is_among(name, self.ignore)

    def expects(self, name: str) -> bool:
        """Whether it was named, and so has to be active."""
        return name in self.exact or is_among(name, self.patterns)

    def of_type(self, name: str) -> bool:
        """Whether it is of a type that is watched where none is named."""
        return suffix_of(name) in self.types
