"""Which device is watched, and as whom."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from msgspec import Meta

from twinwatch.monitors import Options, SecretText
from twinwatch.monitors.options import lasting
from twinwatch.protocol.durations import Duration

_URL = re.compile(r"https?://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:\d{1,5})?/?")
LONGEST_SECONDS = 10.0

Part = Literal["device", "load", "clock", "channels", "recording", "storage", "streams", "network"]
Pattern = Annotated[str, Meta(min_length=1, max_length=100)]


class HikvisionOptions(Options, frozen=True, kw_only=True):
    """One recorder, camera or gateway."""

    url: Annotated[
        str,
        Meta(
            max_length=300,
            title="Address",
            description="The device's web address, such as http://192.168.1.64; no user, password or path in it.",
        ),
    ]
    username: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=64,
            title="User",
            description="A user of the device made for this, of the level Operator; not admin.",
        ),
    ]
    password: Annotated[
        SecretText, Meta(title="Password", description="The user's password. One that is wrong is tried once.")
    ]
    retry: Annotated[
        int,
        Meta(
            ge=0,
            le=1_000_000,
            title="Try again",
            description="Raise this number to have a password that was refused tried once more.",
        ),
    ] = 0
    verify: Annotated[
        bool,
        Meta(
            title="Verify",
            description="With https: whether the certificate must be valid; most devices have one of their own making.",
        ),
    ] = True
    parts: Annotated[
        tuple[Part, ...],
        Meta(title="Parts", description="What is asked for; none means all. What the device lacks is left out anyway."),
    ] = ()
    ignore_channels: Annotated[
        tuple[Pattern, ...],
        Meta(title="Ignored channels", description="Channels nobody is to hear of: numbers or names, * and ? allowed."),
    ] = ()
    must_record: Annotated[
        tuple[Pattern, ...],
        Meta(
            title="Must record",
            description="Channels that record at all times: numbers or names, * for all. Others may pause, as with "
            "recording on motion; that they fail to record is told of all.",
        ),
    ] = ()
    events: Annotated[
        bool,
        Meta(
            title="Events",
            description="Keep a connection on which the device tells of faults at once, such as a covered camera, but "
            "never of motion. Needs the user's right to be notified.",
        ),
    ] = False
    clock_off_by: Annotated[
        Duration,
        Meta(title="Clock off by", description="The clock's check is degraded when it is off by more than this."),
    ] = lasting("60s")
    request_timeout: Annotated[
        Duration, Meta(title="Request timeout", description="How long one answer of the device may take; at most 10s.")
    ] = lasting("8s")

    def __post_init__(self) -> None:
        if not _URL.fullmatch(self.url):
            raise ValueError("url: expected an address such as http://192.168.1.64 or https://nvr.example:8443")
        if not self.username.isprintable() or ":" in self.username:
            raise ValueError("username: expected printable characters without a colon")
        if not 0 < self.request_timeout <= LONGEST_SECONDS:
            raise ValueError(f"request_timeout: expected more than 0s and at most {LONGEST_SECONDS:g}s")

    @property
    def base(self) -> str:
        """The address without a slash at its end."""
        return self.url.rstrip("/")

    def wants(self, part: Part) -> bool:
        """Whether this part is to be asked for."""
        return not self.parts or part in self.parts
